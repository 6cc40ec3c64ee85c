#!/usr/bin/env bash
# Two ports at once, as `make run IFACE=…` has them: a TAP for this machine, AF_XDP on its own address for the network; and the way between.
#
#    namespace host                                                        namespace network
#    duplex-relay ── TAP 10.83.84.2 ── dpx0 10.83.84.1 (clients here)
#                 ── vs0 10.84.0.7, the host's own address ═══ veth ═══    vs1 10.84.0.9 (clients there)
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

OWN_IP=10.84.0.7
FAR_IP=10.84.0.9
PORTS=('ports = net_tap0,iface=dpx0 net_af_xdp0,iface=vs0' "address = $RELAY_IP/24 host" "tap-host-address = $HOST_IP/24 -")

world() {
	namespace NS
	namespace FAR_NS
	veth "$NS" vs0 "$FAR_NS" vs1
	ip -n "$NS" addr add "$OWN_IP/24" dev vs0
	ip -n "$FAR_NS" addr add "$FAR_IP/24" dev vs1
	in_background "$NS" python3 tests/net/echo.py "$OWN_IP" 53 443
	until_true 5 ip netns exec "$FAR_NS" tests/net/ask "$OWN_IP" tcp 443
}

# pair NAMESPACE LOCAL SERVER NAMESPACE LOCAL SERVER
pair() {
	"$BIN/turnpair" "$REALM" "$TMP/secret" 200 "$@"
}

far_stun() {
	timeout 1 ip netns exec "$FAR_NS" turnutils_stunclient -L "$FAR_IP" "$1" | grep 'UDP reflexive addr'
}

host_web() {
	ip netns exec "$FAR_NS" tests/net/ask "$OWN_IP" tcp 443 && ip netns exec "$FAR_NS" tests/net/ask "$OWN_IP" udp 53
}

# What a browser of this machine meets at the host's own address, where only the network is served: a refusal at once, no wait.
refused_here() {
	[ "$(ip netns exec "$NS" tests/net/ask "$OWN_IP" udp 3478)" = refused ]
}

with_cores() {
	world
	relay_start "$NS" "${PORTS[@]}" "$@" || return
	check "$*: a client of the network, by the host's address" until_true 3 far_stun "$OWN_IP"
	check "$*: a client here and one of the network, channel to channel" pair "$NS" "$HOST_IP" "$RELAY_IP" "$FAR_NS" "$FAR_IP" "$OWN_IP"
	check "$*: two of the network" pair "$FAR_NS" "$FAR_IP" "$OWN_IP" "$FAR_NS" "$FAR_IP" "$OWN_IP"
	check "$*: two here" pair "$NS" "$HOST_IP" "$RELAY_IP" "$NS" "$HOST_IP" "$RELAY_IP"
	check "$*: the host's own services on the same address" host_web
	check "$*: from this machine, the host's address refuses at once" refused_here
	check "$*: no allocation is left behind" until_true 5 no_allocations
	check "$*: SIGTERM ends it with status 0" relay_stop
}

with_cores 'cores = 1'
done_testing
