/* api/input: strict JSON and the field tables. */
#include "api/input.h"

#include <stdio.h>

#include "tests/lib/cm.h"
#include "tests/lib/guard.h"
#include "tests/unit/api/make_req.h"

static enum err parse(const char *text)
{
	json_t *doc = NULL;
	char why[160];
	enum err e = input_parse(str_from(text), &doc, why, sizeof(why));

	json_decref(doc);
	return e;
}

static void only_strict_json_objects_are_taken(void **state)
{
	(void)state;
	assert_ok(parse("{}"));
	assert_ok(parse(" {\"a\": [1, {\"b\": null}]} \n"));
	assert_ok(parse("{\"a\":\"[[[[[[[[[[[[\\\"{{{{\"}"));
	assert_err(parse(""), ERR_INVALID);
	assert_err(parse("{\"a\":1,\"a\":2}"), ERR_INVALID);
	assert_err(parse("{\"a\":1,}"), ERR_INVALID);
	assert_err(parse("{'a':1}"), ERR_INVALID);
	assert_err(parse("{} x"), ERR_INVALID);
	assert_err(parse("{\"a\":\"\\u0000\"}"), ERR_INVALID);
	assert_err(parse("{\"a\":1e999}"), ERR_INVALID);
	assert_err(parse("{\"a\":99999999999999999999}"), ERR_INVALID);
	assert_err(parse("{\"a\":\"\xff\"}"), ERR_INVALID);
	assert_err(parse("[]"), ERR_UNSUPPORTED);
	assert_err(parse("null"), ERR_UNSUPPORTED);
}

static void depth_is_bounded(void **state)
{
	(void)state;
	assert_ok(parse("{\"a\":[[[[[[[1]]]]]]]}"));
	assert_err(parse("{\"a\":[[[[[[[[1]]]]]]]]}"), ERR_INVALID);
}

static void every_prefix_is_refused(void **state)
{
	static const char text[] = "{\"username\":\"ali\\u00e9\",\"list\":[\"call.audio\",true,-1.5e3],\"o\":{\"x\":null}}";
	struct guard g = guard_new(256);
	char why[160];

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		json_t *doc = NULL;

		assert_err(input_parse(str_of(guard_put(&g, text, len), len), &doc, why, sizeof(why)), ERR_INVALID);
		assert_null(doc);
	}
	guard_free(&g);
}

struct form {
	struct str name, note;
	struct input_perms perms;
};

static const char *check_name(struct str s)
{
	return s.len > 3 ? "is too long" : NULL;
}

static const struct field fields[] = {
	{ "name", INPUT_TEXT, true, check_name, offsetof(struct form, name) },
	{ "note", INPUT_TEXT, false, NULL, offsetof(struct form, note) },
	{ "perms", INPUT_PERMS, false, NULL, offsetof(struct form, perms) },
};

static bool read_form(struct made_req *m, const char *text, struct form *f)
{
	char why[160];

	made_req_init(m);
	*f = (struct form){ 0 };
	assert_ok(input_parse(str_from(text), &m->r.body, why, sizeof(why)));
	return INPUT_READ(&m->r, fields, f);
}

static void good_fields_are_read(void **state)
{
	struct made_req m;
	struct form f;

	(void)state;
	assert_true(read_form(&m, "{\"name\":\"abc\",\"perms\":[\"call.audio\",\"chat.send\"]}", &f));
	assert_str(f.name, "abc");
	assert_null(f.note.p);
	assert_true(f.perms.given);
	assert_int_equal(f.perms.set, 1u << PERM_CALL_AUDIO | 1u << PERM_CHAT_SEND);
	made_req_fini(&m);
}

/* `text` gives a 422 with exactly one error, at `pointer`. */
static void refused_at(const char *text, const char *pointer)
{
	struct made_req m;
	struct form f;

	assert_false(read_form(&m, text, &f));
	assert_int_equal(m.out.status, 422);
	assert_int_equal(m.r.problem, PROBLEM_INVALID);
	json_t *reply = made_req_reply(&m), *errors = json_object_get(reply, "errors");
	assert_int_equal(json_array_size(errors), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 0), "pointer")), pointer);
	json_decref(reply);
	made_req_fini(&m);
}

static void bad_fields_are_pointed_at(void **state)
{
	(void)state;
	refused_at("{}", "/name");
	refused_at("{\"name\":\"abcd\"}", "/name");
	refused_at("{\"name\":null}", "/name");
	refused_at("{\"name\":[\"a\"]}", "/name");
	refused_at("{\"name\":\"a\",\"note\":1}", "/note");
	refused_at("{\"name\":\"a\",\"perms\":\"call.audio\"}", "/perms");
	refused_at("{\"name\":\"a\",\"perms\":[\"fly\"]}", "/perms");
	refused_at("{\"name\":\"a\",\"perms\":[1]}", "/perms");
	refused_at("{\"name\":\"a\",\"x/y~z\":1}", "/x~1y~0z");
	refused_at("{\"name\":\"a\",\"\":1}", "/");
}

static void a_foreign_name_is_cut_but_stays_text(void **state)
{
	char text[300];
	struct made_req m;
	struct form f;
	int n = snprintf(text, sizeof(text), "{\"name\":\"a\",\"x");

	(void)state;
	for (int i = 0; i < 60; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "é");
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "\":1}");
	assert_false(read_form(&m, text, &f));
	json_t *reply = made_req_reply(&m);
	const char *pointer = json_string_value(json_object_get(json_array_get(json_object_get(reply, "errors"), 0), "pointer"));
	assert_non_null(pointer);
	assert_true(strlen(pointer) < 70);
	json_decref(reply);
	made_req_fini(&m);
}

static void errors_are_not_without_end(void **state)
{
	char text[1000];
	struct made_req m;
	struct form f;
	int n = snprintf(text, sizeof(text), "{\"name\":\"a\"");

	(void)state;
	for (int i = 0; i < 60; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"x%d\":1", i);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "}");
	assert_false(read_form(&m, text, &f));
	json_t *reply = made_req_reply(&m);
	assert_int_equal(json_array_size(json_object_get(reply, "errors")), 16);
	json_decref(reply);
	made_req_fini(&m);
}

static bool read_page(struct made_req *m, const char *query, struct page *p)
{
	made_req_init(m);
	m->http.query = str_from(query);
	return input_page(&m->r, p);
}

static void pages_are_checked(void **state)
{
	static const char *const bad[] = { "limit=0",  "limit=201",  "limit=",    "limit=1x",       "limit=-1",
					   "cursor=a", "cursor=%20", "cursor=AB", "limit=1&limit=1" };
	struct made_req m;
	struct page p;

	(void)state;
	assert_true(read_page(&m, "", &p));
	assert_int_equal(p.limit, LIMIT_DEFAULT);
	assert_int_equal(p.cursor_len, 0);
	made_req_fini(&m);
	assert_true(read_page(&m, "cursor=dWFiYw&limit=200", &p));
	assert_int_equal(p.limit, 200);
	assert_str(str_of(p.cursor, p.cursor_len), "uabc");
	made_req_fini(&m);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(read_page(&m, bad[i], &p));
		assert_int_equal(m.out.status, 422);
		made_req_fini(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_strict_json_objects_are_taken),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(good_fields_are_read),
		cmocka_unit_test(bad_fields_are_pointed_at),
		cmocka_unit_test(a_foreign_name_is_cut_but_stays_text),
		cmocka_unit_test(errors_are_not_without_end),
		cmocka_unit_test(pages_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
