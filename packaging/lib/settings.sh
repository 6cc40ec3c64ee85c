# shellcheck shell=bash disable=SC2034 # most of these variables are for the files that source this one
# Settings of an instance: from the command line (NAME=value), the environment, what the instance was started with before
# (saved so that a second start finds the same relay subnet), or the defaults here. Sourced; sets the variables below.

# name        default                     meaning
# INSTANCE    folder name + hash of path  one tree, one instance; several may run beside each other
# HTTPS_PORT  8443                        the one public port
# HTTP_PORT   (none)                      a second port that only redirects to HTTPS
# BIND        (all)                       address nginx listens on; empty = all, IPv4 and IPv6
# DOMAIN      localhost, IFACE's address  host name of the page, SIP domain, TURN realm
# WORKERS     cores                       signalling workers
# RELAY_CORES 1                           packet cores of the relay
# TAP, SUBNET dpx-HASH, 10.83.84.0/24     the relay's TAP device; .1 is this host, .2 the relay
# IFACE       (none)                      network interface on whose own address the relay serves the network as well
# RING_TIMEOUT_S 45                       how long a call rings
# SIP_BIND    (none)                      address on which desk phones are served, by UDP, TCP and TLS; empty = none are
# SIP_PORT    5060                        of UDP and TCP; TLS has the next one
# SIP_AUTH    sha-256                     how phones may log in, best first: sha-256, md5, joined by commas
# LOG_LEVEL   info                        of our programs
# VARIANT     release                     which build is installed
# PUBLIC_PORT HTTPS_PORT                  port that browsers use, when something in front spreads them over nodes
# NODE        n1                          name of this node in the cluster
# PEER        (none)                      address:port for the workers of other nodes; worker W takes the port + W
# REDIS_LISTEN (none)                     address:port on which Redis serves other machines, beside its own socket
# JOIN        (none)                      archive that the node that began has made for this one (duplex-run invite); it brings
# REDIS, TURN_URLS                        the Redis and the relay of the cluster
SETTING_NAMES='INSTANCE HTTPS_PORT HTTP_PORT BIND DOMAIN WORKERS RELAY_CORES TAP SUBNET IFACE RING_TIMEOUT_S SIP_BIND SIP_PORT SIP_AUTH LOG_LEVEL VARIANT PUBLIC_PORT NODE PEER REDIS_LISTEN JOIN REDIS TURN_URLS'

declare -A GIVEN # setting -> what this call asks for, or nothing

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
	[[ ${BIND:-} != *:* || $BIND == \[*\] ]] || BIND=[$BIND] # as nginx and URLs write IPv6
	[[ ${SIP_BIND:-} != *:* || $SIP_BIND == \[*\] ]] || SIP_BIND=[$SIP_BIND]
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

# Before the defaults fill what is left.
settings_given() {
	local name
	for name in $SETTING_NAMES; do
		GIVEN[$name]=${!name:-}
	done
}

# What runs was started with the saved settings: they hold for all that is not a start.
settings_saved() {
	local line
	[ -r "$SAVED" ] || return 0
	while IFS= read -r line; do
		[[ $line == INSTANCE=* ]] || printf -v "${line%%=*}" '%s' "${line#*=}"
	done <"$SAVED"
	subnet_valid "$SUBNET" || SUBNET=
	SUBNET_BASE=${SUBNET%.0/24}
}

settings_defaults() {
	local hash
	hash=$(printf '%s' "$INSTANCE" | sha256sum | cut -c1-6)
	HTTPS_PORT=${HTTPS_PORT:-8443}
	HTTP_PORT=${HTTP_PORT:-}
	PUBLIC_PORT=${PUBLIC_PORT:-$HTTPS_PORT}
	NODE=${NODE:-n1}
	PEER=${PEER:-}
	REDIS_LISTEN=${REDIS_LISTEN:-}
	JOIN=${JOIN:-}
	REDIS=${REDIS:-}
	TURN_URLS=${TURN_URLS:-}
	BIND=${BIND:-}
	IFACE=${IFACE:-}
	DOMAIN=${DOMAIN:-$(iface_address)}
	DOMAIN=${DOMAIN:-localhost}
	WORKERS=${WORKERS:-$(nproc)}
	RELAY_CORES=${RELAY_CORES:-1}
	TAP=${TAP:-dpx-$hash}
	RING_TIMEOUT_S=${RING_TIMEOUT_S:-45}
	SIP_BIND=${SIP_BIND:-}
	SIP_PORT=${SIP_PORT:-5060}
	SIP_AUTH=${SIP_AUTH:-sha-256}
	LOG_LEVEL=${LOG_LEVEL:-info}
	VARIANT=${VARIANT:-release}
	BUILD_DIR=$TREE/build/$VARIANT
}

# Everything is judged before anything is touched.
settings_check() {
	number HTTPS_PORT 1 65535
	[ -z "$HTTP_PORT" ] || number HTTP_PORT 1 65535
	[ "$HTTP_PORT" != "$HTTPS_PORT" ] || die "HTTP_PORT and HTTPS_PORT are both $HTTPS_PORT: they must differ."
	[[ $BIND =~ ^([0-9.]*|\[[0-9A-Fa-f:.]+\])$ ]] || die "BIND=$BIND is not an IP address."
	[[ $SIP_BIND =~ ^([0-9.]*|\[[0-9A-Fa-f:.]+\])$ ]] || die "SIP_BIND=$SIP_BIND is not an IP address."
	number SIP_PORT 1 65534
	[[ $SIP_AUTH =~ ^(sha-256|md5|sha-256,md5|md5,sha-256)$ ]] || die "SIP_AUTH=$SIP_AUTH must be sha-256, md5 or both, joined by a comma."
	number WORKERS 1 256
	number RELAY_CORES 1 64
	number RING_TIMEOUT_S 5 180
	[[ $DOMAIN =~ ^[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?$ ]] || die "DOMAIN=$DOMAIN is not a host name."
	[[ $TAP =~ ^[A-Za-z0-9._-]{1,15}$ ]] || die "TAP=$TAP is not an interface name (at most 15 letters, digits, dots, dashes)."
	[ -z "${SUBNET:-}" ] || subnet_valid "$SUBNET" || die "SUBNET=$SUBNET must be an IPv4 network with 24 bits, like 10.83.84.0/24."
	[[ -z $IFACE || $IFACE =~ ^[A-Za-z0-9._-]{1,15}$ ]] || die "IFACE=$IFACE is not an interface name (at most 15 letters, digits, dots, dashes)."
	cluster_check
	[[ $LOG_LEVEL =~ ^(error|warn|info|debug)$ ]] || die "LOG_LEVEL=$LOG_LEVEL must be error, warn, info or debug."
}

# The first IPv4 address of IFACE that hosts of the network can use; empty if there is none.
iface_address() {
	[ -n "$IFACE" ] || return 0
	{ ip -4 -o addr show dev "$IFACE" scope global 2>/dev/null || true; } | awk 'NR == 1 { sub("/.*", "", $4); print $4 }'
}

number() {
	local value=${!1}
	[[ $value =~ ^[0-9]{1,9}$ ]] && [ "$value" -ge "$2" ] && [ "$value" -le "$3" ] || die "$1=$value must be a number from $2 to $3."
}

# 1 to 223 in front: neither "this network" nor multicast (RFC 6890).
subnet_valid() {
	local octet='(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
	[[ $1 =~ ^$octet\.$octet\.$octet\.0/24$ ]] && [ "${BASH_REMATCH[1]}" -ge 1 ] && [ "${BASH_REMATCH[1]}" -le 223 ]
}

# Those of the last start that worked stay beside them until this start has worked too; an empty file stands for none.
settings_save() {
	local name
	[ -e "$SAVED.before" ] || cp -p "$SAVED" "$SAVED.before" 2>/dev/null || : >"$SAVED.before"
	for name in $SETTING_NAMES; do
		printf '%s=%s\n' "$name" "${!name:-}"
	done | write_file "$SAVED" 0644
}

settings_keep() {
	rm -f "$SAVED.before"
}

# A start that failed, or was cut short, leaves the settings as it found them.
settings_back() {
	[ -e "$SAVED.before" ] || return 0
	if [ -s "$SAVED.before" ]; then mv -f "$SAVED.before" "$SAVED"; else rm -f "$SAVED" "$SAVED.before"; fi
}

# The subnet of the TAP device: the given one, that of the last start, or the first 10.83.N.0/24 that nobody uses.
settings_subnet() {
	local n candidates=${SUBNET:-}
	if [ -z "$candidates" ]; then
		candidates=$(sed -n 's/^SUBNET=//p' "$SAVED" 2>/dev/null || true)
		subnet_valid "$candidates" || candidates=
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
	if [ "$PUBLIC_PORT" = 443 ]; then
		printf 'https://%s' "$DOMAIN"
	else
		printf 'https://%s:%s' "$DOMAIN" "$PUBLIC_PORT"
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
