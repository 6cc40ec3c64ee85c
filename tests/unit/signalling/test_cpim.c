/* CPIM: what is read of a chat message and of its receipt; every prefix beside a page without access. */
#include <stdio.h>

#include "signalling/cpim.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define HEADS  "From: Alice <sip:alice@x>\r\nTo: <sip:bob@x>\r\nDateTime: 2026-11-25T21:00:00Z\r\n"
#define IMDN   "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\nimdn.Disposition-Notification: positive-delivery, display\r\n"
#define CONTENT "Content-Type: text/plain;charset=UTF-8\r\n\r\nhello\r\nworld"

static void a_message(void **state)
{
	struct cpim c;

	(void)state;
	assert_ok(cpim_parse(STR(HEADS IMDN "\r\n" CONTENT), &c));
	assert_str(c.from, "Alice <sip:alice@x>");
	assert_str(c.to, "<sip:bob@x>");
	assert_str(c.message_id, "34jk324j");
	assert_str(c.content_type, "text/plain;charset=UTF-8");
	assert_str(c.content, "hello\r\nworld");
}

static void other_prefixes(void **state)
{
	struct cpim c;

	(void)state;
	assert_ok(cpim_parse(STR(HEADS "NS: x <urn:ietf:params:imdn>\r\nx.Message-ID: 1\r\nimdn.Message-ID: 2\r\n\r\n" CONTENT), &c));
	assert_str(c.message_id, "1");
	/* Without its namespace, or in another, the name means nothing. */
	assert_ok(cpim_parse(STR(HEADS "imdn.Message-ID: 2\r\n\r\n" CONTENT), &c));
	assert_int_equal(c.message_id.len, 0);
	assert_ok(cpim_parse(STR(HEADS "NS: imdn <urn:other>\r\nimdn.Message-ID: 2\r\n\r\n" CONTENT), &c));
	assert_int_equal(c.message_id.len, 0);
	assert_ok(cpim_parse(STR(HEADS "\r\ncontent-type: a/b\r\n\r\n"), &c));
	assert_int_equal(c.content.len, 0);
}

static void what_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"\r\n\r\n",
		"hello",
		HEADS "\r\n",
		HEADS "\r\nSubject: x\r\n\r\nno type",
		"To: <sip:bob@x>\r\n\r\n" CONTENT,
		"From: <sip:a@x>\r\n\r\n" CONTENT,
		"from: <sip:a@x>\r\nTo: <sip:b@x>\r\n\r\n" CONTENT,
		HEADS "From: <sip:mallory@x>\r\n\r\n" CONTENT,
		HEADS "To: <sip:mallory@x>\r\n\r\n" CONTENT,
		HEADS "From:\r\n\r\n" CONTENT,
		HEADS IMDN "imdn.Message-ID: again\r\n\r\n" CONTENT,
		HEADS "\r\nContent-Type: a/b\r\nContent-type: c/d\r\n\r\n",
		HEADS "no colon\r\n\r\n" CONTENT,
		HEADS ": no name\r\n\r\n" CONTENT,
		HEADS "bare\nLF: x\r\n\r\n" CONTENT,
		HEADS "bare\rCR: x\r\n\r\n" CONTENT,
		HEADS "sp ace: x\r\n\r\n" CONTENT,
		"From: a\nTo: b\n\nContent-Type: text/plain\n\nx",
	};
	struct cpim c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (cpim_parse(str_from(bad[i]), &c) == ERR_OK) {
			print_error("taken: %s\n", bad[i]);
			fail();
		}
	}
	assert_int_not_equal(cpim_parse(str_of(HEADS "a: \0\r\n\r\n" CONTENT, sizeof(HEADS "a: \0\r\n\r\n" CONTENT) - 1), &c), ERR_OK);
}

static void prefixes(void **state)
{
	static const char whole[] = HEADS IMDN "\r\n" CONTENT;
	struct cpim c;

	(void)state;
	struct guard g = guard_new(sizeof(whole));

	for (size_t len = 0; len < sizeof(whole); len++)
		(void)!cpim_parse(str_of(guard_put(&g, whole, len), len), &c);
	guard_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message),
		cmocka_unit_test(other_prefixes),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
