#!/usr/bin/env bash
# What an administrator sees and does on the machine: duplexctl relay over the control socket, and the relay's own doctor.
#
#    namespace: dpx0 10.83.84.1 (clients), .11 and .12 (peers)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

ctl() {
	"$BIN/duplexctl" --config "$TMP/duplex.conf" relay "$@"
}

json() {
	ctl "$@" --json >"$TMP/json" && jq -e . "$TMP/json" >/dev/null
}

# field FILTER VALUE: of the last JSON answer.
field() {
	local value
	value=$(jq -r "$1" "$TMP/json")
	[ "$value" = "$2" ] || { echo "$1 is $value, not $2"; return 1; }
}

refused() {
	local pattern=$1
	shift
	if "$@" >"$TMP/refused" 2>&1; then echo 'was not refused'; return 1; fi
	grep -q "$pattern" "$TMP/refused" || { cat "$TMP/refused"; return 1; }
}

namespace NS
relay_start "$NS" 'cores = 2' "stream-listen = tcp:*:3479" || done_testing

check 'status as JSON' json status
check 'it serves' field .state serving
check 'its address' field '.addresses[0]' "$RELAY_IP"
check 'a worker each' field '.workers | length' 2
check 'status for people' grep -q 'serving, 0 of 16384 allocations' <(ctl status)

turncheck_in_background "$NS" --hold 3 --user alice --call 0123456789abcdef0123456789abcdef --wait-gone 20000 >"$TMP/alice" 2>&1
ALICE=$PID
turncheck_in_background "$NS" --hold 2 --user bob --call fedcba9876543210fedcba9876543210 --wait-gone 20000 >"$TMP/bob" 2>&1
BOB=$PID
until_true 5 grep -q held "$TMP/alice"
until_true 5 grep -q held "$TMP/bob"

check 'list as JSON' json list
check 'all five are there' field '.items | length' 5
check 'the list of one user' json list --user alice
check 'has three' field '.total' 3
check 'with the call' field '.items[0].call' 0123456789abcdef0123456789abcdef
check 'with the client' field '.items[0].client | startswith("10.83.84.1:")' true
check 'list for people' grep -q '^bob  *udp  *10\.83\.84\.1:' <(ctl list)
check 'a limit shows fewer and says so' grep -q '(1 of 5' <(ctl list --limit 1)
ctl list --user bob --json >"$TMP/json"
RELAYED=$(jq -r '.items[0].relayed' "$TMP/json")
check 'one by its relayed address' json list --relayed "$RELAYED"
check 'is found' field '.items[0].user' bob
check 'one by its port alone' json list --relayed "${RELAYED##*:}"
check 'is found, too' field '.items[0].relayed' "$RELAYED"

check 'ending one by its relayed address' grep -q '^1 allocations ended' <(ctl end --relayed "$RELAYED")
check 'it is gone' grep -q '^0 allocations ended' <(ctl end --relayed "$RELAYED")
check 'ending those of a user' grep -q '^3 allocations ended' <(ctl end --user alice)
check 'the client notices' wait "$ALICE"
check 'others stay' grep -q '1 of 16384 allocations' <(ctl status)
kill "$BOB" 2>/dev/null

check 'no address: refused with a sentence' refused 'name either a user or a relayed address' ctl end
check 'nonsense as an address: refused' refused 'must be a port' ctl list --relayed nonsense
check 'nonsense as a number: refused' refused 'limit must be a number' ctl list --limit many
check 'an unknown option: usage' refused 'usage' ctl list --frobnicate 1
check 'a capture without a file: usage' refused 'usage' ctl capture --relayed 50000
check 'a capture of nothing: refused' refused 'no allocation has this relayed address' ctl capture --relayed "$RELAY_IP:50000" --output "$TMP/none"

# A client and a peer that send each other something, captured while they do.
credentials carol
in_background "$NS" turnutils_uclient -n 500 -m 1 -l 150 -e "$PEER_IP" -L "$HOST_IP" -u "$USER_NAME" -w "$PASSWORD" -r 3481 "$RELAY_IP" \
	>"$TMP/uclient" 2>&1
in_background "$NS" turnutils_peer -L "$PEER_IP" -p 3481 >/dev/null 2>&1
one_there() { [ "$(ctl list --user carol --json | jq '[.items[] | select(.channels | length > 0)] | length')" -ge 1 ]; }
check 'a client with a channel is listed' until_true 10 one_there
RELAYED=$(ctl list --user carol --json | jq -r '[.items[] | select(.channels | length > 0)][0].relayed')
check 'a capture of its frames' ctl capture --relayed "$RELAYED" --seconds 8 --frames 20 --output "$TMP/pcap"
check 'is a pcap file with frames both ways' bash -c "
	tcpdump -nr '$TMP/pcap' >'$TMP/frames' 2>&1
	grep -q '> $RELAY_IP.3478: UDP' '$TMP/frames' && grep -q '$RELAY_IP.${RELAYED##*:} > $PEER_IP.348' '$TMP/frames' &&
	! grep -v '$RELAY_IP' '$TMP/frames' | grep UDP || { cat '$TMP/frames'; false; }"
# A client over TCP: its messages are shown as datagrams, and what goes to its peer is one.
credentials tina
in_background "$NS" turnutils_uclient -t -n 500 -m 1 -l 150 -e "$PEER_IP" -L "$HOST_IP" -u "$USER_NAME" -w "$PASSWORD" -r 3481 -p 3479 "$HOST_IP" \
	>"$TMP/uclient-tcp" 2>&1
tina_there() { [ "$(ctl list --user tina --json | jq '[.items[] | select(.channels | length > 0)] | length')" -ge 1 ]; }
check 'a client over TCP with a channel is listed' until_true 10 tina_there
read -r RELAYED CLIENT < <(ctl list --user tina --json | jq -r '[.items[] | select(.channels | length > 0)][0] | "\(.relayed) \(.client)"')
check 'a capture of its frames and messages' ctl capture --relayed "$RELAYED" --seconds 8 --frames 40 --output "$TMP/pcap-tcp"
dot() { printf '%s.%s' "${1%:*}" "${1##*:}"; } # as tcpdump writes it
both_sides_of_tcp() {
	tcpdump -nr "$TMP/pcap-tcp" >"$TMP/frames" 2>&1
	grep -q "$(dot "$CLIENT") > $RELAY_IP.3478: UDP, length 15[0-9]" "$TMP/frames" && grep -q "$RELAY_IP.3478 > $(dot "$CLIENT"): UDP, length 15[0-9]" "$TMP/frames" &&
		grep -q "$(dot "$RELAYED") > $PEER_IP.348.*length 150" "$TMP/frames" && grep -q "$PEER_IP.348[0-9]* > $(dot "$RELAYED"): UDP, length 150" "$TMP/frames" ||
		{ cat "$TMP/frames"; return 1; }
}
check 'shows both sides of the relay, both ways' both_sides_of_tcp

ctl top --seconds 1 >"$TMP/top"
check 'top names who sends' grep -Eq '^carol .* [1-9][0-9.]* +[1-9][0-9]*$' "$TMP/top"

check 'draining' grep -q draining <(ctl drain --mode refuse --seconds 600)
check 'a new client is refused' refused 486 turncheck "$NS" --hold 1 --user dave --call 00000000000000000000000000000002
check 'serving again' grep -q serving <(ctl serve)
turncheck_in_background "$NS" --hold 1 --user dave --call 00000000000000000000000000000002 --wait-gone 2000 >"$TMP/dave" 2>&1
check 'a new client is served' until_true 5 grep -q held "$TMP/dave"
check 'redirect to nowhere: refused' refused 'redirect needs an address' ctl drain --mode redirect
check 'an unknown mode: refused' refused 'mode must be' ctl drain --mode maybe

# Garbage on the socket itself.
control() { curl -sS --max-time 3 --unix-socket "$TMP/run/control.relay.sock" "$@"; }
check 'an unknown path is 404' grep -q 'no such path' <(control http://localhost/frobnicate)
check 'another method is 405' grep -q 'does not take' <(control -X PATCH http://localhost/status)
head -c 20000 /dev/urandom >"$TMP/garbage"
check 'garbage does no harm' bash -c "timeout 2 python3 -c \"
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect('$TMP/run/control.relay.sock')
try:
    s.sendall(open('$TMP/garbage', 'rb').read()); s.recv(100)
except OSError: pass
\"; true"
check 'it still answers' json status

doctor() { ip netns exec "$NS" "$BIN/duplexctl" --config "$TMP/duplex.conf" relay doctor; }
doctor >"$TMP/doctor" 2>&1
check 'the doctor sees the relay answer' grep -q "^ok  *answer  *$RELAY_IP answers STUN" "$TMP/doctor"
check 'and a private address' grep -q "^note  *address  *$RELAY_IP is private" "$TMP/doctor"
check 'and that there is no Redis' grep -q '^note  *redis  *none configured' "$TMP/doctor"
check 'SIGTERM ends it with status 0' relay_stop
check 'without a relay duplexctl says so' refused 'does not answer' ctl status
ip netns exec "$NS" "$BIN/duplex-relay" --config "$TMP/duplex.conf" --doctor >"$TMP/doctor" 2>&1
check 'without a relay the doctor says so' grep -q "^note  *answer  *$RELAY_IP does not answer" "$TMP/doctor"
done_testing
