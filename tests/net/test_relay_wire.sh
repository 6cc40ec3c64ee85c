#!/usr/bin/env bash
# What lies between the relay and its clients: datagrams larger than a packet, ports that nobody listens on, a VLAN, an external address.
#
#    namespace: dpx0 10.83.84.1, fd00:83::1 (clients), .11, ::11 (peers)  ── TAP ──  duplex-relay 10.83.84.2, fd00:83::2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

RELAY6=fd00:83::2 HOST6=fd00:83::1 PEER6=fd00:83::11
export PEER_ALLOW='10.83.84.0/24 fd00:83::/64'

# closed LOCAL SERVER ARGUMENT…: nobody listens at the peer; its host says so, and the client is told.
closed() {
	local from=$1 server=$2 before after
	shift 2
	credentials alice
	before=$(relay_metric duplex_relay_icmp_told_total)
	timeout 20 ip netns exec "$NS" turnutils_uclient -u "$USER_NAME" -w "$PASSWORD" -L "$from" -c -n 5 -z 200 "$@" "$server" >/dev/null 2>&1
	after=$(relay_metric duplex_relay_icmp_told_total)
	echo "$before before, $after after"
	[ "$after" -gt "$before" ]
}

at_least() {
	local n
	n=$(relay_metric "$1")
	echo "$1: $n"
	[ "$n" -ge "$2" ]
}

reaches() {
	ip netns exec "$NS" ping -q -c 3 -i 0.1 -W 1 "$1" | grep ' 0% packet loss' >/dev/null
}

# uclient's datagrams of 1700 bytes: in fragments to the relay, put together there, in fragments to the peer, and the same way back.
sizes_and_errors() {
	relay_start "$NS" "address = 10.83.84.2/24,$RELAY6/64" "tap-host-address = 10.83.84.1/24,$HOST6/64" || return
	ip -n "$NS" addr add "$PEER6/64" dev dpx0 nodad
	in_background "$NS" turnutils_peer -L "$PEER_IP" -L "$PEER6" -p 3480 >/dev/null 2>&1
	sums_start "$NS" fragments
	check 'IPv4, 1700 bytes' uclient_from "$HOST_IP" "$RELAY_IP" -c -n 30 -z 10 -l 1700 -e "$PEER_IP" -r 3480
	check 'IPv6, 1700 bytes' uclient_from "$HOST6" "$RELAY6" -c -x -n 30 -z 10 -l 1700 -e "$PEER6" -r 3480
	check 'IPv6 client, IPv4 peer, 1700 bytes' uclient_from "$HOST6" "$RELAY6" -c -n 30 -z 10 -l 1700 -e "$PEER_IP" -r 3480
	check 'IPv4 client, IPv6 peer, 1700 bytes by indications' uclient_from "$HOST_IP" "$RELAY_IP" -c -x -s -n 30 -z 10 -l 1700 -e "$PEER6" -r 3480
	check 'they were put together' at_least duplex_relay_reassembled_total 200
	check 'and sent in fragments' at_least duplex_relay_fragmented_total 200
	check 'none was given up' test "$(relay_metric duplex_relay_reassembly_failed_total)" = 0
	check 'a closed port at an IPv4 peer' closed "$HOST_IP" "$RELAY_IP" -e "$PEER_IP" -r 3999
	check 'a closed port at an IPv6 peer, the client has IPv4' closed "$HOST_IP" "$RELAY_IP" -x -e "$PEER6" -r 3999
	check 'a closed port at an IPv4 peer, the client has IPv6' closed "$HOST6" "$RELAY6" -e "$PEER_IP" -r 3999
	sums_check 'sizes and errors'
	check 'SIGTERM ends it with status 0' relay_stop
}

in_a_vlan() {
	if ! ip -n "$NS" link add link lo name vlantest type vlan id 100 2>/dev/null; then
		skip 'VLAN' 'the kernel has no VLAN devices (8021q); tests/flow/relay/test_wire.c has frames with tags'
		return
	fi
	ip -n "$NS" link del vlantest
	relay_config "$TMP/duplex.conf" 'tap-host-address = -' 'gateway = 10.83.84.1' 'vlan = 100'
	in_background "$NS" "$BIN/duplex-relay" --config "$TMP/duplex.conf" >"$TMP/relay.log" 2>&1
	RELAY_PID=$PID
	until_true 20 ip -n "$NS" link show dpx0 || bail 'no TAP'
	ip -n "$NS" link set dpx0 up
	ip -n "$NS" link add link dpx0 name dpx0.100 type vlan id 100
	ip -n "$NS" link add link dpx0 name dpx0.200 type vlan id 200
	ip -n "$NS" link set dpx0.100 up
	ip -n "$NS" addr add "$HOST_IP/24" dev dpx0.100
	ip -n "$NS" addr add "$PEER_IP/24" dev dpx0.100
	in_background "$NS" turnutils_peer -L "$PEER_IP" -p 3480 >/dev/null 2>&1
	until_true 20 stun_or_dead "$NS" "$RELAY_PID"
	check 'VLAN: ping' reaches "$RELAY_IP"
	check 'VLAN: channels' uclient_from "$HOST_IP" "$RELAY_IP" -c -n 50 -z 5 -e "$PEER_IP" -r 3480
	check 'VLAN: client to client' uclient_from "$HOST_IP" "$RELAY_IP" -c -y -m 4 -n 50 -z 10
	# The same addresses in another VLAN, and without one.
	ip -n "$NS" addr flush dev dpx0.100
	ip -n "$NS" link set dpx0.200 up
	ip -n "$NS" addr add "$HOST_IP/24" dev dpx0.200
	check 'VLAN: another one does not reach it' not reaches "$RELAY_IP"
	check 'VLAN: its frames are counted' test "$(relay_metric duplex_relay_drops_total 'reason="vlan"')" -ge 3
	check 'VLAN: SIGTERM ends it with status 0' relay_stop
}

not() {
	! "$@"
}

# Clients are told 203.0.113.7, which nothing routes here: they meet by it nonetheless, inside the relay.
behind_a_nat() {
	namespace NS
	relay_start "$NS" 'external-address = 203.0.113.7' || return
	in_background "$NS" turnutils_peer -L "$PEER_IP" -p 3480 >/dev/null 2>&1
	check 'external address: channels to a peer' uclient_from "$HOST_IP" "$RELAY_IP" -c -n 50 -z 5 -e "$PEER_IP" -r 3480
	check 'external address: client to client' uclient_from "$HOST_IP" "$RELAY_IP" -c -y -m 4 -n 50 -z 10
	check 'external address: it was data inside the relay' at_least duplex_relay_relayed_packets_total 300
	credentials alice
	check 'external address: that is what clients are told' told_external
	check 'external address: SIGTERM ends it with status 0' relay_stop
}

told_external() {
	timeout 20 ip netns exec "$NS" turnutils_uclient -v -u "$USER_NAME" -w "$PASSWORD" -L "$HOST_IP" -c -y -n 1 "$RELAY_IP" 2>&1 |
		grep '203\.0\.113\.7' >/dev/null
}

namespace NS
ip netns exec "$NS" sysctl -qw net.ipv6.conf.default.accept_dad=0
sizes_and_errors
in_a_vlan
behind_a_nat
done_testing
