# shellcheck shell=bash
# What the tests and the measurement of survival share: a relay under a supervisor like runsv, and clients whose media never stop. Sourced
# after lib.sh.

# supervised NS: runs the relay of $TMP/duplex.conf again whenever it ends, at once, or after a second if it did not last one; as runsv does.
# RELAY_PROGRAM says which program; $TMP/relay.pid holds the process.
supervised() {
	local ns=$1
	(
		trap 'kill "$(<"$TMP/relay.pid")" 2>/dev/null; exit 0' TERM
		while :; do
			began=$SECONDS
			ip netns exec "$ns" "$(<"$TMP/program")" --config "$TMP/duplex.conf" >>"$TMP/relay.log" 2>&1 &
			echo $! >"$TMP/relay.pid.new" && mv "$TMP/relay.pid.new" "$TMP/relay.pid"
			{ wait $!; } 2>/dev/null
			[ $((SECONDS - began)) -ge 1 ] || sleep 1
		done
	) &
	SUPERVISOR_PID=$!
	pids+=("$SUPERVISOR_PID")
}

relay_pid() {
	cat "$TMP/relay.pid"
}

# Until the relay is another process than $1, and answers.
relay_back() {
	[ "$(relay_pid)" != "$1" ] && stun_quick "$NS"
}

# start_survival [LINE…]: NS, and in it (or in RELAY_NS) a supervised relay with a journal.
start_survival() {
	relay_config "$TMP/duplex.conf" "journal = $TMP/run/relay.journal" "$@"
	rm -f "$TMP/run/relay.journal"
	echo "$BIN/duplex-relay" >"$TMP/program"
	: >"$TMP/relay.log"
	supervised "${RELAY_NS:-$NS}"
	until_true 20 stun_quick "$NS" || { not_ok 'the relay starts' "$(tail -n 20 "$TMP/relay.log")"; return 1; }
	# Not on the device, with which they would go.
	ip -n "$NS" addr add "$PEER_IP/32" dev lo 2>/dev/null
	ip -n "$NS" addr add "$OTHER_IP/32" dev lo 2>/dev/null
}

end_survival() {
	kill "$SUPERVISOR_PID" 2>/dev/null
	wait "$SUPERVISOR_PID" 2>/dev/null
	until_true 5 gone "$(relay_pid)"
}

# clients_start COUNT INTERVAL_MS: their media flow when this returns.
clients_start() {
	rm -f "$TMP/told" "$TMP/clients"
	mkfifo "$TMP/told"
	ip netns exec "$NS" "$BIN/survive" --server "$RELAY_IP" --realm "$REALM" --secret-file "$TMP/secret" --local "$HOST_IP" --peer "$PEER_IP" \
		--stranger "$OTHER_IP" --count "$1" --interval-ms "$2" <"$TMP/told" >"$TMP/clients" 2>&1 &
	CLIENTS_PID=$!
	pids+=("$CLIENTS_PID")
	exec {told}>"$TMP/told"
	until_true 30 flowing_or_dead
	grep -q flowing "$TMP/clients" || { not_ok "$1 clients have their channels" "$(cat "$TMP/clients")"; return 1; }
}

flowing_or_dead() {
	grep -q flowing "$TMP/clients" || gone "$CLIENTS_PID"
}

# RESULT gets what the clients found.
clients_end() {
	exec {told}>&-
	wait "$CLIENTS_PID"
	RESULT=$(grep '^{' "$TMP/clients")
}

# field NAME: a number of RESULT.
field() {
	sed -E "s/.*\"$1\":([0-9]+).*/\1/" <<<"$RESULT"
}
