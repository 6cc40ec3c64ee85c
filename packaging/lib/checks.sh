# shellcheck shell=bash
# What must hold before anything is started; each failure is one sentence. Sourced.

# COMMAND of duplex-run
check_root() {
	[ "$(id -u)" -ne 0 ] || return 0
	case $1 in
	run | up) die 'Starting Duplex needs root (the relay opens a network device): run it as root or with sudo.' ;;
	down) die 'Stopping Duplex needs root: run it as root or with sudo.' ;;
	*) die 'Looking at an instance of Duplex needs root (its files are for its services only): run it as root or with sudo.' ;;
	esac
}

check_programs() {
	local name
	for name in nginx redis-server redis-cli runsvdir chpst sv svlogd openssl ip curl flock setsid; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null || die "The program $name is missing: run 'make deps' first."
	done
	getent passwd duplex >/dev/null || die "The system user duplex is missing: run 'make deps' first."
	for name in duplex-api duplex-signalling duplex-relay duplexctl; do
		[ -x "$BUILD_DIR/$name" ] || die "$BUILD_DIR/$name is not built: run 'make' first."
	done
	[ -f "$TREE/web/dist/index.html" ] || die "The page web/dist is not built: run 'make' first."
}

# nginx takes ports with reuseport: it would share one with another nginx instead of failing.
check_ports() {
	local name port taken owner
	for name in HTTPS_PORT HTTP_PORT; do
		port=${!name}
		[ -n "$port" ] || continue
		taken=$(listeners "$port" | head -n 1)
		owner=$(sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ by \1, pid \2/p' <<<"$taken")
		[ -z "$taken" ] || die "Port $port is already in use$owner: stop that program or choose another port with $name=…"
	done
}

# PORT: the sockets that stand in the way of ours, those of all addresses or of the one that we bind.
listeners() {
	ss -Hltnp "sport = :$1" 2>/dev/null | awk -v bind="$BIND" '
		{ local = $4; sub(/:[0-9]+$/, "", local); sub(/%.*/, "", local) }
		bind == "" || bind == "0.0.0.0" || bind == "[::]" || local == bind || local == "*" || local == (bind ~ /:/ ? "[::]" : "0.0.0.0")'
}

# The workers share these ports among themselves (SO_REUSEPORT), and would with another instance of ours.
check_sip() {
	local address=${SIP_BIND//[\[\]]/} port taken
	[ -n "$address" ] || return 0
	case $address in
	0.0.0.0 | ::) ;;
	*) [[ $(ip route get "$address" 2>/dev/null) == local\ * ]] || die "SIP_BIND=$SIP_BIND is not an address of this host." ;;
	esac
	for port in "$SIP_PORT" "$((SIP_PORT + 1))"; do
		taken=$(BIND=$SIP_BIND listeners "$port" | head -n 1)$(ss -Hlun "sport = :$port" "src = $SIP_BIND" 2>/dev/null | head -n 1)
		[ -z "$taken" ] || die "Port $port is already in use on $SIP_BIND: stop that program or choose another port for desk phones with SIP_PORT=…"
	done
}

check_bind() {
	local address=${BIND//[\[\]]/}
	case $address in
	'' | 0.0.0.0 | ::) ;;
	*) [[ $(ip route get "$address" 2>/dev/null) == local\ * ]] || die "BIND=$BIND is not an address of this host." ;;
	esac
}

check_tun() {
	[ -c /dev/net/tun ] || modprobe tun 2>/dev/null || true
	[ -c /dev/net/tun ] || die 'The device /dev/net/tun is missing: load the kernel module tun (in a container: pass --device /dev/net/tun).'
	# Opening it needs the driver, attaching needs CAP_NET_ADMIN.
	(exec 3<>/dev/net/tun) 2>/dev/null || die 'The device /dev/net/tun cannot be opened: the kernel module tun or the right to use it is missing.'
	# The kernel keeps it for a relay that was killed; without a carrier nobody holds it.
	if [[ $(ip -d link show dev "$TAP" 2>/dev/null) == *NO-CARRIER*tun*persist\ on* ]]; then
		ip link delete dev "$TAP"
	fi
	ip link show dev "$TAP" >/dev/null 2>&1 &&
		die "The network interface $TAP exists already: remove it (ip link delete $TAP) or choose another name with TAP=…"
	ip tuntap add dev "$TAP" mode tap 2>/dev/null ||
		die "The relay's network device cannot be made: this needs the capability NET_ADMIN (in a container: --cap-add NET_ADMIN)."
	ip link delete dev "$TAP"
}

check_peer() {
	local w port
	! joined || [ -n "$PEER" ] || die 'A node that joins needs a door for the others: PEER=address:port.'
	[ -n "$PEER" ] || return 0
	[[ $(ip route get "${PEER%:*}" 2>/dev/null) == local\ * ]] || die "PEER=$PEER is not an address of this host."
	for w in $(seq 0 $((WORKERS - 1))); do
		port=$((${PEER##*:} + w))
		[ -z "$(ss -Hltn "src ${PEER%:*}:$port")" ] || die "Port $port, of PEER=$PEER for worker $w, is already in use: choose another one."
	done
}

check_iface() {
	[ -n "$IFACE" ] || return 0
	ip link show dev "$IFACE" >/dev/null 2>&1 || die "There is no network interface $IFACE: 'ip link' lists those of this machine; set IFACE=…"
	[[ $(ip link show dev "$IFACE") == *[\<,]UP[,\>]* ]] || die "The network interface $IFACE is down: 'ip link set $IFACE up', or choose another with IFACE=…"
	[ -n "$(iface_address)" ] || die "The network interface $IFACE has no IPv4 address that the relay could share; give it one, or choose another with IFACE=…"
}

# Not wrong, but seldom what was meant.
warn_queues() {
	local queues
	[ -n "$IFACE" ] || return 0
	queues=$(find "/sys/class/net/$IFACE/queues" -maxdepth 1 -name 'rx-*' 2>/dev/null | wc -l)
	[ "$queues" -eq 0 ] || [ "$queues" -ge "$RELAY_CORES" ] ||
		say "RELAY_CORES=$RELAY_CORES, but $IFACE has $queues receive queue$([ "$queues" -eq 1 ] || echo s): the others serve this machine, TCP and TLS only ('ethtool -L $IFACE combined $RELAY_CORES' gives it more, if it can)."
}

# 200 MiB: an append-only store must never start where it cannot grow.
check_disk() {
	local free dir
	for dir in "$RUN_DIR" "$STATE_DIR"; do
		(mkdir -p "$dir" && echo x >"$dir/.write" && rm "$dir/.write") 2>/dev/null ||
			die "The directory $dir cannot be written: the file system is full, read-only or not permitted."
	done
	free=$(df -Pk "$STATE_DIR" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge 204800 ] || die "Only $((free / 1024)) MiB are free below $STATE_DIR; Duplex needs at least 200 MiB for its store."
}

check_all() {
	check_programs
	check_bind
	check_sip
	check_ports
	joined || check_tun
	joined || check_iface
	check_peer
	check_disk
	warn_queues
}
