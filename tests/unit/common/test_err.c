/* common/err and common/clock. */
#include "common/clock.h"
#include "tests/lib/cm.h"

static void every_error_has_a_text(void **state)
{
	(void)state;
	for (int e = ERR_OK; e <= ERR_INTERNAL; e++) {
		assert_non_null(err_text((enum err)e));
		assert_true(strlen(err_text((enum err)e)) > 1);
	}
	assert_string_equal(err_text(ERR_OK), "ok");
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
	uint64_t last_ms = clock_mono_ms(), last_us = clock_mono_us();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t us = clock_mono_us(), ms = clock_mono_ms();

		assert_true(us >= last_us && ms >= last_ms);
		last_us = us;
		last_ms = ms;
	}
	assert_in_range(clock_mono_us() / 1000, last_ms - 1, last_ms + 1000);
}

static void wall_clock_is_milliseconds_since_1970(void **state)
{
	(void)state;
	assert_in_range(clock_wall_ms(), 1700000000000u, 8000000000000u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_a_text),
		cmocka_unit_test(the_monotonic_clock_does_not_go_back),
		cmocka_unit_test(wall_clock_is_milliseconds_since_1970),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
