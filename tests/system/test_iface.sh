#!/usr/bin/env bash
# `make up IFACE=…`: an instance that also serves the network, on the host's own address; in a namespace that stands for this machine.
#
#    namespace host                                               namespace network
#    all of Duplex; TAP 10.83.N.2 for clients here
#    vs0 10.84.0.7, the host's own address  ═══ veth ═══          vs1 10.84.0.9: a browser there (curl), a TURN client there
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/../net/lib.sh"
need_root

OWN_IP=10.84.0.7
FAR_IP=10.84.0.9
HASH=$(printf '%s' "$PWD:$$" | sha256sum | cut -c1-6)
INSTANCE=iface-$HASH
STATE=/var/lib/duplex/$INSTANCE
SETTINGS=("INSTANCE=$INSTANCE" 'HTTPS_PORT=8443' "TAP=dpxi$HASH" 'WORKERS=1' "VARIANT=$(basename "$BIN")")

end_instance() {
	duplex down >/dev/null 2>&1
	rm -rf "$STATE"
	cleanup
}
trap end_instance EXIT

duplex() {
	ip netns exec "$NS" packaging/duplex-run "$@" "${SETTINGS[@]}"
}

world() {
	namespace NS
	namespace FAR_NS
	veth "$NS" vs0 "$FAR_NS" vs1
	ip -n "$NS" addr add "$OWN_IP/24" dev vs0
	ip -n "$FAR_NS" addr add "$FAR_IP/24" dev vs1
}

refuses() {
	local pattern=$1 out
	shift
	out=$(duplex up "$@" 2>&1) && { echo 'it started'; return 1; }
	echo "$out"
	[ "$(grep -c . <<<"$out")" = 1 ] && grep -Eq "$pattern" <<<"$out"
}

far() {
	ip netns exec "$FAR_NS" "$@"
}

# api METHOD PATH [JSON]: as a browser on the network, with its cookie.
api() {
	far curl -sS --max-time 10 --noproxy '*' --cacert "$STATE/pki/ca.crt" -b "$TMP/jar" -c "$TMP/jar" -H 'X-Duplex-Request: 1' -H "Origin: https://$OWN_IP:8443" \
		-H 'Content-Type: application/json' -X "$1" ${3:+-d "$3"} "https://$OWN_IP:8443/api/v1$2"
}

page_on_the_network() {
	far curl -sSf --max-time 10 --noproxy '*' --cacert "$STATE/pki/ca.crt" "https://$OWN_IP:8443/" | grep -i '<title>'
}

signs_up() {
	api POST /users '{"username":"nora","password":"correct horse battery","display_name":"Nora"}' | grep nora &&
		api POST /sessions '{"username":"nora","password":"correct horse battery"}' | grep session
}

# Both addresses of the relay, the network's first.
both_addresses() {
	api GET /me/call-config >"$TMP/config" || return 1
	cat "$TMP/config"
	TAP_IP=$(jq -r '.ice_servers[0].urls[1]' "$TMP/config" | sed 's/^turn:\([0-9.]*\):.*/\1/')
	[ "$(jq -r '.ice_servers[0].urls[0]' "$TMP/config")" = "turn:$OWN_IP:3478?transport=udp" ] && [[ $TAP_IP == 10.83.*.2 ]]
}

joined() {
	"$BIN/turnpair" "$OWN_IP" "$STATE/secret/turn" 100 "$NS" "${TAP_IP%.2}.1" "$TAP_IP" "$FAR_NS" "$FAR_IP" "$OWN_IP"
}

program_on() {
	ip -n "$NS" -d link show vs0 | grep 'name duplex_relay'
}

stopped_clean() {
	local out
	out=$(duplex down 2>&1) || { echo "$out"; return 1; }
	! program_on && ! ip -n "$NS" link show "dpxi$HASH" 2>/dev/null
}

# A relay that cannot take its program off any more.
stopped_after_kill() {
	local pid
	duplex up IFACE=vs0 || return 1
	ip netns exec "$NS" sv -w 5 down "$STATE/service/relay" >/dev/null & # only so that runsv does not start it again
	pid=$(ip netns pids "$NS" | while read -r p; do [[ $(readlink "/proc/$p/exe") != */duplex-relay ]] || echo "$p"; done)
	kill -KILL "$pid"
	wait $!
	program_on || { echo 'it was gone already'; return 1; }
	stopped_clean
}

world
check 'an interface that is not there' refuses 'There is no network interface vs9' IFACE=vs9
ip -n "$NS" link add vs5 type veth peer name vs6
check 'an interface that is down' refuses 'vs5 is down' IFACE=vs5
ip -n "$NS" link set vs5 up
check 'an interface without an address' refuses 'vs5 has no IPv4 address' IFACE=vs5
# Two cores for an interface with one queue.
starts_and_says() {
	local out
	out=$(duplex up IFACE=vs0 RELAY_CORES=2 2>&1) || { echo "$out"; return 1; }
	grep -q 'RELAY_CORES=2, but vs0 has 1 receive queue:' <<<"$out" || { echo "$out"; return 1; }
}
check 'it starts, and says that it has more cores than the interface has queues' starts_and_says
check 'the XDP program is on the interface' program_on
check 'the page, from the network, by the host'\''s address' page_on_the_network
check 'sign-up and login, from the network' signs_up
check 'the call configuration has both addresses of the relay' both_addresses
check 'a client on this machine and one on the network, channel to channel' joined
check 'status says that all is ready' duplex status
check 'it stops, and leaves nothing on the interface' stopped_clean
check 'nor when the relay was killed' stopped_after_kill
done_testing
