#include "api/input.h"

#include <stdio.h>

#include "common/crypto.h"

/* Counts brackets outside of strings before the parser recurses over them. */
static bool too_deep(struct str s)
{
	size_t depth = 0;
	bool text = false;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				text = false;
		} else if (c == '"') {
			text = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

enum err input_parse(struct str body, json_t **out, char *why, size_t why_size)
{
	json_error_t error;

	if (too_deep(body)) {
		(void)snprintf(why, why_size, "nested deeper than %u levels", JSON_DEPTH_MAX);
		return ERR_INVALID;
	}
	json_t *doc = json_loadb(body.p != NULL ? body.p : "", body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (doc == NULL) {
		(void)snprintf(why, why_size, "line %d, column %d", error.line, error.column);
		return ERR_INVALID;
	}
	if (!json_is_object(doc)) {
		json_decref(doc);
		(void)snprintf(why, why_size, "must be an object");
		return ERR_UNSUPPORTED;
	}
	*out = doc;
	return ERR_OK;
}

/* JSON pointers (RFC 6901 §3) escape two characters; names that came from outside are cut to a sane length. */
static void add_error(json_t *errors, const char *name, const char *detail)
{
	char pointer[160];
	struct buf b = buf_fixed(pointer, sizeof(pointer) - 1);

	buf_char(&b, '/');
	for (size_t i = 0; name[i] != '\0' && i < 64; i++) {
		if (name[i] == '~')
			buf_z(&b, "~0");
		else if (name[i] == '/')
			buf_z(&b, "~1");
		else
			buf_char(&b, name[i]);
	}
	/* A cut inside of a UTF-8 sequence would not be text any more. */
	while (b.len > 1 && strlen(name) > 64 && ((unsigned char)b.p[b.len - 1] & 0x80) != 0)
		b.len--;
	pointer[b.len] = '\0';
	(void)json_array_append_new(errors, json_pack("{s:s, s:s}", "pointer", pointer, "detail", detail));
}

static const char *read_perms(const json_t *value, struct input_perms *out)
{
	struct input_perms got = { .given = true };

	if (!json_is_array(value))
		return "must be a list of permission names";
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *one = json_array_get(value, i);
		enum perm p;

		if (!json_is_string(one) || perm_from(str_of(json_string_value(one), json_string_length(one)), &p) != ERR_OK)
			return "holds a name that is not a permission";
		got.set |= 1u << p;
	}
	*out = got;
	return NULL;
}

static const char *read_field(const struct field *f, const json_t *value, void *into)
{
	void *at = (char *)into + f->offset;

	if (f->type == INPUT_PERMS)
		return read_perms(value, at);
	if (!json_is_string(value))
		return "must be a text";
	struct str text = str_of(json_string_value(value), json_string_length(value));
	const char *wrong = f->check != NULL ? f->check(text) : NULL;
	if (wrong == NULL)
		*(struct str *)at = text;
	return wrong;
}

static const struct field *field_named(const struct field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

bool input_read(struct req *r, const struct field *fields, size_t count, void *into)
{
	json_t *errors = json_array(), *value;
	const char *name;

	for (size_t i = 0; i < count; i++) {
		if (fields[i].required && json_object_get(r->body, fields[i].name) == NULL)
			add_error(errors, fields[i].name, "is missing");
	}
	json_object_foreach(r->body, name, value) {
		const struct field *f = field_named(fields, count, name);
		const char *wrong = f != NULL ? read_field(f, value, into) : "is not a field of this resource";

		if (wrong != NULL && json_array_size(errors) < 16)
			add_error(errors, name, wrong);
	}
	if (json_array_size(errors) == 0) {
		json_decref(errors);
		return true;
	}
	(void)problem_fields(r, errors);
	return false;
}

static bool bad_parameter(struct req *r, const char *name, const char *detail)
{
	char pointer[64];

	/* Not a JSON pointer into the body: RFC 9457 leaves room, and "?name" cannot be mistaken for one. */
	(void)snprintf(pointer, sizeof(pointer), "?%s", name);
	(void)problem_field(r, pointer, detail);
	return false;
}

bool input_query(struct req *r, const char *name, input_check check, char *mem, size_t size, struct str *out)
{
	struct buf b = buf_fixed(mem, size);
	enum err e = http_query(r->http->query, str_from(name), &b);

	if (e == ERR_NOT_FOUND) {
		*out = STR_NONE;
		return true;
	}
	if (e != ERR_OK)
		return bad_parameter(r, name, e == ERR_TOO_LARGE ? "is too long" : "is not valid");
	const char *wrong = check != NULL ? check(buf_view(&b)) : NULL;
	if (wrong != NULL)
		return bad_parameter(r, name, wrong);
	*out = buf_view(&b);
	return true;
}

bool input_page(struct req *r, struct page *out)
{
	char mem[CURSOR_MAX * 4 / 3 + 4];
	struct page page = { .limit = LIMIT_DEFAULT };
	struct str text;
	uint64_t n;

	if (!input_query(r, "limit", NULL, mem, sizeof(mem), &text))
		return false;
	if (text.p != NULL) {
		if (str_to_u64(text, LIMIT_MAX, &n) != ERR_OK || n == 0)
			return bad_parameter(r, "limit", "must be a number from 1 to 200");
		page.limit = (size_t)n;
	}
	if (!input_query(r, "cursor", NULL, mem, sizeof(mem), &text))
		return false;
	if (text.p != NULL && base64url_get(text, page.cursor, CURSOR_MAX, &page.cursor_len) != ERR_OK)
		return bad_parameter(r, "cursor", "is not one of ours");
	*out = page;
	return true;
}
