#!/usr/bin/env bash
# AF_XDP with the relay's own XDP program: what it takes and what it leaves to the kernel, how it is attached, and how it is removed.
#
#    namespace relay                                          namespace clients
#    duplex-relay 10.83.84.2 ┐
#    kernel       10.83.84.3 ┴ vs0  ═══ veth ═══  dpx0 10.83.84.1 (clients), .11 and .12 (peers)
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

KERNEL_IP=10.83.84.3

# cable [QUEUES [MTU]]: the kernel of the relay's side has an address of its own on the cable, and services on it.
cable() {
	namespace NS
	namespace RELAY_NS
	veth "$RELAY_NS" vs0 "$NS" dpx0 "${1:-1}"
	ip -n "$RELAY_NS" link set vs0 mtu "${2:-1500}"
	ip -n "$NS" link set dpx0 mtu "${2:-1500}"
	ip -n "$NS" addr add "$HOST_IP/24" dev dpx0
	ip -n "$RELAY_NS" addr add "$KERNEL_IP/24" dev vs0
	in_background "$RELAY_NS" python3 tests/net/echo.py "$KERNEL_IP" 53 22
	until_true 5 in_ns tests/net/ask "$KERNEL_IP" tcp 22
}

in_ns() {
	ip netns exec "$NS" "$@"
}

xdp_mode() {
	ip -n "$RELAY_NS" -d link show vs0 | grep -oE 'xdp(generic)?( |/id)' | head -n 1
}

mode_is() {
	local mode
	mode=$(xdp_mode)
	echo "mode: ${mode:-none}; $(grep -o 'xdp=[a-z]*' "$TMP/relay.log" | head -n 1)"
	case $1 in
	native) [ "$mode" = 'xdp/id' ] || [ "$mode" = 'xdp ' ] ;;
	generic) [ "$mode" = 'xdpgeneric/id' ] || [ "$mode" = 'xdpgeneric ' ] ;;
	none) [ -z "$mode" ] ;;
	esac
}

# What the kernel serves on the same interface goes on: name service by UDP, a TCP service, ping, and its own requests to the outside.
kernel_serves() {
	in_ns tests/net/ask "$KERNEL_IP" udp 53 && in_ns tests/net/ask "$KERNEL_IP" tcp 22 &&
		in_ns ping -q -c 3 -i 0.05 -W 1 "$KERNEL_IP" && ip netns exec "$RELAY_NS" ping -q -c 3 -i 0.05 -W 1 "$HOST_IP"
}

killed_and_back() {
	kill -KILL "$RELAY_PID"
	wait "$RELAY_PID"
	mode_is native || { echo 'the program is gone already'; return 1; }
	kernel_serves || return 1
	relay_start "$NS" "$@" && mode_is native && stun_quick "$NS"
}

# A relay that died is silent for a while: no port unreachable that would end calls which its next start goes on with.
silent_when_dead() {
	local errors
	kill -KILL "$RELAY_PID"
	wait "$RELAY_PID"
	errors=$(in_ns tests/net/ask "$RELAY_IP" udp 3478)
	echo "$errors"
	[ "$errors" = 'no answer' ]
}

refuses() {
	local pattern=$1 status
	shift
	timeout -k 2 15 ip netns exec "$RELAY_NS" "$@" >"$TMP/out" 2>&1
	status=$?
	cat "$TMP/out"
	[ "$status" -ne 0 ] && [ "$status" -lt 124 ] && grep -Eq -- "$pattern" "$TMP/out"
}

not_promiscuous() {
	! ip -n "$RELAY_NS" -d link show vs0 | grep -E 'PROMISC|promiscuity [1-9]'
}

left_group() {
	! ip netns exec "$RELAY_NS" grep 'vs0 .*3333ff000002' /proc/net/dev_mcast
}

port_up() {
	[ "$(relay_metric duplex_relay_port_up)" = "$1" ]
}

link_told() {
	until_true 2 port_up 1 && ip -n "$NS" link set dpx0 down && until_true 3 port_up 0 && ip -n "$NS" link set dpx0 up && until_true 3 port_up 1 &&
		grep -q link-down "$TMP/relay.log" && grep -q link-up "$TMP/relay.log"
}

one_queue() {
	ip netns exec "$RELAY_NS" ethtool -L vs0 rx 1 && relay_start "$NS" 'ports = net_af_xdp0,iface=vs0' && in_ns ping -q -c 3 -i 0.05 -W 1 "$RELAY_IP"
}

second_relay() {
	cp "$TMP/duplex.conf" "$TMP/second.conf"
	sed -i "s,^file-prefix.*,file-prefix = dpx$$-b,; s,^run-dir.*,run-dir = $TMP/run-b," "$TMP/second.conf"
	refuses 'in use by another duplex-relay' "$BIN/duplex-relay" --config "$TMP/second.conf" && mode_is native && stun_quick "$NS"
}

foreign_program() {
	ip -n "$RELAY_NS" link set dev vs0 xdp object "$TMP/foreign.o" section xdp || return 1
	refuses "already has an XDP program .'passer'" "$BIN/duplex-relay" --config "$TMP/duplex.conf" || return 1
	xdp_mode | grep -q . && ip -n "$RELAY_NS" link set dev vs0 xdp off
}

# on_interface LABEL MODE LINE…: conformance, with every checksum verified, while the kernel's services are used.
on_interface() {
	local label=$1 mode=$2
	shift 2
	relay_start "$NS" 'ports = net_af_xdp0,iface=vs0' "$@" || return
	check "$label: attached as $mode" mode_is "$mode"
	sums_start "$NS"
	take_tap "$label" turncheck "$NS"
	sums_check "$label"
	check "$label: no allocation is left behind" until_true 5 no_allocations
	check "$label: the kernel serves on the same interface" kernel_serves
}

take_tap program "$BIN/xdpcheck" "$BIN/relay/xdp/relay.bpf.o"

cable
on_interface 'own address' native
check 'a second relay on the same interface is refused, the first goes on' second_relay
check 'killed by SIGKILL and started again: the stale program is replaced' killed_and_back 'ports = net_af_xdp0,iface=vs0'
check 'a relay that was killed is silent' silent_when_dead
relay_start "$NS" 'ports = net_af_xdp0,iface=vs0'
check 'SIGTERM ends it with status 0' relay_stop
check 'the program is off the interface' mode_is none
check 'without the relay, the kernel serves' kernel_serves
printf '%s\n' '__attribute__((section("xdp"))) int passer(void *x) { return 2; }' >"$TMP/foreign.c"
clang-14 -target bpf -O2 -c "$TMP/foreign.c" -o "$TMP/foreign.o"
check 'a foreign XDP program is left alone, with a clear sentence' foreign_program

# IPv6 of its own: the groups that neighbours ask in are joined, without the interface being made promiscuous.
cable
ip -n "$NS" addr add fd00:83::1/64 dev dpx0 nodad
relay_start "$NS" 'ports = net_af_xdp0,iface=vs0' "address = $RELAY_IP/24,fd00:83::2/64"
check 'IPv6: neighbours find it' in_ns ping -q -c 3 -i 0.05 -W 1 fd00:83::2
check 'IPv6: the interface listens to its group' ip netns exec "$RELAY_NS" grep -q 'vs0 .*3333ff000002' /proc/net/dev_mcast
check 'IPv6: the interface is not promiscuous' not_promiscuous
check 'a cable that is pulled is told' link_told
check 'IPv6: SIGTERM ends it with status 0' relay_stop
check 'IPv6: the group is left' left_group

# A veth's queues receive or send, which the driver of DPDK cannot use.
cable 2
check 'receive queues that cannot be served: a clear sentence' refuses 'has 2 receive queues, of which AF_XDP can serve 1: ethtool -L vs0 rx 1' \
	"$BIN/duplex-relay" --config "$TMP/duplex.conf"
check 'as that sentence says, it works' one_queue
check 'one queue: SIGTERM ends it with status 0' relay_stop

# More workers than the interface has queues: the surplus ones have clients over TCP, whose data to peers all leave on that one queue.
streams_of_all_workers() {
	local out
	credentials alice
	in_background "$NS" turnutils_peer -L "$PEER_IP" -p 3480 >/dev/null 2>&1
	out=$(timeout 60 ip netns exec "$NS" turnutils_uclient -u "$USER_NAME" -w "$PASSWORD" -L "$HOST_IP" -t -c -m 12 -n 200 -l 400 -z 5 -e "$PEER_IP" \
		-r 3480 -p 3478 "$KERNEL_IP" 2>&1)
	tail -n 6 <<<"$out"
	grep -Eq 'Total lost packets 0 \(0\.0' <<<"$out" && grep -q 'tot_recv_msgs=[1-9]' <<<"$out"
}
all_workers_busy() {
	local core
	relay_metrics | grep busy
	for core in 0 1 2; do
		[ "$(relay_metric duplex_relay_busy_nanoseconds_total "core=\"$core\"")" -gt 100000 ] || return 1
	done
}
cable
on_interface '3 cores, 1 queue' native 'cores = 3' "stream-listen = tcp:$KERNEL_IP:3478"
check '3 cores, 1 queue: both numbers are said' grep -q 'queues-fewer.* queues=1 cores=3' "$TMP/relay.log"
sums_start "$NS"
check '3 cores, 1 queue: clients over TCP, all that they send comes back' streams_of_all_workers
sums_check '3 cores, 1 queue, TCP'
check '3 cores, 1 queue: every worker took part' all_workers_busy
check '3 cores, 1 queue: SIGTERM ends it with status 0' relay_stop

# As containers have it: checksums are left for a card that never comes.
cable
ip netns exec "$NS" ethtool -K dpx0 tx on >/dev/null
ip netns exec "$RELAY_NS" ethtool -K vs0 tx on >/dev/null
on_interface 'checksums left out' native
check 'checksums left out: none was taken for damage' test "$(relay_metric duplex_relay_drops_total 'reason="udp_checksum"')" = 0
check 'checksums left out: SIGTERM ends it with status 0' relay_stop

# A veth whose peer has a large MTU refuses native XDP.
cable 1 9000
on_interface 'generic' generic
check 'generic: the interface keeps its MTU' grep -q 'mtu 9000' <(ip -n "$RELAY_NS" link show vs0)
check 'generic: SIGTERM ends it with status 0' relay_stop
check 'generic: the program is off the interface' mode_is none
done_testing
