/* relay/drain: lists of servers, and which of them a client is sent to. */
#include "relay/drain.h"

#include <stdio.h>

#include "tests/lib/cm.h"

static struct alternates parsed(const char *text)
{
	struct alternates all;
	struct str bad;

	assert_ok(alternates_parse(text, &all, &bad));
	return all;
}

static void lists(void **state)
{
	static const uint8_t v4[4] = { 192, 0, 2, 1 }, v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	struct alternates all = parsed(" 192.0.2.1:5349, [2001:db8::1]:443\t198.51.100.7 2001:db8::1 [2001:db8::1]");

	(void)state;
	assert_int_equal(all.count, 5);
	assert_int_equal(all.at[0].family, STUN_IPV4);
	assert_int_equal(all.at[0].port, 5349);
	assert_memory_equal(all.at[0].ip, v4, 4);
	for (unsigned i = 1; i < 5; i++) {
		if (i == 2)
			continue;
		assert_int_equal(all.at[i].family, STUN_IPV6);
		assert_memory_equal(all.at[i].ip, v6, 16);
		assert_int_equal(all.at[i].port, i == 1 ? 443 : 3478);
	}
	assert_int_equal(all.at[2].port, 3478);
	assert_int_equal(parsed("").count, 0);
	assert_int_equal(parsed(" , ").count, 0);
}

static void what_is_no_server(void **state)
{
	static const char *const wrong[] = {
		"turn.example.org", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:x", "192.0.2.1/32", "192.0.2.1:1:2", "192.0.2", "[",
		"[]", "[2001:db8::1", "[2001:db8::1]443", "[2001:db8::1]:0", "[192.0.2.1", "2001:db8::1/64", "[2001:db8::/32]:1", ":3478",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct alternates all = { .count = 77 };
		struct str bad = STR_NONE;
		char text[64];

		(void)snprintf(text, sizeof(text), "192.0.2.9 %s", wrong[i]);
		if (alternates_parse(text, &all, &bad) != ERR_INVALID)
			fail_msg("'%s' was taken", wrong[i]);
		assert_true(str_eq(bad, str_from(wrong[i])));
		assert_int_equal(all.count, 77);
	}
	struct alternates all;
	struct str bad;
	assert_err(alternates_parse("1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1", &all, &bad), ERR_TOO_LARGE);
}

static void own_family_and_always_the_same(void **state)
{
	struct alternates all = parsed("192.0.2.1 [2001:db8::1] 192.0.2.2 192.0.2.3");
	struct addr v6 = { { 0x2a, 0, 0, 1 } };
	unsigned seen[4] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		struct addr a = addr_v4(__builtin_bswap32(0x08080000 + i));
		const struct stun_addr *s = alternates_pick(&all, &a);

		assert_non_null(s);
		assert_int_equal(s->family, STUN_IPV4);
		assert_ptr_equal(alternates_pick(&all, &a), s);
		seen[s - all.at]++;
	}
	assert_true(seen[0] > 50 && seen[2] > 50 && seen[3] > 50);
	assert_ptr_equal(alternates_pick(&all, &v6), &all.at[1]);
	all = parsed("192.0.2.1");
	assert_null(alternates_pick(&all, &v6));
	all = parsed("");
	assert_null(alternates_pick(&all, &v6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists), cmocka_unit_test(what_is_no_server), cmocka_unit_test(own_family_and_always_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
