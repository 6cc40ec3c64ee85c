/* signalling/ws_handshake: the example of RFC 6455 §1.3, every prefix, and what must be refused. */
#include "signalling/ws_handshake.h"

#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define LINES                                                                                                                  \
	"Host: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"                    \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, sip\r\nCookie: \r\n"                      \
	"X-Duplex-User: alice\r\nX-Duplex-Session: " SESSION "\r\nX-Duplex-Permissions: call.audio,chat.send\r\n"              \
	"X-Duplex-Address: 2001:db8::1\r\nX-Duplex-Revision: 17\r\n"
#define GOOD "GET /sip?ticket=x HTTP/1.1\r\n" LINES "\r\n"

static void a_good_one(void **state)
{
	struct ws_upgrade up;
	unsigned status = 0;
	struct buf out = buf_growing(1024);

	(void)state;
	assert_ok(ws_upgrade_parse(STR(GOOD "rest"), &up, &status));
	assert_int_equal(status, 101);
	assert_str(up.user, "alice");
	assert_str(up.session, SESSION);
	assert_str(up.permissions, "call.audio,chat.send");
	assert_str(up.address, "2001:db8::1");
	assert_str(up.revision, "17");
	assert_int_equal(up.len, sizeof(GOOD) - 1);
	ws_upgrade_reply(&out, 101, up.key);
	buf_char(&out, '\0');
	assert_non_null(strstr(out.p, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_non_null(strstr(out.p, "HTTP/1.1 101 "));
	buf_fini(&out);
}

static void every_prefix_waits(void **state)
{
	struct guard g = guard_new(sizeof(GOOD));
	struct ws_upgrade up;
	unsigned status;

	(void)state;
	for (size_t len = 0; len < sizeof(GOOD) - 1; len++)
		assert_err(ws_upgrade_parse(str_of(guard_put(&g, GOOD, len), len), &up, &status), ERR_AGAIN);
	guard_free(&g);
}

static void names_and_values_in_any_case(void **state)
{
	struct ws_upgrade up;
	unsigned status;

	(void)state;
	assert_ok(ws_upgrade_parse(STR("GET /sip HTTP/1.1\r\nhost:h\r\nUPGRADE: WebSocket\r\nconnection: uPGRADE\r\n"
				       "sec-websocket-version:13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
				       "sec-websocket-protocol: sip\r\nx-duplex-user: bo\r\nx-duplex-session: " SESSION "\r\n"
				       "x-duplex-address: 192.0.2.1\r\n\r\n"),
				   &up, &status));
	assert_str(up.user, "bo");
	assert_int_equal(up.permissions.len, 0);
	assert_int_equal(up.revision.len, 0);
}

static void what_is_refused(void **state)
{
	static const struct {
		unsigned status;
		const char *request;
	} cases[] = {
		{ 400, "\r\n\r\n" },
		{ 400, "GET\r\n\r\n" },
		{ 400, "GET /sip\r\n" LINES "\r\n" },
		{ 400, "GET /sip HTTP/2.0\r\n" LINES "\r\n" },
		{ 405, "PUT /sip HTTP/1.1\r\n" LINES "\r\n" },
		{ 404, "GET / HTTP/1.1\r\n" LINES "\r\n" },
		{ 404, "GET /sips HTTP/1.1\r\n" LINES "\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Host: again\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "x-duplex-user: mallory\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Content-Length: 1\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Content-Length: 0\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "X-Duplex-Revision: 1\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Transfer-Encoding: chunked\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "No colon\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES ": no name\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES " folded: x\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Blank : x\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Control: a\x01z\r\n\r\n" },
		{ 400, "GET /sip HTTP/1.1\r\n" LINES "Bare: x\ny\r\n\r\n" },
		{ 426, "GET /sip HTTP/1.1\r\nHost: h\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ws_upgrade up;
		unsigned status = 0;

		assert_err(ws_upgrade_parse(str_from(cases[i].request), &up, &status), ERR_INVALID);
		if (status != cases[i].status)
			print_error("%s", cases[i].request);
		assert_int_equal(status, cases[i].status);
	}
}

/* One header of the good request with another value. */
static void values_are_checked(void **state)
{
	static const struct {
		unsigned status;
		const char *name, *value;
	} cases[] = {
		{ 426, "Sec-WebSocket-Version: ", "12" },
		{ 426, "Upgrade: ", "h2c" },
		{ 426, "Connection: ", "close" },
		{ 400, "Sec-WebSocket-Key: ", "dGhlIHNhbXBsZSBub25jZQ=" },
		{ 400, "Sec-WebSocket-Key: ", "dGhlIHNhbXBsZSBub25jZ-==" },
		{ 400, "Sec-WebSocket-Protocol: ", "SIP" },
		{ 403, "X-Duplex-User: ", "" },
		{ 403, "X-Duplex-User: ", "Alice" },
		{ 403, "X-Duplex-User: ", "a}b" },
		{ 403, "X-Duplex-Session: ", "0123456789abcdef0123456789abcde" },
		{ 403, "X-Duplex-Session: ", "0123456789ABCDEF0123456789ABCDEF" },
		{ 403, "X-Duplex-Address: ", "" },
		{ 403, "X-Duplex-Revision: ", "123456789012345678901" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf in = buf_growing(4096);
		struct ws_upgrade up;
		unsigned status = 0;
		const char *at = strstr(GOOD, cases[i].name);

		assert_non_null(at);
		at += strlen(cases[i].name);
		buf_put(&in, GOOD, (size_t)(at - GOOD));
		buf_z(&in, cases[i].value);
		buf_z(&in, strstr(at, "\r\n"));
		assert_err(ws_upgrade_parse(buf_view(&in), &up, &status), ERR_INVALID);
		assert_int_equal(status, cases[i].status);
		buf_fini(&in);
	}
}

static void too_long_is_431(void **state)
{
	static char big[WS_UPGRADE_MAX];
	struct ws_upgrade up;
	unsigned status = 0;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_err(ws_upgrade_parse(str_of(big, sizeof(big) - 1), &up, &status), ERR_AGAIN);
	assert_err(ws_upgrade_parse(str_of(big, sizeof(big)), &up, &status), ERR_INVALID);
	assert_int_equal(status, 431);
}

static void refusals_say_what_they_must(void **state)
{
	static const struct {
		unsigned status;
		const char *line;
	} cases[] = { { 405, "\r\nAllow: GET\r\n" }, { 426, "\r\nSec-WebSocket-Version: 13\r\n" }, { 503, "\r\nRetry-After: " },
		      { 403, "HTTP/1.1 403 Forbidden\r\n" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = buf_growing(1024);

		ws_upgrade_reply(&out, cases[i].status, STR_NONE);
		buf_char(&out, '\0');
		assert_non_null(strstr(out.p, cases[i].line));
		assert_non_null(strstr(out.p, "Content-Length: 0\r\n"));
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_one),
		cmocka_unit_test(every_prefix_waits),
		cmocka_unit_test(names_and_values_in_any_case),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(too_long_is_431),
		cmocka_unit_test(refusals_say_what_they_must),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
