#!/usr/bin/env bash
# The relay on the host's own address: AF_XDP takes UDP to the relay's ports, all else is the kernel's, which also finds neighbours and gateways.
#
#    namespace relay                                          namespace clients
#    duplex-relay ┐                                           dpx0 10.83.84.1 (clients), .11 and .12 (peers), name service on .1
#    kernel       ┴ vs0 10.83.84.2, fd00:83::2  ═══ veth ═══  10.99.0.1 beyond the gateway 10.83.84.1, later .13
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

FAR_IP=10.99.0.1
SHARED=('ports = net_af_xdp0,iface=vs0' 'address = host')

cable() {
	namespace NS
	namespace RELAY_NS
	veth "$RELAY_NS" vs0 "$NS" dpx0
	ip -n "$NS" addr add "$HOST_IP/24" dev dpx0
	ip -n "$NS" addr add "$FAR_IP/32" dev lo
	ip -n "$NS" addr add fd00:83::1/64 dev dpx0 nodad
	ip -n "$RELAY_NS" addr add "$RELAY_IP/24" dev vs0
	ip -n "$RELAY_NS" addr add fd00:83::2/64 dev vs0 nodad
	ip -n "$RELAY_NS" route add default via "$HOST_IP"
	in_background "$RELAY_NS" python3 tests/net/echo.py "$RELAY_IP" 53 22
	in_background "$NS" python3 tests/net/echo.py "$HOST_IP" 53 80
	until_true 5 in_ns tests/net/ask "$RELAY_IP" tcp 22 && until_true 5 on_host tests/net/ask "$HOST_IP" tcp 80
}

in_ns() {
	ip netns exec "$NS" "$@"
}

on_host() {
	ip netns exec "$RELAY_NS" "$@"
}

# The host goes on as before: it serves, it is pinged, and it gets the answers to what it asks.
kernel_serves() {
	in_ns tests/net/ask "$RELAY_IP" udp 53 && in_ns tests/net/ask "$RELAY_IP" tcp 22 && in_ns ping -q -c 3 -i 0.05 -W 1 "$RELAY_IP" || return 1
	on_host tests/net/ask "$HOST_IP" udp 53 && on_host tests/net/ask "$HOST_IP" tcp 80
}

# Every port that the kernel can choose for a question of its own, as its range ends where the relay's begins.
kernel_keeps_its_ports() {
	local first last
	read -r first last < <(on_host cat /proc/sys/net/ipv4/ip_local_port_range)
	echo "kernel $first to $last; $(grep -o 'port_min=.*port_max=[0-9]*' "$TMP/relay.log")"
	on_host python3 tests/net/ask_from "$HOST_IP" 53 "$((last - 300))" "$last"
}

stun_from() {
	timeout 1 ip netns exec "$NS" turnutils_stunclient -L "$1" "${2:-$RELAY_IP}" | grep 'UDP reflexive addr'
}

# Another network card for the clients' side: frames to the old MAC do not arrive any more.
mac_changes() {
	stun_from "$HOST_IP" || return 1
	ip -n "$NS" link set dpx0 address 02:00:00:00:aa:bb || return 1
	in_ns ping -q -c 1 -W 1 "$RELAY_IP"
	until_true 2 stun_from "$HOST_IP"
}

gateway_changes() {
	until_true 5 stun_from "$FAR_IP" || { echo 'not reached by the first gateway'; return 1; }
	ip -n "$NS" link add dpx1 link dpx0 type macvlan mode bridge && ip -n "$NS" link set dpx1 up && ip -n "$NS" addr add 10.83.84.13/24 dev dpx1 || return 1
	in_ns sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.dpx1.rp_filter=0 net.ipv4.conf.all.arp_ignore=1
	ip -n "$RELAY_NS" route replace default via 10.83.84.13
	until_true 5 grep -q 'gateway port=0 address=10.83.84.13' "$TMP/relay.log" || { tail -n 3 "$TMP/relay.log"; return 1; }
	until_true 5 stun_from "$FAR_IP" && in_ns sh -c 'cat /sys/class/net/dpx1/statistics/rx_packets' && [ "$(in_ns cat /sys/class/net/dpx1/statistics/rx_packets)" -gt 0 ]
}

ipv6_too() {
	until_true 3 stun_from fd00:83::1 fd00:83::2 && in_ns ping -q -c 2 -i 0.05 -W 1 fd00:83::2
}

# Datagrams of 1700 bytes, in fragments to the relay and back.
in_fragments() {
	local out before
	in_background "$NS" turnutils_peer -L "$PEER_IP" -p 3480 >/dev/null 2>&1
	before=$(relay_metric duplex_relay_reassembled_total)
	credentials alice
	out=$(timeout 30 ip netns exec "$NS" turnutils_uclient -c -n 30 -z 5 -l 1700 -e "$PEER_IP" -r 3480 -u "$USER_NAME" -w "$PASSWORD" -L "$HOST_IP" "$RELAY_IP" 2>&1)
	grep -q 'Total lost packets 0 (0.0' <<<"$out" || { tail -n 12 <<<"$out"; return 1; }
	echo "$(relay_metric duplex_relay_reassembled_total) reassembled, $before before"
	[ "$(relay_metric duplex_relay_reassembled_total)" -ge $((before + 30)) ]
}

# "Port unreachable" about a relayed datagram reaches the client, as a Data indication, and not a kernel that knows nothing of it.
icmp_error() {
	local before
	credentials alice
	before=$(relay_metric duplex_relay_icmp_told_total)
	timeout 20 ip netns exec "$NS" turnutils_uclient -u "$USER_NAME" -w "$PASSWORD" -L "$HOST_IP" -c -n 5 -z 200 -e "$PEER_IP" -r 3999 "$RELAY_IP" >/dev/null 2>&1
	echo "$before before, $(relay_metric duplex_relay_icmp_told_total) after"
	[ "$(relay_metric duplex_relay_icmp_told_total)" -gt "$before" ]
}

killed_and_silent() {
	kill -KILL "$RELAY_PID"
	wait "$RELAY_PID"
	[ "$(in_ns tests/net/ask "$RELAY_IP" udp 3478)" = 'no answer' ] || { echo 'the kernel answers for a relay that will be back'; return 1; }
	kernel_serves && relay_start "$NS" "${SHARED[@]}"
}

# refuses PATTERN LINE…
refuses() {
	local pattern=$1 status
	shift
	relay_config "$TMP/bad.conf" "$@"
	timeout -k 2 15 ip netns exec "$RELAY_NS" "$BIN/duplex-relay" --config "$TMP/bad.conf" >"$TMP/out" 2>&1
	status=$?
	cat "$TMP/out"
	[ "$status" -ne 0 ] && [ "$status" -lt 124 ] && grep -Eq -- "$pattern" "$TMP/out"
}

port_in_use() {
	local status
	in_background "$RELAY_NS" python3 tests/net/echo.py "$RELAY_IP" "$1" 2222
	until_true 5 on_host tests/net/ask "$RELAY_IP" tcp 2222
	refuses "UDP port $1.*in use" "${SHARED[@]}" 'port-min = 61000'
	status=$?
	kill "$PID"
	wait "$PID"
	return "$status"
}

reserved_ports() {
	on_host sysctl -qw net.ipv4.ip_local_reserved_ports=50000-65535
	relay_start "$NS" "${SHARED[@]}" 'port-min = 50000' && relay_stop
}

cable
# One family only: turncheck expects a relay without IPv6.
relay_start "$NS" "${SHARED[0]}" "address = $RELAY_IP/24" 'share-host-address = yes' || done_testing
sums_start "$NS"
take_tap shared turncheck "$NS"
sums_check shared
check 'no allocation is left behind' until_true 5 no_allocations
check 'SIGTERM ends it with status 0' relay_stop

relay_start "$NS" "${SHARED[@]}" || done_testing
check 'the kernel serves and asks on the same address' kernel_serves
check 'answers come to every port that the kernel gives out' kernel_keeps_its_ports
check 'IPv6, on the address of the interface' ipv6_too
check 'datagrams in fragments' in_fragments
check 'an ICMP error about a relayed datagram' icmp_error
check 'a neighbour with a new MAC is followed' mac_changes
check 'a client beyond the gateway, and beyond another one later' gateway_changes
check 'killed by SIGKILL: no port unreachable, and the next start takes over' killed_and_silent
check 'SIGTERM ends it with status 0' relay_stop
check 'then the kernel answers for the port again' [ "$(in_ns tests/net/ask "$RELAY_IP" udp 3478)" = refused ]
check 'the kernel goes on after it' kernel_serves

check 'ports of the kernel are refused' refuses 'port-min 49000 to port-max 65535 overlaps .* such as 61000 to 65535' "${SHARED[@]}" 'port-min = 49000'
check 'a relayed port in use is refused' port_in_use 62000
check 'a service port in use is refused' port_in_use 3478
check 'the host'\''s address is not taken unasked' refuses 'share-host-address' 'ports = net_af_xdp0,iface=vs0' "address = $RELAY_IP/24"
check 'an address that the interface does not have cannot be shared' refuses 'does not have the address 10.83.84.9' 'ports = net_af_xdp0,iface=vs0' \
	'address = 10.83.84.9/24' 'share-host-address = yes'
check 'an external address needs one of its family behind it' refuses 'no address of this family' 'ports = net_af_xdp0,iface=lo' \
	'address = host' 'external-address = 2001:db8::1'
check 'only AF_XDP can share' refuses 'only AF_XDP' 'ports = net_af_packet0,iface=vs0' 'address = host'
check 'ports that are reserved in the kernel can be used' reserved_ports
done_testing
