# shellcheck shell=bash disable=SC2034 # most of these variables are for the files that source this one
# Settings of an instance: from the command line (NAME=value), the environment, what the instance was started with before
# (saved so that a second start finds the same relay subnet), or the defaults here. Sourced; sets the variables below.

# name        default                     meaning
# INSTANCE    folder name + hash of path  one tree, one instance; several may run beside each other
# HTTPS_PORT  8443                        the one public port
# HTTP_PORT   (none)                      a second port that only redirects to HTTPS
# BIND        (all)                       address nginx listens on; empty = all, IPv4 and IPv6
# DOMAIN      localhost                   host name of the page, SIP domain, TURN realm
# WORKERS     cores                       signalling workers
# RELAY_CORES 1                           packet cores of the relay
# TAP, SUBNET dpx-HASH, 10.83.84.0/24     the relay's TAP device; .1 is this host, .2 the relay
# RING_TIMEOUT_S 45                       how long a call rings
# LOG_LEVEL   info                        of our programs
# VARIANT     release                     which build is installed
SETTING_NAMES='INSTANCE HTTPS_PORT HTTP_PORT BIND DOMAIN WORKERS RELAY_CORES TAP SUBNET RING_TIMEOUT_S LOG_LEVEL VARIANT'

settings_from_arguments() {
	local pair name
	for pair in "$@"; do
		name=${pair%%=*}
		case " $SETTING_NAMES " in
		*" $name "*) [ "$name" != "$pair" ] || die "$pair needs a value: $pair=…" ;;
		*) die "$name is not a setting; there are: $SETTING_NAMES." ;;
		esac
		printf -v "$name" '%s' "${pair#*=}"
	done
}

settings_paths() {
	local hash folder
	hash=$(printf '%s' "$TREE" | sha256sum | cut -c1-6)
	folder=$(basename "$TREE" | LC_ALL=C tr -c 'A-Za-z0-9\n' '-' | sed 's/^-*//' | cut -c1-34)
	INSTANCE=${INSTANCE:-${folder:-duplex}-$hash}
	[[ $INSTANCE =~ ^[A-Za-z0-9][A-Za-z0-9.-]{0,40}$ ]] || die "INSTANCE=$INSTANCE is not a name (letters, digits, dot and dash, at most 41)."
	RUN_DIR=/run/duplex/$INSTANCE
	STATE_DIR=/var/lib/duplex/$INSTANCE
	APP_DIR=$STATE_DIR/app       # what was installed from the tree: programs and page
	ETC_DIR=$STATE_DIR/etc       # rendered configuration
	PKI_DIR=$STATE_DIR/pki       # the server's certificate and the two authorities
	SECRET_DIR=$STATE_DIR/secret # random secrets
	SERVICE_DIR=$STATE_DIR/service
	LOG_DIR=$STATE_DIR/log
	SAVED=$ETC_DIR/settings
}

# What runs was started with the saved settings: they hold for all that is not a start.
settings_saved() {
	local line
	[ -r "$SAVED" ] || return 0
	while IFS= read -r line; do
		[[ $line == INSTANCE=* ]] || printf -v "${line%%=*}" '%s' "${line#*=}"
	done <"$SAVED"
	SUBNET_BASE=${SUBNET%.0/24}
}

settings_defaults() {
	local hash
	hash=$(printf '%s' "$INSTANCE" | sha256sum | cut -c1-6)
	HTTPS_PORT=${HTTPS_PORT:-8443}
	HTTP_PORT=${HTTP_PORT:-}
	BIND=${BIND:-}
	DOMAIN=${DOMAIN:-localhost}
	WORKERS=${WORKERS:-$(nproc)}
	RELAY_CORES=${RELAY_CORES:-1}
	TAP=${TAP:-dpx-$hash}
	RING_TIMEOUT_S=${RING_TIMEOUT_S:-45}
	LOG_LEVEL=${LOG_LEVEL:-info}
	VARIANT=${VARIANT:-release}
	BUILD_DIR=$TREE/build/$VARIANT
}

# Everything is judged before anything is touched.
settings_check() {
	number HTTPS_PORT 1 65535
	[ -z "$HTTP_PORT" ] || number HTTP_PORT 1 65535
	number WORKERS 1 256
	number RELAY_CORES 1 64
	number RING_TIMEOUT_S 5 180
	[[ $DOMAIN =~ ^[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?$ ]] || die "DOMAIN=$DOMAIN is not a host name."
	[[ $TAP =~ ^[A-Za-z0-9._-]{1,15}$ ]] || die "TAP=$TAP is not an interface name (at most 15 letters, digits, dots, dashes)."
	[[ -z ${SUBNET:-} || $SUBNET =~ ^([0-9]{1,3}\.){3}0/24$ ]] || die "SUBNET=$SUBNET must be an IPv4 network with 24 bits, like 10.83.84.0/24."
	[[ $LOG_LEVEL =~ ^(error|warn|info|debug)$ ]] || die "LOG_LEVEL=$LOG_LEVEL must be error, warn, info or debug."
}

number() {
	local value=${!1}
	[[ $value =~ ^[0-9]{1,9}$ ]] && [ "$value" -ge "$2" ] && [ "$value" -le "$3" ] || die "$1=$value must be a number from $2 to $3."
}

settings_save() {
	local name
	for name in $SETTING_NAMES; do
		printf '%s=%s\n' "$name" "${!name}"
	done | write_file "$SAVED" 0644
}

# The subnet of the TAP device: the given one, that of the last start, or the first 10.83.N.0/24 that nobody uses.
settings_subnet() {
	local n candidates=${SUBNET:-}
	if [ -z "$candidates" ]; then
		candidates=$(sed -n 's/^SUBNET=//p' "$SAVED" 2>/dev/null || true)
		for n in $(seq 84 254); do candidates+=" 10.83.$n.0/24"; done
	fi
	for n in $candidates; do
		subnet_taken "$n" && continue
		SUBNET=$n
		SUBNET_BASE=${n%.0/24}
		return
	done
	[ -z "${SUBNET:-}" ] || die "The network $SUBNET is already in use on this host; choose another one with SUBNET=a.b.c.0/24."
	die 'No network 10.83.84.0/24 to 10.83.254.0/24 is free for the relay; choose one with SUBNET=a.b.c.0/24.'
}

# Taken by an address or route of this host, or reserved by another instance's saved settings.
subnet_taken() {
	local file
	[ -z "$(ip -4 route show table all root "$1" 2>/dev/null)" ] || return 0
	[ -z "$(ip -4 route show table all match "$1" 2>/dev/null | sed '/^default/d')" ] || return 0
	for file in /var/lib/duplex/*/etc/settings; do
		[ "$file" != "$SAVED" ] && [ -r "$file" ] && grep -qxF "SUBNET=$1" "$file" && return 0
	done
	return 1
}

# Where browsers find the page.
public_url() {
	if [ "$HTTPS_PORT" = 443 ]; then
		printf 'https://%s' "$DOMAIN"
	else
		printf 'https://%s:%s' "$DOMAIN" "$HTTPS_PORT"
	fi
}

# stdin -> file, whole or not at all, with a mode and optionally an owner; untouched when nothing changed.
write_file() {
	local path=$1 mode=$2 owner=${3:-root:root} tmp=$1.new
	(umask 077 && cat >"$tmp") && [ -s "$tmp" ] || die "The file $path cannot be written (is the disk full?)."
	chown "$owner" "$tmp" && chmod "$mode" "$tmp"
	if cmp -s "$tmp" "$path" && [ "$(stat -c '%a %U:%G' "$tmp")" = "$(stat -c '%a %U:%G' "$path")" ]; then
		rm -f "$tmp"
	else
		mv -f "$tmp" "$path"
	fi
}
