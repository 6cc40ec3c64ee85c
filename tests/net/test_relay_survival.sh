#!/usr/bin/env bash
# A relay that is killed, or replaced by another program, while calls run: same ports, permissions and channels, and media within a second,
# without any request of the clients. And what becomes of a journal that was damaged meanwhile.
#
#    namespace: dpx0 10.83.84.1 (clients) ── TAP ──  duplex-relay 10.83.84.2, under a loop that starts it again, as runsv does
#               lo .11 (peers), .12 (a stranger)
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/net/survival.sh
. tests/net/survival.sh
need_root

# survived COUNT: all that the clients had goes on, and nothing else.
survived() {
	echo "$RESULT"
	[ "$(field alive_to_peer)" = "$1" ] && [ "$(field alive_to_client)" = "$1" ] && [ "$(field refreshed)" = "$1" ] &&
		[ "$(field moved)" = 0 ] && [ "$(field widened)" = 0 ]
}

within_a_second() {
	echo "$RESULT"
	[ "$(field gap_ms)" -le 1000 ]
}

# A gap says something only where the relay gets the processor when it starts.
check_gap() {
	local load
	read -r load _ </proc/loadavg
	if ! within_a_second >/dev/null && [ "${load%.*}" -gt $((2 * $(nproc))) ]; then
		skip "$1: media again within a second: $(field gap_ms) ms" "the machine is busy with other things, load $load"
	else
		check "$1: media again within a second: $(field gap_ms) ms" within_a_second
	fi
}

kill_relay() {
	local old
	old=$(relay_pid)
	kill "-$1" "$old"
	until_true 10 relay_back "$old"
}

restored() {
	relay_metric duplex_relay_restored "what=\"$1\""
}

dropped() {
	relay_metric duplex_relay_restore_drops "reason=\"$1\""
}

tap_stays() {
	ip -n "$NS" link show dpx0 | grep -q 'state UP\|UP'
}

# A thousand allocations, each with media both ways every 100 ms. On a machine that is busy with other things the relay is killed up to three
# times until the gap is what it can be.
thousand() {
	local try
	for try in 1 2 3; do
		RESULT=
		kill_thousand "$((try < 3 ? 1 : 0))" && break
	done
	check 'kill -9: same ports, channels both ways, keys and nonces; no stranger' survived 1000
	check_gap "kill -9"
}

# kill_thousand AGAIN: fails if it may be tried again.
kill_thousand() {
	namespace NS
	start_survival || return 0
	check '1,000 clients have their channels' clients_start 1000 100
	sleep 1.2
	check 'it is killed and is back' kill_relay KILL
	check 'all allocations, permissions and channels are taken over' test "$(restored allocations),$(restored permissions),$(restored channels)" = 1000,1000,1000
	sleep 1.2
	clients_end
	end_survival
	check 'SIGTERM leaves the journal' test -s "$TMP/run/relay.journal"
	check 'with mode 0600' test "$(stat -c %a "$TMP/run/relay.journal")" = 600
	[ "$1" = 0 ] || within_a_second >/dev/null
}

# An upgrade: another program file, a SIGTERM. Twice killed on top.
upgrade() {
	namespace NS
	start_survival || return
	clients_start 50 20
	sleep 1.2
	cp "$BIN/duplex-relay" "$TMP/duplex-relay.new"
	echo "$TMP/duplex-relay.new" >"$TMP/program"
	check 'upgrade: the other program is up' kill_relay TERM
	check 'upgrade: the device stayed' tap_stays
	check 'upgrade: it is the other program' test "$(readlink "/proc/$(relay_pid)/exe")" = "$TMP/duplex-relay.new"
	sleep 1.2
	clients_end
	check 'upgrade: everything goes on' survived 50
	check_gap "upgrade"
	clients_start 50 20
	for _ in 1 2 3; do
		sleep 1.2
		kill_relay KILL
	done
	clients_end
	check 'killed three times in a row: everything goes on' survived 50
	check 'another relay does not start with this journal' second_relay
	end_survival
}

second_relay() {
	sed 's/^file-prefix = .*/file-prefix = dpxsecond/; s/^\[relay\]/&\nports = net_null0/' "$TMP/duplex.conf" >"$TMP/second.conf"
	timeout -k 2 15 ip netns exec "$NS" "$BIN/duplex-relay" --config "$TMP/second.conf" >"$TMP/out" 2>&1
	local status=$?
	cat "$TMP/out"
	[ "$status" -ne 0 ] && [ "$status" -lt 124 ] && grep -q 'another relay' "$TMP/out"
}

# The journal is damaged between the kill and the next start. 64 allocations are 16 kB of it.
damaged() {
	local label=$1 alive lost
	shift
	namespace NS
	start_survival || return
	clients_start 64 20
	sleep 1.2
	kill -STOP "$SUPERVISOR_PID"
	old=$(relay_pid)
	kill -KILL "$old"
	until_true 5 dead "$old"
	"$@" "$TMP/run/relay.journal"
	kill -CONT "$SUPERVISOR_PID"
	check "$label: it is back" until_true 10 relay_back "$old"
	alive=$(restored allocations)
	lost=$(($(dropped corrupt) + $(dropped missing)))
	sleep 1.2
	clients_end
	check "$label: the intact part is used: $alive of 64" test "$alive" -gt 0 -a "$alive" -lt 64
	check "$label: what was lost is counted: $lost" test "$lost" -gt 0 -a "$((alive + lost))" -ge "$DAMAGE_COUNTED" -a "$((alive + lost))" -le 64
	check "$label: and logged" grep -q 'journal-dropped' "$TMP/relay.log"
	check "$label: those go on, the others do not" go_on "$alive" "$(dropped peer_corrupt)"
	check "$label: no stranger comes through" test "$(field widened)" = 0
	end_survival
}

# Nobody waits for it, so it stays as a zombie, without a program.
dead() {
	! readlink "/proc/$1/exe"
}

# go_on ALLOCATIONS LOST-PEERS: as many have media both ways, but for those whose permission or channel was hit.
go_on() {
	echo "$RESULT"
	[ "$(field refreshed)" = "$1" ] && [ "$(field alive_to_peer)" -le "$1" ] && [ "$(field alive_to_peer)" -ge $(($1 - $2)) ] &&
		[ "$(field alive_to_client)" -le "$1" ] && [ "$(field alive_to_client)" -ge $(($1 - $2)) ]
}

cut_in_half() {
	truncate -s 12288 "$1"
}

flip_bits() {
	local at
	for at in 4500 7000 9000 12000; do
		printf '\377' | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
	done
}

zero_pages() {
	dd if=/dev/zero of="$1" bs=4096 seek=2 count=1 conv=notrunc status=none
}

not_kept() {
	namespace NS
	start_survival 'keep-on-stop = no' || return
	clients_start 5 20
	clients_end
	end_survival
	check 'keep-on-stop = no: the journal is gone' test ! -e "$TMP/run/relay.journal"
	check 'keep-on-stop = no: the device is gone' sh -c "! ip -n '$NS' link show dpx0"
}

# On a device that is the kernel's own.
on_cable() {
	local label=$1
	shift
	namespace NS
	namespace RELAY_NS
	veth "$RELAY_NS" vs0 "$NS" dpx0
	ip -n "$NS" addr add "$HOST_IP/24" dev dpx0
	start_survival "$@" || return
	clients_start 100 20
	sleep 1.2
	kill_relay KILL
	sleep 1.2
	clients_end
	check "$label: kill -9: everything goes on" survived 100
	check_gap "$label"
	end_survival
	RELAY_NS=
}

thousand
upgrade
DAMAGE_COUNTED=64
damaged 'bits changed' flip_bits
damaged 'a page of zeros' zero_pages
damaged 'cut off' cut_in_half
not_kept
on_cable af_packet 'ports = net_af_packet0,iface=vs0'
on_cable af_xdp 'ports = net_af_xdp0,iface=vs0'
done_testing
