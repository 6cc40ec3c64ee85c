/* The words of stream-listen. */
#include "relay/stream_listen.h"

#include <netinet/in.h>

#include "tests/lib/cm.h"

static void words(void **state)
{
	struct stream_listen l[STREAM_LISTEN_MAX];
	struct str bad;
	char text[ADDR_TEXT_SIZE];
	unsigned n;

	(void)state;
	assert_ok(stream_listen_parse("", l, &n, &bad));
	assert_int_equal(n, 0);
	assert_ok(stream_listen_parse("  tcp:*:3478 tls:192.0.2.1:5349\ttls-proxy:unix:/run/a/turns.sock tcp-proxy:[2001:db8::1]:80 tcp:[::]:1 ", l, &n, &bad));
	assert_int_equal(n, 5);
	assert_true(!l[0].tls && !l[0].proxy && l[0].path[0] == '\0' && addr_is_none(&l[0].addr));
	assert_int_equal(l[0].port, 3478);
	assert_true(l[1].tls && !l[1].proxy);
	assert_string_equal(addr_text(&l[1].addr, text), "192.0.2.1");
	assert_true(l[2].tls && l[2].proxy);
	assert_string_equal(l[2].path, "/run/a/turns.sock");
	assert_true(!l[3].tls && l[3].proxy);
	assert_string_equal(addr_text(&l[3].addr, text), "2001:db8::1");
	assert_true(addr_is_none(&l[4].addr));
}

static void wrong_words(void **state)
{
	static const char *const wrong[] = {
		"tcp", "tcp:", "udp:*:3478", "tcp:*", "tcp:*:0", "tcp:*:65536", "tcp:*:x", "tcp:3478", "tls:host:443", "tcp:2001:db8::1:80",
		"tcp:[2001:db8::1:80", "tcp:[]:80", "tcp:unix:", "tcp:unix:relative", "tlsx:*:1", "tls-proxy", "tls-prox:*:1",
	};
	struct stream_listen l[STREAM_LISTEN_MAX];
	char path[300], many[STREAM_LISTEN_MAX * 10 + 20] = "";
	unsigned n = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct str bad = STR_NONE;

		assert_err(stream_listen_parse(wrong[i], l, &n, &bad), ERR_INVALID);
		assert_true(str_eq(bad, str_from(wrong[i])));
	}
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memcpy(path, "tcp:unix:/", 10);
	struct str bad;
	assert_err(stream_listen_parse(path, l, &n, &bad), ERR_INVALID);
	for (unsigned i = 0; i <= STREAM_LISTEN_MAX; i++)
		memcpy(many + 9 * (size_t)i, "tcp:*:99 ", 10);
	assert_err(stream_listen_parse(many, l, &n, &bad), ERR_TOO_LARGE);
	assert_int_equal(n, 77);
}

static void whose_address(void **state)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&s;
	struct addr a;
	uint16_t port;

	(void)state;
	v4->sin_family = AF_INET;
	v4->sin_port = htons(77);
	v4->sin_addr.s_addr = htonl(0xc0000201);
	assert_true(stream_listen_peer(&s, &a, &port));
	assert_true(addr_is_v4(&a) && port == 77);
	/* An IPv4 client on a socket for both families is one of IPv4. */
	memset(&s, 0, sizeof(s));
	v6->sin6_family = AF_INET6;
	v6->sin6_addr.s6_addr[10] = v6->sin6_addr.s6_addr[11] = 0xff;
	v6->sin6_addr.s6_addr[15] = 1;
	assert_true(stream_listen_peer(&s, &a, &port));
	assert_true(addr_is_v4(&a));
	s.ss_family = AF_UNIX;
	assert_false(stream_listen_peer(&s, &a, &port));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words), cmocka_unit_test(wrong_words), cmocka_unit_test(whose_address) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
