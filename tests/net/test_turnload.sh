#!/usr/bin/env bash
# The load generator of the benchmarks notices what a server does wrong, whether this process or the kernel judges the packets: lost, doubled and
# changed ones, and wrong checksums. A reflector that commits one fault at every 97th packet is the server.
#
#    namespace: vg0 10.83.1.1 and .2 (turnload) ══ vs0 10.83.0.1 (reflect), in another namespace
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

namespace SERVER
namespace GENERATOR
ip link add vs0 netns "$SERVER" type veth peer name vg0 netns "$GENERATOR" || bail 'no veth'
for end in "$SERVER vs0" "$GENERATOR vg0"; do
	# shellcheck disable=SC2086 # two words
	set -- $end
	ip netns exec "$1" ethtool -K "$2" tx off gso off tso off >/dev/null 2>&1
	ip -n "$1" link set "$2" up
done
# Frames without a socket buffer need NAPI at the other end, which a veth has with GRO.
ip netns exec "$SERVER" ethtool -K vs0 gro on
mac_of() {
	ip netns exec "$1" cat "/sys/class/net/$2/address"
}

# reflected FAULT OPTION…: the generator's report is in $TMP/load, its status in $status.
reflected() {
	local fault=$1
	shift
	# shellcheck disable=SC2086 # nothing, or one word
	in_background "$SERVER" "$BIN/reflect" vs0 10.83.0.1 "$(mac_of "$GENERATOR" vg0)" $fault >"$TMP/reflect" 2>&1
	sleep 0.2
	status=0
	ip netns exec "$GENERATOR" timeout 60 "$BIN/turnload" --if vg0 --server 10.83.0.1 --client 10.83.1.1 --peer 10.83.1.2 --mode echo \
		--gateway "$(mac_of "$SERVER" vs0)" --pps 20000 --trial 0.9 "$@" >"$TMP/load" 2>"$TMP/load.err" || status=$?
	kill "$PID" && wait "$PID"
	cat "$TMP/load.err" "$TMP/load"
}

# judged STATUS FAULT CONDITION OPTION…
judged() {
	local want=$1 fault=$2 condition=$3
	shift 3
	reflected "$fault" "$@"
	[ "$status" = "$want" ] && jq -e "$condition" "$TMP/load" >/dev/null
}

# A busy machine may lose some packets more, never fewer.
for how in here kernel; do
	option=() bad_sum='.frames.bad_udp_sum > 50 and .corrupt == 0' bad_status=0
	if [ "$how" = kernel ]; then
		option=(--kernel) bad_sum='.corrupt > 50' bad_status=1
	fi
	check "$how: what comes back whole is right" judged 0 '' \
		'.received_pps > 5000 and .loss < 0.009 and .corrupt == 0 and .stray == 0 and .duplicate == 0' "${option[@]}"
	check "$how: a lost packet is counted" judged 0 drop '.loss > 0.0095 and .loss < 0.05 and .corrupt == 0' "${option[@]}"
	check "$how: a packet that comes twice is counted, and not as another one's" judged 0 twice \
		'.duplicate > 50 and .corrupt == 0 and .loss < 0.009' "${option[@]}"
	check "$how: a changed byte is noticed" judged 1 change '.corrupt > 50 and .loss > 0.0095' "${option[@]}"
	check "$how: a wrong checksum is noticed" judged "$bad_status" sum "$bad_sum and .loss > 0.0095" "${option[@]}"
done
done_testing
