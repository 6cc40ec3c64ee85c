# shellcheck shell=bash
# The processes of an instance under runit: a service directory each, started by a runsvdir of our own. Sourced.
#
# Service directories lie in the state directory, for /run is often mounted noexec; their `supervise` (pipes, locks, status) is a link into
# the run directory. Nothing here ever looks for a process by name.

SUPERVISOR_PID=  # set by supervisor_pid
START_DEADLINE_S=60

service_names() {
	local w
	joined || printf 'redis\nrelay\n'
	printf 'api\n'
	for w in $(seq 0 $((WORKERS - 1))); do printf 'signalling.%s\n' "$w"; done
	printf 'nginx\nkeeper\n'
}

services_write() {
	local name w conf=$ETC_DIR/duplex.conf bin=$APP_DIR/bin
	rm -rf "$SERVICE_DIR.new"
	mkdir -p "$SERVICE_DIR.new"
	if ! joined; then
		write_service redis "chpst -u duplex redis-server $ETC_DIR/redis.conf"
		write_service relay "$bin/duplex-relay --config $conf"
	fi
	write_service api "chpst -u duplex:duplex:www-data $bin/duplex-api --config $conf"
	for w in $(seq 0 $((WORKERS - 1))); do
		write_service "signalling.$w" "chpst -u duplex:duplex:www-data $bin/duplex-signalling --config $conf --worker $w"
	done
	write_service nginx "/usr/sbin/nginx -p $STATE_DIR/nginx-tmp/ -c $ETC_DIR/nginx/nginx.conf" \
		"export PATH=\$PATH:/usr/sbin; rm -f $RUN_DIR/front.sock" # a killed nginx leaves it, and could not bind it again
	write_service keeper "$bin/keeper $STATE_DIR"
	rm -rf "$SERVICE_DIR"
	mv "$SERVICE_DIR.new" "$SERVICE_DIR"
	# runsvdir waits a second when its directory is as young as that.
	touch -d '1 minute ago' "$SERVICE_DIR"
}

# NAME COMMAND [LINE-BEFORE]
write_service() {
	local dir=$SERVICE_DIR.new/$1 run=$RUN_DIR/supervise
	mkdir -p "$dir/log" "$run/$1" "$run/$1.log"
	ln -s "$run/$1" "$dir/supervise"
	ln -s "$run/$1.log" "$dir/log/supervise"
	install -d -m 0750 -o duplex -g duplex "$LOG_DIR/$1"
	[ -e "$LOG_DIR/$1/config" ] || printf 's10000000\nn5\n' >"$LOG_DIR/$1/config"
	printf '#!/bin/sh\nexec 2>&1 </dev/null\nulimit -n 262144 2>/dev/null || ulimit -n "$(ulimit -Hn)"\numask 027\n%s\nexec %s\n' \
		"${3:-}" "$2" >"$dir/run"
	# Each end is noted; a start that ends again and again is given up early, with its last lines (services_wait).
	printf '#!/bin/sh\necho "$1 $2" >>%s\n' "$run/$1.exits" >"$dir/finish"
	printf '#!/bin/sh\nexec chpst -u duplex svlogd %s\n' "$LOG_DIR/$1" >"$dir/log/run"
	chmod 755 "$dir/run" "$dir/finish" "$dir/log/run"
}

# Whether this instance's supervisor runs; its process is known by the service directory in its command line.
supervisor_pid() {
	local words=()
	[ -r "$RUN_DIR/supervisor.pid" ] || return 1
	SUPERVISOR_PID=$(<"$RUN_DIR/supervisor.pid")
	{ mapfile -d '' words <"/proc/$SUPERVISOR_PID/cmdline"; } 2>/dev/null || return 1
	[ "${words[2]:-}" = "$SERVICE_DIR" ]
}

supervisor_start() {
	rm -f "$RUN_DIR"/supervise/*.exits
	setsid runsvdir -P "$SERVICE_DIR" </dev/null >/dev/null 2>&1 9>&- &
	echo $! >"$RUN_DIR/supervisor.pid"
	disown
}

services_wait() {
	local name deadline=$((SECONDS + START_DEADLINE_S))
	for name in $(service_names); do
		until service_ready "$name"; do
			if [ "$SECONDS" -ge "$deadline" ] || service_failing "$name"; then
				service_blame "$name"
				return 1
			fi
			sleep 0.05
		done
	done
}

service_ready() {
	case $1 in
	redis) [ "$(redis-cli -s "$RUN_DIR/redis.sock" ping 2>/dev/null)" = PONG ] ;;
	relay) healthy relay && [[ $(ip -4 addr show dev "$TAP" 2>/dev/null) == *" $SUBNET_BASE.1/"* ]] ;;
	api) healthy api && [ -S "$RUN_DIR/api.sock" ] ;;
	signalling.*) healthy "signal.${1#*.}" ;; # on a node that is being emptied it listens to nobody
	nginx) front_door /api/v1/health/ready >/dev/null 2>&1 ;;
	keeper) sv check "$SERVICE_DIR/keeper" >/dev/null 2>&1 ;;
	esac
}

healthy() {
	curl -sf -m 2 -o /dev/null --unix-socket "$RUN_DIR/metrics.$1.sock" http://localhost/health
}

front_door() {
	curl -sSf -m 3 --noproxy '*' --cacert "$PKI_DIR/ca.crt" --connect-to "::${BIND:-127.0.0.1}:$HTTPS_PORT" "$(public_url)$1"
}

service_failing() {
	[ -e "$RUN_DIR/supervise/$1.exits" ] && [ "$(wc -l <"$RUN_DIR/supervise/$1.exits")" -ge 2 ]
}

service_blame() {
	say "$1 did not start; its last lines:"
	tail -n 15 "$LOG_DIR/$1/current" 2>/dev/null | sed 's/^/    /' >&2
}

# In an order in which nothing loses what it needs while it still works.
services_stop() {
	local name names
	names=$(service_names)
	services_down keeper nginx
	# shellcheck disable=SC2046 # names are words
	services_down $(grep '^signalling' <<<"$names") api
	services_down relay redis
	if supervisor_pid; then
		kill -HUP "$SUPERVISOR_PID" 2>/dev/null || true
		wait_gone "$SUPERVISOR_PID"
	fi
	for name in $names; do
		wait_unsupervised "$SERVICE_DIR/$name"
	done
}

services_down() {
	local name dirs=()
	for name in "$@"; do
		[ ! -p "$SERVICE_DIR/$name/supervise/ok" ] || dirs+=("$SERVICE_DIR/$name")
	done
	[ "${#dirs[@]}" -eq 0 ] || sv -w 12 force-stop "${dirs[@]}" >/dev/null 2>&1 || true
}

wait_gone() {
	local deadline=$((SECONDS + 10))
	while [ -d "/proc/$1" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
}

# runsv holds a lock on supervise/lock while it lives.
wait_unsupervised() {
	local lock
	for lock in "$1/supervise/lock" "$1/log/supervise/lock"; do
		[ ! -e "$lock" ] || flock -w 10 "$lock" true || say "the supervisor of $1 does not end"
	done
}

# A relay that was killed leaves its XDP program. It is taken off unless another relay, which holds this name, is at work there.
iface_clean() {
	local shown
	shown=$(ip -d link show dev "${IFACE:-none}" 2>/dev/null) || return 0
	[[ $shown == *'name duplex_relay '* ]] || return 0
	! grep -qw "@duplex-xdp-${shown%%:*}" /proc/net/unix || return 0
	ip link set dev "$IFACE" xdpdrv off 2>/dev/null || true
	ip link set dev "$IFACE" xdpgeneric off 2>/dev/null || true
}

services_clean() {
	ip link delete dev "$TAP" 2>/dev/null || true
	iface_clean
	rm -rf "$RUN_DIR"
	rmdir /run/duplex 2>/dev/null || true
}
