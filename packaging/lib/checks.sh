# shellcheck shell=bash
# What must hold before anything is started; each failure is one sentence. Sourced.

check_root() {
	[ "$(id -u)" -eq 0 ] || die 'Starting Duplex needs root (the relay opens a network device): run it as root or with sudo.'
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

check_port() {
	local owner
	owner=$(ss -Hltnp "sport = :$HTTPS_PORT" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1, pid \2/p' | head -n 1)
	[ -z "$(ss -Hltn "sport = :$HTTPS_PORT" 2>/dev/null)" ] ||
		die "Port $HTTPS_PORT is already in use${owner:+ by $owner}: stop that program or choose another port with HTTPS_PORT=…"
}

check_tun() {
	[ -c /dev/net/tun ] || modprobe tun 2>/dev/null || true
	[ -c /dev/net/tun ] || die 'The device /dev/net/tun is missing: load the kernel module tun (in a container: pass --device /dev/net/tun).'
	# Opening it needs the driver, attaching needs CAP_NET_ADMIN.
	(exec 3<>/dev/net/tun) 2>/dev/null || die 'The device /dev/net/tun cannot be opened: the kernel module tun or the right to use it is missing.'
	ip link show dev "$TAP" >/dev/null 2>&1 &&
		die "The network interface $TAP exists already: remove it (ip link delete $TAP) or choose another name with TAP=…"
	ip tuntap add dev "$TAP" mode tap 2>/dev/null ||
		die "The relay's network device cannot be made: this needs the capability NET_ADMIN (in a container: --cap-add NET_ADMIN)."
	ip link delete dev "$TAP"
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
	check_port
	check_tun
	check_disk
}
