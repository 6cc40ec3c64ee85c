/* The framer: where messages end, what ends a connection, what is passed over. */
#include "relay/stream_frame.h"

#include "common/stun.h"
#include "tests/lib/cm.h"

static size_t stun(uint8_t *out, unsigned body)
{
	be16_put(out, 0x0001);
	be16_put(out + 2, (uint16_t)body);
	be32_put(out + 4, STUN_MAGIC);
	memset(out + 8, 7, 12 + body);
	return 20 + body;
}

static size_t channel(uint8_t *out, unsigned number, unsigned len)
{
	be16_put(out, (uint16_t)number);
	be16_put(out + 2, (uint16_t)len);
	memset(out + 4, 9, (len + 3) & ~3u);
	return 4 + ((len + 3) & ~3u);
}

/* Byte by byte: MORE until the last one, and what MORE says is needed is never more than what there is to come. */
static void every_split(void **state)
{
	uint8_t b[2048];
	struct stream_piece piece;

	(void)state;
	for (unsigned body = 0; body <= 64; body += 4) {
		size_t n = stun(b, body);

		for (size_t have = 0; have < n; have++) {
			assert_int_equal(stream_cut(b, have, &piece), STREAM_CUT_MORE);
			assert_in_range(piece.total, 4, n);
		}
		assert_int_equal(stream_cut(b, n, &piece), STREAM_CUT_STUN);
		assert_int_equal(piece.len, n);
		assert_int_equal(piece.total, n);
	}
	for (unsigned len = 0; len <= 40; len++) {
		size_t n = channel(b, 0x4001, len);

		for (size_t have = 0; have < n; have++)
			assert_int_equal(stream_cut(b, have, &piece), STREAM_CUT_MORE);
		assert_int_equal(stream_cut(b, n, &piece), STREAM_CUT_CHANNEL);
		assert_int_equal(piece.len, 4 + len);
		assert_int_equal(piece.total, n);
	}
}

static void merged(void **state)
{
	uint8_t b[512];
	struct stream_piece piece;
	size_t first = channel(b, 0x4fff, 5), n = first;

	(void)state;
	n += stun(b + n, 8);
	assert_int_equal(stream_cut(b, n, &piece), STREAM_CUT_CHANNEL);
	assert_int_equal(piece.total, first);
	assert_int_equal(stream_cut(b + first, n - first, &piece), STREAM_CUT_STUN);
	assert_int_equal(piece.total, n - first);
}

static void too_long_is_skipped(void **state)
{
	uint8_t b[STREAM_MESSAGE_MAX + 64] = { 0 };
	struct stream_piece piece;

	(void)state;
	(void)channel(b, 0x4000, STREAM_MESSAGE_MAX - 4);
	assert_int_equal(stream_cut(b, sizeof(b), &piece), STREAM_CUT_CHANNEL);
	be16_put(b + 2, STREAM_MESSAGE_MAX - 3);
	assert_int_equal(stream_cut(b, 4, &piece), STREAM_CUT_SKIP);
	assert_int_equal(piece.total, STREAM_MESSAGE_MAX + 4);
	be16_put(b + 2, 0xffff);
	assert_int_equal(stream_cut(b, 4, &piece), STREAM_CUT_SKIP);
	assert_int_equal(piece.total, 4 + 0x10000);
	/* Of STUN the cookie must be there first: a long length alone proves nothing. */
	(void)stun(b, 60);
	be16_put(b + 2, 0xfffc);
	assert_int_equal(stream_cut(b, 7, &piece), STREAM_CUT_MORE);
	assert_int_equal(stream_cut(b, 8, &piece), STREAM_CUT_SKIP);
	assert_int_equal(piece.total, 20 + 0xfffc);
}

static void what_ends_a_connection(void **state)
{
	uint8_t b[64];
	struct stream_piece piece;

	(void)state;
	for (unsigned first = 4; first < 256; first++) {
		b[0] = (uint8_t)first;
		assert_int_equal(stream_cut(b, 1, &piece), first >= 64 && first <= 127 ? STREAM_CUT_MORE : STREAM_CUT_BAD);
	}
	(void)stun(b, 8);
	b[3] = 7; /* not whole words */
	assert_int_equal(stream_cut(b, 28, &piece), STREAM_CUT_BAD);
	(void)stun(b, 8);
	b[7] ^= 1; /* no cookie */
	assert_int_equal(stream_cut(b, 8, &piece), STREAM_CUT_BAD);
}

static void foreigners_are_known(void **state)
{
	static const uint8_t hello[] = { 0x16, 3, 1, 2, 0, 1 };

	(void)state;
	assert_int_equal(stream_foreign((const uint8_t *)"GET / HTTP/1.1\r\n", 16), STREAM_FOREIGN_HTTP);
	assert_int_equal(stream_foreign((const uint8_t *)"PRI * HTTP/2.0", 14), STREAM_FOREIGN_HTTP);
	assert_int_equal(stream_foreign(hello, sizeof(hello)), STREAM_FOREIGN_TLS);
	assert_int_equal(stream_foreign((const uint8_t *)"SSH-2.0", 7), STREAM_FOREIGN_OTHER);
	assert_int_equal(stream_foreign((const uint8_t *)"GE", 2), STREAM_FOREIGN_OTHER);
	assert_int_equal(stream_foreign(NULL, 0), STREAM_FOREIGN_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split), cmocka_unit_test(merged), cmocka_unit_test(too_long_is_skipped),
		cmocka_unit_test(what_ends_a_connection), cmocka_unit_test(foreigners_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
