/* What lies between the relay and its clients: a VLAN, a 1:1 NAT; datagrams that are too large, come in parts or do not
 * arrive. */
#include "relay/vlan.h"
#include "tests/flow/relay/rig.h"

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct rig *start(unsigned ports, void (*change)(struct ifaces *all))
{
	struct ifaces ifaces = rig_ifaces_dual(ports);

	if (change != NULL)
		change(&ifaces);
	return rig_new_ifaces(1, &ifaces, 50000, 50019, rig_policy());
}

/* --- VLAN --- */

static void in_vlan(struct ifaces *all)
{
	all->at[0].vlan = 100;
	all->tagged = true;
}

static int set_up_vlan(void **state)
{
	*state = start(2, in_vlan);
	return 0;
}

/* Runs one frame, and says what became of it; what came out is in `out`, *outs frames. */
static struct pkt run(struct rig *r, const uint8_t *frame, size_t len, struct rig_frame *out, unsigned *outs)
{
	struct pkt p = { 0 };

	(void)rig_new_buf(r, &p);
	memcpy(p.data, frame, len);
	p.len = (uint32_t)len;
	p.in_if = (uint8_t)r->in_if;
	path_burst(&r->path[0], &p, 1, &r->clock);
	*outs = 0;
	struct pkt all[1 + PATH_EXTRA];
	unsigned n = 0;
	if (p.verdict != PKT_HOLD)
		all[n++] = p;
	for (unsigned i = 0; i < r->path[0].extras; i++)
		all[n++] = r->path[0].extra[i];
	r->path[0].extras = 0;
	for (unsigned i = 0; i < n; i++) {
		if (all[i].verdict == PKT_SEND) {
			memcpy(out[*outs].bytes, all[i].data, all[i].len);
			out[*outs].len = all[i].len;
			out[(*outs)++].iface = all[i].out_if;
		}
		rig_free_buf(r, &all[i]);
	}
	return p;
}

static size_t tagged(uint8_t *to, const uint8_t *frame, size_t len, uint16_t tci)
{
	memcpy(to, frame, 12);
	be16_put(to + 12, ETHERTYPE_VLAN);
	be16_put(to + 14, tci);
	memcpy(to + 16, frame + 12, len - 12);
	return len + 4;
}

static void tags_come_off_and_on(void **state)
{
	struct rig *r = *state;
	static struct rig_frame out[8];
	uint8_t plain[RIG_FRAME], f[RIG_FRAME], binding[64];
	struct wr w = client_begin(r, binding, sizeof(binding), STUN_BINDING);
	size_t len = rig_udp(plain, IPV4(198, 41, 0, 9), 1000, RELAY_IP, TURN_PORT, binding, stun_end(&w));
	unsigned outs;

	/* Priority bits are the sender's own affair. */
	struct pkt p = run(r, f, tagged(f, plain, len, 0xe000 | 100), out, &outs);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_int_equal(outs, 1);
	assert_int_equal(be16_get(out[0].bytes + 12), ETHERTYPE_VLAN);
	assert_int_equal(be16_get(out[0].bytes + 14), 100);
	assert_int_equal(be16_get(out[0].bytes + 16), ETHERTYPE_V4);
	assert_memory_equal(out[0].bytes, rig_host_mac, 6);
	assert_memory_equal(out[0].bytes + 6, rig_mac, 6);
	assert_true(udp_sum_ok(out[0].bytes + 18));
	assert_int_equal(out[0].len, 4 + 34 + 8 + 32);
	/* ARP as well, and what the relay sends of itself. */
	struct iface host = { .net.ip = IPV4(198, 41, 0, 9) };
	memcpy(host.net.mac, rig_host_mac, 6);
	neigh_request(plain, &host, RELAY_IP, NULL);
	p = run(r, f, tagged(f, plain, ARP_LEN, 100), out, &outs);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_int_equal(be16_get(out[0].bytes + 14), 100);
	assert_int_equal(be16_get(out[0].bytes + 16), ETHERTYPE_ARP);
	r->clock.mono_ms += 100;
	path_tick(&r->path[0], &r->clock); /* says who it is, on both ports */
	unsigned with = 0, without = 0;
	for (unsigned i = 0; i < r->path[0].extras; i++) {
		struct pkt *e = &r->path[0].extra[i];
		bool tag = be16_get(e->data + 12) == ETHERTYPE_VLAN;

		assert_int_equal(tag, e->out_if == 0);
		with += tag;
		without += !tag;
		rig_free_buf(r, e);
	}
	r->path[0].extras = 0;
	assert_true(with >= 3 && without >= 3);
}

static void other_tags_are_counted(void **state)
{
	struct rig *r = *state;
	static struct rig_frame out[8];
	uint8_t plain[RIG_FRAME], f[RIG_FRAME];
	size_t len = rig_udp(plain, IPV4(198, 41, 0, 9), 1000, RELAY_IP, TURN_PORT, "\0\1", 2);
	unsigned outs;

	assert_int_equal(run(r, plain, len, out, &outs).reason, DROP_VLAN);
	assert_int_equal(run(r, f, tagged(f, plain, len, 101), out, &outs).reason, DROP_VLAN);
	assert_int_equal(run(r, f, tagged(f, plain, len, 0), out, &outs).reason, DROP_VLAN);
	for (size_t cut = 0; cut < 18; cut++)
		assert_int_equal(run(r, f, MIN(cut, tagged(f, plain, len, 100)), out, &outs).reason, DROP_VLAN);
	assert_int_equal(run(r, f, MIN((size_t)18, tagged(f, plain, len, 100)), out, &outs).reason, DROP_FRAME_SHORT);
	/* Within: another tag. */
	uint8_t twice[RIG_FRAME];
	size_t n = tagged(f, plain, len, 200);
	assert_int_equal(run(r, twice, tagged(twice, f, n, 100), out, &outs).reason, DROP_ETHERTYPE);
	/* The other port has no VLAN. */
	r->in_if = 1;
	assert_int_equal(run(r, f, tagged(f, plain, len, 100), out, &outs).reason, DROP_ETHERTYPE);
	r->in_if = 0;
}

/* A burst in which ours and others' are mixed: each frame has its own fate. */
static void mixed_burst(void **state)
{
	struct rig *r = *state;
	struct pkt p[6] = { 0 };
	uint8_t plain[RIG_FRAME], binding[64];
	struct wr w = client_begin(r, binding, sizeof(binding), STUN_BINDING);
	size_t len = rig_udp(plain, IPV4(198, 41, 0, 9), 1000, RELAY_IP, TURN_PORT, binding, stun_end(&w));
	unsigned sent = 0, dropped = 0;

	for (unsigned i = 0; i < 6; i++) {
		(void)rig_new_buf(r, &p[i]);
		p[i].len = (uint32_t)tagged(p[i].data, plain, len, i % 2 == 0 ? 7 : 100);
	}
	path_burst(&r->path[0], p, 6, &r->clock);
	for (unsigned i = 0; i < 6; i++) {
		sent += p[i].verdict == PKT_SEND;
		dropped += p[i].verdict == PKT_DROP && p[i].reason == DROP_VLAN;
		rig_free_buf(r, &p[i]);
	}
	assert_int_equal(sent, 3);
	assert_int_equal(dropped, 3);
}

/* --- 1:1 NAT --- */

#define SHOWN_IP IPV4(203, 0, 113, 7)

static void behind_nat(struct ifaces *all)
{
	all->at[0].ip[0].shown = addr_v4(SHOWN_IP);
	all->at[0].ip[1].shown = rig_ip("2a00:77::7");
}

static int set_up_nat(void **state)
{
	*state = start(2, behind_nat);
	return 0;
}

static void clients_are_told_the_external_address(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 10, "a", "");
	struct stun_addr relayed;
	struct stun_msg m;

	assert_int_equal(client_request(r, &a, STUN_ALLOCATE, put_udp, NULL, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	struct addr got = addr_from_stun(&relayed);
	assert_int_equal(addr_v4_of(&got), SHOWN_IP);
	a.relayed = relayed.port;
	/* Packets carry the address that the NAT knows. */
	assert_int_equal(client_bind(r, &a, 0x4001, PEER_IP, 9), 0);
	client_channel_data(r, &a, 0x4001, "x", 1, 0);
	rig_expect(r, RELAY_IP, a.relayed, PEER_IP, 9, "x", 1);
	peer_datagram(r, 0, PEER_IP, 9, a.relayed, "y", 1);
	rig_expect_channel(r, &a, 0x4001, "y", 1);
}

/* Two clients meet by what they were told; also when one is on another port that no NAT stands before. */
static void clients_meet_by_external_addresses(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 10, "a", ""), b = client_new(CLIENT_IP, 11, "b", ""), d = client_new(IPV4(198, 41, 1, 50), 2, "d", "");

	d.server = SECOND_IP;
	assert_int_equal(client_allocate(r, &a), 0);
	assert_int_equal(client_allocate(r, &b), 0);
	assert_int_equal(client_allocate(r, &d), 0);
	assert_int_equal(client_bind(r, &a, 0x4001, SHOWN_IP, b.relayed), 0);
	assert_int_equal(client_permit(r, &b, SHOWN_IP), 0);
	client_channel_data(r, &a, 0x4001, "over", 4, 0);
	rig_expect_data(r, &b, SHOWN_IP, a.relayed, "over", 4);
	assert_int_equal(client_bind(r, &b, 0x4002, SHOWN_IP, a.relayed), 0);
	client_send_indication(r, &a, SHOWN_IP, b.relayed, "more", 4);
	rig_expect_channel(r, &b, 0x4002, "more", 4);
	assert_int_equal(client_bind(r, &a, 0x4003, SECOND_IP, d.relayed), 0);
	assert_int_equal(client_bind(r, &d, 0x4004, SHOWN_IP, a.relayed), 0);
	client_channel_data(r, &a, 0x4003, "there", 5, 0);
	rig_expect_channel(r, &d, 0x4004, "there", 5);
	client_channel_data(r, &d, 0x4004, "back", 4, 0);
	rig_expect_channel(r, &a, 0x4003, "back", 4);
	/* The service is no peer under either name. */
	assert_int_equal(client_bind(r, &a, 0x4005, SHOWN_IP, TURN_PORT), 403);
	assert_int_equal(client_bind(r, &a, 0x4005, RELAY_IP, TURN_PORT), 403);
}

/* --- size --- */

static int set_up_plain(void **state)
{
	*state = start(2, NULL);
	return 0;
}

static void small_links(struct ifaces *all)
{
	all->at[0].mtu = all->at[1].mtu = 1280;
}

static int set_up_small(void **state)
{
	*state = start(2, small_links);
	return 0;
}

static struct client client6(struct rig *r, const char *ip, uint16_t port)
{
	struct client c = client_new(0, port, "six", "");

	c.ip6 = rig_ip(ip);
	c.server6 = r->relay->ifaces.at[0].ip[1].addr;
	return c;
}

static void put_v6(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	stun_put_u32(w, STUN_REQUESTED_ADDRESS_FAMILY, (uint32_t)STUN_IPV6 << 24);
}

static void allocate6(struct rig *r, struct client *c)
{
	struct stun_addr relayed;
	struct stun_msg m;

	assert_int_equal(client_request(r, c, STUN_ALLOCATE, put_v6, NULL, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	c->relayed6 = relayed.port;
}

struct to {
	struct addr ip;
	uint16_t port, channel;
};

static void put_to(struct wr *w, const void *arg)
{
	const struct to *t = arg;
	struct stun_addr s = addr_to_stun(&t->ip, t->port);

	stun_put_u32(w, STUN_CHANNEL_NUMBER, (uint32_t)t->channel << 16);
	stun_put_address(w, STUN_XOR_PEER_ADDRESS, &s);
}

static void bind_to(struct rig *r, struct client *c, uint16_t channel, const char *ip, uint16_t port)
{
	struct to t = { rig_ip(ip), port, channel };
	struct stun_msg m;

	assert_int_equal(client_request(r, c, STUN_CHANNEL_BIND, put_to, &t, &m), 0);
}

/* A datagram from a peer, with DF or not. */
static void peer_says(struct rig *r, const char *src, const char *dst, uint16_t port, const void *data, size_t len, bool whole)
{
	struct addr s = rig_ip(src), d = rig_ip(dst);
	uint8_t f[RIG_FRAME], *ip = f + ETH_LEN;
	size_t n = rig_udp_of(f, &s, 9000, &d, port, data, len);

	if (addr_is_v4(&d) && !whole) {
		be16_put(ip + IP_FRAG, 0);
		ne16_set(ip + IP_SUM, 0);
		ne16_set(ip + IP_SUM, (uint16_t)~sum_fold(sum_bytes(ip, IP_LEN)));
	}
	rig_send(r, 0, f, n);
}

static void sender_is_told_in_ipv4(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	uint8_t data[1472] = { 0 };

	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_bind(r, &c, 0x4001, PEER_IP, 9000), 0);
	rig_pass(r, 100);
	peer_says(r, "9.9.9.9", "198.41.0.2", c.relayed, data, 1469, true);
	assert_int_equal(r->outs, 1);
	const uint8_t *ip = r->out[0].bytes + ETH_LEN, *icmp = ip + IP_LEN;
	assert_memory_equal(r->out[0].bytes, rig_host_mac, 6);
	assert_int_equal(ne32(ip + IP_SRC), RELAY_IP);
	assert_int_equal(ne32(ip + IP_DST), PEER_IP);
	assert_int_equal(r->out[0].len, ETH_LEN + IP_LEN + 8 + 28);
	assert_int_equal(sum_fold(sum_bytes(icmp, 36)), UINT16_MAX);
	assert_int_equal(icmp[0], 3);
	assert_int_equal(icmp[1], 4);
	assert_int_equal(be16_get(icmp + 6), 1496); /* four bytes of ours come on top */
	assert_int_equal(ne32(icmp + 8 + IP_SRC), PEER_IP);
	assert_int_equal(ne32(icmp + 8 + IP_DST), RELAY_IP);
	assert_int_equal(be16_get(icmp + 8 + IP_TOTAL), 1497);
	assert_int_equal(be16_get(icmp + 8 + UDP_SPORT), 9000);
	assert_int_equal(be16_get(icmp + 8 + UDP_DPORT), c.relayed);
	/* Once a millisecond; all are counted. */
	peer_says(r, "9.9.9.9", "198.41.0.2", c.relayed, data, 1469, true);
	assert_int_equal(r->outs, 0);
	r->clock.mono_ms++;
	peer_says(r, "9.9.9.9", "198.41.0.2", c.relayed, data, 1469, true);
	assert_int_equal(r->outs, 1);
	assert_int_equal(rig_drops(r, DROP_TOO_BIG), 3);
}

static void sender_is_told_in_ipv6(void **state)
{
	struct rig *r = *state;
	struct client c = client6(r, "2a00:5::1", 10);
	struct addr peer = rig_ip("2a00:9::9"), relay = rig_ip("2a00:1::2");
	uint8_t data[1472] = { 0 };

	allocate6(r, &c);
	bind_to(r, &c, 0x4001, "2a00:9::9", 9000);
	rig_pass(r, 100);
	peer_says(r, "2a00:9::9", "2a00:1::2", c.relayed6, data, 1448, true);
	assert_int_equal(r->out[0].len, ETH_LEN + 1500);
	peer_says(r, "2a00:9::9", "2a00:1::2", c.relayed6, data, 1449, true);
	assert_int_equal(r->outs, 1);
	const uint8_t *ip = r->out[0].bytes + ETH_LEN, *icmp = ip + IP6_LEN;
	assert_memory_equal(ip + IP6_SRC, &relay, 16);
	assert_memory_equal(ip + IP6_DST, &peer, 16);
	assert_int_equal(icmp[0], 2);
	assert_int_equal(be32_get(icmp + 4), 1496);
	assert_memory_equal(icmp + 8 + IP6_SRC, &peer, 16);
	assert_int_equal(be16_get(icmp + 8 + IP6_LEN), 9000);
	/* A client is told of what goes to its peer: no less than IPv6's least MTU. */
	assert_int_equal(rig_drops(r, DROP_TOO_BIG), 1);
}

/* Puts the fragments in r->out together again; returns the UDP datagram's length. All lie within the MTU. */
static size_t put_together(const struct rig *r, uint8_t *udp, size_t room, unsigned mtu)
{
	size_t all = 0;
	unsigned last = 0;
	uint32_t id = 0;

	assert_true(r->outs >= 2);
	memset(udp, 0xee, room);
	for (unsigned i = 0; i < r->outs; i++) {
		const uint8_t *ip = r->out[i].bytes + ETH_LEN;
		bool v6 = be16_get(r->out[i].bytes + 12) == ETHERTYPE_V6;
		size_t headers = v6 ? IP6_LEN + 8 : IP_LEN, len = r->out[i].len - ETH_LEN - headers;
		uint16_t mark = v6 ? be16_get(ip + IP6_LEN + 2) : be16_get(ip + IP_FRAG);
		size_t at = v6 ? mark & 0xfff8u : (mark & 0x1fffu) * 8u;
		bool more = v6 ? (mark & 1) != 0 : (mark & 0x2000) != 0;
		uint32_t its = v6 ? be32_get(ip + IP6_LEN + 4) : be16_get(ip + IP_ID);

		assert_true(r->out[i].len - ETH_LEN <= mtu);
		assert_true(i == 0 || its == id);
		id = its;
		if (v6) {
			assert_int_equal(ip[IP6_NEXT], IPPROTO_FRAGMENT_V6);
			assert_int_equal(ip[IP6_LEN], IPPROTO_UDP_V4);
			assert_int_equal(be16_get(ip + IP6_TOTAL), len + 8);
		} else {
			assert_int_equal(be16_get(ip + IP_TOTAL), len + IP_LEN);
			assert_int_equal(sum_fold(sum_bytes(ip, IP_LEN)), UINT16_MAX);
		}
		assert_true(!more || len % 8 == 0);
		assert_true(at + len <= room);
		memcpy(udp + at, ip + headers, len);
		all = more ? all : at + len;
		last += !more;
	}
	assert_int_equal(last, 1);
	assert_int_equal(be16_get(udp + UDP_AT_TOTAL), all);
	return all;
}

static void may_be_fragmented_in_ipv4(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	uint8_t data[1472], frame[IP_LEN + 1600];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_bind(r, &c, 0x4001, PEER_IP, 9000), 0);
	for (size_t len = 1469; len <= 1472; len++) {
		peer_says(r, "9.9.9.9", "198.41.0.2", c.relayed, data, len, false);
		assert_int_equal(r->outs, 2);
		size_t udp = put_together(r, frame + IP_LEN, 1600, 1500);
		assert_int_equal(udp, UDP_LEN + 4 + len);
		assert_memory_equal(frame + UDP_DATA + 4, data, len);
		/* The checksum is over the whole. */
		ip_put(frame, 0, (uint16_t)(IP_LEN + udp), 0, 1, IPPROTO_UDP_V4, RELAY_IP, CLIENT_IP);
		assert_true(udp_sum_ok(frame));
	}
	assert_int_equal(stats_get(&r->relay->stats[0].fragmented), 4);
	assert_int_equal(rig_drops(r, DROP_TOO_BIG), 0);
}

/* For a neighbour that has not answered yet: who sent too large a packet that must stay whole is told at once; one that may be cut waits, and
 * leaves in fragments, the first one first. */
static void too_large_for_an_unknown_neighbour(void **state)
{
	struct rig *r = *state;
	const uint32_t near = IPV4(198, 41, 0, 77);
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	uint8_t data[1400], udp[1600], frame[RIG_FRAME], *ip = frame + ETH_LEN;

	memset(data, 7, sizeof(data));
	be16_put(data, 0x4001);
	be16_put(data + 2, sizeof(data) - 4);
	r->answer_arp = false;
	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_bind(r, &c, 0x4001, near, 9), 0);
	rig_pass(r, 100);
	size_t n = rig_udp(frame, CLIENT_IP, 10, RELAY_IP, TURN_PORT, data, sizeof(data));
	assert_int_equal(be16_get(ip + IP_FRAG), IP_DF);
	rig_send(r, 0, frame, n);
	assert_int_equal(r->outs, 1);
	const uint8_t *told = r->out[0].bytes + ETH_LEN;
	assert_int_equal(ne32(told + IP_DST), CLIENT_IP);
	assert_int_equal(told[IP_PROTO], IPPROTO_ICMP_V4);
	assert_int_equal(told[IP_LEN], 3);
	assert_int_equal(told[IP_LEN + 1], 4);
	assert_int_equal(be16_get(told + IP_LEN + 6), 1284); /* our four bytes come off */
	assert_int_equal(rig_drops(r, DROP_TOO_BIG), 1);
	assert_int_equal(r->path[0].helds, 0);

	be16_put(ip + IP_FRAG, 0);
	ne16_set(ip + IP_SUM, 0);
	ne16_set(ip + IP_SUM, (uint16_t)~sum_fold(sum_bytes(ip, IP_LEN)));
	rig_send(r, 0, frame, n);
	assert_int_equal(r->outs, 0);
	assert_int_equal(r->path[0].helds, 1);
	uint8_t request[ARP_LEN];
	neigh_request(request, &r->relay->ifaces.at[0], near, NULL);
	rig_answer_arp(r, 0, request);
	assert_int_equal(r->outs, 2);
	assert_int_equal(be16_get(r->out[0].bytes + ETH_LEN + IP_FRAG), 0x2000);
	assert_int_equal(put_together(r, udp, sizeof(udp), 1280), UDP_LEN + sizeof(data) - 4);
	assert_memory_equal(udp + UDP_LEN, data + 4, sizeof(data) - 4);
	assert_int_equal(rig_drops(r, DROP_TOO_BIG), 1);
	assert_int_equal(r->path[0].helds, 0);
}

/* From IPv4 without DF to a client of IPv6, and an IPv6 packet of the least MTU on a link of no more. */
static void may_be_fragmented_in_ipv6(void **state)
{
	struct rig *r = *state;
	struct client c = client6(r, "2a00:5::1", 10), d = client6(r, "2a00:5::1", 11);
	uint8_t data[1240], frame[IP6_LEN + 1400];
	struct addr src = rig_ip("2a00:1::2"), dst = rig_ip("2a00:5::1");

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_udp, NULL, &(struct stun_msg){ 0 }), 0);
	c.relayed = 0;
	for (uint16_t port = 50000; port < 50020; port++) {
		if (alloc_alive(table_by_port(r->relay->table, 0, port), r->path[0].now_s))
			c.relayed = port;
	}
	bind_to(r, &c, 0x4001, "9.9.9.9", 9000);
	peer_says(r, "9.9.9.9", "198.41.0.2", c.relayed, data, 1240, false);
	size_t udp = put_together(r, frame + IP6_LEN, 1400, 1280);
	assert_int_equal(udp, UDP_LEN + 4 + 1240);
	ip6_put(frame, 0, 0, (uint16_t)udp, IPPROTO_UDP_V4, 1, &src, &dst);
	assert_true(udp6_sum_ok(frame));
	assert_memory_equal(frame + IP6_LEN + UDP_LEN + 4, data, 1240);
	allocate6(r, &d);
	bind_to(r, &d, 0x4001, "2a00:9::9", 9000);
	peer_says(r, "2a00:9::9", "2a00:1::2", d.relayed6, data, 1232, true);
	assert_int_equal(r->outs, 2);
	udp = put_together(r, frame + IP6_LEN, 1400, 1280);
	assert_int_equal(udp, UDP_LEN + 4 + 1232);
	assert_memory_equal(frame + IP6_LEN + UDP_LEN + 4, data, 1232);
}

/* DONT-FRAGMENT in a Send indication, on the way to a port with a smaller MTU: the client is told. */
static void dont_fragment_is_obeyed(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	uint8_t out[1600], f[RIG_FRAME], data[1300] = { 0 };

	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_permit(r, &c, PEER_IP), 0);
	rig_pass(r, 100);
	for (unsigned dont = 0; dont < 2; dont++) {
		struct wr w = wr_of(out, sizeof(out));

		stun_begin(&w, STUN_INDICATION, STUN_SEND, (const uint8_t *)"123456789012");
		put_peer(&w, &(struct rig_peer){ .ip = PEER_IP, .port = 9000 });
		if (dont == 1)
			stun_put(&w, STUN_DONT_FRAGMENT, STR_NONE);
		stun_put(&w, STUN_DATA, str_of(data, 1300));
		size_t len = rig_udp(f, c.ip, c.port, RELAY_IP, TURN_PORT, out, stun_end(&w));
		be16_put(f + ETH_LEN + IP_FRAG, 0);
		ne16_set(f + ETH_LEN + IP_SUM, 0);
		ne16_set(f + ETH_LEN + IP_SUM, (uint16_t)~sum_fold(sum_bytes(f + ETH_LEN, IP_LEN)));
		rig_send(r, 0, f, len);
		assert_int_equal(r->outs, dont == 1 ? 1 : 2);
		assert_int_equal(r->out[0].bytes[ETH_LEN + IP_PROTO], dont == 1 ? IPPROTO_ICMP_V4 : IPPROTO_UDP_V4);
	}
	assert_int_equal(be16_get(r->out[0].bytes + ETH_LEN + IP_LEN + 6), 1280 + 40); /* its own wrapping is not sent on */
}

/* --- ICMP --- */

/* An error about a datagram from our `src`:`sport` to `dst`:9000. */
static size_t icmp_frame(struct rig *r, uint8_t *f, const char *from, uint8_t type, uint8_t code, uint32_t word, const char *src,
			 uint16_t sport, const char *dst)
{
	struct addr a = rig_ip(from), s = rig_ip(src), d = rig_ip(dst);
	bool v4 = addr_is_v4(&a);
	uint8_t *ip = f + ETH_LEN, *icmp = ip + (v4 ? IP_LEN : IP6_LEN), *old = icmp + 8, *udp = old + (v4 ? IP_LEN : IP6_LEN);
	size_t len = 8 + (v4 ? IP_LEN : IP6_LEN) + UDP_LEN;

	(void)r;
	memset(f, 0, 200);
	memcpy(f, rig_mac, 6);
	memcpy(f + 6, rig_host_mac, 6);
	be16_put(f + 12, v4 ? ETHERTYPE_V4 : ETHERTYPE_V6);
	icmp[0] = type;
	icmp[1] = code;
	be32_put(icmp + 4, word);
	if (v4) {
		ip_put(ip, 0, (uint16_t)(IP_LEN + len), 0, 60, IPPROTO_ICMP_V4, addr_v4_of(&a), addr_v4_of(&s));
		ip_put(old, 0, 1000, 7 | IP_WHOLE, 50, IPPROTO_UDP_V4, addr_v4_of(&s), addr_v4_of(&d));
	} else {
		ip6_put(ip, 0, 0, (uint16_t)len, IPPROTO_ICMP_V6, 60, &a, &s);
		ip6_put(old, 0, 0, 1000, IPPROTO_UDP_V4, 50, &s, &d);
	}
	be16_put(udp, sport);
	be16_put(udp + 2, 9000);
	be16_put(udp + 4, 980);
	ne16_set(icmp + 2, v4 ? (uint16_t)~sum_fold(sum_bytes(icmp, len)) : icmp6_sum(ip, len));
	return ETH_LEN + (v4 ? IP_LEN : IP6_LEN) + len;
}

static void mend(uint8_t *f, size_t len)
{
	uint8_t *ip = f + ETH_LEN, *icmp = ip + IP_LEN;

	ne16_set(icmp + 2, 0);
	ne16_set(icmp + 2, (uint16_t)~sum_fold(sum_bytes(icmp, len - ETH_LEN - IP_LEN)));
}

static void expect_icmp(const struct rig *r, const struct client *c, const char *peer, uint8_t type, uint8_t code, uint32_t word)
{
	const uint8_t *ip = r->out[0].bytes + ETH_LEN, *udp = ip + (addr_is_none(&c->ip6) ? IP_LEN : IP6_LEN);
	struct addr want = rig_ip(peer);
	struct stun_addr from, should = addr_to_stun(&want, 9000);
	struct stun_msg m;

	assert_int_equal(r->outs, 1);
	assert_int_equal(be16_get(udp + UDP_AT_DPORT), c->port);
	assert_ok(stun_parse(udp + UDP_LEN, be16_get(udp + UDP_AT_TOTAL) - UDP_LEN, &m));
	assert_int_equal(m.class, STUN_INDICATION);
	assert_int_equal(m.method, STUN_DATA_METHOD);
	assert_false(stun_has(&m, STUN_DATA));
	assert_ok(stun_address(&m, STUN_XOR_PEER_ADDRESS, &from));
	assert_memory_equal(&from, &should, sizeof(from));
	struct str v = stun_bytes(&m, STUN_ICMP);
	assert_int_equal(v.len, 8);
	const uint8_t *b = (const uint8_t *)v.p;
	assert_int_equal(be16_get(b), 0);
	assert_int_equal(be16_get(b + 2) >> 9, type);
	assert_int_equal(be16_get(b + 2) & 0x1ff, code);
	assert_int_equal(be32_get(b + 4), word);
}

/* RFC 8656 §11.6: the kinds that are told, also where a channel is bound. */
static void errors_are_told(void **state)
{
	static const struct {
		uint8_t type, code;
		uint32_t word, told;
		bool v6, is_told;
	} cases[] = {
		{ 3, 1, 0, 0, false, true },	   { 3, 3, 0, 0, false, true },	     { 3, 4, 1400, 1400, false, true },
		{ 3, 3, 1400, 0, false, true },	   { 11, 0, 0, 0, false, true },     { 4, 0, 0, 0, false, false },
		{ 12, 0, 0, 0, false, false },	   { 1, 4, 0, 0, true, true },	     { 2, 0, 1300, 1300, true, true },
		{ 3, 0, 0, 0, true, true },	   { 4, 1, 0, 0, true, false },
	};
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", ""), d = client6(r, "2a00:5::1", 11);
	uint8_t f[RIG_FRAME];

	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_bind(r, &c, 0x4001, PEER_IP, 9000), 0);
	allocate6(r, &d);
	bind_to(r, &d, 0x4001, "2a00:9::9", 9000);
	unsigned silent = 0;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct client *to = cases[i].v6 ? &d : &c;
		const char *peer = cases[i].v6 ? "2a00:9::9" : "9.9.9.9";
		size_t len = icmp_frame(r, f, cases[i].v6 ? "2a00:8::1" : "8.8.8.1", cases[i].type, cases[i].code, cases[i].word,
					cases[i].v6 ? "2a00:1::2" : "198.41.0.2", cases[i].v6 ? d.relayed6 : c.relayed, peer);

		rig_send(r, 0, f, len);
		if (cases[i].is_told) {
			expect_icmp(r, to, peer, cases[i].type, cases[i].code, cases[i].told);
		} else {
			assert_int_equal(r->outs, 0);
			assert_int_equal(rig_drops(r, DROP_ICMP_ERROR), ++silent);
		}
	}
	assert_int_equal(stats_get(&r->relay->stats[0].icmp_told), ARRAY_LEN(cases) - silent);
}

/* The client has IPv6, its peer IPv4. */
static void errors_cross_families(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 10, "a", ""), d = client6(r, "2a00:5::1", 11);
	struct stun_addr relayed;
	struct stun_msg m;
	uint8_t f[RIG_FRAME];

	assert_int_equal(client_request(r, &d, STUN_ALLOCATE, put_udp, NULL, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	bind_to(r, &d, 0x4001, "9.9.9.9", 9000);
	rig_send(r, 0, f, icmp_frame(r, f, "8.8.8.1", 3, 1, 0, "198.41.0.2", relayed.port, "9.9.9.9"));
	expect_icmp(r, &d, "9.9.9.9", 3, 1, 0);
	allocate6(r, &a);
	bind_to(r, &a, 0x4001, "2a00:9::9", 9000);
	rig_send(r, 0, f, icmp_frame(r, f, "2a00:8::1", 1, 3, 0, "2a00:1::2", a.relayed6, "2a00:9::9"));
	expect_icmp(r, &a, "2a00:9::9", 1, 3, 0);
}

static void errors_about_nothing_of_ours(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	uint8_t f[RIG_FRAME];
	static const struct {
		uint8_t at, value; /* in the quoted packet */
	} spoil[] = { { 0, 0x46 }, { 0, 0x65 }, { 6, 0 }, { 7, 1 }, { 9, 6 }, { 12, 7 }, { 15, 3 }, { 16, 7 }, { 20, 1 } };
	unsigned n = 0;

	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_permit(r, &c, PEER_IP), 0);
	for (size_t i = 0; i < ARRAY_LEN(spoil); i++) {
		size_t len = icmp_frame(r, f, "8.8.8.1", 3, 3, 0, "198.41.0.2", c.relayed, "9.9.9.9");

		f[ETH_LEN + IP_LEN + 8 + spoil[i].at] = spoil[i].value;
		mend(f, len);
		rig_send(r, 0, f, len);
		if (spoil[i].at == 6) { /* without DF it is the same packet */
			assert_int_equal(r->outs, 1);
			continue;
		}
		assert_int_equal(r->outs, 0);
		assert_int_equal(rig_drops(r, DROP_ICMP_ERROR), ++n);
	}
	/* About an answer of the service; about a port without allocation; damaged; cut. */
	rig_send(r, 0, f, icmp_frame(r, f, "8.8.8.1", 3, 3, 0, "198.41.0.2", TURN_PORT, "8.8.1.1"));
	rig_send(r, 0, f, icmp_frame(r, f, "8.8.8.1", 3, 3, 0, "198.41.0.2", c.relayed == 50000 ? 50001 : 50000, "9.9.9.9"));
	assert_int_equal(rig_drops(r, DROP_ICMP_ERROR), n + 2);
	size_t len = icmp_frame(r, f, "8.8.8.1", 3, 3, 0, "198.41.0.2", c.relayed, "9.9.9.9");
	f[ETH_LEN + IP_LEN + 30] ^= 1;
	rig_send(r, 0, f, len);
	assert_int_equal(r->outs, 0);
	for (size_t cut = 8; cut < 36; cut++) {
		len = icmp_frame(r, f, "8.8.8.1", 3, 3, 0, "198.41.0.2", c.relayed, "9.9.9.9");
		ip_put(f + ETH_LEN, 0, (uint16_t)(IP_LEN + cut), 0, 60, IPPROTO_ICMP_V4, IPV4(8, 8, 8, 1), RELAY_IP);
		mend(f, ETH_LEN + IP_LEN + cut);
		rig_send(r, 0, f, ETH_LEN + IP_LEN + cut);
		assert_int_equal(r->outs, 0);
	}
	/* When the permission has ended, nobody wants to know. */
	rig_pass(r, 301000);
	rig_send(r, 0, f, icmp_frame(r, f, "8.8.8.1", 3, 3, 0, "198.41.0.2", c.relayed, "9.9.9.9"));
	assert_int_equal(r->outs, 0);
}

/* What is quoted may be a fragment of ours: the first one has the ports. */
static void error_about_a_fragment(void **state)
{
	struct rig *r = *state;
	struct client d = client6(r, "2a00:5::1", 11);
	uint8_t f[RIG_FRAME];

	allocate6(r, &d);
	bind_to(r, &d, 0x4001, "2a00:9::9", 9000);
	for (unsigned first = 0; first < 2; first++) {
		size_t len = icmp_frame(r, f, "2a00:8::1", 3, 1, 0, "2a00:1::2", d.relayed6, "2a00:9::9") + 8;
		uint8_t *ip = f + ETH_LEN, *old = ip + IP6_LEN + 8, header[8] = { IPPROTO_UDP_V4, 0, 0, first == 1 ? 1 : 9 };

		old[IP6_NEXT] = IPPROTO_FRAGMENT_V6;
		memmove(old + IP6_LEN + 8, old + IP6_LEN, UDP_LEN);
		memcpy(old + IP6_LEN, header, 8);
		be16_put(ip + IP6_TOTAL, (uint16_t)(len - ETH_LEN - IP6_LEN));
		ne16_set(ip + IP6_LEN + 2, 0);
		ne16_set(ip + IP6_LEN + 2, icmp6_sum(ip, len - ETH_LEN - IP6_LEN));
		rig_send(r, 0, f, len);
		if (first == 1)
			expect_icmp(r, &d, "2a00:9::9", 3, 1, 0);
		else
			assert_int_equal(r->outs, 0);
	}
}

/* Who says to have our address is answered with an announcement, once in ten seconds. */
static void our_address_is_defended(void **state)
{
	struct rig *r = *state;
	struct iface liar = { .net = { .mac = { 2, 0, 0, 0, 0, 0x77 }, .ip = RELAY_IP } };
	uint8_t f[ARP_LEN];

	rig_pass(r, 1000);
	r->answer_arp = false;
	neigh_request(f, &liar, RELAY_IP, NULL);
	rig_send(r, 0, f, sizeof(f));
	assert_int_equal(r->outs, 2); /* of either family */
	assert_int_equal(be16_get(r->out[0].bytes + 12), ETHERTYPE_ARP);
	assert_memory_equal(r->out[0].bytes + 6, r->relay->ifaces.at[0].net.mac, 6);
	assert_int_equal(ne32(r->out[0].bytes + 28), RELAY_IP);
	assert_int_equal(ne32(r->out[0].bytes + 38), RELAY_IP);
	rig_send(r, 0, f, sizeof(f));
	assert_int_equal(r->outs, 0);
	rig_pass(r, 10000);
	rig_send(r, 0, f, sizeof(f));
	assert_int_equal(r->outs, 2);
	assert_int_equal(rig_drops(r, DROP_ADDRESS_CLAIMED), 3);
}

#define PLAIN(f) cmocka_unit_test_setup_teardown(f, set_up_plain, tear_down)
#define SMALL(f) cmocka_unit_test_setup_teardown(f, set_up_small, tear_down)
#define VLAN(f) cmocka_unit_test_setup_teardown(f, set_up_vlan, tear_down)
#define NAT(f) cmocka_unit_test_setup_teardown(f, set_up_nat, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VLAN(tags_come_off_and_on), VLAN(other_tags_are_counted), VLAN(mixed_burst),
		PLAIN(our_address_is_defended), NAT(clients_are_told_the_external_address), NAT(clients_meet_by_external_addresses),
		PLAIN(sender_is_told_in_ipv4), PLAIN(sender_is_told_in_ipv6), PLAIN(may_be_fragmented_in_ipv4), SMALL(may_be_fragmented_in_ipv6),
		SMALL(too_large_for_an_unknown_neighbour),
		SMALL(dont_fragment_is_obeyed), PLAIN(errors_are_told), PLAIN(errors_cross_families), PLAIN(errors_about_nothing_of_ours),
		PLAIN(error_about_a_fragment),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
