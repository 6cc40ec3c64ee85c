/* Ports that are the kernel's: how its files are read, and what is left for a relay on a shared address. */
#include "relay/kports.h"

#include <stdlib.h>

#include "tests/lib/cm.h"

static struct kports k;

static int set_up(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	assert_ok(kports_parse_range(STR("32768\t60999\n"), &k));
	return 0;
}

static enum err choose(uint16_t turn, uint16_t *min, uint16_t *max, bool narrow, char why[512])
{
	why[0] = '\0';
	return kports_choose(&k, turn, min, max, narrow, why, 512);
}

static void ranges(void **state)
{
	static const char *const wrong[] = { "", "1", "1 x", "9 1", "1 65536", "-1 5" };

	(void)state;
	assert_int_equal(k.first, 32768);
	assert_int_equal(k.last, 60999);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(kports_parse_range(str_from(wrong[i]), &k), ERR_INVALID);
}

static void preset_range_shrinks(void **state)
{
	uint16_t min = 49152, max = 65535;
	char why[512];

	(void)state;
	assert_ok(choose(3478, &min, &max, true, why));
	assert_int_equal(min, 61000);
	assert_int_equal(max, 65535);
}

static void chosen_range_is_refused(void **state)
{
	uint16_t min = 50000, max = 65535;
	char why[512];

	(void)state;
	assert_int_equal(choose(3478, &min, &max, false, why), ERR_CONFLICT);
	assert_non_null(strstr(why, "50000 to port-max 65535 overlaps"));
	assert_non_null(strstr(why, "32768 to 60999"));
	assert_non_null(strstr(why, "ip_local_reserved_ports=50000-65535"));
	assert_int_equal(min, 50000);
	min = 61000;
	assert_ok(choose(3478, &min, &max, false, why));
}

static void reserved_ports_are_free(void **state)
{
	uint16_t min = 50000, max = 65535;
	char why[512];

	(void)state;
	assert_ok(kports_parse_reserved(STR("8080,50000-60998\n"), &k));
	assert_int_equal(choose(3478, &min, &max, false, why), ERR_CONFLICT); /* 60999 is not */
	assert_ok(kports_parse_reserved(STR("60999"), &k));
	assert_ok(choose(3478, &min, &max, false, why));
	assert_ok(kports_parse_reserved(STR("\n"), &k));
	assert_int_equal(kports_parse_reserved(STR("1-x"), &k), ERR_INVALID);
	assert_int_equal(kports_parse_reserved(STR("70000"), &k), ERR_INVALID);
}

static const char sockets[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
			      "  101: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n"
			      "  999: 00000000:F424 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n";

static void bound_ports_are_not_free(void **state)
{
	uint16_t min = 61000, max = 65535;
	char why[512];

	(void)state;
	assert_ok(kports_parse_sockets(str_from(sockets), &k)); /* 53 and 62500 */
	assert_int_equal(choose(53, &min, &max, true, why), ERR_CONFLICT);
	assert_non_null(strstr(why, "turn-port"));
	assert_int_equal(choose(3478, &min, &max, false, why), ERR_CONFLICT);
	assert_non_null(strstr(why, "UDP port 62500"));
	assert_ok(choose(3478, &min, &max, true, why));
	assert_int_equal(min, 62501);
	assert_int_equal(max, 65535);
}

static void sockets_of_ipv6(void **state)
{
	(void)state;
	assert_ok(kports_parse_sockets(STR("head\n  1: 00000000000000000000000000000000:C000 00000000000000000000000000000000:0000 07\n"), &k));
	assert_true((k.bound[0xc000 / 64] >> (0xc000 % 64) & 1) != 0);
	assert_ok(kports_parse_sockets(STR("head\n"), &k));
	assert_ok(kports_parse_sockets(STR(""), &k));
	assert_int_equal(kports_parse_sockets(STR("head\n  1: nonsense\n"), &k), ERR_INVALID);
	assert_int_equal(kports_parse_sockets(STR("head\n  1: 00000000:C00G\n"), &k), ERR_INVALID);
}

static void service_port_of_the_kernel(void **state)
{
	uint16_t min = 61000, max = 65535;
	char why[512];

	(void)state;
	assert_int_equal(choose(40000, &min, &max, true, why), ERR_CONFLICT);
	assert_non_null(strstr(why, "turn-port 40000"));
}

static void too_few_are_refused(void **state)
{
	uint16_t min = 49152, max = 65535;
	char why[512];

	(void)state;
	assert_ok(kports_parse_range(STR("1024 65400"), &k));
	assert_int_equal(choose(1000, &min, &max, true, why), ERR_CONFLICT);
	assert_non_null(strstr(why, "overlaps"));
}

static void this_machine_can_be_read(void **state)
{
	(void)state;
	assert_ok(kports_read(&k));
	assert_true(k.first > 0 && k.last >= k.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ranges, set_up), cmocka_unit_test_setup(preset_range_shrinks, set_up),
		cmocka_unit_test_setup(chosen_range_is_refused, set_up), cmocka_unit_test_setup(reserved_ports_are_free, set_up),
		cmocka_unit_test_setup(bound_ports_are_not_free, set_up), cmocka_unit_test_setup(sockets_of_ipv6, set_up),
		cmocka_unit_test_setup(service_port_of_the_kernel, set_up), cmocka_unit_test_setup(too_few_are_refused, set_up),
		cmocka_unit_test_setup(this_machine_can_be_read, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
