/* See sip_uri.h. */
#include "signalling/sip_uri.h"

#include "common/user.h"
#include "signalling/sip_char.h"

static bool escaped_ok(struct str s, unsigned bits)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '%') {
			if (i + 2 >= s.len || !sip_is(s.p[i + 1], SIP_C_HEX) || !sip_is(s.p[i + 2], SIP_C_HEX))
				return false;
			i += 2;
		} else if (!sip_is(s.p[i], bits)) {
			return false;
		}
	}
	return true;
}

/* One ";name[=value]" of a URI. */
static enum err next_param(struct str *rest, struct str *name, struct str *value)
{
	if (rest->len == 0)
		return ERR_NOT_FOUND;
	if (!sip_take_char(rest, ';'))
		return ERR_INVALID;
	struct str item = str_sub(*rest, 0, str_find(*rest, ';'));

	*rest = str_sub(*rest, item.len, rest->len);
	size_t eq = str_find(item, '=');

	*name = str_sub(item, 0, eq);
	*value = str_sub(item, eq + 1, item.len);
	if (name->len == 0 || !escaped_ok(*name, SIP_C_PARAM) || !escaped_ok(*value, SIP_C_PARAM))
		return ERR_INVALID;
	return ERR_OK;
}

#define PARAMS_MAX 24u

/* No name twice (§19.1.1): two readers would take different ones. */
static bool params_ok(struct str rest)
{
	struct str name[PARAMS_MAX], value;
	size_t n = 0;
	enum err e = ERR_OK;

	while (n < PARAMS_MAX && (e = next_param(&rest, &name[n], &value)) == ERR_OK) {
		for (size_t i = 0; i < n; i++)
			if (str_ieq(name[i], name[n]))
				return false;
		n++;
	}
	return n < PARAMS_MAX && e == ERR_NOT_FOUND;
}

static enum err parse_sip(struct str rest, struct sip_uri *u)
{
	/* '@' ends the user part; neither host, parameters nor headers hold one unescaped (§25.1). */
	size_t at = str_find(rest, '@');

	if (at < rest.len) {
		struct str userinfo = str_sub(rest, 0, at);

		rest = str_sub(rest, at + 1, rest.len);
		u->has_user = true;
		u->user = str_cut(&userinfo, ':');
		if (userinfo.p != NULL)
			u->password = userinfo;
		if (u->user.len == 0 || !escaped_ok(u->user, SIP_C_USER) || !escaped_ok(u->password, SIP_C_USER))
			return ERR_INVALID;
	}
	if (!sip_take_hostport(&rest, false, &u->host, &u->port))
		return ERR_INVALID;
	size_t question = str_find(rest, '?');

	u->params = str_sub(rest, 0, question);
	u->headers = str_sub(rest, question, rest.len);
	if (!params_ok(u->params))
		return ERR_INVALID;
	struct str h = str_sub(u->headers, 1, u->headers.len);

	while (h.len > 0) {
		struct str one = str_cut(&h, '&');
		size_t eq = str_find(one, '=');

		if (eq == 0 || eq == one.len || !escaped_ok(str_sub(one, 0, eq), SIP_C_HEADER) ||
		    !escaped_ok(str_sub(one, eq + 1, one.len), SIP_C_HEADER))
			return ERR_INVALID;
	}
	return u->headers.len == 1 ? ERR_INVALID : ERR_OK;
}

enum err sip_uri_parse(struct str text, struct sip_uri *out)
{
	struct sip_uri u = { .text = text };
	size_t colon = str_find(text, ':');
	struct str scheme = str_sub(text, 0, colon);

	if (text.len > SIP_URI_MAX)
		return ERR_TOO_LARGE;
	if (colon == 0 || colon + 1 >= text.len)
		return ERR_INVALID;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f || text.p[i] == '<' || text.p[i] == '>' ||
		    text.p[i] == '"')
			return ERR_INVALID;
	if (!sip_all(scheme, SIP_C_HOST) && !sip_all(scheme, SIP_C_TOKEN))
		return ERR_INVALID;
	u.scheme = str_ieq(scheme, STR("sip"))    ? SIP_SCHEME_SIP
		   : str_ieq(scheme, STR("sips")) ? SIP_SCHEME_SIPS
		   : str_ieq(scheme, STR("tel"))  ? SIP_SCHEME_TEL
						  : SIP_SCHEME_OTHER;
	if (u.scheme == SIP_SCHEME_SIP || u.scheme == SIP_SCHEME_SIPS) {
		enum err e = parse_sip(str_sub(text, colon + 1, text.len), &u);

		if (e != ERR_OK)
			return e;
	}
	*out = u;
	return ERR_OK;
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
