/* common/rds_addr: the list of addresses in the option `redis`. */
#include "common/rds_addr.h"

#include "tests/lib/cm.h"

static void addresses_are_counted_and_given_in_turn(void **state)
{
	struct str list = STR(" /run/a.sock, 127.0.0.1:6379 ,,10.0.0.2:6379 ,");
	char one[64] = "";

	(void)state;
	assert_int_equal(rds_addr_count(list), 3);
	assert_ok(rds_addr_at(list, 0, one, sizeof(one)));
	assert_string_equal(one, "/run/a.sock");
	assert_ok(rds_addr_at(list, 2, one, sizeof(one)));
	assert_string_equal(one, "10.0.0.2:6379");
	assert_ok(rds_addr_at(list, 4, one, sizeof(one)));
	assert_string_equal(one, "127.0.0.1:6379");
}

static void none_and_too_long_are_errors(void **state)
{
	char one[4] = "x";

	(void)state;
	assert_int_equal(rds_addr_count(STR(" , ")), 0);
	assert_int_equal(rds_addr_count(STR_NONE), 0);
	assert_int_equal(rds_addr_at(STR(","), 0, one, sizeof(one)), ERR_NOT_FOUND);
	assert_int_equal(rds_addr_at(STR("/long"), 0, one, sizeof(one)), ERR_TOO_LARGE);
	assert_string_equal(one, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_counted_and_given_in_turn),
		cmocka_unit_test(none_and_too_long_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
