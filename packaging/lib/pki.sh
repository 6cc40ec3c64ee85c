# shellcheck shell=bash
# The instance's certificates, by the openssl program. Sourced by duplex-run and by the keeper service.
#
#   ca.crt, ca.key               local authority, 10 years, EC P-256, may sign for this instance's names only (name constraints)
#   server.crt, server.key       for nginx and the relay, 397 days, renewed 30 days before the end
#   users-ca/{ca.crt,ca.key}     signs the client certificates that the API issues; apart, so that neither authority can stand in
#                                for the other
#   users-ca/revoked.crl         rewritten by the API, read by nginx (the API also checks each serial in Redis)

PKI_RENEW_S=$((30 * 86400))

# The names the server answers to, as subjectAltName entries.
pki_names() {
	local host
	if [[ $DOMAIN =~ ^[0-9.]+$ ]]; then echo "IP:$DOMAIN"; else printf 'DNS:%s\nDNS:cert.%s\nDNS:turn.%s\n' "$DOMAIN" "$DOMAIN" "$DOMAIN"; fi
	printf '%s\n' DNS:localhost DNS:cert.localhost DNS:turn.localhost IP:127.0.0.1 IP:::1
	host=$(hostname 2>/dev/null | tr '[:upper:]' '[:lower:]') || host=
	[[ ! $host =~ ^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$ ]] || printf 'DNS:%s\n' "$host"
}

pki_setup() {
	local names
	# A node that joined has the authorities of the cluster.
	if joined; then
		pki_server_certificate
		return
	fi
	names=$(pki_names | sort -u)
	if [ ! -s "$PKI_DIR/ca.crt" ] || [ "$names" != "$(cat "$PKI_DIR/names" 2>/dev/null)" ] || expires_soon "$PKI_DIR/ca.crt"; then
		[ ! -s "$PKI_DIR/ca.crt" ] || say 'The names or the age of the local certificate authority changed: a new one is made; browsers must trust it again.'
		make_authority "$PKI_DIR" 'Duplex local authority' "$(name_constraints "$names")"
		rm -f "$PKI_DIR/server.crt"
		printf '%s\n' "$names" | write_file "$PKI_DIR/names" 0644
	fi
	pki_server_certificate
	pki_phones_certificate
	pki_users_authority
}

expires_soon() {
	! openssl x509 -in "$1" -noout -checkend "$PKI_RENEW_S" >/dev/null 2>&1
}

name_constraints() {
	local entry list=
	for entry in $1; do
		case $entry in
		IP:*:*) list+=,permitted\;IP:${entry#IP:}/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ;;
		IP:*) list+=,permitted\;IP:${entry#IP:}/255.255.255.255 ;;
		*) list+=,permitted\;$entry ;;
		esac
	done
	printf 'nameConstraints=critical%s\n' "$list"
}

new_key() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null
}

# DIR SUBJECT EXTRA-EXTENSION: DIR/ca.key and DIR/ca.crt, self-signed, path length 0.
make_authority() {
	local dir=$1 subject=$2 extra=$3
	new_key | write_file "$dir/ca.key" 0600
	openssl req -x509 -new -key "$dir/ca.key" -sha256 -days 3650 -subj "/O=Duplex/CN=$subject ($INSTANCE)" \
		-addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
		${extra:+-addext "$extra"} 2>/dev/null | write_file "$dir/ca.crt" 0644
}

# What the signalling workers, which are not root, show to desk phones: the server's, in files of their group. Only where phones are served.
pki_phones_certificate() {
	if [ -z "$SIP_BIND" ]; then
		rm -f "$PKI_DIR/sip.key" "$PKI_DIR/sip.crt"
		return
	fi
	write_file "$PKI_DIR/sip.key" 0640 root:duplex <"$PKI_DIR/server.key"
	write_file "$PKI_DIR/sip.crt" 0644 <"$PKI_DIR/server.crt"
}

# Makes the server's certificate, or renews it when its end is near. Returns 0 when a new one was made.
pki_server_certificate() {
	local request names
	if [ -s "$PKI_DIR/server.crt" ] && ! expires_soon "$PKI_DIR/server.crt"; then
		return 1
	fi
	names=$(paste -sd, "$PKI_DIR/names")
	new_key | write_file "$PKI_DIR/server.key" 0600
	request=$(openssl req -new -key "$PKI_DIR/server.key" -subj "/O=Duplex/CN=$DOMAIN")
	openssl x509 -req -in <(printf '%s\n' "$request") -CA "$PKI_DIR/ca.crt" -CAkey "$PKI_DIR/ca.key" -sha256 -days 397 \
		-set_serial "0x$(openssl rand -hex 16 | sed 's/^./4/')" -extfile <(
			printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
				'extendedKeyUsage=serverAuth' 'authorityKeyIdentifier=keyid' "subjectAltName=$names"
		) 2>/dev/null | write_file "$PKI_DIR/server.crt" 0644
}

# The API signs with this key and rewrites the list of revoked certificates beside it.
pki_users_authority() {
	local dir=$PKI_DIR/users-ca
	install -d -m 0750 -o duplex -g duplex "$dir"
	if [ ! -s "$dir/ca.crt" ]; then
		make_authority "$dir" 'Duplex users' ''
		chown root:duplex "$dir/ca.key"
		chmod 0640 "$dir/ca.key"
	fi
	[ -s "$dir/revoked.crl" ] || empty_crl "$dir" | write_file "$dir/revoked.crl" 0644 duplex:duplex
}

# An empty list that does not expire before its authority: nginx refuses every certificate once its list is out of date.
empty_crl() {
	local tmp
	tmp=$(mktemp -d)
	: >"$tmp/index"
	printf '[ca]\ndefault_ca=x\n[x]\ndatabase=%s/index\ndefault_md=sha256\n' "$tmp" >"$tmp/conf"
	openssl ca -gencrl -config "$tmp/conf" -cert "$1/ca.crt" -keyfile "$1/ca.key" -crldays 3650 2>/dev/null
	rm -rf "$tmp"
}
