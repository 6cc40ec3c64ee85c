/* See sip_char.h. The table is spelt by ranges, so that it can be read against the RFC. */
#include "signalling/sip_char.h"

#define VALUE  (SIP_C_VALUE | SIP_C_URI)
#define TOKEN  (SIP_C_TOKEN | VALUE)
#define ALNUM  (TOKEN | SIP_C_USER | SIP_C_PARAM | SIP_C_HEADER | SIP_C_HOST | SIP_C_WORD)
#define MARK   (SIP_C_USER | SIP_C_PARAM | SIP_C_HEADER | SIP_C_URI) /* every unreserved mark */

const uint16_t sip_char[256] = {
	['0' ... '9'] = ALNUM | SIP_C_HEX | SIP_C_DIGIT,
	['A' ... 'F'] = ALNUM | SIP_C_HEX,
	['G' ... 'Z'] = ALNUM,
	['a' ... 'f'] = ALNUM | SIP_C_HEX,
	['g' ... 'z'] = ALNUM,
	['-'] = TOKEN | MARK | SIP_C_HOST | SIP_C_WORD,
	['.'] = TOKEN | MARK | SIP_C_HOST | SIP_C_WORD,
	['!'] = TOKEN | MARK | SIP_C_WORD,
	['~'] = TOKEN | MARK | SIP_C_WORD,
	['*'] = TOKEN | MARK | SIP_C_WORD,
	['\''] = TOKEN | MARK | SIP_C_WORD,
	['_'] = TOKEN | MARK | SIP_C_WORD,
	['('] = MARK | SIP_C_WORD | SIP_C_URI,
	[')'] = MARK | SIP_C_WORD | SIP_C_URI,
	['%'] = TOKEN | SIP_C_WORD,
	['`'] = TOKEN | SIP_C_WORD,
	['+'] = TOKEN | SIP_C_USER | SIP_C_PARAM | SIP_C_HEADER | SIP_C_WORD,
	['$'] = SIP_C_USER | SIP_C_PARAM | SIP_C_HEADER | SIP_C_URI,
	['/'] = SIP_C_USER | SIP_C_PARAM | SIP_C_HEADER | SIP_C_WORD | SIP_C_URI,
	['?'] = SIP_C_USER | SIP_C_HEADER | SIP_C_WORD | SIP_C_URI,
	[':'] = SIP_C_PARAM | SIP_C_HEADER | SIP_C_WORD | VALUE,
	['['] = SIP_C_PARAM | SIP_C_HEADER | SIP_C_WORD | VALUE,
	[']'] = SIP_C_PARAM | SIP_C_HEADER | SIP_C_WORD | VALUE,
	['&'] = SIP_C_USER | SIP_C_PARAM | SIP_C_URI,
	['='] = SIP_C_USER | SIP_C_URI,
	[','] = SIP_C_USER | SIP_C_URI,
	[';'] = SIP_C_USER | SIP_C_URI,
	['<'] = SIP_C_WORD,
	['>'] = SIP_C_WORD,
	['\\'] = SIP_C_WORD | SIP_C_URI,
	['"'] = SIP_C_WORD,
	['{'] = SIP_C_WORD | SIP_C_URI,
	['}'] = SIP_C_WORD | SIP_C_URI,
	['@'] = SIP_C_URI,
	['#'] = SIP_C_URI,
	['^'] = SIP_C_URI,
	['|'] = SIP_C_URI,
	[0x80 ... 0xff] = SIP_C_URI,
};

__attribute__((aligned(16))) uint8_t sip_nibble[SIP_CLASSES][16];

__attribute__((constructor)) static void fill_nibbles(void)
{
	for (unsigned c = 0; c < 128; c++)
		for (unsigned k = 0; k < SIP_CLASSES; k++)
			if ((sip_char[c] >> k & 1) != 0)
				sip_nibble[k][c & 15] |= (uint8_t)(1u << (c >> 4));
}

bool sip_take_quoted(struct str *s, struct str *out)
{
	if (s->len == 0 || s->p[0] != '"')
		return false;
	for (size_t i = 1; i < s->len; i++) {
		if (s->p[i] == '\\') {
			/* quoted-pair: anything but CR and LF */
			if (i + 1 >= s->len || s->p[i + 1] == '\r' || s->p[i + 1] == '\n')
				return false;
			i++;
		} else if (s->p[i] == '"') {
			*out = (struct str){ s->p + 1, i - 1 };
			s->p += i + 1;
			s->len -= i + 1;
			return true;
		}
	}
	return false;
}

static bool take_host(struct str *s, struct str *host)
{
	if (s->len > 0 && s->p[0] == '[') {
		size_t end = str_find(*s, ']');

		if (end == s->len || end < 3)
			return false;
		for (size_t i = 1; i < end; i++)
			if (!sip_is(s->p[i], SIP_C_HEX) && s->p[i] != ':' && s->p[i] != '.')
				return false;
		*host = (struct str){ s->p, end + 1 };
		s->p += end + 1;
		s->len -= end + 1;
		return true;
	}
	*host = sip_take(s, SIP_C_HOST);
	return host->len > 0;
}

bool sip_take_hostport(struct str *s, bool blanks, struct str *host, uint16_t *port)
{
	uint64_t number = 0;

	if (!take_host(s, host))
		return false;
	struct str after = *s;

	if (blanks)
		sip_skip_blanks(&after);
	if (sip_take_char(&after, ':')) {
		if (blanks)
			sip_skip_blanks(&after);
		/* Port 0 is no place to send to, and would be taken for none. */
		if (str_to_u64(sip_take(&after, SIP_C_DIGIT), UINT16_MAX, &number) != ERR_OK || number == 0)
			return false;
		*s = after;
	}
	*port = (uint16_t)number;
	return true;
}
