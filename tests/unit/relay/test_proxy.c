/* The PROXY protocol: both versions, in pieces, and everything that is not quite it. */
#include "relay/proxy.h"

#include "tests/lib/cm.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static const char *client_of(const struct proxy_header *h)
{
	static char text[ADDR_TEXT_SIZE];

	return addr_text(&h->client, text);
}

static void in_pieces(const uint8_t *p, size_t len, struct proxy_header *h)
{
	uint8_t copy[PROXY_HEADER_MAX + 64];

	assert_true(len + 3 <= sizeof(copy));
	memcpy(copy, p, len);
	memcpy(copy + len, "abc", 3);
	for (size_t have = 0; have < len; have++)
		assert_err(proxy_parse(copy, have, h), ERR_AGAIN);
	assert_ok(proxy_parse(copy, len, h));
	assert_int_equal(h->len, len);
	assert_ok(proxy_parse(copy, len + 3, h));
	assert_int_equal(h->len, len);
}

static void version_2(void **state)
{
	struct proxy_header h;

	(void)state;
	in_pieces(BYTES(V2 "\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"), &h);
	assert_true(h.known);
	assert_string_equal(client_of(&h), "192.0.2.7");
	assert_int_equal(h.client_port, 0xdc04);
	assert_int_equal(h.server_port, 443);
	/* With an extension behind the addresses, which is passed over. */
	in_pieces(BYTES(V2 "\x21\x11\0\x13\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb\x02\0\x04host"), &h);
	assert_true(h.known);
	in_pieces(BYTES(V2 "\x21\x21\0\x24"
			   " \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"
			   " \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
			   "\x10\0\x20\0"),
		  &h);
	assert_true(h.known);
	assert_string_equal(client_of(&h), "2001:db8::9");
	assert_int_equal(h.client_port, 0x1000);
	/* LOCAL: the proxy itself; a unix socket; UDP: nothing that tells a TCP client. */
	in_pieces(BYTES(V2 "\x20\0\0\0"), &h);
	assert_false(h.known);
	in_pieces(BYTES(V2 "\x20\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"), &h);
	assert_false(h.known);
	in_pieces(BYTES(V2 "\x21\x12\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"), &h);
	assert_false(h.known);
}

static void version_1(void **state)
{
	struct proxy_header h;

	(void)state;
	in_pieces(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), &h);
	assert_true(h.known);
	assert_string_equal(client_of(&h), "192.0.2.7");
	assert_int_equal(h.client_port, 56324);
	assert_int_equal(h.server_port, 443);
	in_pieces(BYTES("PROXY TCP6 2001:db8::9 2001:db8::1 1 65535\r\n"), &h);
	assert_string_equal(client_of(&h), "2001:db8::9");
	/* What a dual-stack socket knows as a mapped address is IPv4 here, too. */
	in_pieces(BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 2\r\n"), &h);
	assert_string_equal(client_of(&h), "192.0.2.7");
	in_pieces(BYTES("PROXY UNKNOWN\r\n"), &h);
	assert_false(h.known);
	in_pieces(BYTES("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), &h);
	assert_false(h.known);
}

static void nearly(void **state)
{
	static const struct {
		const uint8_t *p;
		size_t len;
		enum err want;
	} wrong[] = {
		{ BYTES("GET / HTTP/1.1\r\n\r\n"), ERR_INVALID },
		{ BYTES("PROXZ TCP4 "), ERR_INVALID },
		{ BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n"), ERR_INVALID },
		{ BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n"), ERR_INVALID },
		{ BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n"), ERR_INVALID },
		{ BYTES("PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n"), ERR_INVALID },
		{ BYTES("PROXY TCP4 2001:db8::9 2001:db8::1 1 2\r\n"), ERR_INVALID },
		{ BYTES("PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n"), ERR_INVALID },
		{ BYTES("PROXY TCP5 192.0.2.7 192.0.2.1 1 2\r\n"), ERR_INVALID },
		{ BYTES("PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n"), ERR_INVALID },
		{ BYTES("PROXY UNKNOWN\n"), ERR_INVALID },
		{ BYTES(V2 "\x31\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"), ERR_INVALID }, /* version 3 */
		{ BYTES(V2 "\x22\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"), ERR_INVALID }, /* command 2 */
		{ BYTES(V2 "\x21\x11\0\x0b\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01"), ERR_INVALID },     /* too short for IPv4 */
		{ BYTES(V2 "\x21\x11\xff\xff"), ERR_TOO_LARGE },
	};
	struct proxy_header h;
	char line[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_err(proxy_parse(wrong[i].p, wrong[i].len, &h), wrong[i].want);
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY ", 6);
	assert_err(proxy_parse((const uint8_t *)line, 106, &h), ERR_AGAIN);
	assert_err(proxy_parse((const uint8_t *)line, sizeof(line), &h), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2),
		cmocka_unit_test(version_1),
		cmocka_unit_test(nearly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
