# shellcheck shell=bash
# What the network tests share: TAP output, namespaces, a relay in one of them, its counters. Sourced. Everything made here is undone when
# the script ends, however it ends: processes by pid, namespaces (with them the links and TAP devices), the temporary folder.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2

BIN=${BIN:-build/${VARIANT:-release}}
RELAY_IP=10.83.84.2      # the relay on its TAP, as `make run` has it
HOST_IP=10.83.84.1       # the kernel's end; clients
PEER_IP=10.83.84.11      # peers
OTHER_IP=10.83.84.12
REALM=localhost
SECRET=not-so-secret-in-a-test

tests=0 failures=0
namespaces=() pids=()
TMP=$(mktemp -d)
export TMP

TURNCHECK=("$BIN/turncheck" --server "$RELAY_IP" --realm "$REALM" --secret-file "$TMP/secret" --local "$HOST_IP" --peer "$PEER_IP"
	--other "$OTHER_IP")

cleanup() {
	local pid name
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for pid in "${pids[@]}"; do
		wait "$pid" 2>/dev/null
	done
	for name in "${namespaces[@]}"; do
		ip netns del "$name" 2>/dev/null
	done
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bail() {
	printf 'Bail out! %s\n' "$*"
	exit 1
}

ok() {
	tests=$((tests + 1))
	printf 'ok %d - %s\n' "$tests" "$1"
}

# not_ok NAME [REASON]: the reason may have many lines.
not_ok() {
	tests=$((tests + 1)) failures=$((failures + 1))
	printf 'not ok %d - %s\n' "$tests" "$1"
	[ $# -lt 2 ] || printf '# %s\n' "${2//$'\n'/$'\n# '}"
}

skip() {
	tests=$((tests + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tests" "$1" "$2"
}

# check NAME COMMAND…: passes if the command does; its output is shown only if not. No subshell: the command may wait for our children.
check() {
	local name=$1
	shift
	if "$@" >"$TMP/check" 2>&1; then ok "$name"; else not_ok "$name" "$(cat "$TMP/check")"; fi
}

# Takes the results of a program that prints TAP itself; its plan and numbers are replaced by ours.
take_tap() {
	local label=$1 line seen=0
	shift
	while IFS= read -r line; do
		case $line in
		'ok '*' # SKIP '*) tests=$((tests + 1)) && printf 'ok %d - %s: %s\n' "$tests" "$label" "${line#* - }" ;;
		'ok '*) ok "$label: ${line#* - }" ;;
		'not ok '*) not_ok "$label: ${line#* - }" ;;
		'1..'*) seen=1 ;;
		*) printf '%s\n' "$line" ;;
		esac
	done < <("$@" 2>&1)
	[ "$seen" = 1 ] || not_ok "$label: ran to its end"
}

done_testing() {
	printf '1..%d\n' "$tests"
	[ "$failures" -eq 0 ]
	exit
}

need_root() {
	if [ "$(id -u)" != 0 ]; then
		printf 'ok 1 - %s # SKIP namespaces need root\n1..1\n' "$(basename "$0")"
		exit 0
	fi
}

# namespace VAR: a new network namespace; its name goes into VAR.
namespace() {
	local name
	name=dpx-$$-${#namespaces[@]}
	ip netns add "$name" || bail "cannot make a network namespace"
	namespaces+=("$name")
	ip -n "$name" link set lo up
	printf -v "$1" '%s' "$name"
}

# veth NS IF PEER-NS PEER-IF [QUEUES]: a cable, both ends up. A veth hands over checksums half done unless its offloads are switched off; the
# relay verifies them, so they are.
veth() {
	local end queues=${5:-1}
	ip link add "$2" netns "$1" numrxqueues "$queues" numtxqueues "$queues" type veth \
		peer name "$4" netns "$3" numrxqueues "$queues" numtxqueues "$queues" || bail "cannot make a veth pair"
	for end in "$1 $2" "$3 $4"; do
		ip netns exec "${end% *}" ethtool -K "${end#* }" tx off rx off gso off tso off gro off >/dev/null 2>&1
		ip -n "${end% *}" link set "${end#* }" up
	done
}

# in_background NS COMMAND…: PID gets the process, which ends with the script.
in_background() {
	local ns=$1
	shift
	ip netns exec "$ns" "$@" &
	PID=$!
	pids+=("$PID")
}

# until_true SECONDS COMMAND…: tries the command every 50 ms.
until_true() {
	local tries=$(($1 * 20))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# relay_config FILE [LINE…]: `make run`'s configuration in a folder of ours; more [relay] lines as arguments. The test's own subnet is private,
# so peers in it must be allowed (PEER_ALLOW, if there are others).
relay_config() {
	local file=$1
	shift
	mkdir -p "$TMP/run"
	printf '%s\n' "$SECRET" >"$TMP/secret"
	chmod 600 "$TMP/secret"
	{
		printf '[common]\ndomain = %s\nrun-dir = %s\nturn-secret = %s\n' "$REALM" "$TMP/run" "$TMP/secret"
		[ -z "${REDIS:-}" ] || printf 'redis = %s\n' "$REDIS"
		printf '[relay]\nfile-prefix = %s\npeer-allow = %s\n' "dpx$$" "${PEER_ALLOW:-10.83.84.0/24}"
		printf '%s\n' "$@"
	} >"$file"
}

# relay_start NS [LINE…]: RELAY_PID gets the process; its log is $TMP/relay.log. NS is where the clients are, and the relay too, unless RELAY_NS
# says otherwise; the clients' end of the cable is called dpx0.
relay_start() {
	local ns=$1 ip
	shift
	relay_config "$TMP/duplex.conf" "$@"
	in_background "${RELAY_NS:-$ns}" "$BIN/duplex-relay" --config "$TMP/duplex.conf" >"$TMP/relay.log" 2>&1
	RELAY_PID=$PID
	until_true 20 stun_or_dead "$ns" "$RELAY_PID"
	if gone "$RELAY_PID" || ! stun_quick "$ns"; then
		not_ok "the relay starts" "$(tail -n 20 "$TMP/relay.log")"
		return 1
	fi
	for ip in "$PEER_IP" "$OTHER_IP"; do
		ip -n "$ns" addr add "$ip/24" dev dpx0 2>/dev/null
	done
	return 0
}

# A Binding answered within a second (turnutils_stunclient waits for ever).
stun_quick() {
	timeout 1 ip netns exec "$1" turnutils_stunclient "$RELAY_IP" 2>/dev/null | grep 'UDP reflexive addr' >/dev/null
}

stun_or_dead() {
	gone "$2" || stun_quick "$1"
}

# relay_stop: ends it with SIGTERM; fails if it does not end with status 0 within five seconds.
relay_stop() {
	local status
	kill "$RELAY_PID" 2>/dev/null
	until_true 5 gone "$RELAY_PID" || { kill -KILL "$RELAY_PID" 2>/dev/null; return 1; }
	wait "$RELAY_PID"
	status=$?
	[ "$status" -eq 0 ] || { echo "status $status"; tail -n 5 "$TMP/relay.log"; return 1; }
}

relay_metrics() {
	curl -sS --max-time 3 --unix-socket "$TMP/run/metrics.relay.sock" http://localhost/metrics
}

# relay_metric NAME [LABEL]: sum over all lines of that metric (that contain LABEL).
relay_metric() {
	relay_metrics | awk -v name="$1" -v label="${2:-}" '
		$0 !~ /^#/ && ($1 == name || index($1, name "{") == 1) && (label == "" || index($1, label)) { n += $2 } END { printf "%d\n", n }'
}

no_allocations() {
	[ "$(relay_metric duplex_relay_allocations)" = 0 ]
}

# turncheck NS ARGUMENT…; `turncheck_in_background` is the same as in_background.
turncheck() {
	local ns=$1
	shift
	ip netns exec "$ns" "${TURNCHECK[@]}" "$@"
}

turncheck_in_background() {
	local ns=$1
	shift
	in_background "$ns" "${TURNCHECK[@]}" "$@"
}

# sums_start NS [fragments]: from now on every packet that reaches the clients' end is checked (fragments are wrong unless asked for); sums_check LABEL ends that and gives the result.
sums_start() {
	in_background "$1" "$BIN/sumcheck" dpx0 "${@:2}" >"$TMP/sums" 2>&1
	SUMS_PID=$PID
	until_true 10 grep -q capturing "$TMP/sums"
}

sums_check() {
	local result
	kill "$SUMS_PID"
	if wait "$SUMS_PID"; then result=ok; else result=not_ok; fi
	"$result" "$1: every checksum right: $(tail -n 1 "$TMP/sums")"
}

# TURN-REST credentials for the coturn tools: USER and PASSWORD.
credentials() {
	# shellcheck disable=SC2034
	USER_NAME=$(($(date +%s) + 3600)):$1${2:+:$2}
	# shellcheck disable=SC2034
	PASSWORD=$(printf '%s' "$USER_NAME" | openssl dgst -sha1 -hmac "$SECRET" -binary | base64)
}

# uclient_from LOCAL SERVER ARGUMENT…: coturn's client in NS; all messages sent come back. It leaves allocations behind; a later run that by chance
# gets, or moves to, the port of one is refused with 437, or 441, rightly, and is repeated.
uclient_from() {
	local out try from=$1 server=$2
	shift 2
	credentials alice
	for try in 1 2 3; do
		out=$(timeout 60 ip netns exec "$NS" turnutils_uclient -u "$USER_NAME" -w "$PASSWORD" -L "$from" "$@" "$server" 2>&1)
		grep -Eq 'error (437|441)' <<<"$out" || break
		echo "try $try: the port of an allocation that was left behind"
	done
	if ! grep -Eq 'Total lost packets 0 \(0\.0' <<<"$out" || ! grep -Eq 'tot_recv_msgs=[1-9]|Total transmit time' <<<"$out"; then
		tail -n 15 <<<"$out"
		return 1
	fi
}
