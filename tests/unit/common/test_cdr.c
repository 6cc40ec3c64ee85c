/* common/cdr: end reasons. */
#include "common/cdr.h"
#include "tests/lib/cm.h"

static void a_final_status_gives_its_reason(void **state)
{
	static const struct {
		unsigned status;
		bool rang;
		enum cdr_reason want;
	} cases[] = {
		{ 403, false, CDR_FORBIDDEN }, { 404, false, CDR_NOT_FOUND },	{ 408, true, CDR_NO_ANSWER },
		{ 480, true, CDR_NO_ANSWER },  { 480, false, CDR_UNREACHABLE }, { 486, true, CDR_BUSY },
		{ 600, false, CDR_BUSY },      { 487, true, CDR_CANCELLED },	{ 603, true, CDR_DECLINED },
		{ 500, true, CDR_FAILED },     { 0, false, CDR_FAILED },	{ 999, false, CDR_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(cdr_reason_from_status(cases[i].status, cases[i].rang), cases[i].want);
}

static void names_are_distinct(void **state)
{
	(void)state;
	for (size_t i = 0; i < CDR_REASON_COUNT; i++) {
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(cdr_reason_name((enum cdr_reason)i), cdr_reason_name((enum cdr_reason)k));
	}
	assert_string_equal(cdr_reason_name(CDR_NO_ANSWER), "no_answer");
	assert_string_equal(cdr_reason_name(CDR_REASON_COUNT), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_final_status_gives_its_reason),
		cmocka_unit_test(names_are_distinct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
