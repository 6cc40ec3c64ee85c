/* Edits over a received message, and messages of our own. Results are compared byte by byte. */
#include <stdio.h>

#include "signalling/sip_build.h"
#include "tests/lib/cm.h"

#define REQUEST                                                                                                 \
	"INVITE sip:b@x SIP/2.0\r\nv: SIP/2.0/WSS a;branch=z9hG4bK1\r\nRoute: <sip:r1@x;lr>, <sip:r2@x;lr>\r\n" \
	"Route: <sip:r3@x;lr>\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 "              \
	"INVITE\r\nMax-Forwards: 70\r\n"                                                                        \
	"Subject: folded\r\n  twice\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 3\r\n\r\nabc"

static struct sip_msg m;
static char mem[8192];
static struct buf out;
static struct sip_edit e;

static void parse(const char *text)
{
	struct sip_refusal why;

	assert_ok(sip_msg_parse(str_from(text), &m, &why));
	out = buf_fixed(mem, sizeof(mem));
	sip_edit_init(&e, &m);
}

static void result(const char *want)
{
	assert_ok(sip_edit_put(&e, &out));
	assert_str(buf_view(&out), want);
}

static bool has(const char *part)
{
	return memmem(mem, out.len, part, strlen(part)) != NULL;
}

static void contains(const char *part)
{
	if (!has(part))
		fail_msg("no '%s' in:\n%.*s", part, (int)out.len, mem);
}

static void nothing(void **state)
{
	(void)state;
	parse(REQUEST);
	result(REQUEST);
}

static void forwarding(void **state)
{
	(void)state;
	parse(REQUEST);
	sip_edit_uri(&e, STR("sip:device@d.invalid;transport=ws"));
	sip_edit_prepend(&e, "Via: SIP/2.0/WSS w;branch=z9hG4bK2\r\n");
	sip_edit_prepend(&e, "Record-Route: <%s>\r\n", "sip:w;lr");
	sip_edit_max_forwards(&e);
	sip_edit_drop(&e, SIP_H_ROUTE);
	sip_edit_drop_prefix(&e, STR("x-a"));
	sip_edit_append(&e, "P-Asserted-Identity: <sip:a@x>\r\n");
	result("INVITE sip:device@d.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/WSS "
	       "w;branch=z9hG4bK2\r\nRecord-Route: <sip:w;lr>\r\n"
	       "v: SIP/2.0/WSS a;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 "
	       "INVITE\r\nMax-Forwards: 69\r\n"
	       "Subject: folded\r\n  twice\r\nX-B: 2\r\nContent-Length: 3\r\nP-Asserted-Identity: "
	       "<sip:a@x>\r\n\r\nabc");
}

/* The first header dropped and lines put in the same place. */
static void first_line(void **state)
{
	(void)state;
	parse(REQUEST);
	sip_edit_drop(&e, SIP_H_VIA);
	sip_edit_prepend(&e, "Via: new\r\n");
	sip_edit_drop(&e, SIP_H_VIA);
	assert_ok(sip_edit_put(&e, &out));
	assert_true(str_starts(buf_view(&out), STR("INVITE sip:b@x SIP/2.0\r\nVia: new\r\nRoute: ")));
}

static void pops(void **state)
{
	(void)state;
	parse(REQUEST);
	sip_edit_pop(&e, SIP_H_ROUTE);
	assert_ok(sip_edit_put(&e, &out));
	contains("\r\nRoute: <sip:r2@x;lr>\r\nRoute: <sip:r3@x;lr>\r\n");
	parse(REQUEST);
	sip_edit_pop(&e, SIP_H_VIA);
	sip_edit_pop(&e, SIP_H_RECORD_ROUTE);
	assert_ok(sip_edit_put(&e, &out));
	assert_true(str_starts(buf_view(&out), STR("INVITE sip:b@x SIP/2.0\r\nRoute: ")));
}

static void sets(void **state)
{
	(void)state;
	parse(REQUEST);
	sip_edit_set(&e, SIP_H_SUBJECT, "%d", 5);
	sip_edit_set(&e, SIP_H_EXPIRES, "60");
	sip_edit_param(&e, SIP_H_VIA, ";received=%s", "192.0.2.1");
	assert_ok(sip_edit_put(&e, &out));
	contains("\r\nSubject: 5\r\nX-A");
	contains("\r\nExpires: 60\r\n\r\nabc");
	contains("z9hG4bK1;received=192.0.2.1\r\n");
	parse("OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/WSS a;branch=z9hG4bK1\r\nf: a\r\nt: b\r\ni: c\r\nCSeq: 1 "
	      "OPTIONS\r\n\r\n");
	sip_edit_max_forwards(&e);
	assert_ok(sip_edit_put(&e, &out));
	contains("\r\nMax-Forwards: 70\r\n\r\n");
}

/* Too many edits, too much text, too small a buffer: an error, never half a message. */
static void overflow(void **state)
{
	char large[SIP_EDIT_TEXT + 1];

	(void)state;
	memset(large, 'x', sizeof(large));
	large[SIP_EDIT_TEXT] = '\0';
	parse(REQUEST);
	for (unsigned i = 0; i <= SIP_EDIT_MAX; i++)
		sip_edit_append(&e, "X: %u\r\n", i);
	assert_err(sip_edit_put(&e, &out), ERR_TOO_LARGE);
	parse(REQUEST);
	sip_edit_append(&e, "X: %s\r\n", large);
	assert_err(sip_edit_put(&e, &out), ERR_TOO_LARGE);
	parse(REQUEST);
	out = buf_fixed(mem, 20);
	assert_err(sip_edit_put(&e, &out), ERR_TOO_LARGE);
}

static void as_slices(void **state)
{
	struct iovec iov[2 * SIP_EDIT_MAX + 2];
	size_t count, len = 0;

	(void)state;
	parse(REQUEST);
	sip_edit_uri(&e, STR("sip:d"));
	sip_edit_drop(&e, SIP_H_ROUTE);
	assert_ok(sip_edit_put(&e, &out));
	assert_ok(sip_edit_iov(&e, iov, ARRAY_LEN(iov), &count));
	for (size_t i = 0; i < count; i++) {
		assert_memory_equal(iov[i].iov_base, mem + len, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	assert_int_equal(len, out.len);
	assert_err(sip_edit_iov(&e, iov, 3, &count), ERR_TOO_LARGE);
}

static void replies(void **state)
{
	(void)state;
	parse("INVITE sip:b@x SIP/2.0\r\nv: SIP/2.0/WSS w;branch=z9hG4bK2,\r\n SIP/2.0/WSS a;branch=z9hG4bK1\r\nVia: "
	      "SIP/2.0/UDP u\r\n"
	      "Record-Route: <sip:w;lr>\r\nf: <sip:a@x>;tag=1\r\nt:\r\n <sip:b@x>\r\ni: c\r\nCSeq: 1\r\n "
	      "INVITE\r\n\r\n");
	assert_ok(sip_reply_put(
		&out, &m,
		&(struct sip_reply){
			.status = 180, .to_tag = STR("T"), .record_route = true, .headers = STR("A: b\r\n") }));
	assert_str(buf_view(&out), "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/WSS w;branch=z9hG4bK2, SIP/2.0/WSS "
				   "a;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP u\r\n"
				   "Record-Route: <sip:w;lr>\r\nFrom: <sip:a@x>;tag=1\r\nTo: "
				   "<sip:b@x>;tag=T\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nA: b\r\n"
				   "Content-Length: 0\r\n\r\n");
	buf_reset(&out);
	assert_ok(sip_reply_put(&out, &m,
				&(struct sip_reply){ .status = 480,
						     .phrase = "Not registered",
						     .content_type = STR("text/plain"),
						     .body = STR("hi") }));
	assert_true(str_starts(buf_view(&out), STR("SIP/2.0 480 Not registered\r\n")));
	assert_false(has("tag=T"));
	contains("Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi");
	/* A To with a tag keeps it. */
	parse("BYE sip:b@x SIP/2.0\r\nVia: x\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 "
	      "BYE\r\n\r\n");
	assert_ok(sip_reply_put(&out, &m, &(struct sip_reply){ .status = 200, .to_tag = STR("T") }));
	contains("To: <sip:b@x>;tag=2\r\n");
}

static void cancel_and_ack(void **state)
{
	struct sip_msg response;
	struct sip_refusal why;

	(void)state;
	parse("INVITE sip:d SIP/2.0\r\nVia: SIP/2.0/WSS w;branch=z9hG4bK2\r\nVia: SIP/2.0/WSS "
	      "a;branch=z9hG4bK1\r\nRoute: <sip:r;lr>\r\n"
	      "From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContent-Length: 1\r\n\r\nx");
	assert_ok(sip_cancel_put(&out, &m, STR("Reason: SIP;cause=200\r\n")));
	assert_str(buf_view(&out), "CANCEL sip:d SIP/2.0\r\nVia: SIP/2.0/WSS w;branch=z9hG4bK2\r\nMax-Forwards: "
				   "70\r\nRoute: <sip:r;lr>\r\n"
				   "From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 7 CANCEL\r\nReason: "
				   "SIP;cause=200\r\nContent-Length: 0\r\n\r\n");
	assert_ok(sip_msg_parse(STR("SIP/2.0 486 Busy\r\nVia: x\r\nFrom: f\r\nTo: <sip:b@x>;tag=9\r\nCall-ID: "
				    "c\r\nCSeq: 7 INVITE\r\n\r\n"),
				&response, &why));
	buf_reset(&out);
	assert_ok(sip_ack_put(&out, &m, &response));
	assert_str(
		buf_view(&out),
		"ACK sip:d SIP/2.0\r\nVia: SIP/2.0/WSS w;branch=z9hG4bK2\r\nMax-Forwards: 70\r\nRoute: <sip:r;lr>\r\n"
		"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=9\r\nCall-ID: c\r\nCSeq: 7 ACK\r\nContent-Length: "
		"0\r\n\r\n");
}

static void requests(void **state)
{
	(void)state;
	out = buf_fixed(mem, sizeof(mem));
	assert_ok(sip_request_put(&out, &(struct sip_request){ .method = SIP_NOTIFY,
							       .uri = STR("sip:a"),
							       .via = STR("SIP/2.0/WSS w;branch=z9hG4bK3"),
							       .from = STR("<sip:s>;tag=1"),
							       .to = STR("<sip:a>;tag=2"),
							       .call_id = STR("c"),
							       .cseq = 3,
							       .headers = STR("Event: presence\r\n"),
							       .content_type = STR("text/plain"),
							       .body = STR("x") }));
	assert_str(buf_view(&out), "NOTIFY sip:a SIP/2.0\r\nVia: SIP/2.0/WSS w;branch=z9hG4bK3\r\nMax-Forwards: "
				   "70\r\nFrom: <sip:s>;tag=1\r\nTo: <sip:a>;tag=2\r\n"
				   "Call-ID: c\r\nCSeq: 3 NOTIFY\r\nEvent: presence\r\nContent-Type: "
				   "text/plain\r\nContent-Length: 1\r\n\r\nx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),   cmocka_unit_test(forwarding), cmocka_unit_test(first_line),
		cmocka_unit_test(pops),      cmocka_unit_test(sets),       cmocka_unit_test(overflow),
		cmocka_unit_test(as_slices), cmocka_unit_test(replies),    cmocka_unit_test(cancel_and_ack),
		cmocka_unit_test(requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
