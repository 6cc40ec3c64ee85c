#!/usr/bin/env bash
# SIGHUP: what may change changes at once, live allocations stay; a file with an error changes nothing. And the peer modes.
#
#    namespace: dpx0 10.83.84.1 (clients), .11 and .12 (peers)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

count_is() {
	[ "$(relay_metric duplex_relay_allocations)" = "$1" ]
}

# reload [LINE…]: the usual configuration with these lines; returns when the relay has said what it thinks of them.
reload() {
	local lines
	lines=$(wc -l <"$TMP/relay.log")
	relay_config "$TMP/duplex.conf" "$@"
	kill -HUP "$RELAY_PID"
	until_true 5 said_more "$lines"
}

said_more() {
	[ "$(wc -l <"$TMP/relay.log")" -gt "$1" ]
}

quota_is() {
	local out
	out=$(turncheck "$NS" --group limits --user-quota "$1")
	printf '%s\n' "$out"
	grep -q '^ok 1 - limits: 486[^#]*$' <<<"$out"
}

# What a new permission for the peer is answered with, from the counters: the client is coturn's, which gives up when it is refused.
peer_refused() {
	local before
	before=$(relay_metric duplex_relay_requests_total 'method="create_permission",code="403"')
	credentials "$1"
	timeout 20 ip netns exec "$NS" turnutils_uclient -c -s -n 3 -z 5 -e "$PEER_IP" -r 3480 -u "$USER_NAME" -w "$PASSWORD" -L "$HOST_IP" \
		"$RELAY_IP" >/dev/null 2>&1
	[ "$(relay_metric duplex_relay_requests_total 'method="create_permission",code="403"')" -gt "$before" ]
}

hairpin_works() {
	local out
	credentials pair
	out=$(timeout 30 ip netns exec "$NS" turnutils_uclient -c -y -m 2 -n 20 -z 10 -u "$USER_NAME" -w "$PASSWORD" -L "$HOST_IP" "$RELAY_IP" 2>&1)
	grep -q 'Total lost packets 0 (0\.0' <<<"$out" || { tail -n 10 <<<"$out"; return 1; }
}

# account NAME PASSWORD: coturn's client as a user of the file.
account() {
	local out
	out=$(timeout 30 ip netns exec "$NS" turnutils_uclient -c -y -m 1 -n 5 -z 10 -u "$1" -w "$2" -L "$HOST_IP" "$RELAY_IP" 2>&1)
	grep -q 'Total lost packets 0 (0\.0' <<<"$out" || { tail -n 10 <<<"$out"; return 1; }
}

refused() {
	! account "$@"
}

# users LINE…: the file of users.
users() {
	printf '%s\n' "$@" >"$TMP/users"
	chmod 600 "$TMP/users"
}

namespace NS
if relay_start "$NS"; then
	turncheck_in_background "$NS" --hold 2 --user anna --wait-gone 60000 >"$TMP/held" 2>&1
	holder=$PID
	until_true 5 count_is 2
	check 'reload is heard' reload 'user-allocations = 3'
	check 'the new quota holds' quota_is 3
	check 'live allocations stay' count_is 2
	check 'a file with an error is refused' reload 'user-allocations = many'
	check 'and the relay says which key' grep -q 'user-allocations' "$TMP/relay.log"
	check 'and the quota stays' quota_is 3
	check 'and live allocations stay' count_is 2
	reload 'peer-mode = relays-only'
	check 'relays-only: a peer elsewhere is refused' peer_refused elsewhere
	check 'relays-only: two clients of the relay reach each other' hairpin_works
	reload "peer-deny = $PEER_IP/32"
	check 'a denied prefix inside an allowed one is refused' peer_refused denied
	check 'a user of no file is refused' refused carol 'her own password'
	users '# people' 'carol:her own password' "dave:md5=$(printf %s "dave:$REALM:secret" | md5sum | cut -d' ' -f1)"
	reload "users = $TMP/users"
	check 'a user of the file, by password' account carol 'her own password'
	check 'a user of the file, by key' account dave secret
	check 'not with another password' refused carol 'his own password'
	chmod 644 "$TMP/users"
	reload "users = $TMP/users"
	check 'a file that others can read is refused' grep -q 'must not be readable' "$TMP/relay.log"
	check 'and the users stay' account dave secret
	check 'after all this live allocations stay' kill -0 "$holder"
	check 'SIGTERM ends it with status 0' relay_stop
fi
done_testing
