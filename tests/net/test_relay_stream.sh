#!/usr/bin/env bash
# TURN over TCP and TLS: coturn's client in these modes, and a client of our own that splits and merges messages, reads slowly, talks garbage,
# resets; PROXY headers; limits; certificates that change while sessions live.
#
#    namespace: dpx0 10.83.84.1 (clients and the relay's TCP), .11 and .12 (peers)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

TCP=3478 TLS=5349 PROXY=5350
UNIX=$TMP/turns.sock

# certificate FILE NAME: an authority in $TMP/ca.crt signs FILE.crt for NAME; the key is FILE.key. Each has a serial of its own.
certificate() {
	local request
	if [ ! -e "$TMP/ca.crt" ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/ca.key" -out "$TMP/ca.crt" -days 2 -subj /CN=test-ca \
			-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>/dev/null
	fi
	request=$(openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/$1.key" -subj "/CN=$2" 2>/dev/null)
	openssl x509 -req -in <(printf '%s\n' "$request") -CA "$TMP/ca.crt" -CAkey "$TMP/ca.key" -days 2 -set_serial "0x$(openssl rand -hex 8 | sed 's/^./4/')" \
		-extfile <(printf 'subjectAltName=DNS:%s\n' "$2") -out "$TMP/$1.crt" 2>/dev/null
}

serial() {
	openssl x509 -in "$TMP/$1.crt" -noout -serial | cut -d= -f2
}

client() {
	ip netns exec "$NS" python3 tests/net/stream_client.py --server "$HOST_IP" --tcp "$TCP" --tls "$TLS" --proxy "$PROXY" --unix "$UNIX" --peer "$PEER_IP" \
		--other "$OTHER_IP" --metrics "$TMP/run/metrics.relay.sock" --secret-file "$TMP/secret" --ca "$TMP/ca.crt" --pid "$RELAY_PID" "$@"
}

# uclient ARGUMENT…: all messages sent come back, over TCP or TLS.
uclient() {
	local out
	credentials alice
	out=$(timeout 60 ip netns exec "$NS" turnutils_uclient -u "$USER_NAME" -w "$PASSWORD" -L "$HOST_IP" "$@" "$HOST_IP" 2>&1)
	if ! grep -Eq 'Total lost packets 0 \(0\.0' <<<"$out" || ! grep -q 'tot_recv_msgs=[1-9]' <<<"$out"; then
		tail -n 15 <<<"$out"
		return 1
	fi
}

sni_listeners() {
	grep -q 'stream-ready .*tls=yes' "$TMP/relay.log"
}

no_connections() {
	[ "$(relay_metric duplex_relay_stream_connections)" = 0 ] && no_allocations
}

reload() {
	local lines
	lines=$(wc -l <"$TMP/relay.log")
	kill -HUP "$RELAY_PID"
	until_true 5 said_more "$lines"
}

said_more() {
	[ "$(wc -l <"$TMP/relay.log")" -gt "$1" ]
}

works_still() {
	local line
	echo >&"${HELD[1]}"
	read -rt 10 line <&"${HELD[0]}" && [ "$line" = '# works' ]
}

serves() {
	client --serial "$(serial "$1")" certificate | grep '^ok 1' >/dev/null
}

refused_for_the_key() {
	reload && tail -n 1 "$TMP/relay.log" | grep 'reload-refused.*tls-key' >/dev/null
}

# A relay that must not start with these lines, and says why.
refuses() {
	local want=$1
	shift
	relay_config "$TMP/bad.conf" "$@"
	! timeout 10 ip netns exec "$NS" "$BIN/duplex-relay" --config "$TMP/bad.conf" >"$TMP/bad.log" 2>&1 && grep -q "$want" "$TMP/bad.log" || {
		tail -n 3 "$TMP/bad.log"
		return 1
	}
}

LISTEN=("stream-listen = tcp:*:$TCP tls:*:$TLS tcp-proxy:*:$PROXY tls-proxy:unix:$UNIX" "tls-cert = $TMP/a.crt $TMP/b.crt" "tls-key = $TMP/a.key $TMP/b.key")

namespace NS
certificate a localhost
certificate b other.test

check 'a bad listener is named' refuses stream-listen 'stream-listen = tcp:3478'
check 'TLS without a certificate is refused' refuses tls-cert 'stream-listen = tls:*:5349'
check 'a key that does not fit is refused' refuses tls-key 'stream-listen = tls:*:5349' "tls-cert = $TMP/a.crt" "tls-key = $TMP/b.key"

for cores in 1 2; do
	[ "$cores" = 1 ] || LISTEN+=('cores = 2')
	if relay_start "$NS" "${LISTEN[@]}" 'stream-handshake = 2' 'stream-idle = 3' 'stream-address-connections = 40' 'stream-connections = 60'; then
		check "$cores workers: it listens" sni_listeners
		sums_start "$NS"
		take_tap "$cores workers" client binding echo split merged too_long streams_meet end_close end_half end_reset end_refresh end_garbage garbage
		sums_check "$cores workers"
		take_tap "$cores workers" client slow_start idle limit_address limit_total slow_reader slow_reader_tls unread_answers
		take_tap "$cores workers" client proxy proxy_limits proxy_required tls tls_big
		if [ "$cores" = 1 ]; then
			in_background "$NS" turnutils_peer -L "$PEER_IP" -p 3480 >/dev/null 2>&1
			for mode in '-t' '-t -S'; do
				label="coturn: uclient $mode"
				# shellcheck disable=SC2086 # words
				check "$label, a peer" uclient $mode -p "$([ "$mode" = -t ] && echo $TCP || echo $TLS)" -c -m 4 -n 100 -z 5 -e "$PEER_IP" -r 3480
				# shellcheck disable=SC2086
				check "$label, long messages, padded" uclient $mode -p "$([ "$mode" = -t ] && echo $TCP || echo $TLS)" -c -D -l 1201 -n 50 -z 5 -e "$PEER_IP" -r 3480
				# shellcheck disable=SC2086
				check "$label, two clients through the relay" uclient $mode -p "$([ "$mode" = -t ] && echo $TCP || echo $TLS)" -c -y -m 2 -n 50 -z 5
				# shellcheck disable=SC2086
				check "$label, with Send indications" uclient $mode -p "$([ "$mode" = -t ] && echo $TCP || echo $TLS)" -c -y -s -m 4 -n 50 -z 5
			done
		fi
		until_true 5 no_connections
		check "$cores workers: at the end no connection and no allocation is left" no_connections
		check "$cores workers: SIGTERM ends it with status 0" relay_stop
		check "$cores workers: its unix socket is gone" test ! -e "$UNIX"
	fi
done

# Certificates change while a session lives; and what a connection costs.
LISTEN=("stream-listen = tcp:*:$TCP tls:*:$TLS" "tls-cert = $TMP/a.crt" "tls-key = $TMP/a.key")
if relay_start "$NS" "${LISTEN[@]}" 'stream-address-connections = 2000'; then
	coproc HELD { client tls_held 2>&1; }
	# shellcheck disable=SC2153
	pids+=("$HELD_PID")
	read -rt 10 line <&"${HELD[0]}"
	check 'a session is held' test "$line" = '# held'
	check 'the first certificate is served' serves a
	cp "$TMP/a.crt" "$TMP/first.crt"
	certificate a localhost
	check 'a reload' reload
	check 'the second certificate is served' serves a
	check 'and not the first' eval '! serves first'
	check 'the session lives on' works_still
	cp "$TMP/a.key" "$TMP/good.key"
	cp "$TMP/b.key" "$TMP/a.key"
	check 'a key that does not fit is refused, and named' refused_for_the_key
	check 'the second certificate is still served' serves a
	check 'and the session lives' works_still
	cp "$TMP/good.key" "$TMP/a.key"
	check 'a reload when the key is right again' reload
	check 'the session lives to the end' works_still
	check 'a certificate is served' serves a
	eval "exec ${HELD[1]}>&-" # its input ends
	take_tap memory client memory
	until_true 5 no_connections
	check 'no connection is left' no_connections
	check 'SIGTERM ends it with status 0' relay_stop
fi
done_testing
