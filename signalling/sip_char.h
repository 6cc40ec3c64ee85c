/* Character classes of RFC 3261 §25.1, as one table of bits, and the blanks that separate tokens. Internal to sip_*.c.
 */
#ifndef DUPLEX_SIGNALLING_SIP_CHAR_H
#define DUPLEX_SIGNALLING_SIP_CHAR_H

#include "common/str.h"

#ifdef __SSSE3__
#include <tmmintrin.h>
#endif

enum {
	SIP_C_TOKEN = 1,  /* token */
	SIP_C_USER = 2,   /* user: unreserved, user-unreserved; '%' apart */
	SIP_C_PARAM = 4,  /* uri parameter: unreserved, param-unreserved */
	SIP_C_HEADER = 8, /* uri header: unreserved, hnv-unreserved */
	SIP_C_HOST = 16,  /* host name: letters, digits, '-', '.' */
	SIP_C_WORD = 32,  /* word, as in Call-ID */
	SIP_C_HEX = 64,
	SIP_C_DIGIT = 128,
	SIP_C_VALUE = 256, /* gen-value that is not quoted: token, host, IPv6 address with brackets or without */
	SIP_C_URI = 512,   /* may stand in a URI at all: no blank, control, '<', '>', '"' */
};

extern const uint16_t sip_char[256];

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

/* The classes once more, for sixteen characters at a time: of sip_nibble[class][low half of the character], the bit
 * (high half). Filled before main from the table above. */
#define SIP_CLASSES 9u
extern uint8_t sip_nibble[SIP_CLASSES][16];

#ifdef __SSSE3__
/* One bit for each of the sixteen bytes at p that is not in the class. */
static inline unsigned sip_not16(const char *p, unsigned class)
{
	const __m128i row = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0), low = _mm_set1_epi8(15);
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i column = _mm_shuffle_epi8(_mm_load_si128((const __m128i *)(const void *)sip_nibble[class]), v);
	__m128i bit = _mm_shuffle_epi8(row, _mm_and_si128(_mm_srli_epi16(v, 4), low));

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(column, bit), _mm_setzero_si128()));
}
#endif

/* Length of the run of `bits` (one class other than SIP_C_URI) at the front of p[len]. Reads nothing outside p[len]. */
static inline size_t sip_run(const char *p, size_t len, unsigned bits)
{
	size_t i = 0;

#ifdef __SSSE3__
	const unsigned class = (unsigned)__builtin_ctz(bits);

	for (; i + 16 <= len; i += 16) {
		unsigned other = sip_not16(p + i, class);

		if (other != 0)
			return i + (unsigned)__builtin_ctz(other);
	}
	if (i > 0 && i < len) {
		unsigned other = sip_not16(p + len - 16, class) >> (16 - (len - i));

		return other != 0 ? i + (unsigned)__builtin_ctz(other) : len;
	}
#endif
	while (i < len && sip_is(p[i], bits))
		i++;
	return i;
}

/* Cuts the longest run of `bits` off the front. */
static inline struct str sip_take(struct str *s, unsigned bits)
{
	struct str got = { s->p, sip_run(s->p, s->len, bits) };

	s->p += got.len;
	s->len -= got.len;
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

#ifdef __SSSE3__
/* One bit for each of the sixteen bytes at p that is one of the four. */
static inline unsigned sip_any16(const char *p, char a, char b, char c, char d)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i ab = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(a)), _mm_cmpeq_epi8(v, _mm_set1_epi8(b)));
	__m128i cd = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)), _mm_cmpeq_epi8(v, _mm_set1_epi8(d)));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(ab, cd));
}
#endif

/* Index of the first byte of p[len] that is one of the four; len if none is. Reads nothing outside p[len]: what is left
 * of a longer text is looked at together with bytes before it. */
static inline size_t sip_find_any(const char *p, size_t len, char a, char b, char c, char d)
{
	size_t i = 0;

#ifdef __SSSE3__
	for (; i + 16 <= len; i += 16) {
		unsigned hit = sip_any16(p + i, a, b, c, d);

		if (hit != 0)
			return i + (unsigned)__builtin_ctz(hit);
	}
	if (i > 0 && i < len) {
		unsigned hit = sip_any16(p + len - 16, a, b, c, d) >> (16 - (len - i));

		return hit != 0 ? i + (unsigned)__builtin_ctz(hit) : len;
	}
#endif
	for (; i < len; i++)
		if (p[i] == a || p[i] == b || p[i] == c || p[i] == d)
			break;
	return i;
}

/* Without blanks at its ends, folds included. */
static inline struct str sip_trim(struct str s)
{
	while (s.len > 0 && sip_is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && sip_is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

/* Cuts a quoted-string off the front, without its quotes (§25.1; escapes stay). false if it does not end. */
bool sip_take_quoted(struct str *s, struct str *out);
/* Cuts host [":" port] off the front: name, IPv4, or IPv6 in brackets. Blanks around the colon are allowed if `blanks`.
 */
bool sip_take_hostport(struct str *s, bool blanks, struct str *host, uint16_t *port);

#endif
