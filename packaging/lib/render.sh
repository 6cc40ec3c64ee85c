# shellcheck shell=bash
# Renders the configuration of an instance: duplex.conf, redis.conf, nginx. Sourced.

render_all() {
	render_duplex
	joined || render_redis
	render_nginx
	settings_save
}

render_duplex() {
	{ duplex_settings && { joined || relay_settings; }; } | write_file "$ETC_DIR/duplex.conf" 0640 root:duplex
}

duplex_settings() {
	cat <<-EOF
		; Written by duplex-run at each start. PROGRAM --help describes every option.
		[common]
		domain = $DOMAIN
		run-dir = $RUN_DIR
		redis = ${REDIS:-$RUN_DIR/redis.sock}
		log-level = $LOG_LEVEL
		turn-secret = $SECRET_DIR/turn

		[api]
		node = $NODE
		socket-group = www-data
		public-url = $(public_url)
		certificate-url = $(public_url | sed 's,//,//cert.,')
		turn-urls = ${TURN_URLS:-$(turn_urls)}
		ring-timeout = $RING_TIMEOUT_S
		users-ca-cert = $PKI_DIR/users-ca/ca.crt
		users-ca-key = $PKI_DIR/users-ca/ca.key
		crl-file = $PKI_DIR/users-ca/revoked.crl

		[signalling]
		node = $NODE
		$(peer_lines)
		ring-timeout = $RING_TIMEOUT_S
		socket-group = www-data
		; Desk phones: docs/desk-phones.md.
		sip-listen-udp = ${SIP_BIND:+$SIP_BIND:$SIP_PORT}
		sip-listen-tcp = ${SIP_BIND:+$SIP_BIND:$SIP_PORT}
		sip-listen-tls = ${SIP_BIND:+$SIP_BIND:$((SIP_PORT + 1))}
		sip-certificate = $PKI_DIR/sip.crt
		sip-certificate-key = $PKI_DIR/sip.key
		sip-auth = ${SIP_AUTH/,/ }
	EOF
}

relay_settings() {
	cat <<-EOF

		[relay]
		; A host of its own: .2 on the TAP device, whose kernel end (.1) the relay sets up at each start. With IFACE also
		; on that interface, on the host's own address.
		ports = net_tap0,iface=$TAP${IFACE:+ net_af_xdp0,iface=$IFACE}
		address = $SUBNET_BASE.2/24${IFACE:+ host}
		tap-host-address = $SUBNET_BASE.1/24${IFACE:+ -}
		cores = $RELAY_CORES
		; Anyone may sign up: nobody may take all ports. A call takes one for each of the turn-urls and device.
		user-allocations = 64
		file-prefix = $INSTANCE
		; TCP on this host's addresses beside the relay's own; TLS on the public port, where nginx tells it from the page.
		stream-listen = tcp:$SUBNET_BASE.1:3478${IFACE:+ tcp:$(iface_address):3478} tls-proxy:unix:$RUN_DIR/turns.sock
		stream-socket-group = www-data
		tls-cert = $PKI_DIR/server.crt
		tls-key = $PKI_DIR/server.key
		; A relay that was killed or upgraded goes on with what it had; make down removes this.
		journal = $RUN_DIR/relay.journal
	EOF
}

# The door for the workers of other nodes.
peer_lines() {
	[ -n "$PEER" ] || return 0
	printf 'peer-listen = %s\npeer-certificate = %s\npeer-key = %s\npeer-ca = %s' "$PEER" "$CLUSTER_DIR/node.crt" "$CLUSTER_DIR/node.key" "$CLUSTER_DIR/ca.crt"
}

# Each browser reaches one of them: those of the network the address of IFACE, which refuses at once on this machine itself; those here that of
# the TAP, which leads nowhere elsewhere. The page goes on with the first relayed address it gets. The network comes first, being served more often.
turn_urls() {
	local address
	address=$(iface_address)
	printf '%sturn:%s.2:3478?transport=udp' "${address:+turn:$address:3478?transport=udp }" "$SUBNET_BASE"
	# For networks that let no UDP out: TCP, and TLS on the public port. There a browser tells it from the page by the host name alone, and an address
	# is none.
	printf ' %sturn:%s.1:3478?transport=tcp' "${address:+turn:$address:3478?transport=tcp }" "$SUBNET_BASE"
	[[ $DOMAIN =~ ^[0-9.]+$ ]] || printf ' turns:turn.%s:%s?transport=tcp' "$DOMAIN" "$HTTPS_PORT"
}

redis_listen() {
	if [ -n "$REDIS_LISTEN" ]; then printf 'bind %s\nport %s' "${REDIS_LISTEN%:*}" "${REDIS_LISTEN##*:}"; else printf 'port 0'; fi
}

render_redis() {
	write_file "$ETC_DIR/redis.conf" 0644 <<-EOF
		# Written by duplex-run at each start. What is acknowledged is on disk: fsync before every reply.
		$(redis_listen)
		unixsocket $RUN_DIR/redis.sock
		unixsocketperm 700
		protected-mode $([ -n "$REDIS_LISTEN" ] && echo no || echo yes)
		daemonize no
		pidfile ""
		logfile ""
		loglevel notice
		dir $STATE_DIR/redis
		appendonly yes
		appendfsync always
		aof-use-rdb-preamble yes
		save ""
		maxmemory-policy noeviction
		maxclients 10000
		timeout 0
		enable-debug-command no
		enable-module-command no
		stop-writes-on-bgsave-error yes
		lazyfree-lazy-expire yes
		latency-monitor-threshold 20
	EOF
}

render_nginx() {
	local file target
	rm -rf "$ETC_DIR/nginx.new"
	mkdir -p "$ETC_DIR/nginx.new/conf.d" "$ETC_DIR/nginx.new/snippets"
	for file in nginx.conf stream.conf conf.d/{client,limits,log,tls,upstream,problem,page,main,certificate,unknown}.conf \
		snippets/{problems,security_headers,fastcgi}.conf; do
		render_template "$TREE/nginx/$file" >"$ETC_DIR/nginx.new/$file"
	done
	[ -z "$HTTP_PORT" ] || render_template "$TREE/nginx/conf.d/redirect.conf" >"$ETC_DIR/nginx.new/conf.d/redirect.conf"
	target=$(grep -rnoE '@[A-Z_]+@' "$ETC_DIR/nginx.new" | head -n 1) || true
	[ -z "$target" ] || die "The nginx template leaves $target without a value."
	rm -rf "$ETC_DIR/nginx"
	mv "$ETC_DIR/nginx.new" "$ETC_DIR/nginx"
}

render_template() {
	local host_port files
	host_port=$(public_url)
	host_port=${host_port#https://}
	files=$(open_files)
	sed -e "s,@RUN_DIR@,$RUN_DIR,g; s,@STATE_DIR@,$STATE_DIR,g; s,@ETC_DIR@,$ETC_DIR,g; s,@APP_DIR@,$APP_DIR,g; s,@PKI_DIR@,$PKI_DIR,g" \
		-e "s,@FILES@,$files,g; s,@CONNECTIONS@,$((files - 64 > 65536 ? 65536 : files - 64)),g" \
		-e "s,@DOMAIN@,$DOMAIN,g; s,@HOST_PORT@,$host_port,g; s,@HTTP_LISTEN@,${BIND:+$BIND:}$HTTP_PORT,g" \
		-e "s,^@LISTEN@\$,$(listen_lines)," \
		-e "s,^@SIGNALLING_SERVERS@\$,$(signalling_servers)," "$1"
}

# As many open files as the machine lets us have, up to 262144.
open_files() {
	local hard
	hard=$(ulimit -Hn)
	if [ "$hard" = unlimited ] || [ "$hard" -gt 262144 ]; then echo 262144; else echo "$hard"; fi
}

# The public port, as text for sed.
listen_lines() {
	local options='backlog=4096 reuseport'
	if [ -n "$BIND" ]; then
		printf '\\t\\tlisten %s:%s %s;' "$BIND" "$HTTPS_PORT" "$options"
	else
		printf '\\t\\tlisten %s %s;' "$HTTPS_PORT" "$options"
		[ ! -e /proc/net/if_inet6 ] || printf '\\n\\t\\tlisten [::]:%s %s;' "$HTTPS_PORT" "$options"
	fi
}

signalling_servers() {
	local w
	for w in $(seq 0 $((WORKERS - 1))); do
		printf '\\tserver unix:%s/signal.%s.sock max_fails=1 fail_timeout=1s;\\n' "$RUN_DIR" "$w"
	done
}
