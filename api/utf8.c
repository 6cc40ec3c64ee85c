#include "api/utf8.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

struct range {
	uint32_t first, last;
};

static bool in(const struct range *set, size_t count, uint32_t cp)
{
	for (size_t i = 0; i < count; i++) {
		if (cp >= set[i].first && cp <= set[i].last)
			return true;
	}
	return false;
}

enum err utf8_next(struct str *s, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s->p;

	if (s->len == 0)
		return ERR_INVALID;
	size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (n == 0 || n > s->len)
		return ERR_INVALID;
	uint32_t v = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return ERR_INVALID;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return ERR_INVALID;
	*s = str_sub(*s, n, s->len);
	*cp = v;
	return ERR_OK;
}

void utf8_put(struct buf *to, uint32_t cp)
{
	if (cp < 0x80) {
		buf_char(to, (char)cp);
	} else if (cp < 0x800) {
		buf_char(to, (char)(0xc0 | cp >> 6));
		buf_char(to, (char)(0x80 | (cp & 0x3f)));
	} else if (cp < 0x10000) {
		buf_char(to, (char)(0xe0 | cp >> 12));
		buf_char(to, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_char(to, (char)(0x80 | (cp & 0x3f)));
	} else {
		buf_char(to, (char)(0xf0 | cp >> 18));
		buf_char(to, (char)(0x80 | (cp >> 12 & 0x3f)));
		buf_char(to, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_char(to, (char)(0x80 | (cp & 0x3f)));
	}
}

size_t utf8_length(struct str s)
{
	size_t n = 0;
	uint32_t cp;

	while (s.len > 0) {
		if (utf8_next(&s, &cp) != ERR_OK)
			return SIZE_MAX;
		n++;
	}
	return n;
}

bool utf8_printable(uint32_t cp)
{
	static const struct range hidden[] = {
		{ 0x00, 0x1f },         /* C0 */
		{ 0x7f, 0x9f },         /* DEL, C1 */
		{ 0xad, 0xad },         /* soft hyphen */
		{ 0x34f, 0x34f },       /* combining grapheme joiner */
		{ 0x61c, 0x61c },       /* Arabic letter mark */
		{ 0x115f, 0x1160 },     /* Hangul fillers */
		{ 0x17b4, 0x17b5 },     /* Khmer inherent vowels */
		{ 0x180b, 0x180f },     /* Mongolian selectors */
		{ 0x200b, 0x200b },     /* zero width space */
		{ 0x200e, 0x200f },     /* direction marks */
		{ 0x2028, 0x202e },     /* separators, embeddings and overrides */
		{ 0x2060, 0x206f },     /* invisible operators, isolates */
		{ 0x3164, 0x3164 },     /* Hangul filler */
		{ 0xd800, 0xf8ff },     /* surrogates, private use */
		{ 0xfdd0, 0xfdef },     /* noncharacters */
		{ 0xfeff, 0xfeff },     /* byte order mark */
		{ 0xffa0, 0xffa0 },     /* half-width Hangul filler */
		{ 0xfff0, 0xfffb },     /* specials */
		{ 0x1bca0, 0x1bca3 },   /* shorthand controls */
		{ 0x1d173, 0x1d17a },   /* musical controls */
		{ 0xe0000, 0x10ffff },  /* tags, private use */
	};

	return !in(hidden, ARRAY_LEN(hidden), cp) && (cp & 0xfffe) != 0xfffe;
}

bool utf8_mark(uint32_t cp)
{
	static const struct range marks[] = {
		{ 0x300, 0x36f },   { 0x483, 0x489 },   { 0x591, 0x5bd },   { 0x610, 0x61a },   { 0x64b, 0x65f },
		{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe20, 0xfe2f }, { 0x200c, 0x200d },
		{ 0xfe00, 0xfe0f },
	};

	return in(marks, ARRAY_LEN(marks), cp);
}

bool utf8_blank(uint32_t cp)
{
	static const struct range blanks[] = {
		{ ' ', ' ' },       { 0xa0, 0xa0 },     { 0x1680, 0x1680 }, { 0x2000, 0x200a },
		{ 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x2800, 0x2800 }, { 0x3000, 0x3000 },
	};

	return in(blanks, ARRAY_LEN(blanks), cp);
}

static locale_t unicode;

static void make_locale(void)
{
	unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

void utf8_fold(struct str s, struct buf *to)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint32_t cp;

	(void)pthread_once(&once, make_locale);
	while (s.len > 0) {
		if (utf8_next(&s, &cp) != ERR_OK) {
			s = str_sub(s, 1, s.len);
			continue;
		}
		if (unicode != (locale_t)0)
			cp = (uint32_t)towlower_l((wint_t)cp, unicode);
		else if (cp >= 'A' && cp <= 'Z')
			cp += 'a' - 'A';
		utf8_put(to, cp);
	}
}
