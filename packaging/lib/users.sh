# shellcheck shell=bash
# The demo users: made at the first start with random passwords, which are printed once and stored nowhere. Sourced.

DEMO_SHOWN=

users_demo() {
	[ ! -e "$STATE_DIR/demo-users" ] && ! joined || return 0
	demo_user alice 'Alice Example' admin && demo_user bob 'Bob Example' user && touch "$STATE_DIR/demo-users"
}

demo_user() {
	local password
	password=$(random_password)
	printf '%s\n' "$password" | create_user "$1" "$2" "$3" || return 1
	DEMO_SHOWN+=$(printf '    %-8s %s   (%s)' "$1" "$password" "$3")$'\n'
}

# NAME DISPLAY-NAME ROLE, the password on stdin.
create_user() {
	chpst -u duplex "$APP_DIR/bin/duplexctl" --config "$ETC_DIR/duplex.conf" user add "$1" --display-name "$2" --role "$3" --password-stdin >/dev/null
}

# 20 characters of 32 that nobody mistakes for one another: 100 bits.
random_password() {
	local raw
	raw=$(openssl rand -base64 60 | tr -dc 'abcdefghijkmnpqrstuvwxyz23456789')
	raw=$raw$(openssl rand -base64 60 | tr -dc 'abcdefghijkmnpqrstuvwxyz23456789')
	printf '%s-%s-%s-%s' "${raw:0:5}" "${raw:5:5}" "${raw:10:5}" "${raw:15:5}"
}

users_show() {
	[ -n "$DEMO_SHOWN" ] || return 0
	printf '\n  Demo users; the passwords are shown this once:\n%s\n' "$DEMO_SHOWN"
}
