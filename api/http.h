/* One HTTP exchange without its transport, and the parsers for what comes in header fields: cookies, query
 * strings, media types. RFC 9110, RFC 6265, RFC 3986. No I/O; every slice of a request borrows from the
 * transport until the reply is sent. */
#ifndef DUPLEX_API_HTTP_H
#define DUPLEX_API_HTTP_H

#include "common/buf.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

struct http_request {
	enum http_method method;
	struct str path;     /* decoded by nginx, without query */
	struct str query;
	struct str body;
	uint64_t content_length; /* as announced; the body is read only if it is within the route's limit */
	struct str content_type, accept, cookie, origin, fetch_site, if_match, if_none_match, agent;
	struct str guard;    /* X-Duplex-Request */
	struct str address;  /* of the client */
	struct str request_id;
	/* Parameters that only nginx can set; absent (NULL) outside the location or host they belong to. */
	struct str original_uri;                            /* /internal/authorize: URI of the upgrade */
	struct str cert_verify, cert_serial, cert_subject;  /* host for certificate login */
};

#define HTTP_HEADERS_MAX 4096u
#define HTTP_BODY_MAX (4u << 20)

struct http_response {
	unsigned status;
	struct buf headers; /* complete lines, each ended by CRLF */
	struct buf body;
};

void http_response_init(struct http_response *r);
void http_response_fini(struct http_response *r);
/* Adds a header line; `fmt` makes the value. */
void http_header(struct http_response *r, const char *name, const char *fmt, ...) PRINTF(3, 4);

enum http_method http_method_from(struct str name);
const char *http_method_name(enum http_method m);
/* The reason phrase; "" for a status we never send. */
const char *http_reason(unsigned status);
static inline bool http_unsafe(enum http_method m)
{
	return m != HTTP_GET && m != HTTP_HEAD && m != HTTP_OPTIONS;
}

/* The value of cookie `name` in a Cookie header. ERR_NOT_FOUND if there is none, ERR_INVALID if there are two:
 * then no one can say which of them we set. */
enum err http_cookie(struct str header, struct str name, struct str *value);
/* The percent-decoded value of `name` in a query string, appended to `to`. ERR_NOT_FOUND; ERR_INVALID for bad
 * escapes, NUL or a name given twice; ERR_TOO_LARGE if `to` is too small. */
enum err http_query(struct str query, struct str name, struct buf *to);
/* application/json, with any parameters but a charset other than UTF-8. */
bool http_is_json(struct str content_type);
/* Whether an Accept header (may be empty) admits application/json. */
bool http_accepts_json(struct str accept);
/* Whether an If-Match or If-None-Match header names `etag` (quoted form) or is "*". */
bool http_etag_in(struct str header, struct str etag);

#endif
