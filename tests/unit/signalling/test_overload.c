/* signalling/overload: who is refused first, and what Retry-After says. (What is measured is tested with a real worker: tests/sip/storm.test.mjs.) */
#include "signalling/overload.h"

#include <limits.h>

#include "tests/lib/cm.h"

static void requests_fall_into_their_classes(void **state)
{
	(void)state;
	assert_int_equal(overload_class_of(SIP_BYE, true, false), OVERLOAD_ENDING);
	assert_int_equal(overload_class_of(SIP_ACK, true, false), OVERLOAD_ENDING);
	assert_int_equal(overload_class_of(SIP_CANCEL, false, false), OVERLOAD_ENDING);
	assert_int_equal(overload_class_of(SIP_INVITE, true, false), OVERLOAD_DIALOG);
	assert_int_equal(overload_class_of(SIP_UPDATE, true, false), OVERLOAD_DIALOG);
	assert_int_equal(overload_class_of(SIP_SUBSCRIBE, true, false), OVERLOAD_DIALOG);
	assert_int_equal(overload_class_of(SIP_REGISTER, false, true), OVERLOAD_REFRESH);
	assert_int_equal(overload_class_of(SIP_REGISTER, false, false), OVERLOAD_REGISTER);
	assert_int_equal(overload_class_of(SIP_INVITE, false, false), OVERLOAD_BEGINNING);
	assert_int_equal(overload_class_of(SIP_MESSAGE, false, false), OVERLOAD_BEGINNING);
	assert_int_equal(overload_class_of(SIP_SUBSCRIBE, false, false), OVERLOAD_SUBSCRIBE);
}

static void the_order_of_service_is_kept(void **state)
{
	(void)state;
	assert_int_equal(overload_limit(OVERLOAD_ENDING), UINT_MAX);
	for (unsigned c = OVERLOAD_ENDING; c + 1 < OVERLOAD_CLASS_COUNT; c++)
		assert_true(overload_limit((enum overload_class)c) > overload_limit((enum overload_class)(c + 1)));
	assert_true(overload_limit(OVERLOAD_SUBSCRIBE) > 0);
}

static void clients_are_asked_to_come_back_at_different_times(void **state)
{
	unsigned least = UINT_MAX, most = 0;

	(void)state;
	for (uint32_t random = 0; random < 1000; random++) {
		unsigned s = overload_retry_after(100, random);

		least = MIN(least, s);
		most = MAX(most, s);
	}
	assert_int_equal(least, 2);
	assert_int_equal(most, 15);
	assert_true(overload_retry_after(100000, 29) <= 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_fall_into_their_classes),
		cmocka_unit_test(the_order_of_service_is_kept),
		cmocka_unit_test(clients_are_asked_to_come_back_at_different_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
