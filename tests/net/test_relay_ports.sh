#!/usr/bin/env bash
# Each example of docs/relay-ports.md starts, with this namespace's interface and folder in the place of theirs. What this machine has not (a
# network card for DPDK) is said so.
#
#    namespace relay: vs0, the end of a veth with 192.0.2.7
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

# The code blocks of the page, one a file.
awk -v dir="$TMP" '/^```/ { inside = !inside; n += inside; next } inside { print > (dir "/example." n) }' docs/relay-ports.md

world() {
	namespace NS
	ip link add vs0 netns "$NS" type veth peer name vs1 netns "$NS"
	ip -n "$NS" addr add 192.0.2.7/24 dev vs0
	ip -n "$NS" link set vs0 up
	ip -n "$NS" link set vs1 up
}

starts() {
	local file=$1 lines=()
	mapfile -t lines < <(sed "s/iface=eth[01]/iface=vs0/; s,/run/memif-relay.sock,$TMP/memif.sock," "$file")
	grep -q '^ports' "$file" || lines+=('ports = net_tap0,iface=dpx0')
	printf '%s\n' "${lines[@]}"
	relay_config "$TMP/duplex.conf" "${lines[@]}"
	in_background "$NS" "$BIN/duplex-relay" --config "$TMP/duplex.conf" >"$TMP/relay.log" 2>&1
	RELAY_PID=$PID
	until_true 10 started_or_dead
	grep -q ' started ' "$TMP/relay.log" || { cat "$TMP/relay.log"; return 1; }
	relay_stop
}

started_or_dead() {
	grep -q ' started ' "$TMP/relay.log" || gone "$RELAY_PID"
}

# Without the card the relay gives the reason that the page says.
needs_card() {
	relay_config "$TMP/duplex.conf" "$(cat "$1")"
	! timeout 10 ip netns exec "$NS" "$BIN/duplex-relay" --config "$TMP/duplex.conf" >"$TMP/out" 2>&1 && cat "$TMP/out" && grep -Eq 'a NIC needs huge pages|DPDK' "$TMP/out"
}

world
count=0
for example in "$TMP"/example.*; do
	count=$((count + 1))
	what=$(head -n 1 "$example")
	if grep -q '^ports = 0000:' "$example"; then
		check "a card that is not there: $what" needs_card "$example"
	elif grep -q '^cpus' "$example" && [ "$(nproc)" -lt 2 ]; then
		skip "$what" 'one CPU'
	else
		check "starts and ends: $what" starts "$example"
	fi
done
check 'the page has its examples' test "$count" -ge 8
done_testing
