#!/usr/bin/env bash
# The relay as `make run` starts it (TAP, no huge pages), with one and with two workers: reachable, usable with coturn's clients, clean at the end.
#
#    namespace: dpx0 10.83.84.1 (clients), .11 and .12 (peers)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

in_ns() {
	ip netns exec "$NS" "$@"
}

pings() {
	in_ns ping -q -c 5 -i 0.05 -W 1 "$@" "$RELAY_IP" | grep ' 5 received, 0% packet loss' >/dev/null
}

arp_resolved() {
	ip -n "$NS" neigh show "$RELAY_IP" dev dpx0 | grep -Eq 'lladdr ([0-9a-f]{2}:){5}[0-9a-f]{2}'
}

arp_other_silent() {
	! in_ns ping -q -c 1 -W 1 10.83.84.77 >/dev/null && ! ip -n "$NS" neigh show 10.83.84.77 | grep lladdr >/dev/null
}

reflexive_address() {
	stun_out=$(timeout 3 ip netns exec "$NS" turnutils_stunclient -L "$HOST_IP" "$RELAY_IP")
	grep -q "UDP reflexive addr: $HOST_IP" <<<"$stun_out" || { printf '%s\n' "$stun_out"; return 1; }
}

uclient() {
	uclient_from "$HOST_IP" "$RELAY_IP" "$@"
}

moved() {
	[ "$(relay_metric duplex_relay_moves_total)" -ge 4 ]
}

wrong_password() {
	local out
	credentials alice
	out=$(timeout 20 ip netns exec "$NS" turnutils_uclient -c -n 1 -e "$PEER_IP" -u "$USER_NAME" -w wrong -L "$HOST_IP" "$RELAY_IP" 2>&1)
	if ! grep -Eqi 'error 401|Unauthori[sz]ed|Cannot complete Allocation' <<<"$out" || grep -q 'tot_recv_msgs=[1-9]' <<<"$out"; then
		tail -n 15 <<<"$out"
		return 1
	fi
}

# uclient makes two allocations a client (one for two with -y), walks away from the first and ends the others with Refresh 0.
released() {
	local made left
	made=$(relay_metrics | awk '/requests_total\{method="allocate",code="200"\}/ { print $2 }')
	left=$(relay_metric duplex_relay_allocations)
	echo "$made made, $left left"
	[ "$made" -gt 40 ] && [ "$left" -lt $((made * 2 / 3)) ]
}

tap_gone() {
	! ip -n "$NS" link show dpx0 >/dev/null 2>&1
}

with_workers() {
	local cores=$1 label="cores $1"
	namespace NS
	relay_start "$NS" "cores = $cores" || return
	in_background "$NS" turnutils_peer -L "$PEER_IP" -p 3480 >/dev/null 2>&1
	sums_start "$NS"

	check "$label: ping" pings
	check "$label: ping with 1400 bytes" pings -s 1400
	check "$label: ARP gave its link address" arp_resolved
	check "$label: no ARP for an address that is not its own" arp_other_silent
	check "$label: STUN Binding of turnutils_stunclient" reflexive_address
	check "$label: indications (uclient -s)" uclient -c -s -n 50 -z 5 -e "$PEER_IP" -r 3480
	check "$label: channels (uclient)" uclient -c -n 100 -z 5 -e "$PEER_IP" -r 3480
	check "$label: long messages" uclient -c -n 30 -z 5 -l 1200 -e "$PEER_IP" -r 3480
	check "$label: padded channel data (uclient -D)" uclient -c -D -l 101 -n 30 -z 5 -e "$PEER_IP" -r 3480
	check "$label: extra requests (uclient -G)" uclient -c -G -n 30 -z 5 -e "$PEER_IP" -r 3480
	check "$label: 20 clients at once" uclient -c -m 20 -n 50 -z 10 -e "$PEER_IP" -r 3480
	check "$label: client to client through the relay (uclient -y)" uclient -c -y -m 4 -n 50 -z 10
	check "$label: clients that move to another port (uclient -M)" uclient -c -M -m 4 -n 50 -z 10 -e "$PEER_IP" -r 3480
	check "$label: and the relay has seen them move" moved
	check "$label: client to client by indications (uclient -y -s)" uclient -c -y -s -m 4 -n 50 -z 10
	check "$label: a wrong password is refused" wrong_password
	check "$label: allocations that uclient ended are gone" released
	sums_check "$label"
	check "$label: SIGTERM ends it with status 0" relay_stop
	check "$label: the TAP device is gone" until_true 2 tap_gone
}

with_workers 1
with_workers 2
done_testing
