/* api/check, api/utf8: the validators. */
#include "api/check.h"

#include "api/utf8.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static void utf8_is_strict(void **state)
{
	static const char *const bad[] = { "\x80",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xe0\x80\x80",
					   "\xed\xa0\x80",
					   "\xed\xbf\xbf",
					   "\xf0\x80\x80\x80",
					   "\xf4\x90\x80\x80",
					   "\xf8\x88\x80\x80\x80",
					   "\xc3",
					   "\xe2\x82",
					   "\xf0\x9f\x98",
					   "\xff",
					   "a\xfe" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(utf8_length(str_from(bad[i])), SIZE_MAX);
	assert_int_equal(utf8_length(STR("aé€😀")), 4);
	assert_int_equal(utf8_length(STR_NONE), 0);
	assert_int_equal(utf8_length(STR("\xf4\x8f\xbf\xbf")), 1);
}

static void utf8_goes_there_and_back(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp <= 0x10ffff; cp += cp < 0x3000 ? 1 : 251) {
		char mem[4];
		struct buf b = buf_fixed(mem, sizeof(mem));
		uint32_t back = 0;

		if (cp >= 0xd800 && cp <= 0xdfff)
			continue;
		utf8_put(&b, cp);
		struct str s = buf_view(&b);
		assert_ok(utf8_next(&s, &back));
		assert_int_equal(back, cp);
		assert_int_equal(s.len, 0);
	}
}

static void folding_is_unicode_and_drops_bad_bytes(void **state)
{
	char mem[64];
	struct buf b = buf_fixed(mem, sizeof(mem));

	(void)state;
	utf8_fold(STR("ÀÉ Straße ΑΒΓ ЖЗ\xff!"), &b);
	assert_str(buf_view(&b), "àé straße αβγ жз!");
}

struct row {
	const char *(*check)(struct str s);
	const char *text;
	bool good;
};

static const struct row rows[] = {
	{ check_username, "al", true },
	{ check_username, "a.b-c_9", true },
	{ check_username, "a", false },
	{ check_username, "A1", false },
	{ check_username, ".ab", false },
	{ check_username, "ab\n", false },
	{ check_username, "contacts", true }, /* exists for searching; cannot be made */
	{ check_new_username, "contacts", false },
	{ check_new_username, "alice", true },
	{ check_display_name, "Alice", true },
	{ check_display_name, "Ünal Çelik", true },
	{ check_display_name, "👩‍👩‍👧‍👦", true },
	{ check_display_name, "नमस्ते", true },
	{ check_display_name, "می‌خواهم", true },
	{ check_display_name, "", false },
	{ check_display_name, " a", false },
	{ check_display_name, "a ", false },
	{ check_display_name, "a\u00a0", false },
	{ check_display_name, "\u3000", false },
	{ check_display_name, "a\tb", false },
	{ check_display_name,
	  "a\xc2\x85"
	  "b",
	  false },
	{ check_display_name, "a\u2066b", false },
	{ check_display_name, "a\ufeffb", false },
	{ check_display_name, "\u3164", false },
	{ check_display_name, "\u0301", false },
	{ check_display_name, "a\u0301\u0301\u0301\u0301", true },
	{ check_display_name, "a\u0301\u0301\u0301\u0301\u0301", false },
	{ check_display_name, "\U000e0041", false },
	{ check_display_name, "\xff", false },
	{ check_new_password, "123456789", false },
	{ check_new_password, "äöüäöüäöüä", true },
	{ check_new_password, "12345678\xff\xff", false },
	{ check_password_given, "", false },
	{ check_password_given, "x", true },
	{ check_ticket, "", false },
	{ check_csr, "-----BEGIN CERTIFICATE REQUEST-----", true },
	{ check_csr, "MII", false },
	{ check_state, "active", true },
	{ check_state, "Active", false },
	{ check_role, "admin", true },
	{ check_role, "root", false },
	{ check_search, "a", true },
	{ check_search, "\u202e", false },
};

static void each_row_is_judged_right(void **state)
{
	struct guard g = guard_new(256);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].text);
		const char *wrong = rows[i].check(str_of(guard_put(&g, rows[i].text, len), len));

		if ((wrong == NULL) != rows[i].good)
			fail_msg("row %zu '%s': %s", i, rows[i].text, wrong != NULL ? wrong : "accepted");
	}
	guard_free(&g);
}

static void lengths_count_characters(void **state)
{
	char text[(PASSWORD_MAX + 1) * 4];
	struct buf b = buf_fixed(text, sizeof(text));

	(void)state;
	for (size_t i = 0; i < DISPLAY_NAME_CHARS; i++)
		buf_z(&b, "😀");
	assert_null(check_display_name(buf_view(&b)));
	buf_z(&b, "x");
	assert_non_null(check_display_name(buf_view(&b)));
	for (size_t i = DISPLAY_NAME_CHARS + 1; i < PASSWORD_MAX; i++)
		buf_z(&b, "é");
	assert_null(check_new_password(buf_view(&b)));
	assert_null(check_password_given(buf_view(&b)));
	buf_z(&b, "x");
	assert_non_null(check_new_password(buf_view(&b)));
	assert_non_null(check_password_given(buf_view(&b)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(utf8_goes_there_and_back),
		cmocka_unit_test(folding_is_unicode_and_drops_bad_bytes),
		cmocka_unit_test(each_row_is_judged_right),
		cmocka_unit_test(lengths_count_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
