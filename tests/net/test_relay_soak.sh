#!/usr/bin/env bash
# Churn of allocations with data, for SOAK_S seconds (`make soak-relay MIN=…` gives minutes): memory stays flat, every port comes back, the
# counters add up. The range of ports is small, so that each is used again and again.
#
#    namespace: dpx0 10.83.84.1, .21 and .22 (turnload, past the kernel)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

SOAK_S=${SOAK_S:-20}
PORTS=256

rss_kb() {
	awk '/^Rss:/ { print $2 }' "/proc/$RELAY_PID/smaps_rollup"
}

# load ALLOCATIONS MODE ARGUMENT…: one run, whose result is judged.
load() {
	local count=$1 mode=$2
	shift 2
	ip netns exec "$NS" "$BIN/turnload" --if dpx0 --server "$RELAY_IP" --client 10.83.84.21 --peer 10.83.84.22 --secret-file "$TMP/secret" \
		--allocations "$count" --mode "$mode" --limit 60 "$@" >"$TMP/load" 2>"$TMP/load.err" &&
		jq -e --argjson count "$count" '.released == $count and (.corrupt // 0) == 0 and (.stray // 0) == 0 and (.duplicate // 0) == 0' "$TMP/load" >/dev/null ||
		{ cat "$TMP/load.err" "$TMP/load"; return 1; }
}

# A round: some die without a word and expire, the rest is used and given back.
churn() {
	local round=$1 mode
	mode=$(printf 'channel\nindication\nhairpin\n' | sed -n $((round % 3 + 1))p)
	load $((50 + round * 38 % 150)) "$mode" --pps 3000 --trial 0.5 || return 1
	load "$PORTS" allocate || return 1
	turncheck "$NS" --hold 5 --user "ghost$round" --call 0123456789abcdef0123456789abcdef >/dev/null 2>&1 </dev/null
	until_true 10 no_allocations
}

soak() {
	local end=$((SECONDS + SOAK_S)) round=0
	while [ "$SECONDS" -lt "$end" ] || [ "$round" -lt 4 ]; do
		churn "$round" || { echo "round $round"; return 1; }
		[ "$round" -ne 2 ] || WARM=$(rss_kb)
		round=$((round + 1))
	done
	ROUNDS=$round
}

accounts() {
	local rx own tx drops
	rx=$(relay_metric duplex_relay_rx_packets_total) own=$(relay_metric duplex_relay_own_packets_total)
	tx=$(relay_metric duplex_relay_tx_packets_total) drops=$(relay_metric duplex_relay_drops_total)
	echo "received $rx, own $own, sent $tx, dropped $drops"
	[ $((rx + own)) -eq $((tx + drops)) ]
}

namespace NS
relay_start "$NS" 'cores = 2' 'port-min = 50000' "port-max = $((50000 + PORTS - 1))" 'lifetime = 5' || done_testing
WARM='' ROUNDS=0
check "churn for $SOAK_S s" soak
AFTER=$(rss_kb)
check "memory is flat after $ROUNDS rounds: $WARM kB warm, $AFTER kB at the end" [ "$AFTER" -le $((WARM + WARM / 50 + 256)) ]
check 'no allocation is left' no_allocations
check 'every port can be had again' load "$PORTS" allocate
until_true 3 accounts
check 'received = sent + each reason for a drop' accounts
check 'SIGTERM ends it with status 0' relay_stop
done_testing
