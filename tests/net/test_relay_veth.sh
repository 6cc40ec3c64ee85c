#!/usr/bin/env bash
# The same conformance on other DPDK devices, by configuration alone: packet socket with two queues and two workers; AF_XDP.
#
#    namespace relay                               namespace clients
#    duplex-relay 10.83.84.2 on vs0  ═══ veth ═══  dpx0 10.83.84.1 (clients), .11 and .12 (peers)
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

cable() {
	namespace NS
	namespace RELAY_NS
	veth "$RELAY_NS" vs0 "$NS" dpx0
	ip -n "$NS" addr add "$HOST_IP/24" dev dpx0
}

on_device() {
	local label=$1
	shift
	cable
	relay_start "$NS" "$@" || return
	sums_start "$NS"
	take_tap "$label" turncheck "$NS"
	sums_check "$label"
	check "$label: no allocation is left behind" until_true 5 no_allocations
	check "$label: SIGTERM ends it with status 0" relay_stop
}

# Another host with the relay's address: who is there before is found at start, who comes later at his announcement. The relay serves, and says so.
MAC=02:00:00:00:77:01
claims() {
	ip link add "$1" netns "$NS" address "$MAC" type veth peer name "$1-sw" netns "$NS"
	ip -n "$NS" link set "$1-sw" master sw up
	ip -n "$NS" link set "$1" netns "$OTHER_NS" up
}
named_in_the_log() {
	until_true 5 grep -q "address-claimed address=$1 .*by=$MAC" "$TMP/relay.log" || { grep claimed "$TMP/relay.log"; return 1; }
}
duplicates() {
	cable
	namespace OTHER_NS
	ip -n "$NS" link add sw type bridge
	ip -n "$NS" link set sw up
	ip -n "$NS" addr flush dev dpx0
	ip -n "$NS" link set dpx0 master sw
	ip -n "$NS" addr add "$HOST_IP/24" dev sw
	claims twin
	ip -n "$OTHER_NS" addr add "$RELAY_IP/24" dev twin
	ip -n "$OTHER_NS" addr add fd00:83::2/64 dev twin nodad
	relay_config "$TMP/duplex.conf" 'ports = net_af_packet0,iface=vs0' "address = $RELAY_IP/24,fd00:83::2/64"
	in_background "$RELAY_NS" "$BIN/duplex-relay" --config "$TMP/duplex.conf" >"$TMP/relay.log" 2>&1
	RELAY_PID=$PID
	until_true 10 grep -q ' started ' "$TMP/relay.log"
	check 'another host with our IPv4 address is named at start' named_in_the_log "$RELAY_IP"
	check 'and with our IPv6 address' named_in_the_log fd00:83::2
	check 'they are counted' [ "$(relay_metric duplex_relay_drops_total 'reason="address_claimed"')" -ge 2 ]
	ip -n "$OTHER_NS" addr flush dev twin
	check 'once the other has gone, the relay is found' until_true 5 stun_quick "$NS"
	check 'SIGTERM ends it with status 0' relay_stop
}
duplicates

on_device af_packet 'ports = net_af_packet0,iface=vs0,qpairs=2' 'cores = 2'
on_device af_xdp 'ports = net_af_xdp0,iface=vs0'
done_testing
