/* Checksums, and what net_parse takes and refuses: a table of frames, each one good frame with one thing spoilt. */
#include "relay/net.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static const struct net self = { .mac = { 2, 0, 0, 0, 0, 1 }, .ip = __builtin_bswap32(0x0a535402) };

/* A datagram of 5 bytes to the relay, UDP 1000 to 3478. */
static size_t good_frame(uint8_t *f)
{
	static const uint8_t eth[ETH_LEN] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x08, 0x00 };
	uint8_t *ip = f + ETH_LEN;

	memcpy(f, eth, sizeof(eth));
	ip_put(ip, 0, UDP_DATA + 5, 1, 64, IPPROTO_UDP_V4, __builtin_bswap32(0x0a535401), self.ip);
	be16_put(ip + UDP_SPORT, 1000);
	be16_put(ip + UDP_DPORT, 3478);
	be16_put(ip + UDP_TOTAL, UDP_LEN + 5);
	ne16_set(ip + UDP_SUM, 0);
	memcpy(ip + UDP_DATA, "hello", 5);
	ne16_set(ip + UDP_SUM, udp_sum_full(ip));
	return HEADERS_LEN + 5;
}

static void mend_ip_sum(uint8_t *f)
{
	ne16_set(f + ETH_LEN + IP_SUM, 0);
	ne16_set(f + ETH_LEN + IP_SUM, (uint16_t)~sum_fold(sum_bytes(f + ETH_LEN, IP_LEN)));
}

static const struct spoil {
	const char *what;
	uint8_t at, value; /* in the frame */
	bool mend;         /* the IPv4 checksum is made right again */
	enum net_kind kind;
	enum drop reason;
} spoils[] = {
	{ "nothing", 0, 2, false, NET_UDP, 0 },
	{ "destination MAC", 5, 7, false, NET_DROP, DROP_NOT_OURS },
	{ "IPv6 ethertype", 12, 0x86, false, NET_DROP, DROP_ETHERTYPE },
	{ "ARP to us", 13, 0x06, false, NET_ARP, 0 },
	{ "version 6", 14, 0x65, true, NET_DROP, DROP_IP_HEADER },
	{ "header of 4 words", 14, 0x44, true, NET_DROP, DROP_IP_HEADER },
	{ "options", 14, 0x46, true, NET_DROP, DROP_IP_OPTIONS },
	{ "total length beyond the frame", 17, 34, true, NET_DROP, DROP_IP_HEADER },
	{ "total length below its header", 17, 19, true, NET_DROP, DROP_IP_HEADER },
	{ "checksum", 24, 0x77, false, NET_DROP, DROP_IP_HEADER },
	{ "more fragments", 20, 0x20, true, NET_FRAGMENT, 0 },
	{ "fragment offset", 21, 0x01, true, NET_FRAGMENT, 0 },
	{ "reserved flag", 20, 0x80, true, NET_DROP, DROP_IP_FRAGMENT },
	{ "do not fragment", 20, 0x40, true, NET_UDP, 0 },
	{ "TCP", 23, 6, true, NET_DROP, DROP_IP_PROTOCOL },
	{ "ICMP", 23, 1, true, NET_ICMP, 0 },
	{ "other destination", 33, 3, true, NET_DROP, DROP_NOT_OURS },
	{ "our own source", 29, 2, true, NET_DROP, DROP_IP_SOURCE },
	{ "source 0/8", 26, 0, true, NET_DROP, DROP_IP_SOURCE },
	{ "loopback source", 26, 127, true, NET_DROP, DROP_IP_SOURCE },
	{ "multicast source", 26, 224, true, NET_DROP, DROP_IP_SOURCE },
	{ "broadcast source", 26, 255, true, NET_DROP, DROP_IP_SOURCE },
	{ "UDP length beyond the packet", 39, 14, false, NET_DROP, DROP_UDP_HEADER },
	{ "UDP length below its header", 39, 7, false, NET_DROP, DROP_UDP_HEADER },
	{ "UDP length 0", 39, 0, false, NET_DROP, DROP_UDP_HEADER },
	{ "UDP length below the packet", 39, 9, false, NET_UDP, 0 },
};

static void one_thing_spoilt(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
		const struct spoil *s = &spoils[i];
		uint8_t f[128];
		struct pkt p = { .data = f, .len = (uint32_t)good_frame(f) };

		f[s->at] = s->value;
		if (s->mend)
			mend_ip_sum(f);
		enum net_kind kind = net_parse(&p, &self);
		if (kind != s->kind || (kind == NET_DROP && p.reason != s->reason))
			fail_msg("%s: kind %d reason %s", s->what, kind, drop_names[p.reason].name);
	}
}

static void ports_of_zero(void **state)
{
	(void)state;
	for (unsigned at = 34; at <= 36; at += 2) {
		uint8_t f[128];
		struct pkt p = { .data = f, .len = (uint32_t)good_frame(f) };

		be16_put(f + at, 0);
		assert_int_equal(net_parse(&p, &self), NET_DROP);
		assert_int_equal(p.reason, DROP_UDP_HEADER);
	}
}

static void ethernet_padding_is_cut(void **state)
{
	uint8_t f[128] = { 0 };
	struct pkt p = { .data = f, .len = (uint32_t)good_frame(f) };

	(void)state;
	p.len = 60;
	assert_int_equal(net_parse(&p, &self), NET_UDP);
	assert_int_equal(p.len, HEADERS_LEN + 5);
}

static void every_prefix(void **state)
{
	struct guard g = guard_new(256);
	uint8_t f[128];
	size_t whole = good_frame(f);

	(void)state;
	for (size_t len = 0; len < whole; len++) {
		struct pkt p = { .data = guard_put(&g, f, len), .len = (uint32_t)len };

		assert_int_equal(net_parse(&p, &self), NET_DROP);
	}
	guard_free(&g);
}

static void device_verdict_on_checksums(void **state)
{
	uint8_t f[128];
	struct pkt p = { .data = f, .len = (uint32_t)good_frame(f), .rx_sum = PKT_SUM_BAD };

	(void)state;
	assert_int_equal(net_parse(&p, &self), NET_DROP);
	assert_int_equal(p.reason, DROP_UDP_CHECKSUM);
	/* A datagram without checksum cannot have a wrong one, whatever the device says. */
	p.len = (uint32_t)good_frame(f);
	ne16_set(f + ETH_LEN + UDP_SUM, 0);
	assert_int_equal(net_parse(&p, &self), NET_UDP);
}

/* Known sum: RFC 1071 §3, 00 01 f2 03 f4 f5 f6 f7 gives ddf2. */
static void rfc1071_example(void **state)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	(void)state;
	assert_int_equal(swap16(sum_fold(sum_bytes(data, sizeof(data)))), 0xddf2);
	/* An odd tail counts as if followed by zero. */
	assert_int_equal(swap16(sum_fold(sum_bytes(data, 3))), 0x0001 + 0xf200);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Random datagrams, random header changes: the incremental checksum is that of a full sum. */
static void incremental_equals_full(void **state)
{
	uint32_t seed = 20240711;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t ip[IP_LEN + UDP_LEN + 64];
		uint32_t len = next(&seed) % 64;
		uint16_t udp = (uint16_t)(UDP_LEN + len);

		ip_put(ip, 0, (uint16_t)(IP_LEN + udp), 0, 64, IPPROTO_UDP_V4, next(&seed), next(&seed));
		ne32_set(ip + UDP_SPORT, next(&seed));
		be16_put(ip + UDP_TOTAL, udp);
		ne16_set(ip + UDP_SUM, 0);
		for (uint32_t i = 0; i < len; i++)
			ip[UDP_DATA + i] = round % 3 == 0 ? 0xff : round % 3 == 1 ? 0 : (uint8_t)next(&seed);
		ne16_set(ip + UDP_SUM, udp_sum_full(ip));
		assert_true(udp_sum_ok(ip));

		uint64_t removed = udp_sum_headers(ip);
		uint16_t old = ne16(ip + UDP_SUM);
		ne32_set(ip + IP_SRC, round % 5 == 0 ? 0 : next(&seed));
		ne32_set(ip + IP_DST, round % 7 == 0 ? UINT32_MAX : next(&seed));
		ne32_set(ip + UDP_SPORT, next(&seed));
		ne16_set(ip + UDP_SUM, sum_with(sum_without(old, removed), udp_sum_headers(ip)));
		assert_true(udp_sum_ok(ip));
		assert_int_not_equal(ne16(ip + UDP_SUM), 0);
		uint16_t got = ne16(ip + UDP_SUM);
		ne16_set(ip + UDP_SUM, 0);
		assert_int_equal(got, udp_sum_full(ip));
	}
	assert_int_equal(sum_with(sum_without(0, 1), 2), 0);
}

static void echo_is_answered(void **state)
{
	uint8_t f[128];
	struct pkt p = { .data = f, .in_if = 3 };
	uint8_t *icmp = f + ETH_LEN + IP_LEN;

	(void)state;
	p.len = (uint32_t)good_frame(f);
	ip_put(f + ETH_LEN, 0, IP_LEN + ICMP_LEN + 5, 1, 64, IPPROTO_ICMP_V4, __builtin_bswap32(0x0a535401), self.ip);
	p.len = ETH_LEN + IP_LEN + ICMP_LEN + 5;
	memset(icmp, 0, ICMP_LEN);
	icmp[0] = 8;
	be16_put(icmp + 4, 77);
	ne16_set(icmp + 2, (uint16_t)~sum_fold(sum_bytes(icmp, ICMP_LEN + 5)));
	assert_int_equal(net_parse(&p, &self), NET_ICMP);
	assert_true(net_icmp(&p));
	assert_int_equal(p.verdict, PKT_SEND);
	assert_int_equal(p.out_if, 3);
	assert_int_equal(icmp[0], 0);
	assert_int_equal(be16_get(icmp + 4), 77);
	assert_int_equal(sum_fold(sum_bytes(icmp, ICMP_LEN + 5)), UINT16_MAX);
	assert_int_equal(sum_fold(sum_bytes(f + ETH_LEN, IP_LEN)), UINT16_MAX);
	assert_int_equal(ne32(f + ETH_LEN + IP_SRC), self.ip);
	assert_memory_equal(f + 6, self.mac, 6);
	assert_int_equal(f[5], 9);
}

static void other_icmp_is_counted(void **state)
{
	static const struct {
		uint8_t type, code;
		bool spoil;
		enum drop reason;
	} cases[] = {
		{ 3, 3, false, DROP_ICMP_ERROR }, { 11, 0, false, DROP_ICMP_ERROR }, { 12, 0, false, DROP_ICMP_ERROR },
		{ 0, 0, false, DROP_ICMP_OTHER }, { 5, 1, false, DROP_ICMP_OTHER },  { 8, 1, false, DROP_ICMP_OTHER },
		{ 8, 0, true, DROP_ICMP_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t f[128];
		struct pkt p = { .data = f, .len = ETH_LEN + IP_LEN + ICMP_LEN };
		uint8_t *icmp = f + ETH_LEN + IP_LEN;

		(void)good_frame(f);
		memset(icmp, 0, ICMP_LEN);
		icmp[0] = cases[i].type;
		icmp[1] = cases[i].code;
		ne16_set(icmp + 2, (uint16_t)~sum_fold(sum_bytes(icmp, ICMP_LEN)));
		icmp[7] = cases[i].spoil;
		assert_false(net_icmp(&p));
		assert_int_equal(p.reason, cases[i].reason);
	}
}

static void offload_leaves_the_pseudo_sum(void **state)
{
	uint8_t f[128];
	struct pkt p = { .data = f, .len = (uint32_t)good_frame(f) };
	const uint8_t *ip = f + ETH_LEN;

	(void)state;
	assert_int_equal(net_parse(&p, &self), NET_UDP);
	net_reply_udp(&p, 5, true);
	assert_true(p.tx_sum);
	/* What the device adds to it is the sum over header and data. */
	uint64_t rest = sum_bytes(ip + IP_LEN, UDP_LEN + 5);
	assert_int_equal(ne16(ip + UDP_SUM), udp_sum_pseudo(ip));
	ne16_set(f + ETH_LEN + UDP_SUM, (uint16_t)~sum_fold(rest));
	assert_true(udp_sum_ok(ip));
}

/* The short cut says yes exactly where the whole judgement says UDP over IPv4, and leaves the same behind. */
static void check_usual(const uint8_t *frame, size_t len, uint8_t rx_sum)
{
	uint8_t f[HEADERS_LEN + 16], g[sizeof(f)];
	struct pkt p = { .data = f, .start = f, .end = f + sizeof(f), .len = (uint32_t)len, .rx_sum = rx_sum }, q = p;

	memcpy(f, frame, sizeof(f));
	memcpy(g, frame, sizeof(g));
	q.data = q.start = g;
	struct net_form form;
	net_form_of(&self, &form);
	bool usual = net_usual(&p, &form), udp = net_parse(&q, &self) == NET_UDP && !q.v6;
	/* With a wrong checksum by the device it does not say yes, even if the frame has none. The destination port it does not judge. */
	bool to_none = len >= HEADERS_LEN && ne16(frame + ETH_LEN + UDP_DPORT) == 0;
	assert_true(usual == udp || (rx_sum == PKT_SUM_BAD && !usual) || (usual && to_none));
	if (!usual || to_none)
		return;
	assert_int_equal(p.len, q.len);
	assert_int_equal(p.payload, q.payload);
	assert_int_equal(p.v6, q.v6);
}

static void usual_is_what_parse_takes(void **state)
{
	uint8_t good[HEADERS_LEN + 16] = { 0 }, f[sizeof(good)];
	size_t len = good_frame(good);

	(void)state;
	for (size_t n = 0; n <= sizeof(good); n++)
		check_usual(good, n, PKT_SUM_UNKNOWN);
	check_usual(good, len, PKT_SUM_BAD);
	for (unsigned at = 0; at < HEADERS_LEN; at++) {
		for (unsigned value = 0; value < 512; value++) {
			memcpy(f, good, sizeof(f));
			f[at] = (uint8_t)value;
			if (value >= 256)
				mend_ip_sum(f);
			check_usual(f, len, PKT_SUM_GOOD);
		}
	}
	/* The sum of the IPv4 header alone, which carries in every way. */
	uint32_t seed = 1;
	for (unsigned i = 0; i < 20000; i++) {
		memcpy(f, good, sizeof(f));
		ne32_set(f + ETH_LEN + IP_SRC, seed = seed * 1664525u + 1013904223u);
		ne16_set(f + ETH_LEN + IP_ID, (uint16_t)(seed >> 7));
		mend_ip_sum(f);
		check_usual(f, len, PKT_SUM_UNKNOWN);
	}
}

static void nothing_is_usual_without_ipv4(void **state)
{
	struct net none = self;
	struct net_form form;
	uint8_t f[HEADERS_LEN + 16] = { 0 };
	struct pkt p = { .data = f, .len = (uint32_t)good_frame(f), .rx_sum = PKT_SUM_GOOD };

	(void)state;
	none.ip = 0;
	net_form_of(&none, &form);
	assert_false(net_usual(&p, &form));
	ne32_set(f + ETH_LEN + IP_DST, 0);
	mend_ip_sum(f);
	assert_false(net_usual(&p, &form));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_usual_without_ipv4),
		cmocka_unit_test(usual_is_what_parse_takes),
		cmocka_unit_test(one_thing_spoilt),     cmocka_unit_test(ports_of_zero),
		cmocka_unit_test(ethernet_padding_is_cut), cmocka_unit_test(every_prefix),
		cmocka_unit_test(device_verdict_on_checksums), cmocka_unit_test(rfc1071_example),
		cmocka_unit_test(incremental_equals_full), cmocka_unit_test(echo_is_answered),
		cmocka_unit_test(other_icmp_is_counted), cmocka_unit_test(offload_leaves_the_pseudo_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
