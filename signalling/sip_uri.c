/* See sip_uri.h. */
#include "signalling/sip_uri.h"

#include "common/user.h"
#include "signalling/sip_char.h"

/* Behind the longest run of `bits` and %HH from p on. */
static const char *span(const char *p, const char *end, unsigned bits)
{
	for (;;) {
		p += sip_run(p, (size_t)(end - p), bits);
		if (end - p < 3 || *p != '%' || !sip_is(p[1], SIP_C_HEX) || !sip_is(p[2], SIP_C_HEX))
			return p;
		p += 3;
	}
}

/* One ";name[=value]" of a URI; what follows it is for the next call. */
static enum err next_param(struct str *rest, struct str *name, struct str *value)
{
	if (rest->len == 0)
		return ERR_NOT_FOUND; /* perhaps NULL */
	const char *p = rest->p, *end = p + rest->len;

	if (*p != ';')
		return ERR_INVALID;
	const char *to = span(p + 1, end, SIP_C_PARAM);

	*name = (struct str){ p + 1, (size_t)(to - p - 1) };
	*value = (struct str){ to, 0 };
	if (to < end && *to == '=') {
		p = to + 1;
		to = span(p, end, SIP_C_PARAM);
		*value = (struct str){ p, (size_t)(to - p) };
	}
	*rest = (struct str){ to, (size_t)(end - to) };
	return name->len > 0 ? ERR_OK : ERR_INVALID;
}

#define PARAMS_MAX 24u

/* All that ends before '?' or the end. No name twice (§19.1.1): two readers would take different ones. */
static bool take_params(struct str *rest, struct str *params)
{
	struct str name[PARAMS_MAX], value;
	const char *from = rest->p;
	size_t n = 0;

	while (rest->len > 0 && rest->p[0] != '?') {
		if (n == PARAMS_MAX || next_param(rest, &name[n], &value) != ERR_OK)
			return false;
		for (size_t i = 0; i < n; i++)
			if (str_ieq(name[i], name[n]))
				return false;
		n++;
	}
	*params = (struct str){ from, (size_t)(rest->p - from) };
	return true;
}

/* "?name=value&…" to the end, or nothing. */
static bool headers_ok(const char *p, const char *end)
{
	if (p == end)
		return true;
	do {
		const char *name = p + 1;

		p = span(name, end, SIP_C_HEADER);
		if (p == name || p == end || *p != '=')
			return false;
		p = span(p + 1, end, SIP_C_HEADER);
	} while (end - p > 1 && *p == '&');
	return p == end;
}

static enum err parse_sip(struct str rest, struct sip_uri *u)
{
	const char *p = rest.p, *end = p + rest.len, *user = span(p, end, SIP_C_USER);
	const char *at = user < end && *user == ':' ? span(user + 1, end, SIP_C_USER) : user;

	/* '@' ends the user part; neither host, parameters nor headers hold one unescaped (§25.1). */
	if (at < end && *at == '@') {
		u->has_user = true;
		u->user = (struct str){ p, (size_t)(user - p) };
		if (at > user)
			u->password = (struct str){ user + 1, (size_t)(at - user - 1) };
		rest = (struct str){ at + 1, (size_t)(end - at - 1) };
		if (u->user.len == 0)
			return ERR_INVALID;
	}
	if (!sip_take_hostport(&rest, false, &u->host, &u->port) || !take_params(&rest, &u->params))
		return ERR_INVALID;
	u->headers = rest;
	return headers_ok(rest.p, end) ? ERR_OK : ERR_INVALID;
}

/* scheme = ALPHA *(ALPHA / DIGIT / "+" / "-" / "."), with its ':'. */
static enum err take_scheme(struct str *rest, enum sip_scheme *out)
{
	struct str name = { rest->p, 0 };

	while (name.len < rest->len && (sip_is(rest->p[name.len], SIP_C_HOST) || rest->p[name.len] == '+'))
		name.len++;
	*rest = str_sub(*rest, name.len, rest->len);
	if (name.len == 0 || (unsigned)((name.p[0] | 0x20) - 'a') > 25 || !sip_take_char(rest, ':'))
		return ERR_INVALID;
	*out = str_ieq(name, STR("sip"))    ? SIP_SCHEME_SIP
	       : str_ieq(name, STR("sips")) ? SIP_SCHEME_SIPS
	       : str_ieq(name, STR("tel"))  ? SIP_SCHEME_TEL
					    : SIP_SCHEME_OTHER;
	return ERR_OK;
}

enum err sip_uri_parse(struct str text, struct sip_uri *out)
{
	struct sip_uri u = { .text = text };
	struct str rest = text;
	enum err e = ERR_OK;

	if (text.len > SIP_URI_MAX)
		return ERR_TOO_LARGE;
	if (text.len > 4 && memcmp(text.p, "sip:", 4) == 0)
		rest = (struct str){ text.p + 4, text.len - 4 };
	else
		e = take_scheme(&rest, &u.scheme);
	if (e != ERR_OK || rest.len == 0)
		return ERR_INVALID;
	if (u.scheme == SIP_SCHEME_SIP || u.scheme == SIP_SCHEME_SIPS)
		e = parse_sip(rest, &u);
	else if (!sip_all(rest, SIP_C_URI))
		e = ERR_INVALID;
	if (e == ERR_OK)
		*out = u;
	return e;
}

bool sip_uri_param(const struct sip_uri *u, struct str name, struct str *value)
{
	struct str rest = u->params, key, v;

	while (next_param(&rest, &key, &v) == ERR_OK) {
		if (str_ieq(key, name)) {
			*value = v;
			return true;
		}
	}
	return false;
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Next character with %HH undone; -1 at the end. */
static int next_char(struct str *s)
{
	if (s->len == 0)
		return -1;
	int c = (unsigned char)s->p[0];
	size_t used = 1;

	if (c == '%' && s->len >= 3) {
		c = hex(s->p[1]) * 16 + hex(s->p[2]);
		used = 3;
	}
	*s = str_sub(*s, used, s->len);
	return c;
}

static int lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static bool equal_unescaped(struct str a, struct str b, bool fold)
{
	int x, y;

	do {
		x = next_char(&a);
		y = next_char(&b);
		if (fold) {
			x = lower(x);
			y = lower(y);
		}
	} while (x == y && x >= 0);
	return x == y;
}

/* §19.1.4: user, ttl, method, maddr and transport must match even if only one URI has them; any other counts only if
 * both have it. */
static bool params_match(const struct sip_uri *a, const struct sip_uri *b)
{
	static const struct str counts[] = {
		{ "user", 4 }, { "ttl", 3 }, { "method", 6 }, { "maddr", 5 }, { "transport", 9 }
	};
	struct str rest = a->params, name, value, other;

	while (next_param(&rest, &name, &value) == ERR_OK)
		if (sip_uri_param(b, name, &other) && !equal_unescaped(value, other, true))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		if (sip_uri_param(a, counts[i], &value) != sip_uri_param(b, counts[i], &other))
			return false;
	return true;
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
	if (a->scheme != b->scheme)
		return false;
	if (a->scheme != SIP_SCHEME_SIP && a->scheme != SIP_SCHEME_SIPS)
		return str_ieq(a->text, b->text);
	return a->has_user == b->has_user && equal_unescaped(a->user, b->user, false) &&
	       equal_unescaped(a->password, b->password, false) && str_ieq(a->host, b->host) && a->port == b->port &&
	       params_match(a, b) && str_eq(a->headers, b->headers);
}

enum err sip_uri_user_name(const struct sip_uri *u, struct str domain, char *name, size_t size)
{
	char mem[USER_NAME_SIZE];
	struct buf b = buf_fixed(mem, sizeof(mem) - 1);
	struct str user = str_sub(u->user, 0, str_find(u->user, ';'));
	int c;

	if ((u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS) || !str_ieq(u->host, domain))
		return ERR_NOT_FOUND;
	while ((c = next_char(&user)) >= 0)
		buf_char(&b, (char)c);
	if (b.overflow || !user_name_valid(buf_view(&b)))
		return ERR_INVALID;
	return str_copy(buf_view(&b), name, size);
}

bool sip_uri_gruu(const struct sip_uri *u, struct str *instance)
{
	return sip_uri_param(u, STR("gr"), instance);
}
