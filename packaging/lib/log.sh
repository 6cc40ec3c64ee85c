# shellcheck shell=bash
# The merged log: every service's lines as they come, each with its name in a colour of its own. Sourced.

declare -A LOG_FROM # service -> byte from which on its log is new
LOG_PIDS=()

log_mark() {
	local name
	for name in $(service_names); do
		LOG_FROM[$name]=$(($(stat -c %s "$LOG_DIR/$name/current" 2>/dev/null || echo 0) + 1))
	done
}

# Follows in the background: from the marks, or without marks the last 20 lines of each.
log_follow() {
	local name colour=31 prefix from
	for name in $(service_names); do
		prefix=$(printf '%-12s |' "$name")
		if [ -t 1 ]; then
			prefix=$(printf '\033[%sm%s\033[0m' "$colour" "$prefix")
			colour=$((colour == 36 ? 31 : colour + 1))
		fi
		from=(-n 20)
		[ -z "${LOG_FROM[$name]:-}" ] || from=(-c "+${LOG_FROM[$name]}")
		tail -q "${from[@]}" -F "$LOG_DIR/$name/current" 2>/dev/null > >(sed -u "s/^/$prefix /") &
		LOG_PIDS+=($!)
	done
}

log_end() {
	local pid
	for pid in "${LOG_PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
}
