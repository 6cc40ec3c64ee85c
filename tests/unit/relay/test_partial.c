/* Checksums that were left to a card: completed where they are that, and nothing else is touched. */
#include "relay/partial.h"

#include "relay/vlan.h"
#include "tests/lib/cm.h"

static uint8_t frame[200];
static const char data[] = "hello, world";

static struct pkt v4(unsigned tag)
{
	uint8_t *ip = frame + ETH_LEN + tag;

	memset(frame, 0, sizeof(frame));
	be16_put(ip - 2, ETHERTYPE_V4);
	ip_put(ip, 0, UDP_DATA + sizeof(data), 1, 64, IPPROTO_UDP_V4, __builtin_bswap32(0x0a535401), __builtin_bswap32(0x0a535402));
	be16_put(ip + UDP_SPORT, 1000);
	be16_put(ip + UDP_DPORT, 3478);
	be16_put(ip + UDP_TOTAL, UDP_LEN + sizeof(data));
	memcpy(ip + UDP_DATA, data, sizeof(data));
	ne16_set(ip + UDP_SUM, udp_sum_pseudo(ip));
	return (struct pkt){ .data = frame, .len = (uint32_t)(ETH_LEN + tag + UDP_DATA + sizeof(data)) };
}

static struct pkt v6(void)
{
	static const struct addr a = { { 0xfd, 0, 0, 1 } }, b = { { 0xfd, 0, 0, 2 } };
	uint8_t *ip = frame + ETH_LEN, *udp = ip + IP6_LEN;

	memset(frame, 0, sizeof(frame));
	be16_put(ip - 2, ETHERTYPE_V6);
	ip6_put(ip, 0, 0, UDP_LEN + sizeof(data), IPPROTO_UDP_V4, 64, &a, &b);
	be16_put(udp + UDP_AT_DPORT, 3478);
	be16_put(udp + UDP_AT_TOTAL, UDP_LEN + sizeof(data));
	memcpy(udp + UDP_LEN, data, sizeof(data));
	ne16_set(udp + UDP_AT_SUM, udp6_sum_pseudo(ip));
	return (struct pkt){ .data = frame, .len = (uint32_t)(ETH_LEN + IP6_LEN + UDP_LEN + sizeof(data)) };
}

static void ipv4(void **state)
{
	struct pkt p = v4(0);

	(void)state;
	assert_false(udp_sum_ok(frame + ETH_LEN));
	assert_true(partial_complete(&p));
	assert_true(udp_sum_ok(frame + ETH_LEN));
	/* Once is enough. */
	assert_false(partial_complete(&p));
	assert_true(udp_sum_ok(frame + ETH_LEN));
}

static void ipv6(void **state)
{
	struct pkt p = v6();

	(void)state;
	assert_false(udp6_sum_ok(frame + ETH_LEN));
	assert_true(partial_complete(&p));
	assert_true(udp6_sum_ok(frame + ETH_LEN));
}

static void in_a_vlan(void **state)
{
	struct pkt p = v4(VLAN_TAG_LEN);

	(void)state;
	be16_put(frame + 12, ETHERTYPE_VLAN);
	assert_true(partial_complete(&p));
	assert_true(udp_sum_ok(frame + ETH_LEN + VLAN_TAG_LEN));
}

/* Another sum, right or wrong, no sum, another protocol, a fragment, padding behind the datagram or a lie about its length. */
static void all_else_is_left(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} spoils[] = { { UDP_SUM, 0x55 }, { IP_PROTO, 6 }, { IP_FRAG, 0x20 }, { IP_FRAG + 1, 1 }, { 0, 0x46 }, { UDP_TOTAL, 1 },
		       { UDP_TOTAL + 1, 7 }, { IP_TOTAL, 1 }, { IP_TOTAL + 1, 27 } };
	uint8_t before[sizeof(frame)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
		struct pkt p = v4(0);

		frame[ETH_LEN + spoils[i].at] = spoils[i].value;
		memcpy(before, frame, sizeof(frame));
		assert_false(partial_complete(&p));
		assert_memory_equal(before, frame, sizeof(frame));
	}
	struct pkt p = v4(0);
	ne16_set(frame + ETH_LEN + UDP_SUM, 0);
	assert_false(partial_complete(&p));
	p = v4(0);
	ne16_set(frame + ETH_LEN + UDP_SUM, 0);
	ne16_set(frame + ETH_LEN + UDP_SUM, udp_sum_full(frame + ETH_LEN));
	assert_false(partial_complete(&p));
}

static void cut_short(void **state)
{
	struct pkt p = v4(0);
	uint32_t whole = p.len;

	(void)state;
	for (p.len = 0; p.len < whole; p.len++)
		assert_false(partial_complete(&p));
	p = v6();
	whole = p.len;
	for (p.len = 0; p.len < whole; p.len++)
		assert_false(partial_complete(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4),		    cmocka_unit_test(ipv6),	 cmocka_unit_test(in_a_vlan),
		cmocka_unit_test(all_else_is_left), cmocka_unit_test(cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
