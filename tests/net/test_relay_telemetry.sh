#!/usr/bin/env bash
# DPDK's telemetry: off unless asked for; then its own commands and ours answer, and the numbers are those of the metrics.
#
#    namespace: dpx0 10.83.84.1 (clients)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

SOCKET=/var/run/dpdk/dpx$$/dpdk_telemetry.v2

ask() {
	python3 tests/net/telemetry.py "$SOCKET" "$@" | tail -n 1
}

field() {
	ask "$1" | jq -r ".[\"${1%%,*}\"].$2"
}

silent() {
	[ ! -e "$SOCKET" ]
}

knows_its_commands() {
	ask / | tee "$TMP/list" | grep -q '/duplex/relay/info' && grep -q '/duplex/relay/stats' "$TMP/list" && grep -q '/ethdev/list' "$TMP/list"
}

info() {
	ask /duplex/relay/info
	[ "$(field /duplex/relay/info turn_port)" = 3478 ] && [ "$(field /duplex/relay/info workers)" = 2 ] && [ "$(field /duplex/relay/info allocations)" = 0 ] &&
		[ "$(field /duplex/relay/info capacity)" = 16384 ] && [ "$(field /duplex/relay/info draining)" = 0 ]
}

# A burst of junk is counted here as it is there.
same_numbers() {
	local before after
	before=$(field /duplex/relay/stats drop_not_turn)
	ip netns exec "$NS" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(25):
    s.sendto(b'\xff' * 40, ('$RELAY_IP', 3478))"
	until_true 3 counted $((before + 25)) || { ask /duplex/relay/stats; return 1; }
	after=$(field /duplex/relay/stats drop_not_turn)
	[ "$after" = "$(relay_metric duplex_relay_drops_total 'reason="not_turn"')" ]
}

counted() {
	[ "$(field /duplex/relay/stats drop_not_turn)" = "$1" ]
}

nonsense() {
	ask /duplex/relay/nonsense | grep -q null
}

namespace NS
relay_start "$NS"
check 'without the option there is no socket' silent
check 'SIGTERM ends it with status 0' relay_stop
ip netns del "$NS"
namespace NS
relay_start "$NS" 'telemetry = yes' 'cores = 2' || done_testing
check 'it lists DPDK'\''s commands and ours' knows_its_commands
check 'info' info
check 'stats are those of the metrics' same_numbers
check 'an unknown command is answered as such' nonsense
check 'SIGTERM ends it with status 0' relay_stop
rm -rf "/var/run/dpdk/dpx$$"
done_testing
