/* api/route: how a request finds its row, and what the table promises. */
#include "api/route.h"

#include "tests/lib/cm.h"

static const struct route *find(enum http_method m, const char *path, struct str param[ROUTE_PARAMS_MAX], enum err *e,
				unsigned *allowed)
{
	const struct route *r = NULL;

	*e = route_find(route_table, route_count, m, str_from(path), &r, param, allowed);
	return r;
}

static void literal_and_parameter_segments_match(void **state)
{
	struct str param[ROUTE_PARAMS_MAX] = { STR_NONE };
	unsigned allowed;
	enum err e;

	(void)state;
	assert_string_equal(find(HTTP_GET, "/api/v1/me", param, &e, &allowed)->name, "getMe");
	assert_string_equal(find(HTTP_HEAD, "/api/v1/me", param, &e, &allowed)->name, "getMe");
	assert_string_equal(find(HTTP_DELETE, "/api/v1/contacts/bob", param, &e, &allowed)->name, "removeContact");
	assert_str(param[0], "bob");
	assert_string_equal(find(HTTP_DELETE, "/api/v1/sessions/current", param, &e, &allowed)->name, "logOut");
}

static void near_misses_are_not_found(void **state)
{
	static const char *const paths[] = { "",
					     "/",
					     "/api/v1",
					     "/api/v1/",
					     "/api/v1/me/",
					     "/api/v1//me",
					     "/api/v1/contacts/",
					     "/api/v1/contacts/a/b",
					     "api/v1/me",
					     "/api/v1/ME",
					     "/api/v1/me?x",
					     "/api/v2/me",
					     "/api/v1/{id}" };
	struct str param[ROUTE_PARAMS_MAX];
	unsigned allowed;
	enum err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_null(find(HTTP_GET, paths[i], param, &e, &allowed));
		assert_err(e, ERR_NOT_FOUND);
	}
	assert_err(route_find(route_table, route_count, HTTP_GET, STR_NONE, &(const struct route *){ NULL }, param, &allowed),
		   ERR_NOT_FOUND);
}

static void other_methods_are_told(void **state)
{
	struct str param[ROUTE_PARAMS_MAX];
	unsigned allowed = 0;
	enum err e;

	(void)state;
	assert_null(find(HTTP_OTHER, "/api/v1/contacts", param, &e, &allowed));
	assert_err(e, ERR_UNSUPPORTED);
	assert_int_equal(allowed, 1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_POST | 1u << HTTP_OPTIONS);
}

static void a_long_path_is_not_compared(void **state)
{
	static char path[PATH_MAX_LEN + 2];
	struct str param[ROUTE_PARAMS_MAX];
	unsigned allowed;
	enum err e;

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	memcpy(path, "/api/v1/contacts/", 17);
	assert_null(find(HTTP_DELETE, path, param, &e, &allowed));
	path[PATH_MAX_LEN] = '\0';
	assert_non_null(find(HTTP_DELETE, path, param, &e, &allowed));
}

static void every_row_is_found_as_itself(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		struct str param[ROUTE_PARAMS_MAX];
		const struct route *r = NULL;
		unsigned allowed;

		assert_ok(route_find(route_table, route_count, route_table[i].method, str_from(route_table[i].pattern), &r, param,
				     &allowed));
		assert_ptr_equal(r, &route_table[i]);
	}
}

/* Rules that keep a new row from being open by oversight. */
static void the_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *r = &route_table[i];
		bool admin = strncmp(r->pattern, "/api/v1/admin/", 14) == 0, own = strncmp(r->pattern, "/api/v1/me", 10) == 0;

		assert_non_null(r->handler);
		if (admin)
			assert_true(r->access == ACCESS_SESSION && r->perm != PERM_COUNT);
		if (own)
			assert_int_equal(r->access, ACCESS_SESSION);
		if (strncmp(r->pattern, "/internal/", 10) == 0)
			assert_int_equal(r->access, ACCESS_INTERNAL);
		if (r->method == HTTP_GET || r->method == HTTP_DELETE)
			assert_int_equal(r->body_max, BODY_NONE);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(route_table[k].name, r->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literal_and_parameter_segments_match),
		cmocka_unit_test(near_misses_are_not_found),
		cmocka_unit_test(other_methods_are_told),
		cmocka_unit_test(a_long_path_is_not_compared),
		cmocka_unit_test(every_row_is_found_as_itself),
		cmocka_unit_test(the_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
