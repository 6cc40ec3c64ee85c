#!/usr/bin/env bash
# The same conformance on other DPDK devices, by configuration alone: packet socket with two queues and two workers; AF_XDP.
#
#    namespace relay                               namespace clients
#    duplex-relay 10.83.84.2 on vs0  ═══ veth ═══  dpx0 10.83.84.1 (clients), .11 and .12 (peers)
#
# A veth hands over checksums half done unless its offloads are switched off; the relay verifies them, so they are.
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

cable() {
	local end
	namespace NS
	namespace RELAY_NS
	ip link add vs0 netns "$RELAY_NS" type veth peer name dpx0 netns "$NS"
	for end in "$RELAY_NS vs0" "$NS dpx0"; do
		# shellcheck disable=SC2086 # two words
		set -- $end
		ip netns exec "$1" ethtool -K "$2" tx off rx off gso off tso off gro off >/dev/null 2>&1
		ip -n "$1" link set "$2" up
	done
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

on_device af_packet 'ports = net_af_packet0,iface=vs0,qpairs=2' 'cores = 2'
on_device af_xdp 'ports = net_af_xdp0,iface=vs0'
done_testing
