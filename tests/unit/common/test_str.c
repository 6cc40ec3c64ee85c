/* common/str: slices. */
#include "common/str.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static void equality_is_by_bytes_and_length(void **state)
{
	(void)state;
	assert_true(str_eq(STR("abc"), STR("abc")));
	assert_false(str_eq(STR("abc"), STR("abd")));
	assert_false(str_eq(STR("abc"), STR("ab")));
	assert_true(str_eq(STR_NONE, STR("")));
	assert_true(str_eq(str_of("a\0b", 3), str_of("a\0b", 3)));
	assert_false(str_eq(str_of("a\0b", 3), str_of("a\0c", 3)));
	assert_true(str_ieq(STR("Via"), STR("vIA")));
	assert_false(str_ieq(STR("Via"), STR("Vi")));
	assert_true(str_starts(STR("INVITE sip"), STR("INVITE")));
	assert_true(str_starts(STR("x"), STR_NONE));
	assert_false(str_starts(STR("INV"), STR("INVITE")));
}

static void sub_stays_within_the_slice(void **state)
{
	struct str s = STR("abcdef");

	(void)state;
	assert_str(str_sub(s, 0, 3), "abc");
	assert_str(str_sub(s, 4, 100), "ef");
	assert_str(str_sub(s, 6, 1), "");
	assert_str(str_sub(s, 7, 1), "");
	assert_str(str_sub(s, SIZE_MAX, SIZE_MAX), "");
	assert_ptr_equal(str_sub(s, 99, 1).p, s.p + 6);
}

static void find_gives_the_length_when_absent(void **state)
{
	(void)state;
	assert_int_equal(str_find(STR("a:b:c"), ':'), 1);
	assert_int_equal(str_find(STR("abc"), ':'), 3);
	assert_int_equal(str_find(STR_NONE, ':'), 0);
}

static void trim_takes_blanks_off_both_ends(void **state)
{
	(void)state;
	assert_str(str_trim(STR(" \t a b \r\n")), "a b");
	assert_str(str_trim(STR(" \r\n\t ")), "");
	assert_str(str_trim(STR_NONE), "");
}

static void cut_gives_every_token_and_then_ends(void **state)
{
	static const char *const want[] = { "a", "", "b", "" };
	struct str rest = STR("a,,b,");
	size_t n = 0;

	(void)state;
	while (rest.p != NULL) {
		struct str token = str_cut(&rest, ',');

		assert_true(n < ARRAY_LEN(want));
		assert_str(token, want[n++]);
	}
	assert_int_equal(n, ARRAY_LEN(want));
	assert_int_equal(rest.len, 0);
}

static void cut_of_the_empty_slice_gives_one_empty_token(void **state)
{
	struct str rest = STR("");

	(void)state;
	assert_str(str_cut(&rest, ','), "");
	assert_null(rest.p);
}

static void numbers_are_digits_within_the_limit(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		enum err err;
		uint64_t value;
	} cases[] = {
		{ "0", 10, ERR_OK, 0 },
		{ "007", 10, ERR_OK, 7 },
		{ "10", 10, ERR_OK, 10 },
		{ "11", 10, ERR_TOO_LARGE, 0 },
		{ "18446744073709551615", UINT64_MAX, ERR_OK, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, ERR_TOO_LARGE, 0 },
		{ "99999999999999999999999", UINT64_MAX, ERR_TOO_LARGE, 0 },
		{ "", 10, ERR_INVALID, 0 },
		{ "-1", 10, ERR_INVALID, 0 },
		{ "+1", 10, ERR_INVALID, 0 },
		{ " 1", 10, ERR_INVALID, 0 },
		{ "1 ", 10, ERR_INVALID, 0 },
		{ "0x1", 10, ERR_INVALID, 0 },
		{ "1:", 10, ERR_INVALID, 0 }, /* ':' follows '9' */
		{ "1/", 10, ERR_INVALID, 0 }, /* '/' precedes '0' */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t out = 4711;

		assert_err(str_to_u64(str_from(cases[i].text), cases[i].max, &out), cases[i].err);
		assert_int_equal(out, cases[i].err == ERR_OK ? cases[i].value : 4711);
	}
}

static void numbers_are_not_read_past_their_end(void **state)
{
	struct guard g = guard_new(64);
	uint64_t out;

	(void)state;
	for (size_t len = 1; len <= 19; len++) {
		void *at = guard_put(&g, "1234567890123456789", len);

		assert_ok(str_to_u64(str_of(at, len), UINT64_MAX, &out));
	}
	guard_free(&g);
}

static void copy_needs_room_for_the_nul(void **state)
{
	char dst[4] = "xyz";

	(void)state;
	assert_err(str_copy(STR("abcd"), dst, sizeof(dst)), ERR_TOO_LARGE);
	assert_string_equal(dst, "xyz");
	assert_err(str_copy(str_of("a\0b", 3), dst, sizeof(dst)), ERR_INVALID);
	assert_string_equal(dst, "xyz");
	assert_ok(str_copy(STR("abc"), dst, sizeof(dst)));
	assert_string_equal(dst, "abc");
	assert_ok(str_copy(STR_NONE, dst, sizeof(dst)));
	assert_string_equal(dst, "");
	assert_err(str_copy(STR(""), dst, 0), ERR_TOO_LARGE);
}

static void kept_texts_lie_behind_each_other(void **state)
{
	char block[6] = "......", *at = block;

	(void)state;
	struct str one = str_keep(&at, STR("ab")), none = str_keep(&at, STR_NONE), two = str_keep(&at, STR("cde"));
	assert_true(str_eq(one, STR("ab")) && str_eq(two, STR("cde")));
	assert_int_equal(none.len, 0);
	assert_ptr_equal(one.p, block);
	assert_ptr_equal(two.p, block + 2);
	assert_ptr_equal(at, block + 5);
	assert_int_equal(block[5], '.');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equality_is_by_bytes_and_length),
		cmocka_unit_test(sub_stays_within_the_slice),
		cmocka_unit_test(find_gives_the_length_when_absent),
		cmocka_unit_test(trim_takes_blanks_off_both_ends),
		cmocka_unit_test(cut_gives_every_token_and_then_ends),
		cmocka_unit_test(cut_of_the_empty_slice_gives_one_empty_token),
		cmocka_unit_test(numbers_are_digits_within_the_limit),
		cmocka_unit_test(numbers_are_not_read_past_their_end),
		cmocka_unit_test(copy_needs_room_for_the_nul),
		cmocka_unit_test(kept_texts_lie_behind_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
