#!/usr/bin/env bash
# A relay that is to end: SIGUSR1 refuses or redirects new clients, the living go on, the process ends with the last of them or in time.
# And a relay that always sends clients elsewhere.
#
#    namespace: dpx0 10.83.84.1 (clients)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

count_is() {
	[ "$(relay_metric duplex_relay_allocations)" = "$1" ]
}

draining() {
	[ "$(relay_metric duplex_relay_draining)" = 1 ]
}

# gives CODE: what a new Allocate is answered with.
gives() {
	local out
	out=$(turncheck "$NS" --hold 1 </dev/null)
	echo "$out"
	[ "$out" = "allocation 1 gave $1" ]
}

ended_well() {
	wait "$RELAY_PID"
}

# holding: one client with an allocation, which it refreshes all the time; it stops when its stdin ends.
holding() {
	mkfifo "$TMP/stdin$1"
	exec {hold_fd}<>"$TMP/stdin$1"
	ip netns exec "$NS" "${TURNCHECK[@]}" --hold 1 --user living <"$TMP/stdin$1" >"$TMP/held" 2>&1 &
	holder=$!
	pids+=("$holder")
	until_true 5 count_is 1
}

let_go() {
	kill "$holder"
	exec {hold_fd}>&-
}

namespace NS
if relay_start "$NS" 'lifetime = 5'; then
	holding 1
	kill -USR1 "$RELAY_PID"
	check 'SIGUSR1 starts to drain' until_true 3 draining
	check 'a new client is refused' gives 486
	check 'the relay is still there' kill -0 "$RELAY_PID"
	check 'and so is the allocation' count_is 1
	let_go
	check 'it ends with the last allocation' until_true 10 gone "$RELAY_PID"
	check 'with status 0' ended_well
	check 'and says so' grep -q 'drained.*allocations=0' "$TMP/relay.log"
fi

namespace NS
if relay_start "$NS" 'drain-to = 192.0.2.7:3479' 'drain-time = 3'; then
	holding 2
	kill -USR1 "$RELAY_PID"
	until_true 3 draining
	check 'a new client is sent elsewhere' gives 300
	check 'it ends in time, whoever is left' until_true 6 gone "$RELAY_PID"
	check 'with status 0 again' ended_well
	check 'and says who was left' grep -q 'drained.*allocations=1' "$TMP/relay.log"
	let_go
fi

namespace NS
if relay_start "$NS" 'alternate-server = 192.0.2.7:3479'; then
	check 'alternate-server: every client is sent elsewhere' gives 300
	check 'SIGTERM ends it with status 0' relay_stop
fi
done_testing
