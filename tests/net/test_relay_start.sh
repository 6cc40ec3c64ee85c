#!/usr/bin/env bash
# A relay that cannot start says why in one sentence, ends with a status that is not 0, and leaves nothing behind.
#
#    namespace: no network needed but the TAP device that the relay would make
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

# refuses PATTERN COMMAND…: it ends by itself, not with 0; the pattern names the cause, and at most one line is an error of ours.
refuses() {
	local pattern=$1 status
	shift
	timeout -k 2 15 ip netns exec "$NS" "$@" >"$TMP/out" 2>&1
	status=$?
	cat "$TMP/out"
	echo "status $status"
	[ "$status" -ne 0 ] && [ "$status" -lt 124 ] && grep -Eqi -- "$pattern" "$TMP/out" && [ "$(grep -Ec '^(duplex-relay:|[^ ]+ error )' "$TMP/out")" -le 1 ] &&
		! ip -n "$NS" link show dpx0 >/dev/null 2>&1
}

relay() {
	"$BIN/duplex-relay" "$@"
}

# with_config PATTERN LINE…: the usual configuration and these lines.
with_config() {
	local pattern=$1
	shift
	relay_config "$TMP/bad.conf" "$@"
	refuses "$pattern" "$BIN/duplex-relay" --config "$TMP/bad.conf"
}

secret_of_others() {
	relay_config "$TMP/bad.conf"
	chmod 644 "$TMP/secret"
	refuses 'secret' "$BIN/duplex-relay" --config "$TMP/bad.conf"
}

no_secret() {
	relay_config "$TMP/bad.conf"
	rm "$TMP/secret"
	refuses 'secret' "$BIN/duplex-relay" --config "$TMP/bad.conf"
}

no_run_dir() {
	relay_config "$TMP/bad.conf"
	sed -i "s,^run-dir = .*,run-dir = $TMP/missing/run," "$TMP/bad.conf"
	refuses 'run|metrics' "$BIN/duplex-relay" --config "$TMP/bad.conf"
}

no_tun_device() {
	relay_config "$TMP/bad.conf"
	refuses '/dev/net/tun|TAP' unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh "$BIN/duplex-relay" --config "$TMP/bad.conf"
}

not_root() {
	relay_config "$TMP/bad.conf"
	chmod 644 "$TMP/bad.conf"
	chown -R nobody "$TMP"
	refuses 'root|permission|privilege|CAP_NET_ADMIN|permitted' setpriv --reuid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
		"$BIN/duplex-relay" --config "$TMP/bad.conf"
	local status=$?
	chown -R root "$TMP"
	return "$status"
}

namespace NS
check 'no configuration file' refuses 'config|No such file' "$BIN/duplex-relay" --config "$TMP/missing.conf"
check 'an unknown key' with_config 'no-such-key' 'no-such-key = 1'
check 'a number out of range' with_config 'turn-port' 'turn-port = 70000'
check 'a number that is none' with_config 'cores' 'cores = many'
check 'an address that is none' with_config 'address' 'address = 10.83.84'
check 'a port range upside down' with_config 'port-m' 'port-min = 60000' 'port-max = 50000'
check 'the TURN port inside the range' with_config 'turn-port' 'turn-port = 50000'
check 'huge pages that are not there' with_config 'huge-pages asks for huge pages' 'huge-pages = yes' 'memory = 1048576'
check 'a NIC without huge pages' with_config 'a NIC needs huge pages' 'ports = 0000:7f:1f.7' 'memory = 1048576'
check 'a device that does not exist' with_config 'net_nonsense0' 'ports = net_nonsense0'
check 'an interface that does not exist' with_config 'nowhere9' 'ports = net_af_packet0,iface=nowhere9'
check 'a secret that others can read' secret_of_others
check 'no secret' no_secret
check 'no run directory' no_run_dir
check 'no /dev/net/tun' no_tun_device
check 'not root' not_root

check '--check-config of a good file' relay --check-config --config <(relay_config /dev/stdout)
check '--version' relay --version
check '--print-config' relay --print-config --config <(relay_config /dev/stdout)

# The port in use: a second relay on the same TAP name and address.
second() {
	sed 's/^file-prefix = .*/file-prefix = dpxsecond/' "$TMP/duplex.conf" >"$TMP/second.conf"
	timeout -k 2 15 ip netns exec "$NS" "$BIN/duplex-relay" --config "$TMP/second.conf" >"$TMP/out" 2>&1
	local status=$?
	cat "$TMP/out"
	echo "status $status"
	[ "$status" -ne 0 ] && [ "$status" -lt 124 ] && grep -Eqi 'dpx0|in use|exists|busy|runs already' "$TMP/out"
}
if relay_start "$NS"; then
	check 'a second relay on the same device' second
	check 'the first goes on' stun_quick "$NS"
	check 'SIGTERM ends it with status 0' relay_stop
fi
done_testing
