#!/usr/bin/env bash
# Allocations end when their call ends and when their user is revoked, not when they expire: events:relay, see common/events.h.
#
#    namespace: dpx0 10.83.84.1 (clients)  ── TAP ──  duplex-relay 10.83.84.2 ── unix socket ── redis-server
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

CALL=0123456789abcdef0123456789abcdef
OTHER_CALL=fedcba9876543210fedcba9876543210

# redis_start [yes]: with yes, what was written outlives it.
redis_start() {
	in_background "$NS" redis-server --port 0 --unixsocket "$TMP/redis.sock" --save '' --appendonly "${1:-no}" --appendfsync always --daemonize no --dir "$TMP" \
		>"$TMP/redis.log" 2>&1
	REDIS_PID=$PID
	until_true 5 redis ping
}

redis_stop() {
	kill "$REDIS_PID"
	until_true 3 gone "$REDIS_PID"
}

redis() {
	redis-cli -s "$TMP/redis.sock" "$@"
}

event() {
	EVENT_MS=$(date +%s%3N)
	redis XADD events:relay 'MAXLEN' '~' 10000 '*' t "$@" >/dev/null
}

# hold NAME COUNT USER CALL: holds allocations in the background and waits for them to vanish; output in $TMP/NAME, process in holder[NAME].
declare -A holder
hold() {
	turncheck_in_background "$NS" --hold "$2" --user "$3" --call "$4" --wait-gone 15000 >"$TMP/$1" 2>&1
	holder[$1]=$PID
	until_true 5 grep -q held "$TMP/$1"
}

# vanished NAME: within a second of the event.
vanished() {
	wait "${holder[$1]}" || { cat "$TMP/$1"; return 1; }
	local took=$(($(date +%s%3N) - EVENT_MS))
	echo "$took ms after the event"
	[ "$took" -le 1000 ]
}

still_held() {
	grep -q held "$TMP/$1" && ! grep -q gone "$TMP/$1"
}

# The program that waited is gone with its result; this one is asked before its time is over.
count_is() {
	[ "$(relay_metric duplex_relay_allocations)" = "$1" ]
}

namespace NS
redis_start || bail "redis-server does not start: $(tail -n 3 "$TMP/redis.log")"
export REDIS=$TMP/redis.sock
relay_start "$NS" || done_testing

hold one 3 alice "$CALL"
hold two 2 alice "$OTHER_CALL"
hold three 1 bob "$CALL"
check 'six allocations are counted' count_is 6
event call.end user alice call "$CALL"
check 'call.end frees the allocations of that user and call within a second' vanished one
check 'those of the user'\''s other call stay' still_held two
check 'those of the other end of the call stay until its own event' still_held three
event call.end user bob call "$CALL"
check 'call.end for the other end frees its allocation' vanished three
event user.revoke user alice
check 'user.revoke frees all allocations of the user' vanished two
check 'the allocation count is back at 0' until_true 2 no_allocations

# hold_refused USER CODE: a new client of that user is not served.
hold_refused() {
	turncheck "$NS" --hold 1 --user "$1" --call "$CALL" >"$TMP/refused" 2>&1 && { echo 'it is served'; return 1; }
	grep -q "$2" "$TMP/refused" || { cat "$TMP/refused"; return 1; }
}

# The credentials of this test end in an hour: a revocation up to an earlier time is not theirs, one up to a later time is.
NOW_S=$(date +%s)
hold grace 1 grace "$CALL"
event user.revoke user grace until $((NOW_S + 600))
sleep 0.5
check 'user.revoke leaves credentials that end later than those revoked' still_held grace
event user.revoke user grace until $((NOW_S + 7200))
check 'user.revoke frees the allocations of the credentials revoked' vanished grace
check 'and takes none of these credentials again' hold_refused grace 401
hold other 1 heidi "$CALL"
check 'other users are served' still_held other
event call.end user heidi call "$CALL"
wait "${holder[other]}"

announced() { [ "$(redis HGET "relay:$NAME" "$1")" = "$2" ]; }
NAME=$(redis ZRANGE relays 0 -1)
check 'the relay is on the list of relays' [ -n "$NAME" ]
check 'with its state' announced state serving
check 'with its address' announced addresses "$RELAY_IP"
check 'with a lease' [ "$(redis PTTL "relay:$NAME")" -gt 0 ]
hold keeper 1 kim "$OTHER_CALL" # or the drained relay would end
event relay.drain relay somebody-else state draining
event relay.drain relay "$NAME" state draining
check 'it is drained by an event' until_true 4 announced state draining
check 'and takes no new clients then' hold_refused ivan 486
check 'the living go on' still_held keeper
event relay.drain relay "$NAME" state serving
check 'until it shall serve again' until_true 4 announced state serving
event call.end user kim call "$OTHER_CALL"
wait "${holder[keeper]}"

# How the media of a call is, asked while it is under way: two clients that talk through the relay.
ASK=00112233445566778899aabbccddeeff
# ask ID CALLER_CALL CALLEE_CALL: the answer, which comes at once.
ask() {
	ASKED_MS=$(date +%s%3N)
	redis XADD '{events:relay}:asked' 'MAXLEN' '~' 1000 '*' t media.ask ask "$1" caller anna caller_call "$2" callee ben callee_call "$3" >/dev/null
	ANSWER=$(redis BLPOP "answer:$1" 2 | sed -n 2p)
	ASKED_MS=$(($(date +%s%3N) - ASKED_MS))
}
answer_has() {
	grep -qF "$1" <<<"$ANSWER" || { printf '%s\n' "$ANSWER"; return 1; }
}
mkfifo "$TMP/talk"
ip netns exec "$NS" "$BIN/turnpair" "$REALM" "$TMP/secret" 60 "$NS" "$HOST_IP" "$RELAY_IP" "$NS" "$PEER_IP" "$RELAY_IP" "$CALL" "$OTHER_CALL" \
	<"$TMP/talk" >"$TMP/talking" 2>&1 &
TALK_PID=$!
pids+=("$TALK_PID")
exec 8>"$TMP/talk" # until it is closed they stay
until_true 10 grep -q 'each way' "$TMP/talking" || cat "$TMP/talking"
ask "$ASK" "$CALL" "$OTHER_CALL"
AUDIO='{"audio":{"packets":60,"bytes":9600,"lost":0,' NOTHING='"video":{"packets":0,"bytes":0,"lost":0,"jitter_ms":0.0}}'
check "a question about a call under way is answered at once: $ASKED_MS ms" [ "$ASKED_MS" -lt 250 ]
check 'with the relay that says it' answer_has "{\"relay\":\"$NAME\","
for side in caller callee; do
	check "with what the $side sends" answer_has "\"$side\":{\"allocations\":1,\"sent\":$AUDIO"
done
check 'with what they receive' [ "$(grep -o "\"received\":$AUDIO" <<<"$ANSWER" | wc -l)" = 2 ]
check 'video apart' [ "$(grep -oF "$NOTHING" <<<"$ANSWER" | wc -l)" = 4 ]
check 'and whether audio goes one way' [ "$(grep -oF '"one_way_audio":false' <<<"$ANSWER" | wc -l)" = 2 ]
check 'what is not fetched is gone in a while' [ "$(redis TTL "answer:$ASK")" -le 5 ]
ask "$ASK" "$OTHER_CALL" ''
check 'of another call it says that it has nothing' answer_has '"caller":{"allocations":0,'
check 'as of a side that is not known' answer_has '"callee":{"allocations":0,'
exec 8>&-
wait "$TALK_PID"
ask "$ASK" "$CALL" "$OTHER_CALL"
check 'and of one that is over' answer_has '"caller":{"allocations":0,'
redis XADD '{events:relay}:asked' '*' t media.ask ask short caller anna caller_call "$CALL" >/dev/null
redis XADD '{events:relay}:asked' '*' t other ask "$ASK" >/dev/null
check 'what is not a question is not answered' [ -z "$(redis BLPOP "answer:$ASK" 0.3)" ]
# A relay that was away does not answer what was asked then.
kill -STOP "$RELAY_PID"
redis XADD '{events:relay}:asked' '*' t media.ask ask "$ASK" caller anna caller_call "$CALL" callee ben callee_call '' >/dev/null
sleep 5.5
kill -CONT "$RELAY_PID"
check 'nor what was asked too long ago' [ -z "$(redis BLPOP "answer:$ASK" 1)" ]
ask "$ASK" "$CALL" ''
check 'but later ones are' answer_has '"relay":'

event call.end user nobody call "$CALL"
event user.revoke user ''
event user.revoke user carol until soon
event relay.drain relay "$NAME" state odd
event call.end call "$CALL"
event nonsense x y
redis XADD events:relay '*' no type >/dev/null
hold four 1 carol "$CALL"
check 'odd events do no harm' still_held four

# Redis goes away and comes back: calls go on, later events are heard.
redis_stop
sleep 0.5
check 'without Redis allocations live on' still_held four
check 'without Redis the relay answers' stun_quick "$NS"
redis_start
hold five 1 dave "$CALL"
event call.end user dave call "$CALL"
wait "${holder[five]}"
check 'after Redis came back events are heard' grep -q '^gone after' "$TMP/five"
kill "${holder[four]}" 2>/dev/null
check 'SIGTERM ends it with status 0' relay_stop

# A relay that starts before Redis: what is written before it gets through to Redis is heard, what was written before it started is not.
EARLY_CALL=00000000000000000000000000000001
redis_stop
redis_start yes
event user.revoke user frank
redis_stop
relay_start "$NS" || done_testing
hold six 1 erin "$EARLY_CALL"
hold seven 1 frank "$EARLY_CALL"
sleep 2 # by now the relay tries less often
redis_start yes
event call.end user erin call "$EARLY_CALL"
wait "${holder[six]}"
check 'a relay that started before Redis hears what came before it was through' grep -q '^gone after' "$TMP/six"
check 'but nothing from before its start' still_held seven
kill "${holder[seven]}" 2>/dev/null
check 'it is on the list of relays' until_true 4 test -n "$(redis ZRANGE relays 0 -1)"
check 'SIGTERM ends that one with status 0' relay_stop
check 'and takes it off the list' test -z "$(redis ZRANGE relays 0 -1)"

# Who was disabled while no relay ran stays out when one starts.
event user.revoke user judy until $(($(date +%s) + 7200))
relay_start "$NS" || done_testing
check 'a revocation from before the start counts' until_true 3 hold_refused judy 401
check 'SIGTERM ends the last one with status 0' relay_stop
done_testing
