/* Typed values of SIP headers, parsed when asked for (RFC 3261 §20, §25.1). Strict: ERR_INVALID rather than half a
 * value. */
#include "signalling/sip_char.h"
#include "signalling/sip_msg.h"
#include "signalling/sip_uri.h"

/* --- lists ------------------------------------------------------------------------------------ */

/* Length of the first element of a comma list: up to a comma outside quotes and <>. */
static size_t element_len(struct str s)
{
	bool angle = false;

	for (size_t i = 0;; i++) {
		i += sip_find_any(s.p + i, s.len - i, '"', '<', '>', ',');
		if (i >= s.len)
			return s.len;
		char c = s.p[i];

		if (c == ',' && !angle)
			return i;
		if (c == '"' && !angle) {
			/* to its end; an escaped character does not end it */
			for (i++; i < s.len && s.p[i] != '"'; i++)
				if (s.p[i] == '\\')
					i++;
			if (i >= s.len)
				return s.len;
		} else if (c != '"' && c != ',') {
			angle = c == '<';
		}
	}
}

bool sip_comma_next(struct str *rest, struct str *value)
{
	while (rest->p != NULL) {
		size_t len = element_len(*rest);

		*value = sip_trim((struct str){ rest->p, len });
		*rest = len < rest->len ? (struct str){ rest->p + len + 1, rest->len - len - 1 } : STR_NONE;
		if (value->len > 0)
			return true;
	}
	return false;
}

struct sip_list sip_list(const struct sip_msg *m, enum sip_hdr h)
{
	const struct sip_field *f = sip_msg_first(m, h);

	return (struct sip_list){ m, f, f != NULL ? sip_field_value(m, f) : STR_NONE };
}

bool sip_list_next(struct sip_list *it, struct str *value)
{
	while (it->f != NULL) {
		if (sip_comma_next(&it->rest, value))
			return true;
		it->f = sip_msg_next(it->m, it->f);
		if (it->f != NULL)
			it->rest = sip_field_value(it->m, it->f);
	}
	return false;
}

bool sip_list_has(const struct sip_msg *m, enum sip_hdr h, struct str token)
{
	struct sip_list it = sip_list(m, h);
	struct str v;

	while (sip_list_next(&it, &v))
		if (str_ieq(sip_trim(str_sub(v, 0, str_find(v, ';'))), token))
			return true;
	return false;
}

/* --- parameters ------------------------------------------------------------------------------- */

/* gen-value: token, host (IPv6 too), or quoted-string with its quotes on. */
static bool take_param_value(struct str *s, struct str *value)
{
	const char *from = s->p;
	struct str inner;

	if (s->len > 0 && s->p[0] == '"') {
		if (!sip_take_quoted(s, &inner))
			return false;
	} else {
		(void)sip_take(s, SIP_C_VALUE);
	}
	*value = (struct str){ from, (size_t)(s->p - from) };
	return value->len > 0;
}

/* Cuts one `;name[=value]` off the front. ERR_NOT_FOUND at the end, ERR_INVALID on anything else. */
static enum err next_param(struct str *rest, struct str *name, struct str *value)
{
	sip_skip_blanks(rest);
	if (rest->len == 0)
		return ERR_NOT_FOUND;
	if (!sip_take_char(rest, ';'))
		return ERR_INVALID;
	sip_skip_blanks(rest);
	*name = sip_take(rest, SIP_C_TOKEN);
	if (name->len == 0)
		return ERR_INVALID;
	sip_skip_blanks(rest);
	*value = (struct str){ name->p + name->len, 0 };
	if (!sip_take_char(rest, '='))
		return ERR_OK;
	sip_skip_blanks(rest);
	return take_param_value(rest, value) ? ERR_OK : ERR_INVALID;
}

bool sip_param(struct str params, struct str name, struct str *value)
{
	struct str key, v;
	enum err e;

	params = str_sub(params, str_find(params, ';'), params.len);
	while ((e = next_param(&params, &key, &v)) == ERR_OK) {
		if (str_ieq(key, name)) {
			*value = v;
			return true;
		}
	}
	return false;
}

/* Walks all parameters: the grammar must hold, and `name` may occur once at most (two would be read differently by two
 * parsers). */
static enum err check_params(struct str params, struct str name, struct str *value)
{
	struct str key, v;
	bool seen = false;
	enum err e;

	*value = (struct str){ params.p, 0 };
	while ((e = next_param(&params, &key, &v)) == ERR_OK) {
		if (!str_ieq(key, name))
			continue;
		if (seen)
			return ERR_INVALID;
		seen = true;
		*value = v;
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* --- addresses -------------------------------------------------------------------------------- */

/* Up to '<': quoted-string, or tokens with blanks, or nothing. */
static bool take_display(struct str *s, struct str *display)
{
	if (s->len > 0 && s->p[0] == '"') {
		if (!sip_take_quoted(s, display))
			return false;
		sip_skip_blanks(s);
		return s->len > 0 && s->p[0] == '<';
	}
	struct str name = sip_trim((struct str){ s->p, str_find(*s, '<') });

	for (size_t i = 0; i < name.len; i++)
		/* UTF-8 outside quotes is no token, but names of people come like this. */
		if (!sip_is(name.p[i], SIP_C_TOKEN) && !sip_is_blank(name.p[i]) && (unsigned char)name.p[i] < 0x80)
			return false;
	*display = name;
	*s = str_sub(*s, str_find(*s, '<'), s->len);
	return true;
}

/* Apart from what the URI may hold. */
static enum err addr_split(struct str value, struct sip_addr *out)
{
	struct sip_addr a = { 0 };
	struct str s = sip_trim(value);
	size_t mark = sip_find_any(s.p, s.len, '<', ';', '"', '<');

	/* A '<' in a parameter of an addr-spec can only be inside quotes; a display name never has a ';' outside them.
	 */
	if (mark < s.len && (s.p[mark] == '<' || (mark == 0 && s.p[0] == '"'))) {
		a.display = (struct str){ s.p, 0 };
		if ((s.p[0] != '<' && !take_display(&s, &a.display)) || !sip_take_char(&s, '<'))
			return ERR_INVALID;
		size_t end = str_find(s, '>');

		if (end == s.len)
			return ERR_INVALID;
		a.uri = (struct str){ s.p, end };
		s = (struct str){ s.p + end + 1, s.len - end - 1 };
		a.brackets = true;
	} else {
		/* addr-spec: all that follows ';' is a header parameter; '?' and ',' would need brackets (§20). */
		size_t semi = str_find(s, ';');

		a.uri = sip_trim((struct str){ s.p, semi });
		s = str_sub(s, semi, s.len);
		if (sip_find_any(a.uri.p, a.uri.len, '?', ',', '?', ',') < a.uri.len)
			return ERR_INVALID;
	}
	if (a.uri.len == 0)
		return ERR_INVALID;
	a.params = sip_trim(s);
	if (check_params(a.params, STR("tag"), &a.tag) != ERR_OK)
		return ERR_INVALID;
	*out = a;
	return ERR_OK;
}

enum err sip_addr_parse(struct str value, struct sip_addr *out)
{
	struct sip_addr a;

	if (addr_split(value, &a) != ERR_OK || !sip_all(a.uri, SIP_C_URI))
		return ERR_INVALID;
	*out = a;
	return ERR_OK;
}

enum err sip_addr_uri_parse(struct str value, struct sip_addr *out, struct sip_uri *uri)
{
	struct sip_addr a;

	/* The URI's own grammar says what it may hold. */
	if (addr_split(value, &a) != ERR_OK)
		return ERR_INVALID;
	enum err e = sip_uri_parse(a.uri, uri);

	if (e == ERR_OK)
		*out = a;
	return e;
}

/* The value that the accessors below read. */
static bool first_value(const struct sip_msg *m, enum sip_hdr h, struct str *v)
{
	if (h == SIP_H_FROM || h == SIP_H_TO) {
		*v = sip_msg_value(m, h);
		return v->p != NULL;
	}
	struct sip_list it = sip_list(m, h);

	return sip_list_next(&it, v);
}

enum err sip_msg_addr(const struct sip_msg *m, enum sip_hdr h, struct sip_addr *out)
{
	struct str v;

	return first_value(m, h, &v) ? sip_addr_parse(v, out) : ERR_NOT_FOUND;
}

enum err sip_msg_addr_uri(const struct sip_msg *m, enum sip_hdr h, struct sip_addr *out, struct sip_uri *uri)
{
	struct str v;

	return first_value(m, h, &v) ? sip_addr_uri_parse(v, out, uri) : ERR_NOT_FOUND;
}

/* --- Via, CSeq, numbers ----------------------------------------------------------------------- */

static bool take_slash(struct str *s)
{
	sip_skip_blanks(s);
	bool got = sip_take_char(s, '/');

	sip_skip_blanks(s);
	return got;
}

enum err sip_via_parse(struct str value, struct sip_via *out)
{
	struct sip_via v = { 0 };
	struct str s = sip_trim(value);

	/* As everybody writes it, or with blanks. */
	if (s.len > 8 && memcmp(s.p, "SIP/2.0/", 8) == 0) {
		s = (struct str){ s.p + 8, s.len - 8 };
		sip_skip_blanks(&s);
	} else if (!str_ieq(sip_take(&s, SIP_C_TOKEN), STR("SIP")) || !take_slash(&s) ||
		   !str_eq(sip_take(&s, SIP_C_TOKEN), STR("2.0")) || !take_slash(&s)) {
		return ERR_INVALID;
	}
	v.transport = sip_take(&s, SIP_C_TOKEN);
	if (v.transport.len == 0 || s.len == 0 || !sip_is_blank(s.p[0]))
		return ERR_INVALID;
	sip_skip_blanks(&s);
	const char *from = s.p;

	if (!sip_take_hostport(&s, true, &v.host, &v.port))
		return ERR_INVALID;
	v.sent_by = (struct str){ from, (size_t)(s.p - from) };
	v.params = sip_trim(s);
	if (check_params(v.params, STR("branch"), &v.branch) != ERR_OK)
		return ERR_INVALID;
	*out = v;
	return ERR_OK;
}

enum err sip_msg_via(const struct sip_msg *m, struct sip_via *out)
{
	struct sip_list it = sip_list(m, SIP_H_VIA);
	struct str v;

	return sip_list_next(&it, &v) ? sip_via_parse(v, out) : ERR_NOT_FOUND;
}

enum err sip_cseq_parse(struct str value, struct sip_cseq *out)
{
	struct str s = sip_trim(value);
	uint64_t n;

	/* §8.1.1.5: less than 2^31. */
	if (str_to_u64(sip_take(&s, SIP_C_DIGIT), INT32_MAX, &n) != ERR_OK || s.len == 0 || !sip_is_blank(s.p[0]))
		return ERR_INVALID;
	sip_skip_blanks(&s);
	struct str method = sip_take(&s, SIP_C_TOKEN);

	if (method.len == 0 || s.len != 0)
		return ERR_INVALID;
	*out = (struct sip_cseq){ (uint32_t)n, sip_method_from(method), method };
	return ERR_OK;
}

enum err sip_msg_number(const struct sip_msg *m, enum sip_hdr h, uint32_t max, uint32_t *out)
{
	struct str v = sip_msg_value(m, h);
	uint64_t n;

	if (v.p == NULL)
		return ERR_NOT_FOUND;
	if (h == SIP_H_SESSION_EXPIRES || h == SIP_H_MIN_SE || h == SIP_H_RETRY_AFTER) {
		struct str number = sip_take(&v, SIP_C_DIGIT);

		sip_skip_blanks(&v);
		if (v.len > 0 && v.p[0] != ';' && !(h == SIP_H_RETRY_AFTER && v.p[0] == '('))
			return ERR_INVALID;
		v = number;
	}
	enum err e = str_to_u64(v, max, &n);

	if (e == ERR_OK)
		*out = (uint32_t)n;
	return e;
}

/* --- single-purpose headers ------------------------------------------------------------------- */

static bool session_uuid(struct str s)
{
	if (s.len != 32)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!sip_is(s.p[i], SIP_C_HEX) || (s.p[i] >= 'A' && s.p[i] <= 'F'))
			return false;
	return true;
}

enum err sip_msg_session_id(const struct sip_msg *m, struct sip_session_id *out)
{
	struct str v = sip_msg_value(m, SIP_H_SESSION_ID);
	struct sip_session_id id = { 0 };

	if (v.p == NULL)
		return ERR_NOT_FOUND;
	id.local = sip_take(&v, SIP_C_TOKEN);
	id.remote = (struct str){ id.local.p + id.local.len, 0 };
	if (!session_uuid(id.local))
		return ERR_INVALID;
	if (sip_param(v, STR("remote"), &id.remote) && !session_uuid(id.remote))
		return ERR_INVALID;
	*out = id;
	return ERR_OK;
}

unsigned sip_msg_reason_cause(const struct sip_msg *m)
{
	struct sip_list it = sip_list(m, SIP_H_REASON);
	struct str v, cause;
	uint64_t n;

	while (sip_list_next(&it, &v)) {
		struct str protocol = sip_take(&v, SIP_C_TOKEN);

		if (str_ieq(protocol, STR("SIP")) && sip_param(v, STR("cause"), &cause) &&
		    str_to_u64(cause, 699, &n) == ERR_OK)
			return (unsigned)n;
	}
	return 0;
}

struct str sip_msg_token(const struct sip_msg *m, enum sip_hdr h)
{
	struct str v = sip_msg_value(m, h);

	return v.p == NULL ? v : sip_trim(str_sub(v, 0, str_find(v, ';')));
}

/* Behind the next "m=" at the front of a line, NULL if there is none. */
static const char *next_media(const char *p, const char *end)
{
#ifdef __SSSE3__
	const __m128i nl = _mm_set1_epi8('\n'), m = _mm_set1_epi8('m'), fold = _mm_set1_epi8(0x20);

	for (; end - p > 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i w = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)(p + 1)), fold);
		unsigned hit = (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(v, nl), _mm_cmpeq_epi8(w, m)));

		for (; hit != 0; hit &= hit - 1) {
			const char *at = p + __builtin_ctz(hit) + 2;

			if (at < end && *at == '=')
				return at + 1;
		}
	}
#endif
	for (; end - p > 2; p++)
		if (p[0] == '\n' && (p[1] | 0x20) == 'm' && p[2] == '=')
			return p + 3;
	return NULL;
}

bool sip_body_has_video(const struct sip_msg *m)
{
	const char *end = m->body.p + m->body.len, *p = m->body.len > 1 ? m->body.p : end;
	uint64_t n;

	/* The body follows an empty line: the search finds an "m=" that comes first, too. */
	p = p < end ? next_media(p - 1, end) : NULL;
	for (; p != NULL; p = next_media(p, end)) {
		struct str line = { p, (size_t)(end - p) };

		if (line.len < 6 || !str_ieq((struct str){ p, 6 }, STR("video ")))
			continue;
		line = (struct str){ p + 6, line.len - 6 };
		/* A port that is no number is video as well: better refused once too often. */
		if (str_to_u64(sip_take(&line, SIP_C_DIGIT), UINT16_MAX, &n) != ERR_OK || n != 0)
			return true;
	}
	return false;
}
