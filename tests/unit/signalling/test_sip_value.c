/* Typed values: addresses, Via, lists, parameters, numbers. Every prefix of each valid value is parsed beside a page
 * without access. */
#include <stdio.h>

#include "signalling/sip_msg.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define MUST                                                                                             \
	"OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/WSS a;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: " \
	"<sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"

static struct sip_msg m;

static void with(const char *lines)
{
	static char text[4096];
	struct sip_refusal why;

	(void)snprintf(text, sizeof(text), MUST "%s\r\n", lines);
	assert_ok(sip_msg_parse(str_from(text), &m, &why));
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *display, *uri, *tag;
	} good[] = {
		{ "<sip:a@x>", "", "sip:a@x", "" },
		{ "<sip:a@x>;tag=1", "", "sip:a@x", "1" },
		{ "<sip:a@x;tag=no>;x;TAG = 1 ;y=\"a;b\"", "", "sip:a@x;tag=no", "1" },
		{ "sip:a@x;tag=1", "", "sip:a@x", "1" },
		{ "sip:a@x", "", "sip:a@x", "" },
		{ "Ann Other <sip:a@x>;tag=1", "Ann Other", "sip:a@x", "1" },
		{ "\"A, <B> \\\" ;\" <sip:a@x>;tag=1", "A, <B> \\\" ;", "sip:a@x", "1" },
		{ "\"\"<sip:a@x>", "", "sip:a@x", "" },
		{ "J\xc3\xbcrgen <sip:a@x>", "J\xc3\xbcrgen", "sip:a@x", "" },
		{ "<sip:a@x?b=c>", "", "sip:a@x?b=c", "" },
		{ "<tel:+123>;tag=a.b-c", "", "tel:+123", "a.b-c" },
		{ "\r\n <sip:a@x>\r\n ;tag=1", "", "sip:a@x", "1" },
	};
	static const char *const bad[] = { "",
					   "<>",
					   "<sip:a@x",
					   "sip:a@x>",
					   "\"A <sip:a@x>",
					   "\"A\" sip:a@x",
					   "< sip:a@x>",
					   "<sip:a @x>",
					   "A, B <sip:a@x>",
					   "sip:a@x?b=c",
					   "sip:a@x,b",
					   "<sip:a@x>tag=1",
					   "<sip:a@x>;tag=",
					   "<sip:a@x>;;tag=1",
					   "<sip:a@x>;tag=1;tag=2",
					   "<sip:a@x>;tag=1 2",
					   "<sip:a@x>;t\"ag=1",
					   "<<sip:a@x>>",
					   "\"A\\",
					   "<sip:a@x>,<sip:b@x>",
					   ";tag=1" };
	struct guard g = guard_new(256);
	struct sip_addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(sip_addr_parse(str_from(good[i].text), &a));
		assert_str(a.display, good[i].display);
		assert_str(a.uri, good[i].uri);
		assert_str(a.tag, good[i].tag);
		for (size_t n = 0; n < strlen(good[i].text); n++)
			(void)!sip_addr_parse(str_of(guard_put(&g, good[i].text, n), n), &a);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (sip_addr_parse(str_from(bad[i]), &a) == ERR_OK)
			fail_msg("taken: %s", bad[i]);
	guard_free(&g);
}

static void vias(void **state)
{
	static const struct {
		const char *text, *transport, *host;
		uint16_t port;
		const char *branch;
	} good[] = {
		{ "SIP/2.0/WSS a.invalid;branch=z9hG4bK1", "WSS", "a.invalid", 0, "z9hG4bK1" },
		{ "sip / 2.0 / UDP 192.0.2.1 : 5060 ; rport ; branch = x", "UDP", "192.0.2.1", 5060, "x" },
		{ "SIP/2.0/TCP [2001:db8::1]:5061;branch=x;received=[2001:db8::2]", "TCP", "[2001:db8::1]", 5061, "x" },
		{ "SIP/2.0/UDP host", "UDP", "host", 0, "" },
	};
	static const char *const bad[] = { "",
					   "SIP/2.0",
					   "SIP/2.0/UDP",
					   "SIP/2.0/UDPhost",
					   "SIP/3.0/UDP host",
					   "HTTP/2.0/UDP host",
					   "SIP/2.0/UDP ;branch=x",
					   "SIP/2.0/UDP host:;branch=x",
					   "SIP/2.0/UDP host:99999",
					   "SIP/2.0/UDP [::1",
					   "SIP/2.0/UDP []",
					   "SIP/2.0/UDP host;branch=x;branch=y",
					   "SIP/2.0/UDP host;branch=x y",
					   "SIP/2.0/UDP host x",
					   "SIP/2.0/UDP host;;",
					   "SIP/2.0/UDP [zz]" };
	struct guard g = guard_new(256);
	struct sip_via v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(sip_via_parse(str_from(good[i].text), &v));
		assert_str(v.transport, good[i].transport);
		assert_str(v.host, good[i].host);
		assert_int_equal(v.port, good[i].port);
		assert_str(v.branch, good[i].branch);
		for (size_t n = 0; n < strlen(good[i].text); n++)
			(void)!sip_via_parse(str_of(guard_put(&g, good[i].text, n), n), &v);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (sip_via_parse(str_from(bad[i]), &v) == ERR_OK)
			fail_msg("taken: %s", bad[i]);
}

static void lists(void **state)
{
	static const char *const want[] = { "<sip:a,b@x;lr>", "\"c,\\\"d\" <sip:e@x>", "<sip:f@x>", "g" };
	struct str v;

	(void)state;
	with("Route: <sip:a,b@x;lr> ,\r\n \"c,\\\"d\" <sip:e@x>\r\nX: y\r\nroute:\r\nRoute: , <sip:f@x>,,g\r\n");
	struct sip_list it = sip_list(&m, SIP_H_ROUTE);

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(sip_list_next(&it, &v));
		assert_str(v, want[i]);
	}
	assert_false(sip_list_next(&it, &v));
	assert_false(sip_list_next(&it, &v));
	with("Supported: outbound,GRUU\r\nk: eventlist;q=1\r\n");
	assert_true(sip_list_has(&m, SIP_H_SUPPORTED, STR("gruu")));
	assert_true(sip_list_has(&m, SIP_H_SUPPORTED, STR("eventlist")));
	assert_false(sip_list_has(&m, SIP_H_SUPPORTED, STR("gru")));
	assert_false(sip_list_has(&m, SIP_H_REQUIRE, STR("gruu")));
}

static void parameters(void **state)
{
	struct str v;

	(void)state;
	assert_true(sip_param(STR("x;a=1; B = \"q;\\\"b=2\" ;c"), STR("b"), &v));
	assert_str(v, "\"q;\\\"b=2\"");
	assert_true(sip_param(STR(";a=1;c"), STR("C"), &v));
	assert_int_equal(v.len, 0);
	assert_false(sip_param(STR(";a=1;c"), STR("1"), &v));
	assert_false(sip_param(STR(";a=\"1;c=2"), STR("c"), &v));
}

static void numbers(void **state)
{
	uint32_t n = 77;

	(void)state;
	with("Max-Forwards: 070\r\nExpires: x\r\nMin-SE: 90;a=b\r\nSession-Expires: 1800 "
	     ";refresher=uac\r\nRetry-After: 5 (soon);duration=3\r\nMin-Expires: 4294967296\r\n");
	assert_ok(sip_msg_number(&m, SIP_H_MAX_FORWARDS, 255, &n));
	assert_int_equal(n, 70);
	assert_err(sip_msg_number(&m, SIP_H_MAX_FORWARDS, 69, &n), ERR_TOO_LARGE);
	assert_err(sip_msg_number(&m, SIP_H_EXPIRES, 100, &n), ERR_INVALID);
	assert_err(sip_msg_number(&m, SIP_H_MIN_EXPIRES, UINT32_MAX, &n), ERR_TOO_LARGE);
	assert_err(sip_msg_number(&m, SIP_H_CONTENT_LENGTH, 1, &n), ERR_NOT_FOUND);
	assert_int_equal(n, 70);
	assert_ok(sip_msg_number(&m, SIP_H_MIN_SE, 1000, &n));
	assert_int_equal(n, 90);
	assert_ok(sip_msg_number(&m, SIP_H_SESSION_EXPIRES, 10000, &n));
	assert_int_equal(n, 1800);
	assert_ok(sip_msg_number(&m, SIP_H_RETRY_AFTER, 10000, &n));
	assert_int_equal(n, 5);
}

static void cseqs(void **state)
{
	static const char *const bad[] = {
		"",          "1",          "INVITE",   "1INVITE", "2147483648 INVITE", "99999999999999999999 INVITE",
		"1 IN VITE", "1 INVITE x", "-1 INVITE"
	};
	struct sip_cseq c;

	(void)state;
	assert_ok(sip_cseq_parse(STR("2147483647\r\n  INVITE"), &c));
	assert_int_equal(c.number, INT32_MAX);
	assert_int_equal(c.method, SIP_INVITE);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_not_equal(sip_cseq_parse(str_from(bad[i]), &c), ERR_OK);
}

static void session_ids(void **state)
{
	struct sip_session_id id;

	(void)state;
	with("Session-ID: 0123456789abcdef0123456789abcdef;remote=00000000000000000000000000000000\r\n");
	assert_ok(sip_msg_session_id(&m, &id));
	assert_str(id.local, "0123456789abcdef0123456789abcdef");
	assert_str(id.remote, "00000000000000000000000000000000");
	with("Session-ID: 0123456789abcdef0123456789abcdef\r\n");
	assert_ok(sip_msg_session_id(&m, &id));
	assert_int_equal(id.remote.len, 0);
	with("Session-ID: 0123456789ABCDEF0123456789abcdef\r\n");
	assert_err(sip_msg_session_id(&m, &id), ERR_INVALID);
	with("Session-ID: 0123\r\n");
	assert_err(sip_msg_session_id(&m, &id), ERR_INVALID);
	with("");
	assert_err(sip_msg_session_id(&m, &id), ERR_NOT_FOUND);
}

static void reasons(void **state)
{
	(void)state;
	with("Reason: Q.850;cause=16, SIP ;cause=200 ;text=\"Call completed, elsewhere\"\r\n");
	assert_int_equal(sip_msg_reason_cause(&m), 200);
	with("Reason: SIP;text=x\r\n");
	assert_int_equal(sip_msg_reason_cause(&m), 0);
	with("Event: presence ; id=1\r\n");
	assert_str(sip_msg_token(&m, SIP_H_EVENT), "presence");
}

static void video(void **state)
{
	static const struct {
		const char *body;
		bool video;
	} cases[] = {
		{ "v=0\r\nm=audio 9 RTP/AVP 0\r\n", false },
		{ "v=0\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 0\r\n", true },
		{ "v=0\nm=video 9 RTP/AVP 0", true },
		{ "v=0\r\nm=video 0 RTP/AVP 0\r\n", false },
		{ "v=0\r\nm=video 0 x\r\nm=video 7 x\r\n", true },
		{ "v=0\r\nm=video x\r\n", true },
		{ "v=0\r\nm=VIDEO 9 x\r\n", true },
		{ "v=0\r\na=m=video 9 x\r\n", false },
		{ "m=video ", true },
		{ "m=video", false },
		{ "", false },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text), "\r\n%s", cases[i].body);
		with(text);
		/* with() ends the message with CRLF, which belongs to the body here. */
		m.body.len -= 2;
		if (sip_body_has_video(&m) != cases[i].video)
			fail_msg("%s", cases[i].body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),   cmocka_unit_test(vias),    cmocka_unit_test(lists),
		cmocka_unit_test(parameters),  cmocka_unit_test(numbers), cmocka_unit_test(cseqs),
		cmocka_unit_test(session_ids), cmocka_unit_test(reasons), cmocka_unit_test(video),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
