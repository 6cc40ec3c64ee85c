/* What the load generator relies on: buckets, frames, its reading and writing of SIP. */
#include "bench/sipload_hist.h"
#include "bench/sipload_net.h"
#include "bench/sipload_sip.h"
#include "tests/lib/cm.h"

static struct hist h;

static void test_hist_empty(void **state)
{
	(void)state;
	hist_reset(&h);
	assert_int_equal(hist_at(&h, 0.99), 0);
}

static void test_hist_small_values_are_exact(void **state)
{
	(void)state;
	hist_reset(&h);
	for (uint64_t i = 1; i <= 100; i++)
		hist_add(&h, i);
	assert_int_equal(hist_at(&h, 0.5), 50);
	assert_int_equal(hist_at(&h, 0.99), 99);
	assert_int_equal(hist_at(&h, 1), 100);
	assert_int_equal(h.sum, 5050);
}

/* Whatever the size: at least the value, at most 1/64 more; and buckets rise with values. */
static void test_hist_relative_error(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (uint64_t v = 1; v < 1ull << 39; v += v / 7 + 1) {
		hist_reset(&h);
		hist_add(&h, v);
		hist_add(&h, 1ull << 39);
		uint64_t at = hist_at(&h, 0.5);

		assert_true(at >= v && at <= v + v / 64 + 1);
		assert_true(at >= before);
		before = at;
	}
}

static void test_hist_beyond_the_last_bucket(void **state)
{
	(void)state;
	hist_reset(&h);
	hist_add(&h, UINT64_MAX);
	hist_add(&h, 1);
	assert_int_equal(h.n, 2);
	assert_int_equal(h.max, UINT64_MAX);
	assert_int_equal(hist_at(&h, 0.5), 1);
	assert_true(hist_at(&h, 1) >= (1ull << HIST_BITS) - 1);
}

static void check_frame(size_t len)
{
	static char mem[LINK_HEAD_MAX + 70000], plain[70000];
	char *payload = mem + LINK_HEAD_MAX;
	const uint8_t *p;

	for (size_t i = 0; i < len; i++)
		payload[i] = plain[i] = (char)(i * 31 + 7);
	char *at = frame_put(payload, len, 1, 0x12345678);
	size_t head = (size_t)(payload - at);
	p = (const uint8_t *)at;
	assert_int_equal(p[0], 0x81);
	assert_int_equal(p[1] & 0x80, 0x80);
	assert_int_equal(head, len < 126 ? 6 : len < 65536 ? 8 : 14);
	for (size_t i = 0; i < len; i++)
		assert_int_equal((uint8_t)payload[i] ^ p[head - 4 + (i & 3)], (uint8_t)plain[i]);
}

static void test_frame_put_masks(void **state)
{
	(void)state;
	check_frame(0);
	check_frame(1);
	check_frame(125);
	check_frame(126);
	check_frame(65535);
	check_frame(65536);
}

static void test_frame_get(void **state)
{
	struct str payload;
	uint8_t op;
	size_t used = 0;

	(void)state;
	assert_int_equal(frame_get(STR("\x81\x03" "abcX"), &op, &payload, &used), ERR_OK);
	assert_int_equal(op, 1);
	assert_int_equal(used, 5);
	assert_true(str_eq(payload, STR("abc")));
	assert_int_equal(frame_get(STR("\x82\x7e\x00\x03xyz"), &op, &payload, &used), ERR_OK);
	assert_true(str_eq(payload, STR("xyz")));
	assert_int_equal(used, 7);
	assert_int_equal(frame_get(STR("\x89\x00"), &op, &payload, &used), ERR_OK);
	assert_int_equal(op, 9);
}

static void test_frame_get_refuses(void **state)
{
	struct str payload;
	uint8_t op;
	size_t used = 0;

	(void)state;
	assert_int_equal(frame_get(STR("\x81"), &op, &payload, &used), ERR_AGAIN);
	assert_int_equal(frame_get(STR("\x81\x7e\x00"), &op, &payload, &used), ERR_AGAIN);
	assert_int_equal(frame_get(STR("\x81\x05" "abc"), &op, &payload, &used), ERR_AGAIN);
	assert_int_equal(frame_get(STR("\x81\x83" "abcdefg"), &op, &payload, &used), ERR_INVALID); /* masked */
	assert_int_equal(frame_get(STR("\x01\x03" "abc"), &op, &payload, &used), ERR_INVALID);     /* a fragment */
	assert_int_equal(frame_get(STR("\xc1\x03" "abc"), &op, &payload, &used), ERR_INVALID);     /* RSV1 */
	assert_int_equal(frame_get(STR("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), &op, &payload, &used), ERR_INVALID);
}

#define OK_HEAD                                                                                                     \
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK1\r\nv: SIP/2.0/WS b.invalid;branch=z9hG4bK2\r\n" \
	"Record-Route: <sip:one;lr>\r\nf: <sip:a@x>;tag=ft\r\nTo: <sip:b@x>;tag=tt\r\nCall-ID: cid\r\nCSeq: 7 INVITE\r\n"

static void test_view_response(void **state)
{
	struct reply_view v;

	(void)state;
	assert_int_equal(view_parse(STR(OK_HEAD "Contact: <sip:b@y;gr=1>;pub-gruu=\"sip:b@x;gr=2\"\r\nContent-Length: 3\r\n\r\nabc"), &v), ERR_OK);
	assert_false(v.request);
	assert_int_equal(v.status, 200);
	assert_int_equal(v.vias, 2);
	assert_int_equal(v.record_routes, 1);
	assert_int_equal(v.cseq, 7);
	assert_true(str_eq(v.method, STR("INVITE")));
	assert_true(str_eq(v.body, STR("abc")));
	assert_true(str_eq(view_param(v.from, STR("tag")), STR("ft")));
	assert_true(str_eq(view_uri(v.contact), STR("sip:b@y;gr=1")));
	/* A ';' inside quotes parts nothing. */
	assert_true(str_eq(view_param(v.contact, STR("pub-gruu")), STR("\"sip:b@x;gr=2\"")));
	assert_int_equal(view_param(v.contact, STR("gr")).len, 0);
}

static void test_view_refuses(void **state)
{
	struct reply_view v;

	(void)state;
	assert_int_equal(view_parse(STR(OK_HEAD "Content-Length: 4\r\n\r\nabc"), &v), ERR_INVALID); /* a byte is missing */
	assert_int_equal(view_parse(STR(OK_HEAD), &v), ERR_INVALID);                              /* no end of the headers */
	assert_int_equal(view_parse(STR("SIP/2.0 200 OK\r\nVia: x\r\n\r\n"), &v), ERR_INVALID);
	assert_int_equal(view_parse(STR("\r\n\r\n"), &v), ERR_INVALID);
	assert_int_equal(view_parse(STR(""), &v), ERR_INVALID);
	/* The method of CSeq is that of the request. */
	assert_int_equal(view_parse(STR("BYE sip:a SIP/2.0\r\nVia: v\r\nFrom: f\r\nTo: t\r\nCall-ID: c\r\nCSeq: 1 ACK\r\n\r\n"), &v), ERR_INVALID);
	assert_int_equal(view_parse(STR("BYE sip:a SIP/2.0\r\nVia: v\r\nFrom: f\r\nTo: t\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n"), &v), ERR_OK);
}

static void test_view_measure(void **state)
{
	size_t skip, len;

	(void)state;
	assert_int_equal(view_measure(STR("\r\n\r\nX\r\nl: 2\r\n\r\nabNEXT"), &skip, &len), ERR_OK);
	assert_int_equal(skip, 4);
	assert_int_equal(len, strlen("X\r\nl: 2\r\n\r\nab"));
	assert_int_equal(view_measure(STR("X\r\nl: 2\r\n\r\na"), &skip, &len), ERR_OK);
	assert_int_equal(len, 0);
	assert_int_equal(view_measure(STR("X\r\nl: 2\r\n"), &skip, &len), ERR_OK);
	assert_int_equal(len, 0);
	assert_int_equal(view_measure(STR("X\r\nFrom: a\r\n\r\n"), &skip, &len), ERR_INVALID);
}

/* What it writes it reads, and a reply copies what a reply must. */
static void test_out_and_back(void **state)
{
	char mem[8192], answer[8192];
	struct buf b = buf_fixed(mem, sizeof(mem)), r = buf_fixed(answer, sizeof(answer));
	struct str route = STR("<sip:p;lr>");
	struct out_msg m = { .method = STR("INVITE"), .uri = STR("sip:b@x"), .transport = STR("WS"), .host = STR("h.invalid"), .from_user = STR("a"),
			     .to_user = STR("b"), .domain = STR("x"), .branch = 0xabcdef, .from_tag = 0x12, .call_id = STR("cid"), .cseq = 3,
			     .route = &route, .routes = 1, .contact = STR("<sip:a@y>"), .type = STR("application/sdp"),
			     .body = str_from(out_sdp) };
	struct reply_view v, w;

	(void)state;
	out_put(&b, &m);
	assert_int_equal(buf_err(&b), ERR_OK);
	assert_int_equal(view_parse(buf_view(&b), &v), ERR_OK);
	assert_true(v.request);
	assert_true(str_eq(v.uri, STR("sip:b@x")));
	assert_true(str_eq(view_param(v.via[0], STR("branch")), STR("z9hG4bK0000abcdef")));
	assert_true(str_eq(view_param(v.from, STR("tag")), STR("0000000012")));
	assert_int_equal(v.max_forwards, 69);
	assert_true(str_eq(v.body, str_from(out_sdp)));
	out_reply_put(&r, &v, 180, "Ringing", STR("tag1"), STR("<sip:b@z>"), STR_NONE);
	assert_int_equal(view_parse(buf_view(&r), &w), ERR_OK);
	assert_int_equal(w.status, 180);
	assert_true(str_eq(w.via[0], v.via[0]));
	assert_true(str_eq(view_param(w.to, STR("tag")), STR("tag1")));
	assert_int_equal(w.cseq, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hist_empty), cmocka_unit_test(test_hist_small_values_are_exact),
		cmocka_unit_test(test_hist_relative_error), cmocka_unit_test(test_hist_beyond_the_last_bucket),
		cmocka_unit_test(test_frame_put_masks), cmocka_unit_test(test_frame_get), cmocka_unit_test(test_frame_get_refuses),
		cmocka_unit_test(test_view_response), cmocka_unit_test(test_view_refuses), cmocka_unit_test(test_view_measure),
		cmocka_unit_test(test_out_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
