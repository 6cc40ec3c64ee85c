#!/usr/bin/env bash
# Attackers beside calls: at each kind of flood 100 allocations carry media, and lose none of it; nothing is kept for the senders, and every
# frame is accounted for.
#
#    namespace: dpx0 10.83.84.1 (flood), .21 and .22 (turnload, past the kernel)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

FLOOD_PPS=${FLOOD_PPS:-6000}
SECONDS_EACH=4

rss_kb() {
	awk '/^Rss:/ { print $2 }' "/proc/$RELAY_PID/smaps_rollup"
}

media_flows() {
	[ "$(relay_metric duplex_relay_relayed_packets_total)" -gt 100 ]
}

# Every frame received, or made by the relay, was sent, or dropped for a reason that is counted.
accounts() {
	local rx own tx drops tries
	for tries in 1 2 3 4 5; do
		rx=$(relay_metric duplex_relay_rx_packets_total) own=$(relay_metric duplex_relay_own_packets_total)
		tx=$(relay_metric duplex_relay_tx_packets_total) drops=$(relay_metric duplex_relay_drops_total)
		[ $((rx + own)) -ne $((tx + drops)) ] || return 0
		sleep 0.5
	done
	echo "received $rx and own $own are not sent $tx and dropped $drops (tried $tries times)"
	return 1
}

# The calls, while a flood of the given kind runs beside them.
calls_under() {
	in_background "$NS" "$BIN/turnload" --if dpx0 --server "$RELAY_IP" --client 10.83.84.21 --peer 10.83.84.22 --secret-file "$TMP/secret" \
		--allocations 100 --pps 2000 --trial $((SECONDS_EACH + 3)) --limit 60 >"$TMP/load" 2>"$TMP/load.err"
	LOAD_PID=$PID
	until_true 20 media_flows
	ip netns exec "$NS" "$BIN/flood" --if dpx0 --server "$RELAY_IP" --kind "$1" --pps "$FLOOD_PPS" --seconds "$SECONDS_EACH" >"$TMP/flood" ||
		{ cat "$TMP/flood"; return 1; }
	wait "$LOAD_PID"
	cat "$TMP/flood" "$TMP/load.err" "$TMP/load"
	# What the full interface of a busy machine refuses ("refused") has never reached the relay; what has must come back.
	jq -e '.sent > 1000' "$TMP/flood" >/dev/null &&
		jq -e '.corrupt == 0 and .stray == 0 and .duplicate == 0 and .released == 100 and
			.frames.sent - .frames.received <= .frames.sent / 1000 + 5' "$TMP/load" >/dev/null
}

namespace NS
relay_start "$NS" 'cores = 1' || done_testing
for kind in allocate binding junk truncated stale channel mixed; do
	check "calls are not hurt by a flood of $kind" calls_under "$kind"
done
# Buffers that a stall reaches for the first time have been touched by now: from here on nothing grows, whoever sends.
BEFORE=$(rss_kb)
for kind in allocate stale mixed; do
	ip netns exec "$NS" "$BIN/flood" --if dpx0 --server "$RELAY_IP" --kind "$kind" --pps $((FLOOD_PPS * 3)) --seconds "$SECONDS_EACH" >/dev/null
done
AFTER=$(rss_kb)
check "memory is flat: $BEFORE kB before, $AFTER kB after three times as much" [ "$AFTER" -le $((BEFORE + BEFORE / 50 + 256)) ]
check 'no allocation is left behind' until_true 5 no_allocations
check 'received is sent and dropped, each for a reason' accounts
check 'junk is counted' [ "$(relay_metric duplex_relay_drops_total 'reason="not_turn"')" -gt 1000 ]
check 'truncated messages are counted' [ "$(relay_metric duplex_relay_drops_total 'reason="stun_malformed"')" -gt 1000 ]
check 'data without an allocation is counted' [ "$(relay_metric duplex_relay_drops_total 'reason="no_allocation"')" -gt 1000 ]
relay_stop

# One prefix beyond its budget is not answered, and everybody else still is.
relay_start "$NS" 'challenge-rate = 50' 'challenge-burst = 50' || done_testing
ip netns exec "$NS" python3 - "$RELAY_IP" >"$TMP/answers" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.5)
for i in range(400):
    s.sendto(bytes.fromhex("000300002112a442") + b"duplex-%05d" % i, (sys.argv[1], 3478))
n = 0
try:
    while True:
        s.recv(2000)
        n += 1
except socket.timeout:
    pass
print(n)
PY
check "a prefix beyond its budget is not answered: $(cat "$TMP/answers") of 400" [ "$(cat "$TMP/answers")" -le 120 ]
check 'the rest is counted' [ "$(relay_metric duplex_relay_drops_total 'reason="challenge_limit"')" -ge 200 ]
check 'SIGTERM ends it with status 0' relay_stop
done_testing
