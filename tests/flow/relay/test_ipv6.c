/* Both families: who gets which addresses, data between all four pairs of client and peer, dual allocations, peers in
 * disguise. */
#include "tests/flow/relay/rig.h"

#define PEER6 "2a00:9::9"

static struct rig *both(unsigned ports, uint16_t port_min, uint16_t port_max)
{
	struct ifaces ifaces = rig_ifaces_dual(ports);

	return rig_new_ifaces(1, &ifaces, port_min, port_max, rig_policy());
}

static int set_up(void **state)
{
	*state = both(2, 50000, 50019);
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct client client6(const char *ip, uint16_t port, const char *user)
{
	struct client c = client_new(0, port, user, "");

	c.ip6 = rig_ip(ip);
	c.server6 = rig_ip("2a00:1::2");
	return c;
}

struct wish {
	uint8_t family, also;      /* REQUESTED- and ADDITIONAL-ADDRESS-FAMILY, 0 = left out */
	int even;                  /* EVEN-PORT: its byte, -1 = left out */
	const uint8_t *token;
	const uint32_t *lifetime;
};

static void put_wish(struct wr *w, const void *arg)
{
	const struct wish *x = arg;
	uint8_t even = (uint8_t)x->even;

	put_udp(w, x->lifetime);
	if (x->family != 0)
		stun_put_u32(w, STUN_REQUESTED_ADDRESS_FAMILY, (uint32_t)x->family << 24);
	if (x->also != 0)
		stun_put_u32(w, STUN_ADDITIONAL_ADDRESS_FAMILY, (uint32_t)x->also << 24);
	if (x->even >= 0)
		stun_put(w, STUN_EVEN_PORT, str_of(&even, 1));
	if (x->token != NULL)
		stun_put(w, STUN_RESERVATION_TOKEN, str_of(x->token, 8));
}

/* Every XOR-RELAYED-ADDRESS of an answer: the first of each family into c->relayed and relayed6. Returns how many. */
static unsigned take_relayed(struct client *c, const struct stun_msg *m)
{
	unsigned n = 0;

	c->relayed = c->relayed6 = 0;
	for (size_t at = STUN_HEADER_LEN; at + 4 <= m->len; at += 4 + ((be16_get(m->p + at + 2) + 3u) & ~3u)) {
		const uint8_t *v = m->p + at + 4;

		if (be16_get(m->p + at) != 0x0016)
			continue;
		uint16_t port = be16_get(v + 2) ^ (STUN_MAGIC >> 16);
		*(v[1] == STUN_IPV4 ? &c->relayed : &c->relayed6) = port;
		n++;
	}
	return n;
}

static int allocate(struct rig *r, struct client *c, struct wish wish, struct stun_msg *m)
{
	int code = client_request(r, c, STUN_ALLOCATE, put_wish, &wish, m);

	if (code == 0)
		(void)take_relayed(c, m);
	return code;
}

static void must_allocate(struct rig *r, struct client *c, uint8_t family, uint8_t also)
{
	struct stun_msg m;

	assert_int_equal(allocate(r, c, (struct wish){ .family = family, .also = also, .even = -1 }, &m), 0);
}

struct to {
	struct addr ip;
	uint16_t port, channel;
};

static void put_to(struct wr *w, const void *arg)
{
	const struct to *t = arg;
	struct stun_addr s = addr_to_stun(&t->ip, t->port);

	if (t->channel != 0)
		stun_put_u32(w, STUN_CHANNEL_NUMBER, (uint32_t)t->channel << 16);
	stun_put_address(w, STUN_XOR_PEER_ADDRESS, &s);
}

static int bind(struct rig *r, struct client *c, uint16_t channel, const struct addr *ip, uint16_t port)
{
	struct to t = { *ip, port, channel };
	struct stun_msg m;

	return client_request(r, c, STUN_CHANNEL_BIND, put_to, &t, &m);
}

static int permit(struct rig *r, struct client *c, const struct addr *ip)
{
	struct to t = { .ip = *ip, .port = 1 };
	struct stun_msg m;

	return client_request(r, c, STUN_CREATE_PERMISSION, put_to, &t, &m);
}

static void send_indication(struct rig *r, const struct client *c, const struct stun_addr *to, const void *data, size_t len)
{
	uint8_t out[1600];
	struct wr w = wr_of(out, sizeof(out));

	stun_begin(&w, STUN_INDICATION, STUN_SEND, (const uint8_t *)"123456789012");
	stun_put_address(&w, STUN_XOR_PEER_ADDRESS, to);
	stun_put(&w, STUN_DATA, str_of(data, len));
	client_datagram(r, c, out, stun_end(&w));
}

/* The one datagram that came out: its UDP header. It went from `src` to `dst`. */
static const uint8_t *expect(const struct rig *r, const struct addr *src, uint16_t sport, const struct addr *dst, uint16_t dport,
			     size_t len)
{
	assert_int_equal(r->outs, 1);
	const uint8_t *ip = r->out[0].bytes + ETH_LEN;
	bool v4 = addr_is_v4(dst);
	const uint8_t *udp = ip + (v4 ? IP_LEN : IP6_LEN);
	struct addr from = v4 ? addr_v4(ne32(ip + IP_SRC)) : ip6_addr(ip + IP6_SRC), to = v4 ? addr_v4(ne32(ip + IP_DST)) : ip6_addr(ip + IP6_DST);

	assert_int_equal(be16_get(r->out[0].bytes + 12), v4 ? ETHERTYPE_V4 : ETHERTYPE_V6);
	assert_true(addr_eq(&from, src) && addr_eq(&to, dst));
	assert_int_equal(be16_get(udp + UDP_AT_SPORT), sport);
	assert_int_equal(be16_get(udp + UDP_AT_DPORT), dport);
	assert_int_equal(be16_get(udp + UDP_AT_TOTAL), UDP_LEN + len);
	return udp;
}

static void expect_data(const struct rig *r, const uint8_t *udp, const struct addr *ip, uint16_t port, const void *data, size_t len)
{
	struct stun_addr from, want = addr_to_stun(ip, port);
	struct stun_msg m;

	(void)r;
	assert_ok(stun_parse(udp + UDP_LEN, be16_get(udp + UDP_AT_TOTAL) - UDP_LEN, &m));
	assert_int_equal(m.class, STUN_INDICATION);
	assert_int_equal(m.method, STUN_DATA_METHOD);
	assert_ok(stun_address(&m, STUN_XOR_PEER_ADDRESS, &from));
	assert_memory_equal(&from, &want, sizeof(from));
	struct str got = stun_bytes(&m, STUN_DATA);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.p, data, len);
}

static void peer_sends(struct rig *r, const struct addr *src, uint16_t sport, const struct addr *dst, uint16_t dport,
		       const void *data, size_t len)
{
	uint8_t frame[RIG_FRAME];

	rig_send(r, 0, frame, rig_udp_of(frame, src, sport, dst, dport, data, len));
}

/* --- addresses --- */

static void mapped_address_is_the_clients(void **state)
{
	struct rig *r = *state;
	struct client c = client6("2a00:5::1", 4000, "c");
	uint8_t out[64];
	struct wr w = client_begin(r, out, sizeof(out), STUN_BINDING);
	struct stun_addr a, want = addr_to_stun(&c.ip6, 4000);
	struct stun_msg m;

	assert_int_equal(client_exchange(r, &c, out, stun_end(&w), &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_MAPPED_ADDRESS, &a));
	assert_memory_equal(&a, &want, sizeof(a));
	/* 20 bytes of request, 44 of answer: no amplifier. */
	assert_int_equal(m.len, 44);
}

static void family_is_as_requested(void **state)
{
	struct rig *r = *state;
	struct client a = client6("2a00:5::1", 1, "a"), b = client6("2a00:5::1", 2, "b"), c = client_new(CLIENT_IP, 3, "c", "");
	struct stun_msg m;

	must_allocate(r, &a, 0, 0); /* IPv4 unless asked for */
	assert_true(a.relayed != 0 && a.relayed6 == 0);
	must_allocate(r, &b, STUN_IPV6, 0);
	assert_true(b.relayed == 0 && b.relayed6 != 0);
	must_allocate(r, &c, STUN_IPV6, 0);
	assert_true(c.relayed == 0 && c.relayed6 != 0);
	struct client d = client_new(CLIENT_IP, 4, "d", "");
	assert_int_equal(allocate(r, &d, (struct wish){ .family = 3, .even = -1 }, &m), 440);
}

static void requests_that_contradict_themselves(void **state)
{
	static const uint8_t token[8] = { 1 };
	static const struct {
		struct wish wish;
		int code;
	} cases[] = {
		{ { .family = 2, .also = 2, .even = -1 }, 400 }, { { .also = 1, .even = -1 }, 400 },
		{ { .also = 2, .even = 0x80 }, 400 },		 { { .also = 2, .even = -1, .token = token }, 400 },
		{ { .family = 1, .even = -1, .token = token }, 400 }, { { .also = 7, .even = -1 }, 440 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(100 + i), "c", "");
		struct stun_msg m;

		assert_int_equal(allocate(r, &c, cases[i].wish, &m), cases[i].code);
		assert_int_equal(table_count(r->relay->table), 0);
	}
}

static void reserved_port_of_ipv6(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "a", ""), b = client_new(CLIENT_IP, 2, "b", "");
	struct stun_msg m;
	uint8_t token[8];

	assert_int_equal(allocate(r, &a, (struct wish){ .family = 2, .even = 0x80 }, &m), 0);
	assert_int_equal(a.relayed6 % 2, 0);
	memcpy(token, stun_bytes(&m, STUN_RESERVATION_TOKEN).p, 8);
	assert_int_equal(allocate(r, &b, (struct wish){ .even = -1, .token = token }, &m), 0);
	assert_int_equal(b.relayed6, a.relayed6 + 1);
	assert_int_equal(b.relayed, 0);
}

/* A relay without IPv6. */
static void one_family_alone(void **state)
{
	struct rig *r = rig_new(1, 50000, 50019, rig_policy());
	struct client a = client_new(CLIENT_IP, 1, "a", ""), b = client_new(CLIENT_IP, 2, "b", "");
	struct addr peer = rig_ip(PEER6);
	struct stun_msg m;

	(void)state;
	assert_int_equal(allocate(r, &a, (struct wish){ .family = 2, .even = -1 }, &m), 440);
	assert_int_equal(allocate(r, &b, (struct wish){ .also = 2, .even = -1 }, &m), 0);
	assert_int_equal(b.relayed6, 0);
	assert_memory_equal(stun_bytes(&m, STUN_ADDRESS_ERROR_CODE).p, ((const uint8_t[]){ STUN_IPV6, 0, 4, 40 }), 4);
	assert_int_equal(permit(r, &b, &peer), 443);
	assert_int_equal(bind(r, &b, 0x4000, &peer, 5), 443);
	/* Frames of the other family are none of its business. */
	struct addr src = rig_ip("2a00:5::1"), dst = rig_ip("2a00:1::2");
	peer_sends(r, &src, 1, &dst, TURN_PORT, "x", 1);
	assert_int_equal(rig_drops(r, DROP_ETHERTYPE), 1);
	rig_free(r);
}

/* --- data --- */

/* A client of one family and a peer of one: the channel there and back, indications there and back, odd and even. */
static void pair(struct rig *r, struct client *c, uint8_t family)
{
	struct addr peer = family == STUN_IPV6 ? rig_ip(PEER6) : addr_v4(PEER_IP), relay = family == STUN_IPV6 ? rig_ip("2a00:1::2") : addr_v4(RELAY_IP),
		    self = addr_is_none(&c->ip6) ? addr_v4(c->ip) : c->ip6,
		    service = addr_is_none(&c->ip6) ? addr_v4(RELAY_IP) : c->server6;
	struct stun_addr other = addr_to_stun(&peer, 9001);
	uint8_t data[64];

	memset(data, 0xa5, sizeof(data));
	data[1] = 0x37;
	must_allocate(r, c, family, 0);
	uint16_t relayed = family == STUN_IPV6 ? c->relayed6 : c->relayed;
	assert_int_equal(bind(r, c, 0x4001, &peer, 9000), 0);
	for (size_t len = 0; len < sizeof(data); len++) {
		client_channel_data(r, c, 0x4001, data, len, len % 3);
		assert_memory_equal(expect(r, &relay, relayed, &peer, 9000, len) + UDP_LEN, data, len);
		peer_sends(r, &peer, 9000, &relay, relayed, data, len);
		const uint8_t *udp = expect(r, &service, TURN_PORT, &self, c->port, 4 + len);
		assert_int_equal(be16_get(udp + UDP_LEN), 0x4001);
		assert_int_equal(be16_get(udp + UDP_LEN + 2), len);
		assert_memory_equal(udp + UDP_LEN + 4, data, len);
		send_indication(r, c, &other, data, len);
		assert_memory_equal(expect(r, &relay, relayed, &peer, 9001, len) + UDP_LEN, data, len);
		peer_sends(r, &peer, 9001, &relay, relayed, data, len);
		udp = expect(r, &service, TURN_PORT, &self, c->port, (family == STUN_IPV6 ? 48 : 36) + ((len + 3) & ~(size_t)3));
		expect_data(r, udp, &peer, 9001, data, len);
	}
}

static void all_pairs_of_families(void **state)
{
	struct rig *r = *state;
	struct client c[4] = { client_new(CLIENT_IP, 1, "a", ""), client_new(CLIENT_IP, 2, "b", ""), client6("2a00:5::1", 1, "c"),
			       client6("2a00:5::1", 2, "d") };

	for (unsigned i = 0; i < 4; i++)
		pair(r, &c[i], i % 2 == 0 ? STUN_IPV4 : STUN_IPV6);
}

/* A damaged payload stays damaged in the other family: the checksum is carried on, not made anew. */
static void damage_is_carried_across(void **state)
{
	struct rig *r = *state;
	struct client c = client6("2a00:5::1", 1, "c");
	struct addr peer = addr_v4(PEER_IP), relay = addr_v4(RELAY_IP);
	uint8_t f[RIG_FRAME];
	struct pkt p = { 0 };

	must_allocate(r, &c, 0, 0);
	assert_int_equal(bind(r, &c, 0x4001, &peer, 9000), 0);
	size_t len = rig_udp_of(f, &peer, 9000, &relay, c.relayed, "hello", 5);
	f[len - 1] ^= 1;
	(void)rig_new_buf(r, &p);
	memcpy(p.data, f, len);
	p.len = (uint32_t)len;
	path_burst(&r->path[0], &p, 1, &r->clock);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_false(udp6_sum_ok(p.data + ETH_LEN));
	p.data[ETH_LEN + IP6_LEN + UDP_LEN + 4 + 4] ^= 1;
	assert_true(udp6_sum_ok(p.data + ETH_LEN));
	rig_free_buf(r, &p);
}

static void absent_checksum_is_made(void **state)
{
	struct rig *r = *state;
	struct client c = client6("2a00:5::1", 1, "c"), d = client6("2a00:5::1", 2, "d");
	struct addr peer = addr_v4(PEER_IP), relay = addr_v4(RELAY_IP), peer6 = rig_ip(PEER6), relay6 = rig_ip("2a00:1::2");
	uint8_t f[RIG_FRAME];

	must_allocate(r, &c, 0, 0);
	must_allocate(r, &d, STUN_IPV6, 0);
	assert_int_equal(bind(r, &c, 0x4001, &peer, 9000), 0);
	assert_int_equal(bind(r, &d, 0x4001, &peer6, 9000), 0);
	for (size_t n = 0; n < 6; n++) {
		size_t len = rig_udp_of(f, &peer, 9000, &relay, c.relayed, "hello!", n);

		ne16_set(f + ETH_LEN + UDP_SUM, 0);
		rig_send(r, 0, f, len); /* the rig finds a right one, and IPv6 has no "none" */
		(void)expect(r, &c.server6, TURN_PORT, &c.ip6, 1, 4 + n);
	}
	/* In IPv6 itself its absence is damage (RFC 8200 §8.1). */
	size_t len = rig_udp_of(f, &peer6, 9000, &relay6, d.relayed6, "x", 1);
	ne16_set(f + ETH_LEN + IP6_LEN + UDP_AT_SUM, 0);
	rig_send(r, 0, f, len);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_UDP_CHECKSUM), 1);
}

/* RFC 8656 §15. The rig sends with traffic class and TOS 0xb8, hop limit and TTL 57, flow label 0x12345, DF. */
static void header_fields_across(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "a", ""), b = client6("2a00:5::1", 1, "b");
	struct addr peer = rig_ip(PEER6), v4 = addr_v4(PEER_IP);
	uint8_t data[1300] = { 0 };
	const uint8_t *ip = r->out[0].bytes + ETH_LEN;

	must_allocate(r, &a, STUN_IPV6, 0);
	assert_int_equal(bind(r, &a, 0x4001, &peer, 9000), 0);
	client_channel_data(r, &a, 0x4001, "x", 1, 0); /* 4 to 6 */
	assert_int_equal(r->outs, 1);
	assert_int_equal(ip6_class(ip), 0xb8);
	assert_int_equal(ip[IP6_HOPS], 56);
	uint32_t label = be32_get(ip) & 0xfffff;
	client_channel_data(r, &a, 0x4001, "yz", 2, 0);
	assert_int_equal(be32_get(ip) & 0xfffff, label);

	must_allocate(r, &b, 0, STUN_IPV6);
	assert_int_equal(bind(r, &b, 0x4001, &v4, 9000), 0);
	assert_int_equal(bind(r, &b, 0x4002, &peer, 9000), 0);
	client_channel_data(r, &b, 0x4002, "x", 1, 0); /* 6 to 6 */
	assert_int_equal(ip6_class(ip), 0xb8);
	assert_int_equal(ip[IP6_HOPS], 56);
	assert_int_not_equal(be32_get(ip) & 0xfffff, 0x12345);
	client_channel_data(r, &b, 0x4001, "x", 1, 0); /* 6 to 4: small ones may be fragmented, large ones not */
	assert_int_equal(ip[IP_TOS], 0xb8);
	assert_int_equal(ip[IP_TTL_AT], 56);
	assert_int_equal(be16_get(ip + IP_FRAG), 0);
	client_channel_data(r, &b, 0x4001, data, 1280 - IP6_LEN - UDP_LEN - 4, 0);
	assert_int_equal(be16_get(ip + IP_FRAG), 0);
	client_channel_data(r, &b, 0x4001, data, 1281 - IP6_LEN - UDP_LEN - 4, 0);
	assert_int_equal(be16_get(ip + IP_FRAG), IP_DF);
}

static void hop_limit_ends(void **state)
{
	struct rig *r = *state;
	struct client c = client6("2a00:5::1", 1, "c");
	struct addr peer = addr_v4(PEER_IP);
	uint8_t f[RIG_FRAME], bytes[] = { 0x40, 1, 0, 1, 'x' };

	must_allocate(r, &c, 0, 0);
	assert_int_equal(bind(r, &c, 0x4001, &peer, 9000), 0);
	size_t len = rig_udp_of(f, &c.ip6, 1, &c.server6, TURN_PORT, bytes, sizeof(bytes));
	f[ETH_LEN + IP6_HOPS] = 1;
	rig_send(r, 0, f, len);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_TTL), 1);
}

/* --- dual allocations --- */

static void dual_has_both(void **state)
{
	struct rig *r = *state;
	struct client c = client6("2a00:5::1", 1, "c");
	struct addr v4 = addr_v4(PEER_IP), v6 = rig_ip(PEER6), relay4 = addr_v4(RELAY_IP), relay6 = rig_ip("2a00:1::2");
	uint8_t out[1024], first[RIG_FRAME];
	struct wish wish = { .also = 2, .even = -1 };
	struct stun_msg m;

	client_get_nonce(r, &c);
	struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
	put_wish(&w, &wish);
	size_t len = client_seal(&c, &w);
	assert_int_equal(client_exchange(r, &c, out, len, &m), 0);
	assert_int_equal(take_relayed(&c, &m), 2);
	assert_true(c.relayed != 0 && c.relayed6 != 0);
	assert_false(stun_has(&m, STUN_ADDRESS_ERROR_CODE));
	assert_int_equal(table_count(r->relay->table), 1); /* it counts once */
	memcpy(first, m.p, m.len);
	assert_int_equal(client_exchange(r, &c, out, len, &m), 0);
	assert_memory_equal(first, m.p, m.len);

	assert_int_equal(bind(r, &c, 0x4004, &v4, 9000), 0);
	assert_int_equal(bind(r, &c, 0x4006, &v6, 9000), 0);
	client_channel_data(r, &c, 0x4004, "four", 4, 0);
	(void)expect(r, &relay4, c.relayed, &v4, 9000, 4);
	client_channel_data(r, &c, 0x4006, "six", 3, 0);
	(void)expect(r, &relay6, c.relayed6, &v6, 9000, 3);
	peer_sends(r, &v4, 9000, &relay4, c.relayed, "f", 1);
	assert_int_equal(be16_get(expect(r, &c.server6, TURN_PORT, &c.ip6, 1, 5) + UDP_LEN), 0x4004);
	peer_sends(r, &v6, 9000, &relay6, c.relayed6, "s", 1);
	assert_int_equal(be16_get(expect(r, &c.server6, TURN_PORT, &c.ip6, 1, 5) + UDP_LEN), 0x4006);
	/* Revoked, both ports are closed, and come back. */
	assert_int_equal(table_remove_user(r->relay->table, STR("c"), STR_NONE), 1);
	peer_sends(r, &v4, 9000, &relay4, c.relayed, "f", 1);
	assert_int_equal(r->outs, 0);
	peer_sends(r, &v6, 9000, &relay6, c.relayed6, "s", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_PEER_PORT), 2);
}

struct half_refresh {
	uint8_t family;
	uint32_t lifetime;
};

static void put_half(struct wr *w, const void *arg)
{
	const struct half_refresh *h = arg;

	stun_put_u32(w, STUN_LIFETIME, h->lifetime);
	if (h->family != 0)
		stun_put_u32(w, STUN_REQUESTED_ADDRESS_FAMILY, (uint32_t)h->family << 24);
}

static int refresh(struct rig *r, struct client *c, uint8_t family, uint32_t lifetime)
{
	struct half_refresh h = { family, lifetime };
	struct stun_msg m;

	return client_request(r, c, STUN_REFRESH, put_half, &h, &m);
}

/* Whether data from peers passes, by family: RFC 8656 §8.2 on deleting one half. */
static unsigned open_halves(struct rig *r, const struct client *c)
{
	struct addr v4 = addr_v4(PEER_IP), v6 = rig_ip(PEER6), relay4 = addr_v4(RELAY_IP), relay6 = rig_ip("2a00:1::2");
	unsigned open = 0;

	peer_sends(r, &v4, 9000, &relay4, c->relayed, "f", 1);
	open |= r->outs == 1 ? STUN_IPV4 : 0;
	peer_sends(r, &v6, 9000, &relay6, c->relayed6, "s", 1);
	open |= r->outs == 1 ? STUN_IPV6 : 0;
	client_channel_data(r, c, 0x4004, "four", 4, 0);
	assert_int_equal(r->outs, (open & STUN_IPV4) != 0);
	client_channel_data(r, c, 0x4006, "six", 3, 0);
	assert_int_equal(r->outs, (open & STUN_IPV6) != 0);
	return open;
}

static struct client dual(struct rig *r, uint16_t port)
{
	struct client c = client_new(CLIENT_IP, port, "c", "");
	struct addr v4 = addr_v4(PEER_IP), v6 = rig_ip(PEER6);

	must_allocate(r, &c, 0, STUN_IPV6);
	assert_int_equal(bind(r, &c, 0x4004, &v4, 9000), 0);
	assert_int_equal(bind(r, &c, 0x4006, &v6, 9000), 0);
	assert_int_equal(open_halves(r, &c), STUN_IPV4 | STUN_IPV6);
	return c;
}

static void halves_are_deleted_one_by_one(void **state)
{
	struct rig *r = *state;
	struct addr peers[2] = { addr_v4(PEER_IP), rig_ip(PEER6) };

	for (unsigned i = 0; i < 2; i++) {
		struct client c = dual(r, (uint16_t)(10 + i));
		uint8_t gone = i == 0 ? STUN_IPV4 : STUN_IPV6, kept = i == 0 ? STUN_IPV6 : STUN_IPV4;

		assert_int_equal(refresh(r, &c, gone, 0), 0);
		assert_int_equal(open_halves(r, &c), kept);
		assert_int_equal(permit(r, &c, &peers[i]), 443);
		assert_int_equal(bind(r, &c, 0x4009, &peers[i], 9), 443);
		assert_int_equal(permit(r, &c, &peers[1 - i]), 0);
		assert_int_equal(refresh(r, &c, gone, 600), 443);
		assert_int_equal(refresh(r, &c, 0, 600), 0); /* all there is */
		assert_int_equal(open_halves(r, &c), kept);
		assert_int_equal(table_count(r->relay->table), 1);
		assert_int_equal(refresh(r, &c, kept, 0), 0);
		assert_int_equal(open_halves(r, &c), 0);
		assert_int_equal(table_count(r->relay->table), 0);
		assert_int_equal(refresh(r, &c, 0, 600), 437);
	}
	struct client d = dual(r, 20);
	assert_int_equal(refresh(r, &d, 9, 600), 443);
	assert_int_equal(refresh(r, &d, 0, 0), 0);
	assert_int_equal(open_halves(r, &d), 0);
}

/* A half that is not refreshed ends alone, in its own time. */
static void halves_expire_one_by_one(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct client c = dual(r, (uint16_t)(10 + i));
		uint8_t kept = i == 0 ? STUN_IPV6 : STUN_IPV4;
		struct addr peer = kept == STUN_IPV6 ? rig_ip(PEER6) : addr_v4(PEER_IP);

		assert_int_equal(refresh(r, &c, kept, 1200), 0);
		rig_pass(r, 290000);
		assert_int_equal(bind(r, &c, kept == STUN_IPV6 ? 0x4006 : 0x4004, &peer, 9000), 0);
		rig_pass(r, 290000);
		assert_int_equal(bind(r, &c, kept == STUN_IPV6 ? 0x4006 : 0x4004, &peer, 9000), 0);
		rig_pass(r, 25000);
		assert_int_equal(open_halves(r, &c), kept);
		assert_int_equal(refresh(r, &c, kept == STUN_IPV6 ? STUN_IPV4 : STUN_IPV6, 600), 443);
		rig_pass(r, 600000);
		assert_int_equal(open_halves(r, &c), 0);
		assert_int_equal(table_count(r->relay->table), 0);
	}
	/* Every port of both families can be had again. */
	for (unsigned i = 0; i < 20; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(1000 + i), "c", "");

		must_allocate(r, &c, 0, STUN_IPV6);
		assert_true(c.relayed != 0 && c.relayed6 != 0);
	}
}

/* Where one family has no port left, the other will do, and the answer says so: RFC 8656 §7.2, §18.12. */
static void half_of_it_when_ports_are_out(void **state)
{
	struct rig *r = *state;
	struct stun_msg m;

	for (unsigned i = 0; i < 20; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(1000 + i), "c", "");

		must_allocate(r, &c, STUN_IPV6, 0);
	}
	struct client a = client_new(CLIENT_IP, 1, "a", "");
	assert_int_equal(allocate(r, &a, (struct wish){ .also = 2, .even = -1 }, &m), 0);
	assert_true(a.relayed != 0 && a.relayed6 == 0);
	assert_memory_equal(stun_bytes(&m, STUN_ADDRESS_ERROR_CODE).p, ((const uint8_t[]){ STUN_IPV6, 0, 5, 8 }), 4);

	rig_free(r);
	*state = r = both(2, 50000, 50019);
	for (unsigned i = 0; i < 20; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(1000 + i), "c", "");

		must_allocate(r, &c, STUN_IPV4, 0);
	}
	struct client b = client_new(CLIENT_IP, 1, "b", "");
	assert_int_equal(allocate(r, &b, (struct wish){ .also = 2, .even = -1 }, &m), 0);
	assert_true(b.relayed == 0 && b.relayed6 != 0);
	assert_memory_equal(stun_bytes(&m, STUN_ADDRESS_ERROR_CODE).p, ((const uint8_t[]){ STUN_IPV4, 0, 5, 8 }), 4);
	assert_int_equal(refresh(r, &b, STUN_IPV4, 600), 443);
	assert_int_equal(refresh(r, &b, STUN_IPV6, 600), 0);
}

/* --- hairpin --- */

/* Clients of different families, on different ports, meet inside the relay on relayed addresses of either family. */
static void hairpin_across_families_and_ports(void **state)
{
	struct rig *r = *state;

	for (uint8_t family = STUN_IPV4; family <= STUN_IPV6; family++) {
		struct client a = client_new(CLIENT_IP, (uint16_t)(10 + family), "a", ""), b = client6("2a00:2::77", (uint16_t)(10 + family), "b");
		struct addr home_a = family == STUN_IPV6 ? rig_ip("2a00:1::2") : addr_v4(RELAY_IP),
			    home_b = family == STUN_IPV6 ? rig_ip("2a00:2::2") : addr_v4(SECOND_IP), self = addr_v4(CLIENT_IP),
			    service = addr_v4(RELAY_IP);

		b.server6 = rig_ip("2a00:2::2");
		must_allocate(r, &a, family, 0);
		must_allocate(r, &b, family, 0);
		uint16_t at_a = family == STUN_IPV6 ? a.relayed6 : a.relayed, at_b = family == STUN_IPV6 ? b.relayed6 : b.relayed;
		assert_int_equal(bind(r, &a, 0x4001, &home_b, at_b), 0);
		client_channel_data(r, &a, 0x4001, "x", 1, 0);
		assert_int_equal(r->outs, 0);
		assert_int_equal(rig_drops(r, DROP_HAIRPIN_PERMISSION), family);
		assert_int_equal(bind(r, &b, 0x4002, &home_a, at_a), 0);
		client_channel_data(r, &a, 0x4001, "over", 4, 0);
		const uint8_t *udp = expect(r, &b.server6, TURN_PORT, &b.ip6, b.port, 8);
		assert_memory_equal(udp + UDP_LEN, "\x40\x02\0\4over", 8);
		assert_int_equal(r->out[0].iface, 1);
		client_channel_data(r, &b, 0x4002, "back!", 5, 0);
		udp = expect(r, &service, TURN_PORT, &self, a.port, 9);
		assert_memory_equal(udp + UDP_LEN, "\x40\x01\0\5" "back!", 9);
		assert_int_equal(r->out[0].iface, 0);
	}
}

static void hairpin_between_dual_ones(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 10, "a", ""), b = client6("2a00:5::1", 11, "b");
	struct addr six = rig_ip("2a00:1::2");

	must_allocate(r, &a, 0, STUN_IPV6);
	must_allocate(r, &b, 0, STUN_IPV6);
	assert_int_equal(bind(r, &a, 0x4001, &six, b.relayed6), 0);
	assert_int_equal(bind(r, &b, 0x4002, &six, a.relayed6), 0);
	client_channel_data(r, &a, 0x4001, "over", 4, 0);
	(void)expect(r, &b.server6, TURN_PORT, &b.ip6, 11, 8);
	/* Between addresses of different families there is no way. */
	struct addr four = addr_v4(RELAY_IP);
	assert_int_equal(refresh(r, &a, STUN_IPV6, 0), 0);
	client_channel_data(r, &b, 0x4002, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	assert_int_equal(bind(r, &b, 0x4003, &four, a.relayed), 0);
	assert_int_equal(bind(r, &a, 0x4003, &four, b.relayed), 0);
	client_channel_data(r, &b, 0x4003, "four", 4, 0);
	assert_int_equal(r->outs, 1);
}

/* --- peers that are none --- */

static const char *const forbidden[] = {
	"::", "::1", "fe80::1", "febf::1", "ff02::1", "ff0e::1234", "fc00::1", "fd00:1::1", "fec0::1", "100::1", "2001::1", "2001:db8::1",
	"3fff::1", "5f00::1", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "64:ff9b::7f00:1", "64:ff9b::808:808",
	"64:ff9b:1::a9fe:a9fe", "::ffff:0:127.0.0.1", "::127.0.0.1", "::8.8.8.8", "fd00:ec2::254", "fd20:ce::254",
	"2a00:1::", /* the subnet's routers */
	"2a00:7::5efe:7f00:1", "2a00:7::200:5efe:a00:1",
};

/* Every disguise, by all three ways to name a peer. */
static void peers_in_disguise(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	struct addr good = rig_ip(PEER6), v4 = addr_v4(PEER_IP);

	must_allocate(r, &c, 0, STUN_IPV6);
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		struct addr ip = rig_ip(forbidden[i]);
		struct stun_addr s = addr_to_stun(&ip, 80);
		uint64_t before = rig_drops(r, DROP_NO_PERMISSION);

		if (permit(r, &c, &ip) != 403)
			fail_msg("CreatePermission for %s is not refused", forbidden[i]);
		if (bind(r, &c, 0x4001, &ip, 80) != 403)
			fail_msg("ChannelBind to %s is not refused", forbidden[i]);
		send_indication(r, &c, &s, "x", 1);
		assert_int_equal(r->outs, 0);
		assert_int_equal(rig_drops(r, DROP_NO_PERMISSION), before + 1);
	}
	/* Our own service, and our own link-local address. */
	struct addr service = rig_ip("2a00:1::2"), link = r->relay->ifaces.at[0].net.link;
	assert_int_equal(bind(r, &c, 0x4001, &service, TURN_PORT), 403);
	assert_int_equal(permit(r, &c, &link), 403);
	/* And they may be peers, if they are. */
	assert_int_equal(permit(r, &c, &good), 0);
	assert_int_equal(permit(r, &c, &v4), 0);
}

static void put_mapped(struct wr *w, const void *arg)
{
	struct stun_addr s = { .family = STUN_IPV6, .port = 80, .ip = { [10] = 0xff, 0xff } };

	memcpy(s.ip + 12, arg, 4);
	stun_put_u32(w, STUN_CHANNEL_NUMBER, 0x4001u << 16);
	stun_put_address(w, STUN_XOR_PEER_ADDRESS, &s);
}

/* IPv4 in the form of IPv6 is neither, even for a peer that is permitted under its own name. */
static void ipv4_mapped_is_no_peer(void **state)
{
	static const uint32_t ips[] = { IPV4(127, 0, 0, 1), IPV4(169, 254, 169, 254), PEER_IP, RELAY_IP };
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	struct addr v4 = addr_v4(PEER_IP);

	must_allocate(r, &c, 0, STUN_IPV6);
	assert_int_equal(permit(r, &c, &v4), 0);
	for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
		struct stun_addr s = { .family = STUN_IPV6, .port = 80, .ip = { [10] = 0xff, 0xff } };
		struct stun_msg m;

		memcpy(s.ip + 12, &ips[i], 4);
		assert_int_equal(client_request(r, &c, STUN_CREATE_PERMISSION, put_mapped, &ips[i], &m), 420); /* has a channel's attribute */
		assert_int_equal(client_request(r, &c, STUN_CHANNEL_BIND, put_mapped, &ips[i], &m), 403);
		send_indication(r, &c, &s, "x", 1);
		assert_int_equal(r->outs, 0);
		assert_int_equal(rig_drops(r, DROP_SEND_MALFORMED), i + 1);
	}
}

/* Nor does a wire carry it: a frame from ::ffff:a.b.c.d would be taken for the client a.b.c.d. */
static void ipv4_mapped_source_is_dropped(void **state)
{
	struct rig *r = *state;
	struct addr src = addr_v4(CLIENT_IP), dst = rig_ip("2a00:1::2");
	uint8_t f[RIG_FRAME];
	size_t len = rig_udp_of(f, &dst, 10, &dst, TURN_PORT, "x", 1);

	memcpy(f + ETH_LEN + IP6_SRC, &src, 16);
	ne16_set(f + ETH_LEN + IP6_LEN + 6, 0);
	ne16_set(f + ETH_LEN + IP6_LEN + 6, udp6_sum_full(f + ETH_LEN));
	rig_send(r, 0, f, len);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_IP_SOURCE), 1);
}

/* --- neighbours --- */

static void waits_for_its_neighbour(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 10, "c", "");
	struct addr peer = rig_ip("2a00:1::77"), relay = rig_ip("2a00:1::2"), group = net_solicited_node(&peer);
	uint8_t asked[ND_LEN], mac[6];

	must_allocate(r, &c, STUN_IPV6, 0);
	r->answer_arp = false;
	assert_int_equal(bind(r, &c, 0x4001, &peer, 9), 0);
	assert_int_equal(r->outs, 2);
	assert_true(rig_is_solicitation(&r->out[1]));
	memcpy(asked, r->out[1].bytes, sizeof(asked));
	net_group_mac(&group, mac);
	assert_memory_equal(asked, mac, 6);
	assert_memory_equal(asked + ETH_LEN + IP6_DST, &group, 16);
	assert_int_equal(asked[ETH_LEN + IP6_HOPS], 255);
	client_channel_data(r, &c, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	rig_answer_nd(r, 0, asked);
	(void)expect(r, &relay, c.relayed6, &peer, 9, 1);
	client_channel_data(r, &c, 0x4001, "y", 1, 0);
	(void)expect(r, &relay, c.relayed6, &peer, 9, 1);
	/* Into the world it goes by the link-local gateway. */
	struct addr far = rig_ip(PEER6);
	assert_int_equal(bind(r, &c, 0x4002, &far, 9), 0);
	assert_int_equal(r->outs, 2);
	assert_memory_equal(r->out[1].bytes + ETH_LEN + IP6_LEN + 8, &r->relay->ifaces.at[0].ip[1].gateway, 16);
	memcpy(asked, r->out[1].bytes, sizeof(asked));
	rig_answer_nd(r, 0, asked);
	client_channel_data(r, &c, 0x4002, "z", 1, 0);
	(void)expect(r, &relay, c.relayed6, &far, 9, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(mapped_address_is_the_clients), T(family_is_as_requested), T(requests_that_contradict_themselves), T(reserved_port_of_ipv6),
		cmocka_unit_test(one_family_alone), T(all_pairs_of_families), T(damage_is_carried_across), T(absent_checksum_is_made),
		T(header_fields_across), T(hop_limit_ends), T(dual_has_both), T(halves_are_deleted_one_by_one), T(halves_expire_one_by_one),
		T(half_of_it_when_ports_are_out), T(hairpin_across_families_and_ports), T(hairpin_between_dual_ones), T(peers_in_disguise),
		T(ipv4_mapped_is_no_peer), T(ipv4_mapped_source_is_dropped), T(waits_for_its_neighbour),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
