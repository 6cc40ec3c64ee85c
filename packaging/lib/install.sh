# shellcheck shell=bash
# Copies what was built into the instance, where the service users can read it (the tree may lie below /root). Sourced.

# nginx's workers (www-data) may pass through the run directory; the programs give them their own sockets and no other.
install_directories() {
	install -d -m 0755 /run/duplex /var/lib/duplex
	install -d -m 0750 -o duplex -g www-data "$RUN_DIR"
	install -d -m 0755 "$STATE_DIR" "$APP_DIR" "$APP_DIR/bin" "$ETC_DIR" "$PKI_DIR" "$SERVICE_DIR"
	install -d -m 0750 -o duplex -g duplex "$STATE_DIR/redis" "$LOG_DIR"
	install -d -m 0750 -o root -g duplex "$SECRET_DIR"
	install -d -m 0700 -o www-data -g www-data "$STATE_DIR/nginx-tmp"
}

install_programs() {
	local name
	for name in duplex-api duplex-signalling duplex-relay duplexctl; do
		install_file "$BUILD_DIR/$name" "$APP_DIR/bin/$name" 0755
	done
	install_file "$TREE/packaging/keeper" "$APP_DIR/bin/keeper" 0755
	install -d -m 0755 "$APP_DIR/lib"
	for name in say settings pki cluster; do
		install_file "$TREE/packaging/lib/$name.sh" "$APP_DIR/lib/$name.sh" 0644
	done
}

# By rename, so that a running program keeps its file.
install_file() {
	cmp -s "$1" "$2" && return
	install -m "$3" "$1" "$2.new"
	mv -f "$2.new" "$2"
}

install_page() {
	install_tree "$TREE/web/dist" "$APP_DIR/web"
	install_tree "$TREE/nginx/certificate-page" "$APP_DIR/certificate-page"
}

install_tree() {
	diff -rq "$1" "$2" >/dev/null 2>&1 && return
	rm -rf "$2.new" "$2.old"
	cp -r "$1" "$2.new"
	chmod -R u=rwX,go=rX "$2.new"
	[ ! -e "$2" ] || mv "$2" "$2.old"
	mv "$2.new" "$2"
	rm -rf "$2.old"
}

# Random secrets are made once and stay.
install_secrets() {
	[ -s "$SECRET_DIR/turn" ] || openssl rand -hex 32 | write_file "$SECRET_DIR/turn" 0640 root:duplex
}
