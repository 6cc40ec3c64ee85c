/* Neighbour discovery: what is answered, what is learned, what is refused (RFC 4861 §7). */
#include "relay/nd.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define ICMP (ETH_LEN + IP6_LEN)

static const uint8_t host[6] = { 2, 0, 0, 0, 0, 9 }, other[6] = { 2, 0, 0, 0, 0, 7 };
static struct neigh n;
static struct iface self;
static uint8_t f[128];

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
	neigh_init(&n);
	memset(&self, 0, sizeof(self));
	memcpy(self.net.mac, (const uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 6);
	assert_ok(addr_parse_interface(STR("2a00:1::2/64"), &self.ip[1].addr, &self.ip[1].subnet));
	self.net.ip6 = self.ip[1].addr;
	net_make_link(&self.net);
	return 0;
}

static void seal(void)
{
	uint8_t *at = f + ETH_LEN;

	ne16_set(at + IP6_LEN + 2, 0);
	ne16_set(at + IP6_LEN + 2, icmp6_sum(at, be16_get(at + IP6_TOTAL)));
}

/* A message of `mac` with one option; `dst` NULL = the target's group. */
static size_t message(uint8_t type, const char *src, const char *dst, const char *target, const uint8_t *mac, uint8_t flags)
{
	struct addr s = ip(src), t = ip(target), d = dst != NULL ? ip(dst) : net_solicited_node(&t);

	memset(f, 0, sizeof(f));
	if (*(const uint8_t *)d.w == 0xff)
		net_group_mac(&d, f);
	else
		memcpy(f, self.net.mac, 6);
	memcpy(f + 6, mac, 6);
	be16_put(f + 12, ETHERTYPE_V6);
	ip6_put(f + ETH_LEN, 0, 0, 32, IPPROTO_ICMP_V6, 255, &s, &d);
	f[ICMP] = type;
	f[ICMP + 4] = flags;
	memcpy(f + ICMP + 8, &t, 16);
	f[ICMP + 24] = type == 135 ? 1 : 2;
	f[ICMP + 25] = 1;
	memcpy(f + ICMP + 26, mac, 6);
	seal();
	return ND_LEN;
}

static void without_option(void)
{
	be16_put(f + ETH_LEN + IP6_TOTAL, 24);
	seal();
}

static struct pkt handle(uint32_t now_s)
{
	struct pkt p = { .data = f, .start = f, .end = f + sizeof(f), .len = ND_LEN };

	if (net_parse(&p, &self.net) == NET_ICMP6 && !nd_message(&n, &p, &self, now_s))
		(void)net6_echo(&p);
	return p;
}

static bool known(const char *text, const uint8_t *mac)
{
	struct addr a = ip(text);

	for (unsigned i = 0; i < NEIGH_SIZE; i++) {
		if (addr_eq(&n.e[i].ip, &a) && (n.e[i].link & 0xf) == NEIGH_READY)
			return memcmp((const uint8_t[]){ (uint8_t)(n.e[i].link >> 16), (uint8_t)(n.e[i].link >> 24), (uint8_t)(n.e[i].link >> 32),
							 (uint8_t)(n.e[i].link >> 40), (uint8_t)(n.e[i].link >> 48), (uint8_t)(n.e[i].link >> 56) },
				      mac, 6) == 0;
	}
	return false;
}

static void is_advertisement(const struct pkt *p, const struct addr *src, const struct addr *dst, uint8_t flags)
{
	assert_int_equal(p->verdict, PKT_SEND);
	assert_int_equal(p->len, ND_LEN);
	assert_memory_equal(f + 6, self.net.mac, 6);
	assert_memory_equal(f + ETH_LEN + IP6_SRC, src, 16);
	assert_memory_equal(f + ETH_LEN + IP6_DST, dst, 16);
	assert_int_equal(f[ETH_LEN + IP6_HOPS], 255);
	assert_int_equal(f[ICMP], 136);
	assert_int_equal(f[ICMP + 4], flags);
	assert_memory_equal(f + ICMP + 8, src, 16);
	assert_int_equal(f[ICMP + 24], 2);
	assert_memory_equal(f + ICMP + 26, self.net.mac, 6);
	assert_int_equal(icmp6_sum(f + ETH_LEN, 32), 0);
}

static void who_asks_is_answered_and_known(void **state)
{
	struct addr src = ip("2a00:1::1"), link = ip("fe80::9");

	(void)state;
	(void)message(135, "2a00:1::1", NULL, "2a00:1::2", host, 0);
	struct pkt p = handle(1);
	is_advertisement(&p, &self.net.ip6, &src, 0x60);
	assert_memory_equal(f, host, 6);
	assert_true(known("2a00:1::1", host));
	/* For the link-local address as well, and asked directly, without an option. */
	(void)message(135, "fe80::9", "2a00:1::2", "2a00:1::2", host, 0);
	without_option();
	p = handle(1);
	is_advertisement(&p, &self.net.ip6, &link, 0x60);
	assert_false(known("fe80::9", host));
	char text[ADDR_TEXT_SIZE];
	(void)message(135, "fe80::9", NULL, addr_text(&self.net.link, text), host, 0);
	p = handle(1);
	is_advertisement(&p, &self.net.link, &link, 0x60);
	assert_true(known("fe80::9", host));
}

/* A host that wants our address for itself asks from nowhere; the answer goes to all, and teaches us nothing. */
static void search_for_duplicates_is_answered(void **state)
{
	struct addr nodes = ip("ff02::1");

	(void)state;
	(void)message(135, "::", NULL, "2a00:1::2", host, 0);
	without_option();
	struct pkt p = handle(1);
	is_advertisement(&p, &self.net.ip6, &nodes, 0x20);
	assert_memory_equal(f, ((const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }), 6);
	for (unsigned i = 0; i < NEIGH_SIZE; i++)
		assert_int_equal(n.e[i].link & 0xf, NEIGH_FREE);
}

static void what_teaches_nothing(void **state)
{
	(void)state;
	(void)message(135, "2a00:1::1", NULL, "2a00:1::5", host, 0); /* a question for somebody else: not even of our groups */
	assert_int_equal(handle(1).reason, DROP_NOT_OURS);
	(void)message(135, "2a00:1::1", NULL, "2a00:1:0:0:1::2", host, 0); /* of our group, by its last bits */
	assert_int_equal(handle(1).reason, DROP_ND_DONE);
	(void)message(136, "2a00:1::1", "2a00:1::2", "2a00:1::1", host, 0x60); /* an answer to nobody */
	assert_int_equal(handle(1).reason, DROP_ND_DONE);
	(void)message(135, "2a00:5::1", NULL, "2a00:1::2", host, 0); /* from off the link: answered */
	assert_int_equal(handle(1).verdict, PKT_SEND);
	(void)message(134, "fe80::1", "ff02::1", "::", host, 0); /* a router speaks */
	assert_int_equal(handle(1).reason, DROP_ICMP_OTHER);
	(void)message(137, "fe80::1", "2a00:1::2", "2a00:1::1", host, 0); /* a redirect */
	assert_int_equal(handle(1).reason, DROP_ICMP_OTHER);
	for (unsigned i = 0; i < NEIGH_SIZE; i++)
		assert_int_equal(n.e[i].link & 0xf, NEIGH_FREE);
}

static void what_is_malformed(void **state)
{
	static const struct {
		uint8_t type;
		const char *src, *dst, *target;
		uint8_t flags, at, value;
	} cases[] = {
		{ 135, "2a00:1::1", NULL, "2a00:1::2", 0, ETH_LEN + IP6_HOPS, 64 },   /* from behind a router */
		{ 135, "2a00:1::1", NULL, "2a00:1::2", 0, ICMP + 1, 1 },             /* code */
		{ 135, "2a00:1::1", NULL, "2a00:1::2", 0, ICMP + 25, 0 },            /* an option of no length */
		{ 135, "2a00:1::1", NULL, "2a00:1::2", 0, ICMP + 25, 2 },            /* one beyond the end */
		{ 135, "2a00:1::1", NULL, "2a00:1::2", 0, ICMP + 31, 8 },            /* another MAC than Ethernet's */
		{ 135, "2a00:1::1", "2a00:1::2", "ff02::2", 0, 0, 2 },              /* a group as target */
		{ 135, "::", NULL, "2a00:1::2", 0, 0, 0x33 },                      /* a probe with a MAC */
		{ 136, "2a00:1::1", "ff02::1", "2a00:1::1", 0x40, 0, 0x33 },         /* an answer to all */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)message(cases[i].type, cases[i].src, cases[i].dst, cases[i].target, host, cases[i].flags);
		f[cases[i].at] = cases[i].value;
		seal();
		struct pkt p = handle(1);
		if (p.verdict != PKT_DROP || p.reason != DROP_ND_MALFORMED)
			fail_msg("case %zu: %s", i, drop_names[p.reason].name);
	}
	/* A probe that is sent to us alone; a checksum; a group as sender; ourselves. */
	(void)message(135, "::", "2a00:1::2", "2a00:1::2", host, 0);
	without_option();
	assert_int_equal(handle(1).reason, DROP_ND_MALFORMED);
	(void)message(135, "2a00:1::1", NULL, "2a00:1::2", host, 0);
	f[ICMP + 9] ^= 1;
	assert_int_equal(handle(1).reason, DROP_ICMP_OTHER);
	(void)message(135, "2a00:1::1", NULL, "2a00:1::2", (const uint8_t[]){ 1, 0, 0, 0, 0, 1 }, 0);
	assert_int_equal(handle(1).reason, DROP_ND_MALFORMED);
	(void)message(135, "2a00:1::1", NULL, "2a00:1::2", self.net.mac, 0);
	assert_int_equal(handle(1).reason, DROP_ND_MALFORMED);
	for (unsigned i = 0; i < NEIGH_SIZE; i++)
		assert_int_equal(n.e[i].link & 0xf, NEIGH_FREE);
}

static void every_prefix(void **state)
{
	struct guard g = guard_new(128);

	(void)state;
	for (size_t len = 0; len < ND_LEN; len++) {
		(void)message(136, "2a00:1::1", "2a00:1::2", "2a00:1::1", host, 0x60);
		if (len >= ETH_LEN + IP6_LEN)
			be16_put(f + ETH_LEN + IP6_TOTAL, (uint16_t)(len - ETH_LEN - IP6_LEN));
		seal();
		uint8_t *at = guard_put(&g, f, len);
		struct pkt p = { .data = at, .start = at, .end = at + len, .len = (uint32_t)len };

		if (net_parse(&p, &self.net) == NET_ICMP6)
			assert_true(nd_message(&n, &p, &self, 1));
		assert_int_equal(p.verdict, PKT_DROP);
	}
	guard_free(&g);
}

static void claimed_address_is_counted(void **state)
{
	(void)state;
	(void)message(136, "2a00:1::2", "ff02::1", "2a00:1::5", host, 0x20);
	assert_int_equal(handle(1).reason, DROP_IP_SOURCE);
	assert_true(n.claimed[1] == 0);
	(void)message(136, "2a00:1::2", "ff02::1", "2a00:1::2", host, 0x20);
	assert_int_equal(handle(1).reason, DROP_ADDRESS_CLAIMED);
	uint64_t who = 0;
	memcpy(&who, host, 6);
	assert_true(n.claimed[1] == who && n.claimed[0] == 0);
	(void)message(135, "2a00:1::2", "2a00:1::2", "2a00:1::2", host, 0);
	assert_int_equal(handle(1).reason, DROP_IP_SOURCE);
	(void)message(136, "fe80::9", "ff02::1", "2a00:1::2", host, 0x20);
	assert_int_equal(handle(1).reason, DROP_ADDRESS_CLAIMED);
}

static void wanted_neighbour_resolves_and_moves(void **state)
{
	struct addr want = ip("2a00:1::5");
	uint8_t mac[8], iface;
	uint32_t hop = neigh_get(&n, 0, &want, 1);

	(void)state;
	assert_false(neigh_mac(&n, hop, 1, mac, &iface));
	/* An answer without a MAC says nothing while none is known. */
	(void)message(136, "2a00:1::5", "2a00:1::2", "2a00:1::5", host, 0x60);
	without_option();
	(void)handle(1);
	assert_false(neigh_mac(&n, hop, 1, mac, &iface));
	/* One that may not replace fills in. */
	(void)message(136, "2a00:1::5", "2a00:1::2", "2a00:1::5", host, 0x40);
	(void)handle(1);
	assert_true(neigh_mac(&n, hop, 1, mac, &iface));
	assert_memory_equal(mac, host, 6);
	/* Nor does it move the neighbour; one that may replace does, asked for or not. */
	(void)message(136, "2a00:1::5", "ff02::1", "2a00:1::5", other, 0);
	(void)handle(1);
	assert_true(neigh_mac(&n, hop, 1, mac, &iface));
	assert_memory_equal(mac, host, 6);
	(void)message(136, "2a00:1::5", "ff02::1", "2a00:1::5", other, 0x20);
	(void)handle(1);
	assert_true(neigh_mac(&n, hop, 1, mac, &iface));
	assert_memory_equal(mac, other, 6);
}

/* Asked again directly, a neighbour may answer without its MAC: it stays known. */
static void short_answers_keep_a_neighbour(void **state)
{
	struct addr want = ip("2a00:1::5");
	uint8_t mac[8], iface;
	uint32_t hop = neigh_get(&n, 0, &want, 1);

	(void)state;
	(void)message(136, "2a00:1::5", "2a00:1::2", "2a00:1::5", host, 0x60);
	(void)handle(1);
	struct neigh_entry *e = &n.e[hop & (NEIGH_SIZE - 1)];
	assert_int_equal(e->confirmed_s, 1);
	(void)message(136, "2a00:1::5", "2a00:1::2", "2a00:1::5", host, 0x40);
	without_option();
	(void)handle(31);
	assert_int_equal(e->confirmed_s, 31);
	(void)message(136, "2a00:1::5", "2a00:1::2", "2a00:1::5", other, 0x40); /* not by another */
	without_option();
	(void)handle(40);
	assert_int_equal(e->confirmed_s, 31);
	assert_true(neigh_mac(&n, hop, 1, mac, &iface));
	assert_memory_equal(mac, host, 6);
}

static void what_we_send_is_right(void **state)
{
	struct addr want = ip("2a00:1::5"), router = ip("fe80::1"), group = net_solicited_node(&want), nodes = ip("ff02::1"), mld = ip("ff02::16");
	struct pkt p = { .data = f, .start = f, .end = f + sizeof(f), .len = ND_LEN };

	(void)state;
	nd_solicit(f, &self, &want, NULL);
	assert_memory_equal(f, ((const uint8_t[]){ 0x33, 0x33, 0xff, 0, 0, 5 }), 6);
	assert_memory_equal(f + ETH_LEN + IP6_DST, &group, 16);
	assert_memory_equal(f + ETH_LEN + IP6_SRC, &self.net.ip6, 16);
	assert_int_equal(icmp6_sum(f + ETH_LEN, 32), 0);
	nd_solicit(f, &self, &router, host);
	assert_memory_equal(f, host, 6);
	assert_memory_equal(f + ETH_LEN + IP6_DST, &router, 16);
	assert_memory_equal(f + ETH_LEN + IP6_SRC, &self.net.ip6, 16);
	assert_int_equal(icmp6_sum(f + ETH_LEN, 32), 0);
	nd_probe(f, &self);
	struct addr own = net_solicited_node(&self.net.ip6), none = { 0 };
	assert_memory_equal(f, ((const uint8_t[]){ 0x33, 0x33, 0xff, 0, 0, 2 }), 6);
	assert_memory_equal(f + ETH_LEN + IP6_SRC, &none, 16);
	assert_memory_equal(f + ETH_LEN + IP6_DST, &own, 16);
	assert_int_equal(be16_get(f + ETH_LEN + IP6_TOTAL), 24);
	assert_int_equal(icmp6_sum(f + ETH_LEN, 24), 0);
	/* One of us answers it as it would any other's. */
	struct iface twin = self;
	twin.net.mac[5] ^= 0x40;
	p.len = ND_PROBE_LEN;
	assert_true(nd_message(&n, &p, &twin, 1));
	assert_int_equal(p.verdict, PKT_SEND);
	nd_announce(f, &self);
	is_advertisement(&(struct pkt){ .verdict = PKT_SEND, .len = ND_LEN }, &self.net.ip6, &nodes, 0x20);
	(void)p;

	nd_report(f, &self);
	uint8_t *at = f + ETH_LEN, icmp[48];
	assert_memory_equal(f, ((const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 0x16 }), 6);
	assert_memory_equal(at + IP6_DST, &mld, 16);
	assert_int_equal(at[IP6_HOPS], 1);
	assert_int_equal(at[IP6_NEXT], 0);
	assert_int_equal(be16_get(at + IP6_TOTAL), 56);
	assert_memory_equal(at + IP6_LEN, ((const uint8_t[]){ 58, 0, 5, 2, 0, 0, 1, 0 }), 8);
	memcpy(icmp, at + IP6_LEN + 8, sizeof(icmp));
	assert_int_equal(icmp[0], 143);
	assert_int_equal(icmp[7], 2);
	group = net_solicited_node(&self.net.ip6);
	assert_memory_equal(icmp + 12, &group, 16);
	group = net_solicited_node(&self.net.link);
	assert_memory_equal(icmp + 32, &group, 16);
	memcpy(at + IP6_LEN, icmp, sizeof(icmp));
	assert_int_equal(icmp6_sum(at, sizeof(icmp)), 0);
}

#define T(t) cmocka_unit_test_setup(t, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_asks_is_answered_and_known), T(search_for_duplicates_is_answered), T(what_teaches_nothing), T(what_is_malformed),
		T(every_prefix), T(claimed_address_is_counted), T(wanted_neighbour_resolves_and_moves), T(short_answers_keep_a_neighbour),
		T(what_we_send_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
