/* signalling/peer_address: what the configuration and peers:WORKER may say. */
#include "signalling/peer_address.h"

#include "tests/lib/cm.h"

static void there_and_back(void **state)
{
	static const struct {
		const char *text;
		unsigned offset;
		const char *want;
		bool any;
	} cases[] = {
		{ "192.0.2.1:7100", 0, "192.0.2.1:7100", false },
		{ "192.0.2.1:7100", 3, "192.0.2.1:7103", false },
		{ "[2001:db8::1]:7100", 1, "[2001:db8::1]:7101", false },
		{ "0.0.0.0:1", 0, "0.0.0.0:1", true },
		{ "[::]:65535", 0, "[::]:65535", true },
		{ "[0:0:0:0:0:0:0:1]:5", 0, "[::1]:5", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char mem[PEER_ADDRESS_MAX];
		struct buf b = buf_fixed(mem, sizeof(mem));
		struct peer_address a;

		assert_ok(peer_address_parse(str_from(cases[i].text), cases[i].offset, &a));
		peer_address_put(&b, &a);
		assert_int_equal(b.overflow, false);
		assert_str(buf_view(&b), cases[i].want);
		assert_int_equal(peer_address_any(&a), cases[i].any);
	}
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text;
		unsigned offset;
	} cases[] = {
		{ "", 0 }, { "-", 0 }, { ":", 0 }, { ":5", 0 }, { "192.0.2.1", 0 }, { "192.0.2.1:", 0 }, { "192.0.2.1:0", 0 }, { "192.0.2.1:65536", 0 },
		{ "192.0.2.1:65535", 1 }, { "192.0.2:1:2", 0 }, { "192.0.2.256:1", 0 }, { "localhost:5", 0 }, { "2001:db8::1:5", 0 }, { "[2001:db8::1]", 0 },
		{ "[2001:db8::1]5", 0 }, { "[2001:db8::1]:", 0 }, { "[]:5", 0 }, { "[", 0 }, { "[::1", 0 }, { "[192.0.2.1]:5", 0 }, { "192.0.2.1:5 ", 0 },
		{ "[1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234]:5", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct peer_address a;

		assert_err(peer_address_parse(str_from(cases[i].text), cases[i].offset, &a), ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
