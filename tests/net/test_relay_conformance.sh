#!/usr/bin/env bash
# The conformance table of turncheck (RFC 8489, RFC 8656), with one and with two workers; limits with a relay that has few ports and a quota.
#
#    namespace: dpx0 10.83.84.1 (clients), .11 and .12 (peers)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

with_sums() {
	local label=$1
	shift
	sums_start "$NS"
	take_tap "$label" "$@"
	sums_check "$label"
	check "$label: no allocation is left behind" until_true 5 no_allocations
	check "$label: SIGTERM ends it with status 0" relay_stop
}

for cores in 1 2; do
	namespace NS
	relay_start "$NS" "cores = $cores" && with_sums "$cores" turncheck "$NS"
done
# The same table over TCP, which the relay takes at an address of the kernel's: the same answers, but that what gets no answer may also end the
# connection.
namespace NS
relay_start "$NS" "stream-listen = tcp:$HOST_IP:3478" && {
	take_tap tcp ip netns exec "$NS" "$BIN/turncheck" --server "$HOST_IP" --tcp --relay "$RELAY_IP" --realm "$REALM" --secret-file "$TMP/secret" \
		--local "$HOST_IP" --peer "$PEER_IP" --other "$OTHER_IP" --group table
	check 'tcp: no allocation is left behind' until_true 5 no_allocations
	check 'tcp: SIGTERM ends it with status 0' relay_stop
}
namespace NS
relay_start "$NS" 'port-min = 50000' 'port-max = 50049' 'user-allocations = 7' 'max-peers = 5' &&
	with_sums limits turncheck "$NS" --group limits --ports 50 --user-quota 7 --peers 5
namespace NS
relay_start "$NS" 'challenge-rate = 5' 'challenge-burst = 10' && with_sums challenges turncheck "$NS" --group challenges --challenges 10
done_testing
