#!/usr/bin/env bash
# Under load nothing is corrupted, misdelivered or doubled, and requests are served as before: 300 allocations on two workers, media in both
# directions, every byte and checksum verified, while the conformance table runs beside it.
#
#    namespace: dpx0 10.83.84.1 (turncheck), .21 and .22 (turnload, past the kernel)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

load_in_background() {
	in_background "$NS" "$BIN/turnload" --if dpx0 --server "$RELAY_IP" --client 10.83.84.21 --peer 10.83.84.22 --secret-file "$TMP/secret" \
		--allocations 300 --limit 60 "$@" >"$TMP/load" 2>"$TMP/load.err"
	LOAD_PID=$PID
	until_true 20 media_flows
}

media_flows() {
	[ "$(relay_metric duplex_relay_relayed_packets_total)" -gt 100 ]
}

# Exact but for the loss, which a busy machine may cause: there it is only bounded.
clean() {
	wait "$LOAD_PID"
	cat "$TMP/load.err" "$TMP/load"
	jq -e '.corrupt == 0 and .stray == 0 and .duplicate == 0 and .frames.bad_ip_sum == 0 and .frames.bad_udp_sum == 0 and
		.frames.malformed == 0 and .released == 300 and .loss < 0.02 and .received_pps > 2000' "$TMP/load" >/dev/null
}

for mode in channel indication hairpin; do
	namespace NS
	relay_start "$NS" 'cores = 2' || continue
	load_in_background --mode "$mode" --pps 4000 --trial 8
	take_tap "under $mode load" turncheck "$NS" --group table
	check "$mode: nothing corrupted, misdelivered or doubled" clean
	check "$mode: no allocation is left behind" until_true 5 no_allocations
	check "$mode: SIGTERM ends it with status 0" relay_stop
done
done_testing
