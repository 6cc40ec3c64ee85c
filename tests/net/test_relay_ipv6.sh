#!/usr/bin/env bash
# The relay with both families on one TAP: reachable by IPv6, usable with coturn's clients in all four pairs of client and peer, through a
# link-local gateway, and after its neighbours have changed their MACs.
#
#    namespace: dpx0 10.83.84.1, fd00:83::1 (clients), .11, ::11 (peers)  ── TAP ──  duplex-relay 10.83.84.2, fd00:83::2
#               lo 2a00:99::1 (a client off the link, behind the gateway fe80::99)
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

RELAY6=fd00:83::2 HOST6=fd00:83::1 PEER6=fd00:83::11 FAR6=2a00:99::1
export PEER_ALLOW='10.83.84.0/24 fd00:83::/64 2a00:99::/64'

in_ns() {
	ip netns exec "$NS" "$@"
}

pings() {
	in_ns ping -6 -q -c 5 -i 0.05 -W 1 "$@" | grep ' 5 received, 0% packet loss' >/dev/null
}

reflexive_address() {
	local out
	out=$(timeout 3 ip netns exec "$NS" turnutils_stunclient -L "$1" "$RELAY6")
	grep -q "UDP reflexive addr: $1" <<<"$out" || { printf '%s\n' "$out"; return 1; }
}

# How many datagrams went to the other family: of the peer side and of the client side alike.
crossed() {
	[ "$(relay_metric duplex_relay_relayed_packets_total)" -ge 1000 ]
}

new_mac() {
	ip -n "$NS" link set dpx0 address "$1" && ip -n "$NS" -6 addr add fe80::99/64 dev dpx0 nodad 2>/dev/null
	true
}

# Within 12 seconds the relay has asked again: the first try may still go to the old MAC.
recovers() {
	uclient_from "$@" || uclient_from "$@"
}

namespace NS
in_ns sysctl -qw net.ipv6.conf.default.accept_dad=0
relay_start "$NS" "address = 10.83.84.2/24,$RELAY6/64" "tap-host-address = 10.83.84.1/24,$HOST6/64" 'gateway = 10.83.84.1,fe80::99' ||
	done_testing
ip -n "$NS" addr add "$PEER6/64" dev dpx0 nodad
ip -n "$NS" addr add "$FAR6/128" dev lo nodad
ip -n "$NS" addr add fe80::99/64 dev dpx0 nodad
in_background "$NS" turnutils_peer -L "$PEER_IP" -L "$PEER6" -p 3480 >/dev/null 2>&1
sums_start "$NS"

check 'ping' pings "$RELAY6"
check 'ping with 1400 bytes' pings -s 1400 "$RELAY6"
check 'ping from behind the link-local gateway' pings -I "$FAR6" "$RELAY6"
check 'STUN Binding' reflexive_address "$HOST6"
check 'STUN Binding from behind the gateway' reflexive_address "$FAR6"
for size in 100 101 1200; do
	check "IPv6 client, IPv6 peer, $size bytes" uclient_from "$HOST6" "$RELAY6" -c -x -n 50 -z 5 -l $size -e "$PEER6" -r 3480
	check "IPv6 client, IPv4 peer, $size bytes" uclient_from "$HOST6" "$RELAY6" -c -n 50 -z 5 -l $size -e "$PEER_IP" -r 3480
	check "IPv4 client, IPv6 peer, $size bytes" uclient_from "$HOST_IP" "$RELAY_IP" -c -x -n 50 -z 5 -l $size -e "$PEER6" -r 3480
done
check 'indications, IPv6 client and peer' uclient_from "$HOST6" "$RELAY6" -c -x -s -n 50 -z 5 -e "$PEER6" -r 3480
check 'indications, IPv6 client, IPv4 peer' uclient_from "$HOST6" "$RELAY6" -c -s -n 50 -z 5 -e "$PEER_IP" -r 3480
check 'indications, IPv4 client, IPv6 peer' uclient_from "$HOST_IP" "$RELAY_IP" -c -x -s -n 50 -z 5 -e "$PEER6" -r 3480
check 'client to client, all IPv6' uclient_from "$HOST6" "$RELAY6" -c -x -y -m 4 -n 50 -z 10
check 'client to client, IPv4 clients on IPv6 addresses' uclient_from "$HOST_IP" "$RELAY_IP" -c -x -y -m 4 -n 50 -z 10
check 'client to client, IPv6 clients on IPv4 addresses' uclient_from "$HOST6" "$RELAY6" -c -y -m 4 -n 50 -z 10
check 'a client behind the gateway' uclient_from "$FAR6" "$RELAY6" -c -x -n 50 -z 5 -e "$PEER6" -r 3480
check 'all that was relayed is counted' crossed

# The neighbours (gateway, clients and peers are one host here) change their MAC: the relay hears of it, or asks again.
check 'the host changes its MAC' new_mac 02:00:00:00:99:01
check 'ping after it' until_true 40 pings "$RELAY6"
check 'ping from behind the gateway after it' until_true 40 pings -I "$FAR6" "$RELAY6"
check 'IPv6 client and peer after it' recovers "$HOST6" "$RELAY6" -c -x -n 50 -z 5 -e "$PEER6" -r 3480
check 'IPv4 client and peer after it' recovers "$HOST_IP" "$RELAY_IP" -c -n 50 -z 5 -e "$PEER_IP" -r 3480
sums_check 'both families'
check 'SIGTERM ends it with status 0' relay_stop
done_testing
