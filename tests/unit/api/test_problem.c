/* api/problem, api/reply: the shape of errors and replies. */
#include "api/problem.h"

#include "api/reply.h"
#include "tests/lib/cm.h"
#include "tests/unit/api/make_req.h"

static void a_problem_is_complete(void **state)
{
	struct made_req m;

	(void)state;
	for (size_t i = 0; i < PROBLEM_COUNT; i++) {
		enum problem p = (enum problem)i;

		made_req_init(&m);
		m.http.request_id = STR("r-1");
		assert_ok(problem_send(&m.r, p, "why \"so\""));
		assert_int_equal(m.out.status, problem_status(p));
		assert_string_not_equal(http_reason(m.out.status), "");
		assert_int_equal(m.r.problem, p);
		json_t *doc = made_req_reply(&m);
		assert_int_equal(json_integer_value(json_object_get(doc, "status")), problem_status(p));
		assert_string_equal(json_string_value(json_object_get(doc, "code")), problem_code(p));
		assert_string_equal(json_string_value(json_object_get(doc, "detail")), "why \"so\"");
		assert_string_equal(json_string_value(json_object_get(doc, "request_id")), "r-1");
		struct str headers = buf_view(&m.out.headers);
		assert_non_null(memmem(headers.p, headers.len, "application/problem+json", 24));
		assert_int_equal(memmem(headers.p, headers.len, "Retry-After", 11) != NULL, problem_status(p) == 503);
		json_decref(doc);
		made_req_fini(&m);
	}
}

static void errors_map_to_problems(void **state)
{
	(void)state;
	assert_int_equal(problem_from(ERR_TIMEOUT), PROBLEM_STORE);
	assert_int_equal(problem_from(ERR_CLOSED), PROBLEM_STORE);
	assert_int_equal(problem_from(ERR_BUSY), PROBLEM_BUSY);
	assert_int_equal(problem_from(ERR_NOT_FOUND), PROBLEM_NOT_FOUND);
	assert_int_equal(problem_from(ERR_UNAUTHENTICATED), PROBLEM_NO_SESSION);
	assert_int_equal(problem_from(ERR_INTERNAL), PROBLEM_INTERNAL);
	assert_int_equal(problem_from(ERR_INVALID), PROBLEM_INTERNAL);
}

static void a_reply_that_cannot_be_made_is_a_500(void **state)
{
	struct made_req m;

	(void)state;
	made_req_init(&m);
	assert_ok(reply_json(&m.r, 200, NULL));
	assert_int_equal(m.out.status, 500);
	json_t *doc = made_req_reply(&m);
	assert_string_equal(json_string_value(json_object_get(doc, "code")), "internal");
	json_decref(doc);
	made_req_fini(&m);
}

static void times_are_rfc3339(void **state)
{
	char text[TIME_SIZE];

	(void)state;
	reply_time(1790000000007u, text);
	assert_string_equal(text, "2026-09-21T14:13:20.007Z");
	json_t *never = reply_time_json(0);
	assert_true(json_is_null(never));
	json_decref(never);
}

static void tags_are_compared(void **state)
{
	struct made_req m;

	(void)state;
	made_req_init(&m);
	assert_true(reply_matches(&m.r, 7));
	m.http.if_match = STR("\"r7\"");
	assert_true(reply_matches(&m.r, 7));
	assert_false(reply_matches(&m.r, 8));
	m.http.method = HTTP_GET;
	m.http.if_none_match = STR("\"r3\"");
	assert_ok(reply_tagged(&m.r, json_object(), 3));
	assert_int_equal(m.out.status, 304);
	assert_int_equal(m.out.body.len, 0);
	made_req_fini(&m);
}

static void a_cursor_is_hidden_and_bounded(void **state)
{
	struct made_req m;
	char big[600];

	(void)state;
	made_req_init(&m);
	assert_ok(reply_list(&m.r, json_array(), STR("uabc")));
	json_t *doc = made_req_reply(&m);
	assert_string_equal(json_string_value(json_object_get(doc, "next")), "dWFiYw");
	json_decref(doc);
	made_req_fini(&m);
	made_req_init(&m);
	memset(big, 'x', sizeof(big));
	assert_err(reply_list(&m.r, json_array(), str_of(big, sizeof(big))), ERR_TOO_LARGE);
	made_req_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_problem_is_complete),
		cmocka_unit_test(errors_map_to_problems),
		cmocka_unit_test(a_reply_that_cannot_be_made_is_a_500),
		cmocka_unit_test(times_are_rfc3339),
		cmocka_unit_test(tags_are_compared),
		cmocka_unit_test(a_cursor_is_hidden_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
