/* common/user: what a user name may be. */
#include "common/user.h"
#include "tests/lib/cm.h"

static void good_names(void **state)
{
	static const char *const good[] = { "al", "alice", "a1", "0x", "a.b", "a_b", "a-b", "a..b", "abcdefghijklmnopqrstuvwxyz012345" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(user_name_valid(str_from(good[i])));
}

static void bad_names(void **state)
{
	static const char *const bad[] = {
		"",	 "a",	  "Alice", ".ab",  "ab.",	 "-ab",	 "ab-",	     "_ab", "ab_", "a b", "a@b",
		"a{b",	 "a}b",	  "a:b",   "a/b",  "a%b",	 "a\nb", "\xc3\xa4\xc3\xb6", "a;b", "a*b", "a<b>", "abcdefghijklmnopqrstuvwxyz0123456",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (user_name_valid(str_from(bad[i])))
			fail_msg("'%s' must not be valid", bad[i]);
	}
	assert_false(user_name_valid(STR_NONE));
	assert_false(user_name_valid(str_of("ab\0cd", 5)));
}

/* No byte but these may stand in a name: it goes unescaped into Redis keys, SIP URIs and paths. */
static void every_byte_value(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		char name[3] = { 'a', (char)c, 'b' };
		bool want = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';

		assert_int_equal(user_name_valid(str_of(name, 3)), want);
	}
}

static void reserved_names(void **state)
{
	(void)state;
	assert_true(user_name_reserved(STR("contacts")));
	assert_true(user_name_reserved(STR("me")));
	assert_false(user_name_reserved(STR("alice")));
	assert_false(user_name_reserved(STR("contact")));
	assert_false(user_name_reserved(STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_names),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(every_byte_value),
		cmocka_unit_test(reserved_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
