#include "api/http.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/crypto.h"

static const char *const methods[] = {
	[HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
	[HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_OTHER] = "",
};

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 409, "Conflict" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
};

void http_response_init(struct http_response *r)
{
	*r = (struct http_response){ .headers = buf_growing(HTTP_HEADERS_MAX), .body = buf_growing(HTTP_BODY_MAX) };
}

void http_response_fini(struct http_response *r)
{
	/* Cookies and credentials pass through here. */
	if (r->headers.p != NULL)
		explicit_bzero(r->headers.p, r->headers.cap);
	if (r->body.p != NULL)
		explicit_bzero(r->body.p, r->body.cap);
	buf_fini(&r->headers);
	buf_fini(&r->body);
}

void http_header(struct http_response *r, const char *name, const char *fmt, ...)
{
	char value[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(value)) {
		r->headers.overflow = true;
		return;
	}
	buf_z(&r->headers, name);
	buf_z(&r->headers, ": ");
	buf_put(&r->headers, value, (size_t)n);
	buf_z(&r->headers, "\r\n");
	explicit_bzero(value, sizeof(value));
}

enum http_method http_method_from(struct str name)
{
	for (size_t i = 0; i < HTTP_OTHER; i++) {
		if (str_eq(name, str_from(methods[i])))
			return (enum http_method)i;
	}
	return HTTP_OTHER;
}

const char *http_method_name(enum http_method m)
{
	return methods[m];
}

const char *http_reason(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "";
}

enum err http_cookie(struct str header, struct str name, struct str *value)
{
	struct str found = STR_NONE;
	bool have = false;

	while (header.p != NULL) {
		struct str pair = str_trim(str_cut(&header, ';'));
		size_t eq = str_find(pair, '=');

		if (eq == pair.len || !str_eq(str_sub(pair, 0, eq), name))
			continue;
		if (have)
			return ERR_INVALID;
		have = true;
		found = str_sub(pair, eq + 1, pair.len);
	}
	if (!have)
		return ERR_NOT_FOUND;
	*value = found;
	return ERR_OK;
}

static enum err percent_decode(struct str s, struct buf *to)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		size_t n;

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (s.len - i < 3 || hex_get(str_sub(s, i + 1, 2), &c, 1, &n) != ERR_OK)
				return ERR_INVALID;
			i += 2;
		}
		if (c == '\0')
			return ERR_INVALID;
		buf_char(to, c);
	}
	return buf_err(to);
}

enum err http_query(struct str query, struct str name, struct buf *to)
{
	struct str found = STR_NONE;
	bool have = false;

	while (query.p != NULL) {
		struct str pair = str_cut(&query, '&');
		size_t eq = str_find(pair, '=');

		/* Names of ours have no characters that need escapes. */
		if (!str_eq(str_sub(pair, 0, eq), name))
			continue;
		if (have)
			return ERR_INVALID;
		have = true;
		found = eq < pair.len ? str_sub(pair, eq + 1, pair.len) : STR("");
	}
	return have ? percent_decode(found, to) : ERR_NOT_FOUND;
}

bool http_is_json(struct str content_type)
{
	struct str rest = content_type;
	bool json = str_ieq(str_trim(str_cut(&rest, ';')), STR("application/json"));

	while (json && rest.p != NULL) {
		struct str parameter = str_trim(str_cut(&rest, ';'));
		size_t eq = str_find(parameter, '=');

		if (!str_ieq(str_sub(parameter, 0, eq), STR("charset")))
			continue;
		struct str charset = str_sub(parameter, eq + 1, parameter.len);
		json = str_ieq(charset, STR("utf-8")) || str_ieq(charset, STR("\"utf-8\""));
	}
	return json;
}

/* q=0 (with any number of decimals) takes a media range away (RFC 9110 §12.4.2). */
static bool refused(struct str parameters)
{
	while (parameters.p != NULL) {
		struct str p = str_trim(str_cut(&parameters, ';'));

		if (!str_starts(p, STR("q=")) && !str_starts(p, STR("Q=")))
			continue;
		for (size_t i = 2; i < p.len; i++) {
			if (p.p[i] != '0' && p.p[i] != '.')
				return false;
		}
		return true;
	}
	return false;
}

bool http_accepts_json(struct str accept)
{
	static const char *const ranges[] = { "application/json", "application/*", "*/*" };

	if (str_trim(accept).len == 0)
		return true;
	/* The most specific range that is named decides. */
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		struct str rest = accept;

		while (rest.p != NULL) {
			struct str parameters = str_cut(&rest, ',');
			struct str range = str_trim(str_cut(&parameters, ';'));

			if (str_ieq(range, str_from(ranges[i])))
				return !refused(parameters);
		}
	}
	return false;
}

bool http_etag_in(struct str header, struct str etag)
{
	while (header.p != NULL) {
		struct str one = str_trim(str_cut(&header, ','));

		if (str_eq(one, STR("*")) || str_eq(one, etag))
			return true;
	}
	return false;
}
