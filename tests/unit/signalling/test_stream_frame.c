/* signalling/stream_frame: what stands at the front of a phone's byte stream. */
#include "signalling/stream_frame.h"

#include "common/buf.h"
#include "tests/lib/cm.h"

#define MAX_LEN 1000u
#define HEAD "OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n"

static struct frame cut(struct str in)
{
	struct frame f;

	assert_ok(stream_frame(in, MAX_LEN, &f));
	return f;
}

static void keep_alives_are_told_from_messages(void **state)
{
	(void)state;
	assert_int_equal(cut(STR("")).kind, FRAME_MORE);
	assert_int_equal(cut(STR("\r")).kind, FRAME_MORE);
	assert_int_equal(cut(STR("\r\n")).kind, FRAME_MORE);
	assert_int_equal(cut(STR("\r\n\r")).kind, FRAME_MORE);
	assert_int_equal(cut(STR("\r\n\r\n")).kind, FRAME_PING);
	assert_int_equal(cut(STR("\r\n\r\n")).len, 4);
	assert_int_equal(cut(STR("\r\n\r\n\r\n")).len, 4);
	assert_int_equal(cut(STR("\r\nOPTIONS")).kind, FRAME_PONG);
	assert_int_equal(cut(STR("\r\nOPTIONS")).len, 2);
	assert_int_equal(cut(STR("\r\n\rX")).kind, FRAME_PONG);
}

static void a_message_has_its_length(void **state)
{
	static const char *const forms[] = { "Content-Length: 4", "l:4", "CONTENT-LENGTH \t:\t4" };
	char mem[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct buf b = buf_fixed(mem, sizeof(mem));

		buf_printf(&b, HEAD "%s\r\n\r\nbodyNEXT", forms[i]);
		size_t whole = b.len - 4;

		for (size_t n = 0; n < whole; n++)
			assert_int_equal(cut(str_sub(buf_view(&b), 0, n)).kind, FRAME_MORE);
		struct frame f = cut(buf_view(&b));
		assert_int_equal(f.kind, FRAME_MESSAGE);
		assert_int_equal(f.len, whole);
	}
}

static void what_cannot_be_cut_is_said(void **state)
{
	struct frame f;

	(void)state;
	assert_err(stream_frame(STR(HEAD "\r\n"), MAX_LEN, &f), ERR_INVALID);
	assert_err(stream_frame(STR(HEAD "l: 4\r\nContent-Length: 4\r\n\r\nbody"), MAX_LEN, &f), ERR_INVALID);
	assert_err(stream_frame(STR(HEAD "l: -4\r\n\r\n"), MAX_LEN, &f), ERR_INVALID);
	assert_err(stream_frame(STR(HEAD "l: 99999999999999999999\r\n\r\n"), MAX_LEN, &f), ERR_INVALID);
	assert_err(stream_frame(STR(HEAD "l: 65500\r\n\r\n"), MAX_LEN, &f), ERR_TOO_LARGE);
}

static void no_more_than_the_limit_is_waited_for(void **state)
{
	char mem[MAX_LEN + 10];
	struct frame f;

	(void)state;
	memset(mem, 'a', sizeof(mem));
	assert_int_equal(cut(str_of(mem, MAX_LEN)).kind, FRAME_MORE);
	assert_err(stream_frame(str_of(mem, MAX_LEN + 1), MAX_LEN, &f), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keep_alives_are_told_from_messages),
		cmocka_unit_test(a_message_has_its_length),
		cmocka_unit_test(what_cannot_be_cut_is_said),
		cmocka_unit_test(no_more_than_the_limit_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
