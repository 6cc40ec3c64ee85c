#include "api/reply.h"

#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/crypto.h"

static int append(const char *p, size_t len, void *user)
{
	struct buf *b = user;

	buf_put(b, p, len);
	return b->overflow ? -1 : 0;
}

void reply_write(struct req *r, unsigned status, const char *type, json_t *doc)
{
	static const char failure[] = "{\"type\":\"urn:duplex:problem:internal\",\"title\":\"Something went wrong on the server\","
				      "\"status\":500,\"code\":\"internal\"}";

	buf_reset(&r->out->body);
	if (doc == NULL || json_dump_callback(doc, append, &r->out->body, JSON_COMPACT) != 0) {
		status = 500;
		type = "application/problem+json";
		r->problem = PROBLEM_INTERNAL;
		buf_reset(&r->out->body);
		buf_z(&r->out->body, failure);
	}
	json_decref(doc);
	r->out->status = status;
	http_header(r->out, "Content-Type", "%s", type);
}

enum err reply_json(struct req *r, unsigned status, json_t *doc)
{
	reply_write(r, status, "application/json", doc);
	return ERR_OK;
}

enum err reply_empty(struct req *r, unsigned status)
{
	r->out->status = status;
	return ERR_OK;
}

enum err reply_list(struct req *r, json_t *items, struct str next)
{
	char text[512];
	struct buf b = buf_fixed(text, sizeof(text));
	json_t *cursor = json_null();

	if (next.len > 0) {
		base64url_put(&b, next.p, next.len);
		if (b.overflow) {
			json_decref(items);
			return ERR_TOO_LARGE;
		}
		cursor = json_stringn(b.p, b.len);
	}
	return reply_json(r, 200, json_pack("{s:o, s:o}", "items", items, "next", cursor));
}

static struct str tag(uint64_t revision, char out[32])
{
	int n = snprintf(out, 32, "\"r%llu\"", (unsigned long long)revision);

	return str_of(out, (size_t)n);
}

enum err reply_tagged(struct req *r, json_t *doc, uint64_t revision)
{
	char text[32];
	struct str etag = tag(revision, text);

	http_header(r->out, "ETag", "%.*s", STR_FMT(etag));
	if (!http_unsafe(r->http->method) && http_etag_in(r->http->if_none_match, etag)) {
		json_decref(doc);
		return reply_empty(r, 304);
	}
	return reply_json(r, 200, doc);
}

bool reply_matches(const struct req *r, uint64_t revision)
{
	char text[32];

	return r->http->if_match.len == 0 || http_etag_in(r->http->if_match, tag(revision, text));
}

void reply_time(uint64_t ms, char out[TIME_SIZE])
{
	time_t s = (time_t)(ms / MS_PER_S);
	struct tm tm;

	(void)gmtime_r(&s, &tm);
	size_t n = strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, TIME_SIZE - n, ".%03uZ", (unsigned)(ms % MS_PER_S));
}

json_t *reply_time_json(uint64_t ms)
{
	char text[TIME_SIZE];

	if (ms == 0)
		return json_null();
	reply_time(ms, text);
	return json_string(text);
}

json_t *reply_str(struct str s)
{
	return s.p != NULL ? json_stringn(s.p, s.len) : json_null();
}
