/* api/http: cookies, queries, media types, tags. */
#include "api/http.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static void methods_are_case_sensitive(void **state)
{
	(void)state;
	assert_int_equal(http_method_from(STR("GET")), HTTP_GET);
	assert_int_equal(http_method_from(STR("DELETE")), HTTP_DELETE);
	assert_int_equal(http_method_from(STR("get")), HTTP_OTHER);
	assert_int_equal(http_method_from(STR("")), HTTP_OTHER);
	assert_int_equal(http_method_from(STR_NONE), HTTP_OTHER);
	assert_false(http_unsafe(HTTP_HEAD));
	assert_true(http_unsafe(HTTP_OTHER));
}

static void every_status_we_send_has_a_phrase(void **state)
{
	(void)state;
	assert_string_equal(http_reason(422), "Unprocessable Content");
	assert_string_equal(http_reason(418), "");
}

static void a_cookie_is_found_by_its_whole_name(void **state)
{
	struct str v = STR("untouched");

	(void)state;
	assert_ok(http_cookie(STR("a=1; sid=x=y; b=2"), STR("sid"), &v));
	assert_str(v, "x=y");
	assert_ok(http_cookie(STR("sid="), STR("sid"), &v));
	assert_str(v, "");
	assert_err(http_cookie(STR("xsid=1; sidx=2; sid"), STR("sid"), &v), ERR_NOT_FOUND);
	assert_err(http_cookie(STR_NONE, STR("sid"), &v), ERR_NOT_FOUND);
	assert_err(http_cookie(STR("SID=1"), STR("sid"), &v), ERR_NOT_FOUND);
	assert_err(http_cookie(STR("sid=1; sid=1"), STR("sid"), &v), ERR_INVALID);
}

static enum err query(const char *text, const char *name, size_t size, char *mem, struct str *out)
{
	struct buf b = buf_fixed(mem, size);
	enum err e = http_query(str_from(text), str_from(name), &b);

	*out = buf_view(&b);
	return e;
}

static void a_query_is_decoded(void **state)
{
	char mem[64];
	struct str v;

	(void)state;
	assert_ok(query("a=1&q=%C3%9Cn+x%2b&b", "q", sizeof(mem), mem, &v));
	assert_str(v, "Ün x+");
	assert_ok(query("q", "q", sizeof(mem), mem, &v));
	assert_str(v, "");
	assert_ok(query("q=a=b", "q", sizeof(mem), mem, &v));
	assert_str(v, "a=b");
	assert_err(query("qq=1", "q", sizeof(mem), mem, &v), ERR_NOT_FOUND);
	assert_err(query("", "q", sizeof(mem), mem, &v), ERR_NOT_FOUND);
}

static void a_bad_query_is_refused(void **state)
{
	static const char *const bad[] = { "q=%", "q=%4", "q=%zz", "q=%00", "q=1&q=2", "q=a%" };
	char mem[64];
	struct str v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_err(query(bad[i], "q", sizeof(mem), mem, &v), ERR_INVALID);
	assert_err(query("q=12345", "q", 4, mem, &v), ERR_TOO_LARGE);
}

static void json_is_json_in_utf8(void **state)
{
	(void)state;
	assert_true(http_is_json(STR("application/json")));
	assert_true(http_is_json(STR(" Application/Json ; charset=\"UTF-8\"; x=y")));
	assert_false(http_is_json(STR("application/json; charset=utf-16")));
	assert_false(http_is_json(STR("application/problem+json")));
	assert_false(http_is_json(STR("")));
	assert_false(http_is_json(STR_NONE));
}

static void accept_is_judged_by_the_nearest_range(void **state)
{
	(void)state;
	assert_true(http_accepts_json(STR_NONE));
	assert_true(http_accepts_json(STR("text/html, */*;q=0.1")));
	assert_true(http_accepts_json(STR("*/*;q=0, application/json")));
	assert_false(http_accepts_json(STR("application/json;q=0, */*")));
	assert_false(http_accepts_json(STR("application/json; q=0.000")));
	assert_true(http_accepts_json(STR("application/json; v=1; q=0.001")));
	assert_false(http_accepts_json(STR("text/html")));
	assert_false(http_accepts_json(STR(",;,")));
}

static void a_tag_is_found_in_a_list(void **state)
{
	(void)state;
	assert_true(http_etag_in(STR("\"a\", \"r1\""), STR("\"r1\"")));
	assert_true(http_etag_in(STR("*"), STR("\"r1\"")));
	assert_false(http_etag_in(STR("\"r11\""), STR("\"r1\"")));
	assert_false(http_etag_in(STR_NONE, STR("\"r1\"")));
}

static void headers_are_lines(void **state)
{
	struct http_response r;
	char big[2000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	http_response_init(&r);
	http_header(&r, "A", "%d", 1);
	http_header(&r, "B", "x %s", "y");
	assert_str(buf_view(&r.headers), "A: 1\r\nB: x y\r\n");
	http_header(&r, "C", "%s", big);
	assert_true(r.headers.overflow);
	http_response_fini(&r);
}

/* Each prefix of each text, at the end of readable memory. */
static void no_parser_reads_past_its_text(void **state)
{
	static const char *const texts[] = { "a=1; __Host-duplex=alice.AAAA; b",
					     "limit=5&cursor=%C3%9C&q=%2",
					     "application/json; charset=utf-8",
					     "text/html;q=0.5, application/json;q=0.0, */*",
					     "\"r1\", *, \"r2\"",
					     "DELETE" };
	struct guard g = guard_new(256);
	char mem[64];
	struct str v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		for (size_t len = 0; len <= strlen(texts[i]); len++) {
			struct str s = str_of(guard_put(&g, texts[i], len), len);
			struct buf b = buf_fixed(mem, sizeof(mem));

			(void)http_method_from(s);
			(void)!http_cookie(s, STR("__Host-duplex"), &v);
			(void)!http_query(s, STR("q"), &b);
			(void)http_is_json(s);
			(void)http_accepts_json(s);
			(void)http_etag_in(s, STR("\"r2\""));
		}
	}
	guard_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_are_case_sensitive),
		cmocka_unit_test(every_status_we_send_has_a_phrase),
		cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
		cmocka_unit_test(a_query_is_decoded),
		cmocka_unit_test(a_bad_query_is_refused),
		cmocka_unit_test(json_is_json_in_utf8),
		cmocka_unit_test(accept_is_judged_by_the_nearest_range),
		cmocka_unit_test(a_tag_is_found_in_a_list),
		cmocka_unit_test(headers_are_lines),
		cmocka_unit_test(no_parser_reads_past_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
