/* IPv6: what net_parse takes and refuses, checksums, pings. Each frame is one good frame with one thing spoilt. */
#include "relay/net.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static struct net self = { .mac = { 2, 0, 0, 0, 0, 1 } };

static struct addr ip(const char *text)
{
	struct addr a;
	struct cidr net;

	assert_ok(addr_parse_interface(str_from(text), &a, &net));
	return a;
}

static int set_up(void **state)
{
	(void)state;
	self.ip6 = ip("2a00:1::2");
	net_make_link(&self);
	return 0;
}

/* A datagram of 5 bytes, UDP 1000 to 3478. */
static size_t datagram(uint8_t *f, const char *src, const char *dst)
{
	static const uint8_t eth[ETH_LEN] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd };
	struct addr s = ip(src), d = ip(dst);
	uint8_t *at = f + ETH_LEN, *udp = at + IP6_LEN;

	memcpy(f, eth, sizeof(eth));
	ip6_put(at, 0, 0, UDP_LEN + 5, IPPROTO_UDP_V4, 64, &s, &d);
	be16_put(udp, 1000);
	be16_put(udp + 2, 3478);
	be16_put(udp + 4, UDP_LEN + 5);
	ne16_set(udp + 6, 0);
	memcpy(udp + UDP_LEN, "hello", 5);
	ne16_set(udp + 6, udp6_sum_full(at));
	return HEADERS6_LEN + 5;
}

/* RFC 4443: an echo request with 5 bytes. */
static size_t ping(uint8_t *f, const char *src, const char *dst)
{
	struct addr s = ip(src), d = ip(dst);
	uint8_t *at = f + ETH_LEN, *icmp = at + IP6_LEN;

	(void)datagram(f, src, dst);
	ip6_put(at, 7, 0, ICMP_LEN + 5, IPPROTO_ICMP_V6, 64, &s, &d);
	memset(icmp, 0, ICMP_LEN);
	icmp[0] = 128;
	be16_put(icmp + 4, 77);
	ne16_set(icmp + 2, icmp6_sum(at, ICMP_LEN + 5));
	return ETH_LEN + IP6_LEN + ICMP_LEN + 5;
}

static const struct {
	const char *what;
	uint8_t at, value; /* in the frame */
	enum net_kind kind;
	enum drop reason;
} spoils[] = {
	{ "nothing", 0, 2, NET_UDP, 0 },
	{ "destination MAC", 5, 7, NET_DROP, DROP_NOT_OURS },
	{ "group MAC", 0, 0x33, NET_DROP, DROP_NOT_OURS },
	{ "version 4", 14, 0x45, NET_DROP, DROP_IP_HEADER },
	{ "length beyond the frame", 19, 14, NET_DROP, DROP_IP_HEADER },
	{ "length below UDP's", 19, 12, NET_DROP, DROP_UDP_HEADER },
	{ "length below a UDP header", 19, 7, NET_DROP, DROP_UDP_HEADER },
	{ "TCP", 20, 6, NET_DROP, DROP_IP_PROTOCOL },
	{ "hop-by-hop options", 20, 0, NET_DROP, DROP_IP_EXTENSION },
	{ "routing header", 20, 43, NET_DROP, DROP_IP_EXTENSION },
	{ "authentication", 20, 51, NET_DROP, DROP_IP_EXTENSION },
	{ "destination options", 20, 60, NET_DROP, DROP_IP_EXTENSION },
	{ "no next header", 20, 59, NET_DROP, DROP_IP_PROTOCOL },
	{ "fragment, of what is no UDP", 20, 44, NET_DROP, DROP_IP_FRAGMENT },
	{ "hop limit 0", 21, 0, NET_UDP, 0 },
	{ "other destination", 53, 3, NET_DROP, DROP_NOT_OURS },
	{ "UDP length beyond the packet", 59, 14, NET_DROP, DROP_UDP_HEADER },
	{ "UDP length below its header", 59, 7, NET_DROP, DROP_UDP_HEADER },
	{ "UDP length below the packet", 59, 9, NET_UDP, 0 },
};

static void one_thing_spoilt(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
		uint8_t f[128];
		struct pkt p = { .data = f, .len = (uint32_t)datagram(f, "2a00:5::1", "2a00:1::2") };

		f[spoils[i].at] = spoils[i].value;
		enum net_kind kind = net_parse(&p, &self);
		if (kind != spoils[i].kind || (kind == NET_DROP && p.reason != spoils[i].reason))
			fail_msg("%s: kind %d reason %s", spoils[i].what, kind, drop_names[p.reason].name);
		if (kind == NET_UDP)
			assert_true(p.v6 && p.payload == HEADERS6_LEN);
	}
}

static void sources(void **state)
{
	static const struct {
		const char *src;
		bool udp, icmp;
	} cases[] = {
		{ "2a00:5::1", true, true }, { "fd00::1", true, true },   { "fe80::1", false, true }, { "::", false, true },
		{ "::1", false, false },     { "::5", false, false },     { "::1.2.3.4", false, false },
		{ "ff02::1", false, false }, { "2a00:1::2", false, false }, { "fe80::ff:fe00:1", false, false },
		{ "64:ff9b::808:808", true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t f[128];
		struct pkt p = { .data = f, .len = (uint32_t)datagram(f, cases[i].src, "2a00:1::2") };

		if ((net_parse(&p, &self) == NET_UDP) != cases[i].udp)
			fail_msg("datagram from %s", cases[i].src);
		p = (struct pkt){ .data = f, .len = (uint32_t)ping(f, cases[i].src, "2a00:1::2") };
		if ((net_parse(&p, &self) == NET_ICMP6) != cases[i].icmp)
			fail_msg("ping from %s", cases[i].src);
	}
}

static void datagrams_come_to_one_address(void **state)
{
	static const char *const others[] = { "fe80::ff:fe00:1", "ff02::1", "ff02::1:ff00:2", "2a00:1::3", "::ffff:10.0.0.1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		uint8_t f[128];
		struct pkt p = { .data = f, .len = (uint32_t)datagram(f, "2a00:5::1", "2a00:1::2") };
		struct addr d = ip(others[i]);

		memcpy(f + ETH_LEN + IP6_DST, &d, 16);
		assert_int_equal(net_parse(&p, &self), NET_DROP);
		assert_int_equal(p.reason, DROP_NOT_OURS);
	}
}

static void checksum_is_needed(void **state)
{
	uint8_t f[128];
	struct pkt p = { .data = f, .len = (uint32_t)datagram(f, "2a00:5::1", "2a00:1::2") };

	(void)state;
	assert_int_equal(net_parse(&p, &self), NET_UDP);
	assert_true(net_udp_sum_ok(&p));
	f[HEADERS6_LEN] ^= 1;
	assert_false(net_udp_sum_ok(&p));
	ne16_set(f + HEADERS6_LEN - 2, 0);
	assert_false(net_udp_sum_ok(&p));
	assert_int_equal(net_parse(&p, &self), NET_DROP);
	assert_int_equal(p.reason, DROP_UDP_CHECKSUM);
	p.rx_sum = PKT_SUM_BAD;
	p.len = (uint32_t)datagram(f, "2a00:5::1", "2a00:1::2");
	assert_int_equal(net_parse(&p, &self), NET_DROP);
}

static void every_prefix(void **state)
{
	struct guard g = guard_new(128);
	uint8_t f[128];
	size_t full[2] = { datagram(f, "2a00:5::1", "2a00:1::2"), ping(f, "2a00:5::1", "2a00:1::2") };

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		if (kind == 0)
			(void)datagram(f, "2a00:5::1", "2a00:1::2");
		else
			(void)ping(f, "2a00:5::1", "2a00:1::2");
		for (size_t len = 0; len < full[kind]; len++) {
			struct pkt p = { .data = guard_put(&g, f, len), .len = (uint32_t)len };

			assert_int_equal(net_parse(&p, &self), NET_DROP);
		}
	}
	guard_free(&g);
}

static void ping_is_answered(void **state)
{
	struct addr src = ip("2a00:5::1");
	uint8_t f[128], *at = f + ETH_LEN;
	struct pkt p = { .data = f, .in_if = 3, .len = (uint32_t)ping(f, "2a00:5::1", "2a00:1::2") };

	(void)state;
	assert_int_equal(net_parse(&p, &self), NET_ICMP6);
	assert_true(net6_echo(&p));
	assert_int_equal(p.verdict, PKT_SEND);
	assert_int_equal(p.out_if, 3);
	assert_int_equal(at[IP6_LEN], 129);
	assert_int_equal(be16_get(at + IP6_LEN + 4), 77);
	assert_int_equal(icmp6_sum(at, ICMP_LEN + 5), 0);
	assert_memory_equal(at + IP6_SRC, &self.ip6, 16);
	assert_memory_equal(at + IP6_DST, &src, 16);
	assert_int_equal(at[IP6_HOPS], 64);
	assert_memory_equal(f, ((const uint8_t[]){ 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1 }), 12);
	/* Also for the link-local address, from one; not for a group, not from nowhere. */
	p.len = (uint32_t)ping(f, "fe80::5", "fe80::ff:fe00:1");
	assert_int_equal(net_parse(&p, &self), NET_ICMP6);
	assert_true(net6_echo(&p));
	assert_memory_equal(at + IP6_SRC, &self.link, 16);
	p.len = (uint32_t)ping(f, "::", "2a00:1::2");
	assert_int_equal(net_parse(&p, &self), NET_ICMP6);
	assert_false(net6_echo(&p));
	p.len = (uint32_t)ping(f, "2a00:5::1", "ff02::1");
	f[0] = f[1] = 0x33;
	assert_int_equal(net_parse(&p, &self), NET_ICMP6);
	assert_false(net6_echo(&p));
	assert_int_equal(p.reason, DROP_ICMP_OTHER);
}

static void reply_turns_round(void **state)
{
	struct addr src = ip("2a00:5::1");
	uint8_t f[128], *at = f + ETH_LEN;
	struct pkt p = { .data = f, .in_if = 2, .len = (uint32_t)datagram(f, "2a00:5::1", "2a00:1::2") };

	(void)state;
	assert_int_equal(net_parse(&p, &self), NET_UDP);
	memcpy(pkt_payload(&p), "answers", 7);
	net_reply_udp(&p, 7, false);
	assert_int_equal(p.len, HEADERS6_LEN + 7);
	assert_true(udp6_sum_ok(at));
	assert_memory_equal(at + IP6_DST, &src, 16);
	assert_int_equal(be16_get(at + IP6_LEN), 3478);
	assert_int_equal(be16_get(at + IP6_LEN + 2), 1000);
	/* With a device that completes the checksum. */
	p.len = (uint32_t)datagram(f, "2a00:5::1", "2a00:1::2");
	assert_int_equal(net_parse(&p, &self), NET_UDP);
	net_reply_udp(&p, 5, true);
	assert_true(p.tx_sum);
	uint64_t rest = sum_bytes(at + IP6_LEN, UDP_LEN + 5);
	ne16_set(at + IP6_LEN + UDP_AT_SUM, (uint16_t)~sum_fold(rest));
	assert_true(udp6_sum_ok(at));
}

static void addresses_made_of_others(void **state)
{
	struct addr a = ip("2a00:1::ab:cdef"), want = ip("ff02::1:ffab:cdef"), link = ip("fe80::ff:fe00:1");
	struct addr group = net_solicited_node(&a);
	uint8_t mac[6];

	(void)state;
	assert_true(addr_eq(&group, &want));
	net_group_mac(&group, mac);
	assert_memory_equal(mac, ((const uint8_t[]){ 0x33, 0x33, 0xff, 0xab, 0xcd, 0xef }), 6);
	assert_true(addr_eq(&self.link, &link));
}

#define T(t) cmocka_unit_test_setup(t, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_thing_spoilt), T(sources), T(datagrams_come_to_one_address), T(checksum_is_needed), T(every_prefix), T(ping_is_answered),
		T(reply_turns_round), T(addresses_made_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
