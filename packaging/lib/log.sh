# shellcheck shell=bash
# The merged log: every service's lines as they come, each with its name in a colour of its own. Sourced.

log_follow() {
	local name colour=31 width=12 prefix
	for name in $(service_names); do
		prefix=$(printf "%-${width}s |" "$name")
		if [ -t 1 ]; then
			prefix=$(printf '\033[%sm%s\033[0m' "$colour" "$prefix")
			colour=$((colour == 36 ? 31 : colour + 1))
		fi
		tail -q -n "${1:-0}" -F "$LOG_DIR/$name/current" 2>/dev/null | sed -u "s/^/$prefix /" &
	done
	wait
}

log_end() {
	local pid
	for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
}
