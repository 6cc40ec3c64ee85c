/* signalling/reg_binding: the stored form, there and back, and everything else refused. */
#include "signalling/reg_binding.h"

#include "tests/lib/cm.h"

static const uint8_t key[FLOW_KEY_LEN] = { 9 };

static struct stored example(void)
{
	return (struct stored){ .instance = STR("urn:uuid:1"), .reg_id = 1, .token = STR("TOKEN"), .expires_ms = 1790000600000, .cseq = 7,
				.updated_ms = 1790000000000, .video = true, .session = STR("ab"), .call_id = STR("c@x"),
				.contact = STR("sip:x@y.invalid;transport=ws") };
}

static void there_and_back(void **state)
{
	char field_mem[BINDING_FIELD_MAX], value_mem[BINDING_VALUE_MAX];
	struct buf field = buf_fixed(field_mem, sizeof(field_mem)), value = buf_fixed(value_mem, sizeof(value_mem));
	struct stored s = example(), got;

	(void)state;
	stored_field_put(&field, &s);
	stored_value_put(&value, &s);
	assert_str(buf_view(&field), "urn:uuid:1;1");
	assert_str(buf_view(&value), "TOKEN\n1790000600000\n7\n1790000000000\n1\nab\nc@x\nsip:x@y.invalid;transport=ws");
	assert_ok(stored_get(buf_view(&field), buf_view(&value), &got));
	assert_str(got.instance, "urn:uuid:1");
	assert_int_equal(got.reg_id, 1);
	assert_int_equal(got.expires_ms, s.expires_ms);
	assert_int_equal(got.cseq, 7);
	assert_true(got.video);
	assert_str(got.contact, "sip:x@y.invalid;transport=ws");
}

static void every_prefix_is_refused_or_shorter(void **state)
{
	static const char whole[] = "TOKEN\n1790000600000\n7\n1790000000000\n1\nab\nc@x\ns";
	struct stored got;

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		assert_err(stored_get(STR("i;1"), str_of(whole, len), &got), ERR_INVALID);
	assert_ok(stored_get(STR("i;1"), str_from(whole), &got));
	assert_err(stored_get(STR("i"), str_from(whole), &got), ERR_INVALID);
	assert_err(stored_get(STR(";1"), str_from(whole), &got), ERR_INVALID);
	assert_err(stored_get(STR("i;x"), str_from(whole), &got), ERR_INVALID);
	assert_err(stored_get(STR("i;4294967296"), str_from(whole), &got), ERR_INVALID);
	assert_err(stored_get(STR("i;1"), STR("T\nx\n7\n1\n1\na\nb\nc"), &got), ERR_INVALID);
	assert_err(stored_get(STR("i;1"), STR("T\n1\n7\n1\n4\na\nb\nc"), &got), ERR_INVALID);
	assert_ok(stored_get(STR("i;1"), STR("T\n1\n7\n1\n2\na\nb\nc"), &got));
	assert_true(got.phone);
	assert_false(got.video);
}

static void a_binding_needs_a_token_of_ours(void **state)
{
	char mem[FLOW_TOKEN_MAX], long_text[CONTACT_MAX + 2];
	struct buf token = buf_fixed(mem, sizeof(mem));
	struct flow f = { .worker = "n1.0", .epoch = 1, .slot = 2, .generation = 3 };
	struct stored s = example();
	struct binding b;

	(void)state;
	assert_err(stored_to_binding(&s, key, &b), ERR_INVALID);
	flow_token_put(&token, &f, key);
	s.token = buf_view(&token);
	assert_ok(stored_to_binding(&s, key, &b));
	assert_true(flow_eq(&b.flow, &f));
	assert_string_equal(b.contact, "sip:x@y.invalid;transport=ws");
	s.contact = STR("sip:x?y@z.invalid;transport=ws?Route=%3Csip:evil%3E");
	assert_ok(stored_to_binding(&s, key, &b));
	assert_string_equal(b.contact, "sip:x?y@z.invalid;transport=ws");
	s.contact = STR("sip:x@y SIP/2.0\r\nX: y");
	assert_err(stored_to_binding(&s, key, &b), ERR_INVALID);
	memset(long_text, 'x', sizeof(long_text));
	memcpy(long_text, "sip:", 4);
	s.contact = str_of(long_text, CONTACT_MAX);
	assert_ok(stored_to_binding(&s, key, &b));
	s.contact = str_of(long_text, CONTACT_MAX + 1);
	assert_err(stored_to_binding(&s, key, &b), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(every_prefix_is_refused_or_shorter),
		cmocka_unit_test(a_binding_needs_a_token_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
