#include "relay/stream_frame.h"

#include "common/stun.h"

#define LENGTH_AT 2u
#define COOKIE_AT 4u
#define FIRST_NEEDED 4u /* type and length */

static uint32_t padded(uint32_t len)
{
	return (len + 3) & ~3u;
}

/* The first byte (RFC 7983 §7): 0-3 STUN, 64-79 channel data, and up to 127 that of RFC 5766 clients. The magic cookie
 * (RFC 8489 §5) and a length in whole words are checked here because a mistaken length would swallow what follows. */
enum stream_cut stream_cut(const uint8_t *p, size_t have, struct stream_piece *out)
{
	bool stun = have > 0 && p[0] <= 3;

	if (have > 0 && !stun && (p[0] < 64 || p[0] > 127))
		return STREAM_CUT_BAD;
	*out = (struct stream_piece){ .len = FIRST_NEEDED, .total = FIRST_NEEDED };
	if (have < FIRST_NEEDED)
		return STREAM_CUT_MORE;

	uint32_t body = be16_get(p + LENGTH_AT);
	if (stun && body % 4 != 0)
		return STREAM_CUT_BAD;
	out->len = (stun ? STUN_HEADER_LEN : STUN_CHANNEL_HEADER_LEN) + body;
	out->total = padded(out->len);
	if (stun && have < COOKIE_AT + sizeof(uint32_t))
		return STREAM_CUT_MORE;
	if (stun && be32_get(p + COOKIE_AT) != STUN_MAGIC)
		return STREAM_CUT_BAD;
	if (out->len > STREAM_MESSAGE_MAX)
		return STREAM_CUT_SKIP;
	if (have < out->total)
		return STREAM_CUT_MORE;
	return stun ? STREAM_CUT_STUN : STREAM_CUT_CHANNEL;
}

enum stream_foreign stream_foreign(const uint8_t *p, size_t have)
{
	static const char *const methods[] = { "GET ", "HEAD", "POST", "PUT ", "OPTI", "CONN", "DELE", "TRAC", "PATC", "PRI " };

	if (have >= 2 && p[0] == 0x16 && p[1] == 3)
		return STREAM_FOREIGN_TLS;
	for (size_t i = 0; i < ARRAY_LEN(methods) && have >= 4; i++) {
		if (memcmp(p, methods[i], 4) == 0)
			return STREAM_FOREIGN_HTTP;
	}
	return STREAM_FOREIGN_OTHER;
}
