#include "relay/conf.h"

#include <stdio.h>

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)
#define O(sect, name, kind, field, def, lo, hi, u, re, text) \
	{ .section = sect, .key = name, .type = kind, .offset = offsetof(struct relay_conf, field), .preset = def, .min = lo, .max = hi, \
	  .unit = u, .reloadable = re, .help = text }
#define TEXT(name, field, def, re, text) O("relay", name, CONF_STRING, field, def, 0, 0, "", re, text)
#define LIST(name, field, def, re, text) O("relay", name, CONF_LIST, field, def, 0, 0, "", re, text)
#define NUM(name, field, def, lo, hi, u, re, text) O("relay", name, CONF_UINT, field, def, lo, hi, u, re, text)

const struct conf_option relay_options[] = {
	O("common", "domain", CONF_STRING, domain, "localhost", 0, 0, "", true,
	  "SIP domain, and realm of the TURN credentials"),
	O("common", "run-dir", CONF_STRING, run_dir, "/run/duplex", 0, 0, "", false, "folder of the sockets"),
	O("common", "redis", CONF_STRING, redis, "", 0, 0, "", false,
	  "Redis: path of a unix socket or host:port, or several with commas; empty = none, then calls are not freed before their allocations "
	  "expire"),
	O("common", "log-level", CONF_STRING, log_level, "info", 0, 0, "", true, "error, warn, info or debug"),
	O("common", "turn-secret", CONF_SECRET, secret, NULL, 0, 0, "", true,
	  "file whose first line is the secret of the TURN credentials"),

	LIST("ports", ports, "net_tap0,iface=dpx0", false,
	     "DPDK devices separated by blanks: net_tap0,iface=NAME; net_af_packet0,iface=eth1,qpairs=N; "
	     "net_af_xdp0,iface=eth1, where only frames for the relay are taken from the kernel; net_memif0,…; "
	     "net_ring0; net_null0; or the PCI address of a NIC bound to vfio-pci"),
	LIST("address", address, "10.83.84.2/24", false,
	     "the relay's own addresses, for each port one with its prefix length, or an IPv4 and an IPv6 one with a comma "
	     "between: 10.83.84.2/24,fd00:83::2/64; host = on AF_XDP, those that the interface has (share-host-address)"),
	O("relay", "share-host-address", CONF_BOOL, share_host_address, "no", 0, 0, "", false,
	  "AF_XDP ports use an address of their interface, which stays the kernel's: the relay takes UDP to its ports only, and "
	  "knows neighbours and gateways from the kernel; port-min and port-max, unless set, shrink to ports the kernel does not "
	  "give out. A port whose address is 'host' does so in any case"),
	LIST("gateway", gateway, "", false,
	     "next hop for what is not on a port's subnet, one for each port, of either family or of both with a comma "
	     "between, - for none; an IPv6 one may be link-local; empty = the tap-host-address of a TAP, none of others"),
	LIST("tap-host-address", tap_host_address, "10.83.84.1/24", false,
	     "for TAP ports, one each: address (of either family, or both with a comma between) the relay gives to the "
	     "kernel's end, which it also sets up; - or empty = leave it alone"),
	LIST("external-address", external_address, "", false,
	     "where a 1:1 NAT stands between a port and its clients: the address that it gives to the port's, one for each "
	     "port, of either family or of both with a comma between; clients are told this one, and know each other by it; "
	     "- or empty = none"),
	LIST("vlan", vlan, "", false, "VLAN of each port, 1 to 4094: frames carry its tag; - or empty = none"),
	NUM("mtu", mtu, "1500", 576, 9000, "bytes", false, "largest IP packet sent on a port; 1280 at least with IPv6"),
	NUM("cores", cores, "1", 1, CORES_MAX, "", false, "worker threads; each has a queue of its own on every port that has as many"),
	LIST("cpus", cpus, "", false,
	     "CPU of each worker; empty = the scheduler decides, right for a machine that does other work too"),
	TEXT("idle", idle, "adaptive", false,
	     "adaptive: a worker without traffic sleeps until a packet comes; poll: it never sleeps"),
	NUM("idle-after", idle_after_us, "200", 0, 1000000, "us", false,
	    "adaptive: how long a worker polls in vain before it sleeps"),
	O("relay", "huge-pages", CONF_BOOL, huge_pages, "no", 0, 0, "", false,
	  "packet buffers in huge pages; with a NIC they are in any case, since it needs them"),
	NUM("memory", memory_mb, "128", 32, 1048576, "MB", false, "memory for packet buffers and rings"),
	NUM("buffers", buffers, "8192", 1024, 4194304, "", false, "packet buffers"),
	NUM("rx-ring", rx_ring, "512", 64, 8192, "", false, "receive descriptors of a queue; AF_XDP: 2048 at least"),
	NUM("tx-ring", tx_ring, "512", 64, 8192, "", false, "send descriptors of a queue; AF_XDP: 2048 at least"),
	TEXT("name", name, "", false,
	     "name of this relay among all that share a Redis: letters, digits, dots and dashes; empty = host name and file-prefix"),
	O("relay", "telemetry", CONF_BOOL, telemetry, "no", 0, 0, "", false,
	  "answer on DPDK's telemetry socket, /var/run/dpdk/PREFIX/dpdk_telemetry.v2 with the file-prefix, for root"),
	TEXT("file-prefix", file_prefix, "duplex", false, "name that tells DPDK instances on one machine apart"),

	NUM("turn-port", turn_port, "3478", 1, 65535, "", false, "UDP port of the TURN service"),
	NUM("port-min", port_min, TEXT_OF(PORT_MIN_PRESET), 1024, 65535, "", false, "first relayed port"),
	NUM("port-max", port_max, TEXT_OF(PORT_MAX_PRESET), 1024, 65535, "", false, "last relayed port"),
	NUM("max-allocations", max_allocations, "16384", 1, 1048576, "", true,
	    "allocations at a time; more are refused with 508; a reload can lower it, and raise it up to what it was at "
	    "start"),
	NUM("user-allocations", user_allocations, "0", 0, 1048576, "", true,
	    "allocations of one user; more are refused with 486; 0 = no limit"),
	NUM("address-allocations", address_allocations, "0", 0, 1048576, "", true,
	    "allocations of one client address, an IPv4 address or a /64 of IPv6; more are refused with 486; 0 = no limit, right "
	    "where many clients share an address"),
	NUM("allocation-bandwidth", allocation_kbits, "0", 0, 10000000, "kbit/s", true,
	    "payload that one allocation may carry, both directions together; beyond it video is dropped before audio; 0 = no limit"),
	NUM("user-bandwidth", user_kbits, "0", 0, 10000000, "kbit/s", true, "the same for all allocations of a user together"),
	O("relay", "mark-dscp", CONF_BOOL, mark_dscp, "yes", 0, 0, "", true,
	  "give audio and video that carry no DSCP that of RFC 8837 (EF, AF42); what carries one keeps it"),
	NUM("max-peers", max_peers, "64", 1, 1024, "", true,
	    "permissions, and channels, of one allocation; more are refused with 508"),
	NUM("lifetime", lifetime_s, "600", 1, 86400, "s", true, "default lifetime of an allocation"),
	NUM("lifetime-max", lifetime_max_s, "3600", 1, 86400, "s", true, "longest lifetime granted"),
	NUM("nonce-lifetime", nonce_lifetime_s, "3600", 10, 86400, "s", true, "age from which a nonce is stale"),
	TEXT("credential-expiry", credential_expiry, "allocate", true,
	     "allocate: a credential must be valid when the allocation is made, which then lives on; always: with "
	     "every request"),
	TEXT("users", users, "", true,
	     "file of users with a password of their own, a line each: name:password, or the key of it as name:md5=HEX or "
	     "name:sha256=HEX; others must not be able to read it; empty = only the time-limited user names of the API"),
	LIST("password-algorithms", password_algorithms, "SHA-256", true,
	     "offered to clients of RFC 8489 in order of preference, SHA-256 or MD5; each makes a challenge 4 bytes longer, "
	     "the first 8, and the nonce then needs 12 more; clients of RFC 5389 use MD5 in any case; empty = none is offered"),
	O("relay", "username-anonymity", CONF_BOOL, anonymity, "no", 0, 0, "", true,
	  "challenges ask clients of RFC 8489 to send USERHASH for their user name; right only where all users stand in "
	  "`users`, because time-limited user names cannot be found by a hash"),
	LIST("alternate-server", alternate_server, "", true,
	     "servers that every new client is sent to (300 Try Alternate), like 192.0.2.1:3478 or [2001:db8::1]:3478; empty = "
	     "clients are served here"),
	TEXT("alternate-domain", alternate_domain, "", true,
	     "name on the certificates of alternate-server and drain-to, told to clients over TCP and TLS; empty = not told"),
	LIST("drain-to", drain_to, "", true,
	     "servers that new clients are sent to while this relay drains (SIGUSR1); empty = they are refused with 486"),
	NUM("drain-time", drain_time_s, "3600", 0, 604800, "s", true,
	    "how long the last allocations are waited for when draining; 0 = as long as they live"),
	O("relay", "mobility", CONF_BOOL, mobility, "yes", 0, 0, "", true,
	  "clients over UDP may take their allocation along to another address (RFC 8016); no = those that ask get 405"),
	O("relay", "channels-5766", CONF_BOOL, old_channels, "yes", 0, 0, "", true,
	  "also take channel numbers above 0x4fff, up to 0x7fff, as clients of RFC 5766 choose them; no = only those "
	  "of RFC 8656"),
	TEXT("journal", journal, "", false,
	     "file on a tmpfs in which allocations outlive the relay's process, for its clients do not notice a restart; "
	     "it holds their keys, so only its owner may read it; empty = none"),
	O("relay", "keep-on-stop", CONF_BOOL, keep_on_stop, "yes", 0, 0, "", false,
	  "a relay that is stopped leaves its journal for the next start (an upgrade); no = it removes it"),
	LIST("peer-allow", peer_allow, "", true, "prefixes of private or special ranges, and addresses of this machine, that clients may relay to"),
	LIST("peer-deny", peer_deny, "", true, "prefixes that clients may not relay to"),
	TEXT("peer-mode", peer_mode, "any", true,
	     "any; or relays-only: no peer but other relayed addresses of this relay"),
	NUM("challenge-rate", challenge_rate, "1000", 0, 1000000, "a second", true,
	    "unauthenticated requests answered for one /24 of IPv4 or /64 of IPv6; 0 = no limit"),
	NUM("challenge-burst", challenge_burst, "4000", 1, 65535, "", true, "the same, at once after a quiet time"),

	LIST("stream-listen", stream_listen, "", false,
	     "where clients come by TCP and TLS, separated by blanks: tcp:*:3478 tcp:192.0.2.1:3478 tls:[2001:db8::1]:5349; "
	     "tcp-proxy: and tls-proxy: for connections that a proxy hands on with a PROXY header, often with "
	     "unix:/PATH for the address; empty = UDP only"),
	TEXT("stream-socket-group", stream_socket_group, "", false,
	     "group that may connect to the unix sockets of stream-listen; empty = root only"),
	LIST("tls-cert", tls_cert, "", true,
	     "certificate chains (PEM) for TLS, the first for clients that name none of the others; a reload reads them again"),
	LIST("tls-key", tls_key, "", true, "their private keys (PEM), in the same order"),
	NUM("stream-queue", stream_queue_ms, "200", 10, 10000, "ms", true,
	    "how long media may wait for a client on TCP or TLS before it is dropped; video half as long"),
	NUM("stream-queue-bytes", stream_queue_bytes, "262144", 4096, 16777216, "bytes", true,
	    "media that may wait for one such client"),
	NUM("stream-memory", stream_memory_mb, "64", 1, 65536, "MB", true, "media and answers that may wait for all such clients"),
	NUM("stream-connections", stream_connections, "4096", 1, 65536, "", false, "TCP and TLS connections at a time"),
	NUM("stream-address-connections", stream_address_connections, "512", 1, 65536, "", true,
	    "TCP and TLS connections of one address (IPv6: of one /64)"),
	NUM("stream-handshake", stream_handshake_s, "10", 1, 300, "s", true,
	    "how long a client may take for the TLS handshake, and for a message that it has begun"),
	NUM("stream-idle", stream_idle_s, "60", 1, 3600, "s", true, "how long a connection may be without an allocation"),
};
const size_t relay_options_count = ARRAY_LEN(relay_options);

/* The next blank-separated word of *p, or an empty slice. Device strings contain commas. */
static struct str word(const char **p)
{
	*p += strspn(*p, " \t");
	struct str w = str_of(*p, strcspn(*p, " \t"));

	*p += w.len;
	return w;
}

#define FAIL(e, ...)                                           \
	do {                                                   \
		(void)snprintf(why, why_size, __VA_ARGS__);    \
		return (e);                                    \
	} while (0)

/* What the kernel calls the interface, from the device string: for a TAP, DPDK's default is dtap and the number. */
static enum err kernel_names(struct str device, struct port_plan *p)
{
	struct str rest = device, driver = str_cut(&rest, ','), iface = STR_NONE;
	bool xdp = str_starts(driver, STR("net_af_xdp")), own_program = true;

	while (rest.p != NULL) {
		struct str arg = str_cut(&rest, ',');

		if (str_starts(arg, STR("iface=")))
			iface = str_sub(arg, 6, arg.len);
		if (str_starts(arg, STR("xdp_prog=")) || str_starts(arg, STR("use_cni=")))
			own_program = false;
	}
	p->xdp = xdp && own_program;
	if ((xdp || str_starts(driver, STR("net_af_packet"))) && iface.len == 0)
		return ERR_NOT_FOUND;
	if (xdp || str_starts(driver, STR("net_af_packet")))
		return str_copy(iface, p->kernel_if, sizeof(p->kernel_if));
	if (!str_starts(driver, STR("net_tap")))
		return ERR_OK;
	if (iface.len > 0)
		return str_copy(iface, p->tap, sizeof(p->tap));
	(void)snprintf(p->tap, sizeof(p->tap), "dtap%.*s", STR_FMT(str_sub(driver, 7, 4)));
	return ERR_OK;
}

/* Whether a host can have it (RFC 6890, RFC 4291 §2.5). */
static bool is_host(const struct addr *a, const struct cidr *subnet)
{
	uint32_t first = __builtin_bswap32(a->w[0]), host = __builtin_bswap32(addr_v4_of(a)),
		 mask = subnet->bits == 128 ? 0 : UINT32_MAX >> (subnet->bits > 96 ? subnet->bits - 96 : 0);

	if (!addr_is_v4(a))
		return subnet->bits > 0 && first >> 24 != 0 && first >> 24 != 0xff && first >> 22 != 0xfe80u >> 6 &&
		       (subnet->bits == 128 || !addr_eq(a, &subnet->net));
	return subnet->bits > 96 && host >> 24 != 0 && host >> 24 != 127 && host >> 24 < 224 &&
	       (mask <= 1 || ((host & mask) != 0 && (host & mask) != mask));
}

static bool none(struct str w)
{
	return w.len == 0 || str_eq(w, STR("-"));
}

static enum err one_address(struct port_plan *p, struct str text, char *why, size_t why_size)
{
	struct cidr subnet;
	struct addr a;

	if (addr_parse_interface(text, &a, &subnet) != ERR_OK || !addr_is_none(&p->ip[!addr_is_v4(&a)].addr))
		FAIL(ERR_INVALID,
		     "[relay] address must be like 10.83.84.2/24 or 10.83.84.2/24,fd00:83::2/64, one for each port, not '%.*s'",
		     STR_FMT(text));
	if (!is_host(&a, &subnet))
		FAIL(ERR_INVALID, "[relay] address '%.*s' cannot be the address of a host", STR_FMT(text));
	p->ip[!addr_is_v4(&a)] = (struct local){ .addr = a, .subnet = subnet };
	return ERR_OK;
}

static enum err one_port(const struct relay_conf *c, struct port_plan *p, struct str device, struct str address, char *why, size_t why_size)
{
	enum err e = str_copy(device, p->device, sizeof(p->device));
	if (e == ERR_OK)
		e = kernel_names(device, p);
	if (e == ERR_NOT_FOUND)
		FAIL(ERR_INVALID, "[relay] ports: '%.*s' needs iface=NAME", STR_FMT(device));
	if (e != ERR_OK)
		FAIL(ERR_INVALID, "[relay] ports: '%.*s' is too long, an interface name has at most 15 characters",
		     STR_FMT(device));
	p->is_pci = device.len > 0 && device.p[0] >= '0' && device.p[0] <= '9';
	if (str_eq(address, STR("host"))) {
		p->shared = true;
		if (!p->xdp)
			FAIL(ERR_INVALID, "[relay] address: only AF_XDP ports with the relay's own XDP program can share the host's, not '%s'",
			     p->device);
		return ERR_OK;
	}
	p->shared = c->share_host_address && p->xdp;
	e = one_address(p, str_cut(&address, ','), why, why_size);
	while (e == ERR_OK && address.p != NULL)
		e = one_address(p, str_cut(&address, ','), why, why_size);
	return e;
}

static enum err one_gateway(struct port_plan *p, struct str text, char *why, size_t why_size)
{
	struct cidr net;
	struct addr a;

	if (addr_parse_interface(text, &a, &net) != ERR_OK)
		FAIL(ERR_INVALID, "[relay] gateway '%.*s' is no address", STR_FMT(text));
	struct local *l = &p->ip[!addr_is_v4(&a)];
	bool link_local = !addr_is_v4(&a) && __builtin_bswap32(a.w[0]) >> 22 == 0xfe80u >> 6;
	if (addr_is_none(&l->addr) || (!link_local && !addr_in(&a, &l->subnet)) || addr_eq(&a, &l->addr) || net.bits != 128)
		FAIL(ERR_INVALID, "[relay] gateway '%.*s' must be another host on the subnet of its port", STR_FMT(text));
	l->gateway = a;
	return ERR_OK;
}

static enum err one_host(struct port_plan *p, struct str text, bool is_gateway, char *why, size_t why_size)
{
	struct cidr net;
	struct addr a;

	if (addr_parse_interface(text, &a, &net) != ERR_OK)
		FAIL(ERR_INVALID, "[relay] tap-host-address '%.*s' is no address", STR_FMT(text));
	unsigned v6 = !addr_is_v4(&a);
	if (addr_is_none(&p->ip[v6].addr) || !addr_in(&a, &p->ip[v6].subnet) || addr_eq(&a, &p->ip[v6].addr))
		FAIL(ERR_INVALID, "[relay] tap-host-address '%.*s' must be another address on the subnet of its port", STR_FMT(text));
	p->host[v6] = a;
	p->host_bits[v6] = (uint8_t)(v6 ? net.bits : net.bits - 96);
	/* A browser on this machine may send from any of the machine's addresses: the machine is the way back to
	 * all of them. */
	if (is_gateway)
		p->ip[v6].gateway = a;
	return ERR_OK;
}

static enum err around_port(struct port_plan *p, struct str gateway, struct str host, char *why, size_t why_size)
{
	bool host_is_gateway = gateway.len == 0;
	enum err e = ERR_OK;

	if (p->shared && !none(gateway))
		FAIL(ERR_INVALID, "[relay] gateway: the port '%s' shares the host's address and with it the kernel's gateway: write - for it",
		     p->device);

	while (e == ERR_OK && gateway.p != NULL && !none(gateway))
		e = one_gateway(p, str_cut(&gateway, ','), why, why_size);
	while (e == ERR_OK && p->tap[0] != '\0' && host.p != NULL && !none(host))
		e = one_host(p, str_cut(&host, ','), host_is_gateway, why, why_size);
	return e;
}

static enum err one_external(struct port_plan *p, struct str text, char *why, size_t why_size)
{
	struct cidr net;
	struct addr a;

	if (addr_parse_interface(text, &a, &net) != ERR_OK || net.bits != 128 || !is_host(&a, &net))
		FAIL(ERR_INVALID, "[relay] external-address '%.*s' must be the address of a host, without a prefix length",
		     STR_FMT(text));
	struct local *l = &p->ip[!addr_is_v4(&a)];
	if (p->shared) { /* the address behind it is known when the kernel was asked */
		l->shown = a;
		return ERR_OK;
	}
	if (addr_is_none(&l->addr))
		FAIL(ERR_INVALID, "[relay] external-address '%.*s': the port has no address of this family", STR_FMT(text));
	if (addr_is_none(&l->gateway))
		FAIL(ERR_INVALID, "[relay] external-address '%.*s': the port has no gateway, so no NAT can stand before it",
		     STR_FMT(text));
	if (addr_in(&a, &l->subnet) && !addr_eq(&a, &l->addr))
		FAIL(ERR_INVALID, "[relay] external-address '%.*s' lies on the port's own subnet: it would be another host's",
		     STR_FMT(text));
	l->shown = a;
	return ERR_OK;
}

/* What the world sees of a port: its own addresses, unless something else is said. */
static enum err shown_port(struct port_plan *p, struct str external, struct str vlan, char *why, size_t why_size)
{
	enum err e = ERR_OK;
	uint64_t id = 0;

	for (unsigned v6 = 0; v6 < 2; v6++)
		p->ip[v6].shown = p->ip[v6].addr;
	while (e == ERR_OK && external.p != NULL && !none(external))
		e = one_external(p, str_cut(&external, ','), why, why_size);
	if (e == ERR_OK && !none(vlan) && (str_to_u64(vlan, 4094, &id) != ERR_OK || id == 0))
		FAIL(ERR_INVALID, "[relay] vlan must be 1 to 4094, not '%.*s'", STR_FMT(vlan));
	if (id != 0 && p->shared)
		FAIL(ERR_INVALID, "[relay] vlan: '%s' shares the host's address, which is not in the VLAN: give it an address of its own there",
		     p->device);
	p->vlan = (uint16_t)id;
	return e;
}

static bool same_address(const struct port_plan *a, const struct port_plan *b)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct local *one = &a->ip[v6], *two = &b->ip[v6];

		if (!addr_is_none(&one->addr) && (addr_eq(&one->addr, &two->addr) || addr_eq(&one->shown, &two->shown) ||
						  addr_eq(&one->shown, &two->addr) || addr_eq(&one->addr, &two->shown)))
			return true;
	}
	return false;
}

static enum err plan_ports(const struct relay_conf *c, struct relay_plan *plan, char *why, size_t why_size)
{
	const char *ports = c->ports, *address = c->address, *gateway = c->gateway, *host = c->tap_host_address,
		   *external = c->external_address, *vlan = c->vlan;

	for (;;) {
		struct str device = word(&ports);
		struct port_plan *p = &plan->port[plan->ports];

		if (device.len == 0)
			break;
		if (plan->ports == IFACE_MAX)
			FAIL(ERR_TOO_LARGE, "[relay] ports: at most %u", IFACE_MAX);
		enum err e = one_port(c, p, device, word(&address), why, why_size);
		if (e == ERR_OK)
			e = around_port(p, word(&gateway), word(&host), why, why_size);
		if (e == ERR_OK)
			e = shown_port(p, word(&external), word(&vlan), why, why_size);
		if (e != ERR_OK)
			return e;
		if (!addr_is_none(&p->ip[1].addr) && c->mtu < 1280)
			FAIL(ERR_INVALID, "[relay] mtu must be 1280 at least on a port with an IPv6 address");
		for (unsigned i = 0; i < plan->ports; i++) {
			if (same_address(&plan->port[i], p))
				FAIL(ERR_INVALID, "[relay] address, external-address: two ports have the same address");
		}
		plan->huge |= p->is_pci;
		plan->ports++;
	}
	if (plan->ports == 0)
		FAIL(ERR_INVALID, "[relay] ports is empty: the relay needs at least one device");
	if (word(&address).len > 0)
		FAIL(ERR_INVALID, "[relay] address: more addresses than ports");
	return ERR_OK;
}

static enum err plan_cores(const struct relay_conf *c, struct relay_plan *plan, char *why, size_t why_size)
{
	const char *p = c->cpus;
	uint64_t cpu;
	unsigned n = 0;

	for (struct str w = word(&p); w.len > 0; w = word(&p)) {
		if (str_to_u64(w, 1023, &cpu) != ERR_OK || n == CORES_MAX)
			FAIL(ERR_INVALID, "[relay] cpus must be CPU numbers separated by blanks, not '%.*s'", STR_FMT(w));
		plan->cpu[n++] = (uint16_t)cpu;
	}
	plan->pinned = n > 0;
	if (n > 0 && n != c->cores)
		FAIL(ERR_INVALID, "[relay] cpus names %u CPUs, but cores is %u", n, (unsigned)c->cores);
	plan->poll = strcmp(c->idle, "poll") == 0;
	if (!plan->poll && strcmp(c->idle, "adaptive") != 0)
		FAIL(ERR_INVALID, "[relay] idle must be adaptive or poll, not '%s'", c->idle);
	return ERR_OK;
}

enum err relay_plan_make(const struct relay_conf *c, struct relay_plan *out, char *why, size_t why_size)
{
	struct relay_plan plan = { 0 };
	enum err e;

	if (c->port_min > c->port_max)
		FAIL(ERR_INVALID, "[relay] port-min %u is above port-max %u", (unsigned)c->port_min, (unsigned)c->port_max);
	if (c->turn_port >= c->port_min && c->turn_port <= c->port_max)
		FAIL(ERR_INVALID, "[relay] turn-port %u lies inside the relayed ports %u to %u", (unsigned)c->turn_port,
		     (unsigned)c->port_min, (unsigned)c->port_max);
	plan.huge = c->huge_pages;
	e = plan_ports(c, &plan, why, why_size);
	if (e == ERR_OK)
		e = plan_cores(c, &plan, why, why_size);
	if (e != ERR_OK)
		return e;
	*out = plan;
	return ERR_OK;
}
