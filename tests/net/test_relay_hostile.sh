#!/usr/bin/env bash
# Hostile input at every door of the relay: it neither dies nor forgets a live allocation, and every frame it did not use is counted.
#
#    namespace: dpx0 10.83.84.1 (clients), .11 and .12 (peers)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

alive() {
	! gone "$RELAY_PID" && stun_quick "$NS"
}

# More was dropped, with a reason, than before. One counter a reason.
counted() {
	local before=$1 now reasons
	now=$(relay_metric duplex_relay_drops_total)
	reasons=$(relay_metrics | grep '^duplex_relay_drops_total' | awk '$2 > 0' | wc -l)
	echo "$before dropped before, $now now, for $reasons reasons"
	[ "$now" -gt $((before + 1000)) ] && [ "$reasons" -ge 8 ]
}

# Frames that came in = frames that went out because of them + drops (what the relay sent on its own account is told apart).
accounted() {
	local rx tx own dropped
	rx=$(relay_metric duplex_relay_rx_packets_total) tx=$(relay_metric duplex_relay_tx_packets_total)
	own=$(relay_metric duplex_relay_own_packets_total) dropped=$(relay_metric duplex_relay_drops_total)
	echo "rx $rx, tx $tx of which own $own, dropped $dropped"
	[ "$rx" -gt 0 ] && [ $((tx - own + dropped)) -eq "$rx" ]
}

memory_kb() {
	awk '/^VmRSS/ { print $2 }' "/proc/$RELAY_PID/status"
}

steady_memory() {
	local before=$1 now
	now=$(memory_kb)
	echo "$before kB before, $now kB after"
	[ "$now" -lt $((before + 4096)) ]
}

for cores in 1 2; do
	namespace NS
	relay_start "$NS" "cores = $cores" || continue
	turncheck "$NS" --group flows >/dev/null 2>&1 # memory that the first use touches
	dropped=$(relay_metric duplex_relay_drops_total)
	memory=$(memory_kb)
	take_tap "$cores" turncheck "$NS" --group hostile --seed "${SEED:-$((1000 + cores))}" --rounds "${ROUNDS:-300}"
	check "$cores: the relay lives" alive
	check "$cores: drops are counted by reason" counted "$dropped"
	check "$cores: every frame is accounted for" until_true 3 accounted
	check "$cores: no memory was kept for strangers" steady_memory "$memory"
	check "$cores: no allocation is left behind" until_true 5 no_allocations
	check "$cores: SIGTERM ends it with status 0" relay_stop
done
done_testing
