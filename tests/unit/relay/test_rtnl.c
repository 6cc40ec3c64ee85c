/* Messages of rtnetlink as the kernel writes them, and damaged ones. */
#include "relay/rtnl.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "tests/lib/cm.h"

struct out {
	uint8_t b[512];
	size_t len;
};

static void put(struct out *o, const void *p, size_t len)
{
	memcpy(o->b + o->len, p, len);
	o->len += len;
	while (o->len % 4 != 0)
		o->b[o->len++] = 0;
}

static void begin(struct out *o, uint16_t type, const void *fixed, size_t len)
{
	struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_seq = 7 };

	memset(o, 0, sizeof(*o));
	put(o, &h, sizeof(h));
	put(o, fixed, len);
}

static void attr(struct out *o, uint16_t type, const void *p, size_t len)
{
	struct rtattr a = { .rta_type = type, .rta_len = (uint16_t)(sizeof(a) + len) };

	put(o, &a, sizeof(a));
	put(o, p, len);
}

static struct rtnl_msg end(struct out *o)
{
	struct rtnl_msg m;
	uint32_t len = (uint32_t)o->len;

	memcpy(o->b, &len, sizeof(len));
	struct str rest = str_of(o->b, o->len);
	assert_true(rtnl_next(&rest, &m));
	assert_int_equal(m.seq, 7);
	assert_false(rtnl_next(&rest, &m));
	return m;
}

static const uint8_t gate[4] = { 10, 1, 0, 1 }, us[4] = { 10, 1, 0, 2 }, mac[6] = { 2, 0, 0, 0, 0, 9 };

static void addresses(void **state)
{
	struct ifaddrmsg h = { .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 5 };
	struct rtnl_addr a;
	struct out o;
	char text[ADDR_TEXT_SIZE];

	(void)state;
	begin(&o, RTM_NEWADDR, &h, sizeof(h));
	attr(&o, IFA_ADDRESS, gate, 4);
	attr(&o, IFA_LOCAL, us, 4);
	struct rtnl_msg m = end(&o);
	assert_ok(rtnl_read_addr(&m, &a));
	assert_string_equal(addr_text(&a.addr, text), "10.1.0.2");
	assert_int_equal(a.bits, 24);
	assert_int_equal(a.ifindex, 5);
	assert_true(a.lasting);

	uint32_t temporary = IFA_F_TEMPORARY;
	uint8_t v6[16] = { 0xfd, [15] = 2 };
	h = (struct ifaddrmsg){ .ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = 5 };
	begin(&o, RTM_NEWADDR, &h, sizeof(h));
	attr(&o, IFA_ADDRESS, v6, 16);
	attr(&o, IFA_FLAGS, &temporary, 4);
	m = end(&o);
	assert_ok(rtnl_read_addr(&m, &a));
	assert_string_equal(addr_text(&a.addr, text), "fd00::2");
	assert_false(a.lasting);

	h.ifa_prefixlen = 129;
	begin(&o, RTM_NEWADDR, &h, sizeof(h));
	attr(&o, IFA_ADDRESS, v6, 16);
	m = end(&o);
	assert_int_equal(rtnl_read_addr(&m, &a), ERR_INVALID);
}

static void routes(void **state)
{
	struct rtmsg h = { .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST };
	uint32_t oif = 5, metric = 100;
	struct rtnl_route r;
	struct out o;
	char text[ADDR_TEXT_SIZE];

	(void)state;
	begin(&o, RTM_NEWROUTE, &h, sizeof(h));
	attr(&o, RTA_GATEWAY, gate, 4);
	attr(&o, RTA_OIF, &oif, 4);
	attr(&o, RTA_PRIORITY, &metric, 4);
	struct rtnl_msg m = end(&o);
	assert_ok(rtnl_read_route(&m, 5, &r));
	assert_string_equal(addr_text(&r.gateway, text), "10.1.0.1");
	assert_int_equal(r.to.bits, 96);
	assert_int_equal(r.metric, 100);
	assert_int_equal(r.ifindex, 5);
	assert_true(r.main);

	struct rtnexthop hop = { .rtnh_len = sizeof(hop) + 8, .rtnh_ifindex = 6 };
	struct rtattr a = { .rta_type = RTA_GATEWAY, .rta_len = 8 };
	uint8_t hops[2 * (sizeof(hop) + 8)];
	for (int i = 0; i < 2; i++) {
		uint8_t *p = hops + i * (sizeof(hop) + 8);

		memcpy(p, &hop, sizeof(hop));
		memcpy(p + sizeof(hop), &a, sizeof(a));
		memcpy(p + sizeof(hop) + sizeof(a), i == 0 ? us : gate, 4);
		hop.rtnh_ifindex = 5;
	}
	begin(&o, RTM_NEWROUTE, &h, sizeof(h));
	attr(&o, RTA_MULTIPATH, hops, sizeof(hops));
	m = end(&o);
	assert_ok(rtnl_read_route(&m, 5, &r));
	assert_string_equal(addr_text(&r.gateway, text), "10.1.0.1");
	assert_int_equal(r.ifindex, 5);

	h.rtm_type = RTN_BLACKHOLE;
	begin(&o, RTM_NEWROUTE, &h, sizeof(h));
	m = end(&o);
	assert_int_equal(rtnl_read_route(&m, 5, &r), ERR_UNSUPPORTED);
}

static struct rtnl_msg neighbour(struct out *o, uint16_t type, uint16_t nud, const uint8_t *link, size_t len)
{
	struct ndmsg h = { .ndm_family = AF_INET, .ndm_ifindex = 5, .ndm_state = nud };

	begin(o, type, &h, sizeof(h));
	attr(o, NDA_DST, us, 4);
	attr(o, NDA_LLADDR, link, len);
	return end(o);
}

static void neighbours(void **state)
{
	static const uint8_t group[6] = { 3, 0, 0, 0, 0, 9 };
	struct rtnl_neigh n;
	struct out o;

	(void)state;
	struct rtnl_msg m = neighbour(&o, RTM_NEWNEIGH, NUD_REACHABLE, mac, 6);
	assert_ok(rtnl_read_neigh(&m, &n));
	assert_true(n.usable);
	assert_memory_equal(n.mac, mac, 6);
	assert_int_equal(n.ifindex, 5);
	m = neighbour(&o, RTM_NEWNEIGH, NUD_FAILED, mac, 6);
	assert_ok(rtnl_read_neigh(&m, &n));
	assert_false(n.usable);
	m = neighbour(&o, RTM_DELNEIGH, NUD_REACHABLE, mac, 6);
	assert_ok(rtnl_read_neigh(&m, &n));
	assert_false(n.usable);
	m = neighbour(&o, RTM_NEWNEIGH, NUD_REACHABLE, group, 6);
	assert_ok(rtnl_read_neigh(&m, &n));
	assert_false(n.usable);
	m = neighbour(&o, RTM_NEWNEIGH, NUD_REACHABLE, mac, 4);
	assert_ok(rtnl_read_neigh(&m, &n));
	assert_false(n.usable);
	m.type = NLMSG_DONE;
	assert_int_equal(rtnl_read_neigh(&m, &n), ERR_UNSUPPORTED);
}

/* Cut anywhere, a message is damaged or whole, never more. */
static void cut_short(void **state)
{
	struct rtnl_neigh n;
	struct out o;
	struct rtnl_msg m = neighbour(&o, RTM_NEWNEIGH, NUD_REACHABLE, mac, 6), cut = m;

	(void)state;
	for (cut.body.len = 0; cut.body.len < m.body.len; cut.body.len++) {
		if (rtnl_read_neigh(&cut, &n) == ERR_OK)
			assert_true(!n.usable || cut.body.len >= sizeof(struct ndmsg) + 8 + 4 + 6);
	}
	struct str rest = str_of(o.b, o.len - 1);
	assert_false(rtnl_next(&rest, &m));
}

static void questions(void **state)
{
	uint8_t q[RTNL_QUESTION_MAX];
	struct rtnl_msg m;
	struct rtnl_neigh n;
	struct addr ip = addr_v4(__builtin_bswap32(0x0a010002));

	(void)state;
	size_t len = rtnl_ask_use(q, 5, &ip, 7);
	struct str rest = str_of(q, len);
	assert_true(rtnl_next(&rest, &m));
	assert_ok(rtnl_read_neigh(&m, &n));
	assert_true(addr_eq(&n.ip, &ip));
	assert_int_equal(n.ifindex, 5);
	assert_true(rtnl_ask_all(q, RTM_GETROUTE, AF_INET6, 1) <= RTNL_QUESTION_MAX);
	assert_int_equal(q[sizeof(struct nlmsghdr)], AF_INET6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(routes),    cmocka_unit_test(neighbours),
		cmocka_unit_test(cut_short), cmocka_unit_test(questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
