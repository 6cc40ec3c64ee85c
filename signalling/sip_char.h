/* Character classes of RFC 3261 §25.1, as one table of bits, and the blanks that separate tokens. Internal to sip_*.c.
 */
#ifndef DUPLEX_SIGNALLING_SIP_CHAR_H
#define DUPLEX_SIGNALLING_SIP_CHAR_H

#include "common/str.h"

enum {
	SIP_C_TOKEN = 1,  /* token */
	SIP_C_USER = 2,   /* user: unreserved, user-unreserved; '%' apart */
	SIP_C_PARAM = 4,  /* uri parameter: unreserved, param-unreserved */
	SIP_C_HEADER = 8, /* uri header: unreserved, hnv-unreserved */
	SIP_C_HOST = 16,  /* host name: letters, digits, '-', '.' */
	SIP_C_WORD = 32,  /* word, as in Call-ID */
	SIP_C_HEX = 64,
	SIP_C_DIGIT = 128,
};

extern const uint8_t sip_char[256];

static inline bool sip_is(char c, unsigned bits)
{
	return (sip_char[(unsigned char)c] & bits) != 0;
}

/* LWS inside a value: a fold is CRLF and a blank. */
static inline bool sip_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline void sip_skip_blanks(struct str *s)
{
	while (s->len > 0 && sip_is_blank(s->p[0])) {
		s->p++;
		s->len--;
	}
}

/* Cuts the longest run of `bits` off the front. */
static inline struct str sip_take(struct str *s, unsigned bits)
{
	size_t n = 0;

	while (n < s->len && sip_is(s->p[n], bits))
		n++;
	struct str got = { s->p, n };

	s->p += n;
	s->len -= n;
	return got;
}

static inline bool sip_take_char(struct str *s, char c)
{
	if (s->len == 0 || s->p[0] != c)
		return false;
	s->p++;
	s->len--;
	return true;
}

static inline bool sip_all(struct str s, unsigned bits)
{
	for (size_t i = 0; i < s.len; i++)
		if (!sip_is(s.p[i], bits))
			return false;
	return true;
}

/* Cuts a quoted-string off the front, without its quotes (§25.1; escapes stay). false if it does not end. */
bool sip_take_quoted(struct str *s, struct str *out);
/* Cuts host [":" port] off the front: name, IPv4, or IPv6 in brackets. Blanks around the colon are allowed if `blanks`.
 */
bool sip_take_hostport(struct str *s, bool blanks, struct str *host, uint16_t *port);

#endif
