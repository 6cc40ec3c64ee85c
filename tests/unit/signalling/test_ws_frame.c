/* signalling/ws_frame: RFC 6455 §5 in every cut, with and without fragments, and what must be refused. */
#include "signalling/ws_frame.h"

#include <stdlib.h>

#include "tests/lib/cm.h"

#define LIMIT 1000u

/* Appends a client's frame. */
static void frame(struct buf *to, unsigned first, struct str payload, bool masked)
{
	static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };

	buf_char(to, (char)first);
	if (payload.len < 126) {
		buf_char(to, (char)((masked ? 0x80 : 0) | (int)payload.len));
	} else {
		buf_char(to, (char)((masked ? 0x80 : 0) | 126));
		buf_char(to, (char)(payload.len >> 8));
		buf_char(to, (char)payload.len);
	}
	if (masked)
		buf_put(to, key, 4);
	for (size_t i = 0; i < payload.len; i++)
		buf_char(to, (char)((uint8_t)payload.p[i] ^ (masked ? key[i % 4] : 0)));
}

/* What came out, as text: "T:hello " for messages, "9:…" for controls, "!1002 " for an error. */
static void feed(struct ws_rx *rx, char *p, size_t len, struct buf *out)
{
	struct ws_event ev;
	enum err e;

	while ((e = ws_rx_next(rx, &p, &len, &ev)) == ERR_OK) {
		if (ev.cut)
			buf_printf(out, "X%c%zu ", ev.op == WS_TEXT ? 'T' : 'B', ev.payload.len);
		if (ev.cut)
			continue;
		if (ev.op == WS_CLOSE)
			buf_printf(out, "C%u:", ev.code);
		else
			buf_printf(out, "%c:", ev.op == WS_TEXT ? 'T' : ev.op == WS_BINARY ? 'B' : (char)('0' + (int)ev.op));
		buf_str(out, ev.payload);
		buf_char(out, ' ');
	}
	if (e != ERR_AGAIN)
		buf_printf(out, "!%u ", ev.code);
}

/* Feeds `in` cut in pieces of `step` bytes; each piece in memory of its own, so that reading past it shows. */
static struct buf run(struct str in, size_t step)
{
	struct ws_rx rx;
	struct buf out = buf_growing(1u << 20);

	ws_rx_init(&rx, LIMIT);
	for (size_t at = 0; at < in.len; at += step) {
		size_t len = MIN(step, in.len - at);
		char *piece = malloc(len);

		assert_non_null(piece);
		memcpy(piece, in.p + at, len);
		feed(&rx, piece, len, &out);
		free(piece);
		/* After a refusal the connection is over. */
		if (str_find(buf_view(&out), '!') < out.len)
			break;
	}
	ws_rx_fini(&rx);
	return out;
}

static void expect(struct buf *in, const char *want)
{
	for (size_t step = 1; step <= in->len; step++) {
		struct buf out = run(buf_view(in), step);

		assert_str(buf_view(&out), want);
		buf_fini(&out);
	}
	buf_fini(in);
}

static void messages_in_every_cut(void **state)
{
	struct buf in = buf_growing(65536);
	char long_text[300];

	(void)state;
	memset(long_text, 'l', sizeof(long_text));
	frame(&in, 0x81, STR("hello"), true);
	frame(&in, 0x82, STR("\x00\xff"), true);
	frame(&in, 0x81, STR(""), true);
	frame(&in, 0x81, STR("h\xc3\xa9"), true);
	for (size_t step = 1; step <= in.len; step++) {
		struct buf out = run(buf_view(&in), step);

		assert_int_equal(out.len, 8 + 5 + 3 + 6);
		assert_memory_equal(out.p, "T:hello B:\x00\xff T: T:h\xc3\xa9 ", out.len);
		buf_fini(&out);
	}
	buf_reset(&in);
	frame(&in, 0x81, str_of(long_text, sizeof(long_text)), true);
	for (size_t step = 1; step <= in.len; step += 7) {
		struct buf out = run(buf_view(&in), step);

		assert_int_equal(out.len, sizeof(long_text) + 3);
		buf_fini(&out);
	}
	buf_fini(&in);
}

static void fragments_with_control_between(void **state)
{
	struct buf in = buf_growing(65536);

	(void)state;
	frame(&in, 0x01, STR("one "), true);
	frame(&in, 0x89, STR("p"), true);
	frame(&in, 0x00, STR("two "), true);
	frame(&in, 0x8a, STR(""), true);
	frame(&in, 0x80, STR("three"), true);
	frame(&in, 0x02, STR("\xff"), true);
	frame(&in, 0x80, STR(""), true);
	expect(&in, "9:p ::"
		    " T:one two three B:\xff ");
}

/* A character may be parted by a fragment; the whole must be valid. */
static void utf8_over_fragments(void **state)
{
	struct buf in = buf_growing(65536);

	(void)state;
	frame(&in, 0x01, STR("\xe2\x82"), true);
	frame(&in, 0x80, STR("\xac"), true);
	expect(&in, "T:\xe2\x82\xac ");
	in = buf_growing(65536);
	frame(&in, 0x01, STR("\xe2\x82"), true);
	frame(&in, 0x80, STR("x"), true);
	expect(&in, "!1007 ");
	/* Nothing at all, in two fragments. */
	in = buf_growing(65536);
	frame(&in, 0x01, STR(""), true);
	frame(&in, 0x80, STR(""), true);
	expect(&in, "T: ");
}

static void close_frames(void **state)
{
	struct buf in = buf_growing(65536);

	(void)state;
	frame(&in, 0x88, STR(""), true);
	expect(&in, "C1005: ");
	in = buf_growing(65536);
	frame(&in, 0x88, STR("\x03\xe8why"), true);
	expect(&in, "C1000:why ");
	in = buf_growing(65536);
	frame(&in, 0x88, STR("\x0f\xa1"), true);
	expect(&in, "C4001: ");
}

static void what_is_refused(void **state)
{
	static const struct {
		unsigned first;
		struct str payload;
		bool masked;
		const char *want;
	} cases[] = {
		{ 0x81, { "x", 1 }, false, "!1002 " },          /* not masked */
		{ 0xc1, { "x", 1 }, true, "!1002 " },           /* RSV1 */
		{ 0xa1, { "x", 1 }, true, "!1002 " },           /* RSV2 */
		{ 0x91, { "x", 1 }, true, "!1002 " },           /* RSV3 */
		{ 0x83, { "x", 1 }, true, "!1002 " },           /* reserved data */
		{ 0x8b, { "x", 1 }, true, "!1002 " },           /* reserved control */
		{ 0x09, { "x", 1 }, true, "!1002 " },           /* control in pieces */
		{ 0x80, { "x", 1 }, true, "!1002 " },           /* nothing to go on with */
		{ 0x88, { "x", 1 }, true, "!1002 " },           /* close with half a code */
		{ 0x88, { "\x03\xe7", 2 }, true, "!1002 " },    /* 999 */
		{ 0x88, { "\x03\xec", 2 }, true, "!1002 " },    /* 1004 */
		{ 0x88, { "\x03\xed", 2 }, true, "!1002 " },    /* 1005 */
		{ 0x88, { "\x03\xee", 2 }, true, "!1002 " },    /* 1006 */
		{ 0x88, { "\x03\xf7", 2 }, true, "!1002 " },    /* 1015 */
		{ 0x88, { "\x13\x88", 2 }, true, "!1002 " },    /* 5000 */
		{ 0x88, { "\x03\xe8\xff", 3 }, true, "!1007 " }, /* reason not UTF-8 */
		{ 0x81, { "\xff", 1 }, true, "!1007 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf in = buf_growing(1024);

		frame(&in, cases[i].first, cases[i].payload, cases[i].masked);
		struct buf out = run(buf_view(&in), in.len);
		assert_str(buf_view(&out), cases[i].want);
		buf_fini(&out);
		buf_fini(&in);
	}
}

static void limits(void **state)
{
	char text[LIMIT + 1];
	struct buf in = buf_growing(65536), out;

	(void)state;
	memset(text, 'x', sizeof(text));
	frame(&in, 0x81, str_of(text, LIMIT), true);
	out = run(buf_view(&in), in.len);
	assert_int_equal(out.len, LIMIT + 3);
	buf_fini(&out);
	buf_reset(&in);
	buf_fini(&in);
	/* Lengths in a longer form than needed, and one with the top bit. */
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;
	} heads[] = {
		{ "\x81\xfe\x00\x7d\1\2\3\4", 8, "!1002 " },
		{ "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff\1\2\3\4", 14, "!1002 " },
		{ "\x81\xff\x80\x00\x00\x00\x00\x01\x00\x00\1\2\3\4", 14, "!1002 " },
		{ "\x81\xff\x00\x00\x00\x00\x00\x10\x00\x01\1\2\3\4", 14, "!1009 " }, /* WS_OVER_MAX and one */
		{ "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\2\3\4", 14, "!1009 " },
		{ "\x89\xfe\x00\x80\1\2\3\4", 8, "!1002 " },
	};
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		out = run(str_of(heads[i].bytes, heads[i].len), heads[i].len);
		assert_str(buf_view(&out), heads[i].want);
		buf_fini(&out);
	}
}

/* Of any length, and whatever stands behind it: nothing there is read. */
static void valid_text_ends_where_it_ends(void **state)
{
	char text[200];

	(void)state;
	for (size_t len = 0; len < 150; len++) {
		memset(text, 0xff, sizeof(text));
		memset(text, 'x', len);
		if (!ws_utf8_valid(str_of(text, len)))
			fail_msg("%zu", len);
		assert_false(ws_utf8_valid(str_of(text, len + 1)));
	}
}

/* Beyond the limit: the first bytes are told, the rest is read past, and the next message is a message. */
static void too_large_is_cut(void **state)
{
	static char text[40000];
	struct buf in = buf_growing(1u << 20);

	(void)state;
	memset(text, 'x', sizeof(text));
	frame(&in, 0x81, str_of(text, LIMIT + 1), true);
	frame(&in, 0x81, STR("next"), true);
	frame(&in, 0x82, str_of(text, 40000), true);
	frame(&in, 0x89, STR("p"), true);
	/* in fragments, with a ping between; the one that crosses the limit first, last, in the middle, or empty ones behind */
	frame(&in, 0x01, str_of(text, LIMIT), true);
	frame(&in, 0x80, str_of(text, 1), true);
	frame(&in, 0x01, str_of(text, 40000), true);
	frame(&in, 0x89, STR("q"), true);
	frame(&in, 0x00, str_of(text, 5), true);
	frame(&in, 0x80, STR(""), true);
	frame(&in, 0x02, str_of(text, 3), true);
	frame(&in, 0x00, str_of(text, 40000), true);
	frame(&in, 0x80, str_of(text, 40000), true);
	frame(&in, 0x01, str_of(text, LIMIT - 1), true);
	frame(&in, 0x80, str_of(text, 1), true);
	frame(&in, 0x88, STR(""), true);
	char want[LIMIT + 200];
	struct buf b = buf_fixed(want, sizeof(want));

	buf_printf(&b, "XT%u T:next XB%u 9:p XT%u 9:q XT%u XB%u T:", LIMIT, LIMIT, LIMIT, LIMIT, LIMIT);
	buf_put(&b, text, LIMIT);
	buf_z(&b, " C1005: ");
	buf_char(&b, '\0');
	for (size_t step = 1; step < 5000; step = step * 3 + 1) {
		struct buf out = run(buf_view(&in), step);

		assert_str(buf_view(&out), want);
		buf_fini(&out);
	}
	buf_fini(&in);
}

/* No frame and no number of fragments gets past WS_OVER_MAX, and what is kept meanwhile is bounded. */
static void far_too_large_ends_it(void **state)
{
	static char text[60000];
	struct ws_rx rx;
	struct buf in = buf_growing(1u << 17), out = buf_growing(1u << 17);
	unsigned n = 0;

	(void)state;
	ws_rx_init(&rx, LIMIT);
	frame(&in, 0x01, str_of(text, sizeof(text)), true);
	for (; out.len == 0; n++) {
		feed(&rx, in.p, in.len, &out);
		assert_true(rx.message.len <= LIMIT && rx.part.len <= LIMIT + 14);
		buf_reset(&in);
		frame(&in, 0x00, str_of(text, sizeof(text)), true);
	}
	assert_str(buf_view(&out), "!1009 ");
	assert_int_equal(n, WS_OVER_MAX / sizeof(text) + 1);
	ws_rx_fini(&rx);
	buf_fini(&in);
	buf_fini(&out);
}

/* An idle connection keeps nothing, however the last message came. */
static void nothing_is_kept_between_messages(void **state)
{
	struct ws_rx rx;
	struct buf in = buf_growing(1024), out = buf_growing(1024);

	(void)state;
	ws_rx_init(&rx, LIMIT);
	frame(&in, 0x01, STR("a"), true);
	frame(&in, 0x80, STR("b"), true);
	for (size_t i = 0; i < in.len; i++) {
		feed(&rx, in.p + i, 1, &out);
		assert_int_equal(ws_rx_idle(&rx), i + 1 == in.len);
	}
	assert_str(buf_view(&out), "T:ab ");
	assert_null(rx.part.p);
	assert_null(rx.message.p);
	ws_rx_fini(&rx);
	buf_fini(&in);
	buf_fini(&out);
}

static void heads_we_write(void **state)
{
	uint8_t head[WS_HEAD_MAX], payload[WS_CONTROL_MAX];

	(void)state;
	assert_int_equal(ws_head(head, WS_TEXT, 125), 2);
	assert_memory_equal(head, "\x81\x7d", 2);
	assert_int_equal(ws_head(head, WS_BINARY, 126), 4);
	assert_memory_equal(head, "\x82\x7e\x00\x7e", 4);
	assert_int_equal(ws_head(head, WS_TEXT, 65535), 4);
	assert_int_equal(ws_head(head, WS_TEXT, 65536), 10);
	assert_memory_equal(head, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
	assert_int_equal(ws_close_payload(payload, 4001, "session ended"), 15);
	assert_memory_equal(payload, "\x0f\xa1session ended", 15);
	char long_reason[200];
	memset(long_reason, 'r', sizeof(long_reason) - 1);
	long_reason[sizeof(long_reason) - 1] = '\0';
	assert_int_equal(ws_close_payload(payload, 1000, long_reason), WS_CONTROL_MAX);
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "", true }, { "plain text, longer than eight bytes", true }, { "\xc2\x80", true }, { "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true }, { "\xed\x9f\xbf", true }, { "\xee\x80\x80", true }, { "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true }, { "12345678\xf0\x9f\x98\x80""12345678", true },
		{ "\x80", false }, { "\xc0\x80", false }, { "\xc1\xbf", false }, { "\xe0\x9f\xbf", false }, { "\xed\xa0\x80", false },
		{ "\xf0\x8f\xbf\xbf", false }, { "\xf4\x90\x80\x80", false }, { "\xf5\x80\x80\x80", false }, { "\xff", false },
		{ "\xc2", false }, { "\xe2\x82", false }, { "\xf0\x9f\x98", false }, { "\xe2\x28\xa1", false }, { "1234567\xc3", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(ws_utf8_valid(str_from(cases[i].text)), cases[i].valid);
	assert_true(ws_utf8_valid(STR_NONE));
}

/* Behind a message lies the next frame: a length that is a whole number of steps must not make it part of the text. */
static void utf8_ends_where_the_text_ends(void **state)
{
	char text[257];

	(void)state;
	for (size_t len = 0; len <= 256; len++) {
		memset(text, 'a', sizeof(text));
		text[len] = (char)0x81;
		assert_true(ws_utf8_valid(str_of(text, len)));
		assert_false(ws_utf8_valid(str_of(text, len + 1)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_in_every_cut),
		cmocka_unit_test(fragments_with_control_between),
		cmocka_unit_test(utf8_over_fragments),
		cmocka_unit_test(close_frames),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(limits),
		cmocka_unit_test(valid_text_ends_where_it_ends),
		cmocka_unit_test(too_large_is_cut),
		cmocka_unit_test(far_too_large_ends_it),
		cmocka_unit_test(nothing_is_kept_between_messages),
		cmocka_unit_test(heads_we_write),
		cmocka_unit_test(utf8),
		cmocka_unit_test(utf8_ends_where_the_text_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
