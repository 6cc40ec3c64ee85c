/* api/auth, api/sessions: the cookie's form, the Origin list, the guard. */
#include "api/auth.h"

#include <stdlib.h>

#include "api/throttle.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static const struct settings set = { .origin = { { "https://localhost:8443", 22 }, { "https://call.example.org", 24 } },
				     .origins = 2,
				     .certificate_url = (char[]){ "https://cert.localhost:8443" } };

#define SECRET "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* 32 zero bytes */

static void a_cookie_names_user_and_session(void **state)
{
	char id[SESSION_ID_SIZE];
	struct str user;

	(void)state;
	assert_ok(sessions_parse_cookie(STR("a.lice." SECRET), &user, id));
	assert_str(user, "a.lice");
	/* SHA-256 of 32 zero bytes begins with this. */
	assert_string_equal(id, "66687aadf862bd776c8fc18b8e9f8e20");
}

static void other_cookies_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   ".",
					   "alice",
					   "alice.",
					   "." SECRET,
					   "Alice." SECRET,
					   "al{ice." SECRET,
					   "alice." SECRET "A",
					   "alice.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
					   "alice.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
					   "alice.+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
	char id[SESSION_ID_SIZE];
	struct str user;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_err(sessions_parse_cookie(str_from(bad[i]), &user, id), ERR_INVALID);
}

static void every_prefix_of_a_cookie_is_refused(void **state)
{
	static const char text[] = "alice." SECRET;
	struct guard g = guard_new(128);
	char id[SESSION_ID_SIZE];
	struct str user;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_err(sessions_parse_cookie(str_of(guard_put(&g, text, len), len), &user, id), ERR_INVALID);
	guard_free(&g);
}

static void origins_are_compared_whole(void **state)
{
	(void)state;
	assert_true(auth_origin_ok(&set, STR("https://localhost:8443")));
	assert_true(auth_origin_ok(&set, STR("https://call.example.org")));
	assert_false(auth_origin_ok(&set, STR("https://localhost:84430")));
	assert_false(auth_origin_ok(&set, STR("https://localhost")));
	assert_false(auth_origin_ok(&set, STR("https://LOCALHOST:8443")));
	assert_false(auth_origin_ok(&set, STR("null")));
	assert_false(auth_origin_ok(&set, STR("")));
}

static void the_guard_judges(void **state)
{
	static const struct {
		struct http_request in;
		bool good;
	} rows[] = {
		{ { .guard = { "1", 1 } }, true },
		{ { .guard = { "1", 1 }, .origin = { "https://localhost:8443", 22 } }, true },
		{ { .guard = { "1", 1 }, .fetch_site = { "same-origin", 11 } }, true },
		{ { .guard = { "1", 1 }, .fetch_site = { "none", 4 } }, true },
		{ { .guard = { "1", 1 }, .origin = { "https://cert.localhost:8443", 27 }, .cert_verify = { "NONE", 4 } }, true },
		{ { .guard = { "1", 1 }, .origin = { "https://cert.localhost:8443", 27 } }, false },
		{ { .guard = { "1", 1 }, .origin = { "https://evil.example", 20 }, .fetch_site = { "same-origin", 11 } }, false },
		{ { .guard = { "1", 1 }, .fetch_site = { "same-site", 9 } }, false },
		{ { .guard = { "1", 1 }, .fetch_site = { "cross-site", 10 } }, false },
		{ { .guard = { "11", 2 } }, false },
		{ { .origin = { "https://localhost:8443", 22 } }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *why = auth_cross_site(&set, &rows[i].in);

		if ((why == NULL) != rows[i].good)
			fail_msg("row %zu: %s", i, why != NULL ? why : "passed");
	}
}

static void an_address_is_a_prefix(void **state)
{
	static const char *const rows[][2] = {
		{ "192.0.2.7", "192.0.2.7" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
		{ "2001:db8:1:2::", "2001:db8:1:2::" },
		{ "::ffff:192.0.2.7", "::ffff:192.0.2.7" },
		{ "unix:", "unix:" },
		{ "", "" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		throttle_prefix(str_from(rows[i][0]), out);
		assert_string_equal(out, rows[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cookie_names_user_and_session),
		cmocka_unit_test(other_cookies_are_refused),
		cmocka_unit_test(every_prefix_of_a_cookie_is_refused),
		cmocka_unit_test(origins_are_compared_whole),
		cmocka_unit_test(the_guard_judges),
		cmocka_unit_test(an_address_is_a_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
