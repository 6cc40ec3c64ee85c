#include "signalling/cpim.h"

#define IMDN_NAMESPACE "<urn:ietf:params:imdn>"
#define PREFIX_MAX     16u

/* The next line, without its CRLF. */
static enum err line_next(struct str *rest, struct str *line)
{
	size_t end = str_find(*rest, '\r');

	if (end + 1 >= rest->len || rest->p[end + 1] != '\n')
		return ERR_INVALID;
	*line = str_sub(*rest, 0, end);
	for (size_t i = 0; i < line->len; i++)
		if (line->p[i] == '\0' || line->p[i] == '\n')
			return ERR_INVALID;
	*rest = str_sub(*rest, end + 2, rest->len);
	return ERR_OK;
}

static enum err field_of(struct str line, struct str *name, struct str *value)
{
	size_t colon = str_find(line, ':');

	if (colon == 0 || colon == line.len)
		return ERR_INVALID;
	*name = str_sub(line, 0, colon);
	*value = str_trim(str_sub(line, colon + 1, line.len));
	for (size_t i = 0; i < name->len; i++)
		if (name->p[i] <= ' ' || (unsigned char)name->p[i] >= 127)
			return ERR_INVALID;
	return ERR_OK;
}

static enum err once(struct str *to, struct str value)
{
	if (to->p != NULL || value.len == 0)
		return ERR_INVALID;
	*to = value;
	return ERR_OK;
}

/* Whether `name` is PREFIX.Message-ID of the namespace that `ns` ("imdn <urn…>") declares. */
static bool is_message_id(struct str name, struct str ns)
{
	struct str tail = STR(".Message-ID");

	return ns.len > 0 && ns.len <= PREFIX_MAX && name.len == ns.len + tail.len && str_starts(name, ns) &&
	       str_eq(str_sub(name, ns.len, tail.len), tail);
}

/* "imdn <urn:ietf:params:imdn>" -> imdn; empty for another namespace. */
static struct str imdn_prefix(struct str value)
{
	struct str rest = value, prefix = str_cut(&rest, ' ');

	return str_eq(str_trim(rest), STR(IMDN_NAMESPACE)) ? prefix : STR_NONE;
}

static enum err message_headers(struct str *rest, struct cpim *c)
{
	struct str line, name, value, prefix = STR_NONE;

	for (;;) {
		enum err e = line_next(rest, &line);

		if (e != ERR_OK || line.len == 0)
			return e;
		e = field_of(line, &name, &value);
		if (e == ERR_OK && str_eq(name, STR("From")))
			e = once(&c->from, value);
		else if (e == ERR_OK && str_eq(name, STR("To")))
			e = once(&c->to, value);
		else if (e == ERR_OK && str_eq(name, STR("NS")) && imdn_prefix(value).len > 0)
			prefix = imdn_prefix(value);
		else if (e == ERR_OK && is_message_id(name, prefix))
			e = once(&c->message_id, value);
		if (e != ERR_OK)
			return e;
	}
}

static enum err content_headers(struct str *rest, struct cpim *c)
{
	struct str line, name, value;

	for (;;) {
		enum err e = line_next(rest, &line);

		if (e != ERR_OK || line.len == 0)
			return e;
		e = field_of(line, &name, &value);
		if (e == ERR_OK && str_ieq(name, STR("Content-Type")))
			e = once(&c->content_type, value);
		if (e != ERR_OK)
			return e;
	}
}

enum err cpim_parse(struct str body, struct cpim *out)
{
	struct cpim c = { .from = STR_NONE };
	struct str rest = body;
	enum err e = message_headers(&rest, &c);

	if (e == ERR_OK)
		e = content_headers(&rest, &c);
	if (e != ERR_OK)
		return e;
	if (c.from.p == NULL || c.to.p == NULL || c.content_type.p == NULL)
		return ERR_INVALID;
	c.content = rest;
	*out = c;
	return ERR_OK;
}
