# shellcheck shell=bash
# Several nodes: the cluster's authority, what a new node is given, and joining with it. Sourced. docs/cluster.md tells it to a person.
#
# On the node that began, in $PKI_DIR/cluster: ca.crt and ca.key sign certificates of nodes and nothing else. On every node: ca.crt, and node.crt and node.key, which
# name it. A node that joined has its settings from there in $STATE_DIR/joined, and neither Redis nor a relay of its own.

CLUSTER_DIR= # set by cluster_paths
JOINED_NAMES='NODE DOMAIN PUBLIC_PORT REDIS TURN_URLS RING_TIMEOUT_S'

cluster_paths() {
	CLUSTER_DIR=$PKI_DIR/cluster
}

joined() {
	[ -e "$STATE_DIR/joined" ]
}

# With PEER this node has a door for others: the authority is made once, the certificate is renewed 30 days before its end.
cluster_setup() {
	[ -n "$PEER" ] || return 0
	install -d -m 0755 "$CLUSTER_DIR"
	if joined; then
		! expires_soon "$CLUSTER_DIR/node.crt" || say "The certificate of node $NODE ends soon: invite it again on the node that began, and start it with JOIN=…"
		return 0
	fi
	[ -s "$CLUSTER_DIR/ca.crt" ] || make_authority "$CLUSTER_DIR" 'Duplex cluster' ''
	cluster_certificate || true
}

# Makes or renews the certificate of this node. Returns 0 when a new one was made; the workers see that by themselves.
cluster_certificate() {
	[ -s "$CLUSTER_DIR/ca.key" ] || return 1
	if [ "$(cat "$CLUSTER_DIR/name" 2>/dev/null)" = "$NODE" ] && ! expires_soon "$CLUSTER_DIR/node.crt"; then
		return 1
	fi
	node_certificate "$NODE" "$CLUSTER_DIR" root:duplex
	printf '%s\n' "$NODE" | write_file "$CLUSTER_DIR/name" 0644
}

# NAME DIR OWNER: DIR/node.key and DIR/node.crt, for server and client, with NAME as DNS name.
node_certificate() {
	local request
	new_key | write_file "$2/node.key" 0640 "$3"
	request=$(openssl req -new -key "$2/node.key" -subj "/O=Duplex/CN=$1")
	openssl x509 -req -in <(printf '%s\n' "$request") -CA "$CLUSTER_DIR/ca.crt" -CAkey "$CLUSTER_DIR/ca.key" -sha256 -days 397 \
		-set_serial "0x$(openssl rand -hex 16 | sed 's/^./4/')" -extfile <(
			printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
				'extendedKeyUsage=serverAuth,clientAuth' 'authorityKeyIdentifier=keyid' "subjectAltName=DNS:$1"
		) 2>/dev/null | write_file "$2/node.crt" 0644
}

node_valid() {
	[[ $1 =~ ^[a-z0-9-]{1,16}$ ]]
}

# NAME: everything that a node of this name needs, as a tar archive on stdout.
cluster_invite() {
	local name=$1 tmp
	node_valid "$name" || die "'$name' is not a name for a node: a-z, 0-9 and -, at most 16 characters."
	[ "$name" != "$NODE" ] || die "$name is the name of this node; a new one needs another."
	[ -s "$CLUSTER_DIR/ca.key" ] || die 'This node has no door for others: start it with PEER=address:port first. Only the node that began can invite.'
	[ ! -t 1 ] || die "The archive holds secrets and goes to a file: duplex-run invite $name >$name.tar"
	tmp=$(mktemp -d)
	# shellcheck disable=SC2064 # the directory of now
	trap "rm -rf '$tmp'" EXIT
	install -d -m 0700 "$tmp/secret" "$tmp/pki" "$tmp/pki/users-ca" "$tmp/pki/cluster"
	cp -p "$SECRET_DIR/turn" "$tmp/secret/"
	cp -p "$PKI_DIR"/{ca.crt,ca.key,names,server.crt,server.key} "$tmp/pki/"
	cp -p "$PKI_DIR"/users-ca/{ca.crt,ca.key,revoked.crl} "$tmp/pki/users-ca/"
	cp -p "$CLUSTER_DIR/ca.crt" "$tmp/pki/cluster/"
	node_certificate "$name" "$tmp/pki/cluster" root:root
	printf '%s\n' "$name" >"$tmp/pki/cluster/name"
	{
		printf 'NODE=%s\nDOMAIN=%s\nPUBLIC_PORT=%s\n' "$name" "$DOMAIN" "$PUBLIC_PORT"
		printf 'REDIS=%s\nTURN_URLS=%s\nRING_TIMEOUT_S=%s\n' "${REDIS_LISTEN:-$RUN_DIR/redis.sock}" "$(turn_urls)" "$RING_TIMEOUT_S"
	} >"$tmp/joined"
	# Whoever reads it can be this cluster: nobody else may, whatever the umask of the shell that made the file.
	[ ! -f /proc/self/fd/1 ] || chmod go= /proc/self/fd/1
	tar -C "$tmp" -cf - joined secret pki
}

# JOIN=ARCHIVE: takes it in. Without JOIN a node that has joined before stays one.
cluster_join() {
	local tmp
	[ -n "${JOIN:-}" ] || return 0
	[ -r "$JOIN" ] || die "JOIN=$JOIN cannot be read: it is the archive that 'duplex-run invite NAME' has made on the node that began."
	[ -e "$STATE_DIR/joined" ] || [ ! -e "$STATE_DIR/redis/appendonlydir" ] ||
		die "$INSTANCE holds data of its own in $STATE_DIR/redis: a node joins with a new INSTANCE."
	tmp=$(mktemp -d)
	if ! tar -C "$tmp" --no-same-owner -xf "$JOIN" joined secret pki 2>/dev/null || [ ! -s "$tmp/pki/cluster/node.crt" ]; then
		rm -rf "$tmp"
		die "JOIN=$JOIN is not an archive of 'duplex-run invite'."
	fi
	install -d -m 0755 /var/lib/duplex "$STATE_DIR" "$PKI_DIR"
	install -d -m 0750 -o root -g duplex "$SECRET_DIR"
	write_file "$SECRET_DIR/turn" 0640 root:duplex <"$tmp/secret/turn"
	rm -rf "$PKI_DIR.old"
	mv "$PKI_DIR" "$PKI_DIR.old"
	mv "$tmp/pki" "$PKI_DIR"
	rm -rf "$PKI_DIR.old"
	chmod 0755 "$PKI_DIR" "$PKI_DIR/cluster"
	chown root:duplex "$PKI_DIR/cluster/node.key" "$PKI_DIR/users-ca/ca.key"
	chown duplex:duplex "$PKI_DIR/users-ca" "$PKI_DIR/users-ca/revoked.crl"
	chmod 0750 "$PKI_DIR/users-ca"
	chmod 0640 "$PKI_DIR/users-ca/ca.key"
	write_file "$STATE_DIR/joined" 0644 <"$tmp/joined"
	rm -rf "$tmp"
}

# What the cluster says holds unless this call says otherwise.
cluster_settings() {
	local line name
	joined || return 0
	while IFS= read -r line; do
		name=${line%%=*}
		[[ " $JOINED_NAMES " != *" $name "* ]] || [ -n "${!name:-}" ] || printf -v "$name" '%s' "${line#*=}"
	done <"$STATE_DIR/joined"
}

cluster_check() {
	node_valid "$NODE" || die "NODE=$NODE is not a name for a node: a-z, 0-9 and -, at most 16 characters."
	number PUBLIC_PORT 1 65535
	address_port PEER
	address_port REDIS_LISTEN
	[[ -z $REDIS_LISTEN || $REDIS_LISTEN =~ ^(127\.|10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.) ]] ||
		die "REDIS_LISTEN=$REDIS_LISTEN is a public address: whoever reaches Redis owns everything in it. Use a private network of the nodes, like WireGuard's."
	[ -z "$PEER" ] || [ "$((${PEER##*:} + WORKERS))" -le 65536 ] || die "PEER=$PEER: each of the $WORKERS workers takes a port, one behind the other."
}

# NAME of a setting, empty or IPv4:port.
address_port() {
	local value=${!1} octet='(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
	[ -n "$value" ] || return 0
	[[ $value =~ ^$octet(\.$octet){3}:[0-9]{1,5}$ ]] && [ "${value##*:}" -ge 1 ] && [ "${value##*:}" -le 65535 ] ||
		die "$1=$value must be an IPv4 address and a port, like 192.0.2.1:7100."
	[[ $value != 0.0.0.0:* ]] || die "$1=$value: the other nodes need the address itself."
}
