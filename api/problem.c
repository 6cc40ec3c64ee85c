#include "api/problem.h"

#include "api/req.h"
#include "api/reply.h"

static const struct {
	unsigned status;
	const char *code, *title;
} problems[] = {
#define PROBLEM_ROW(id, status_, code_, title_) [id] = { status_, code_, title_ },
	PROBLEM_LIST(PROBLEM_ROW)
#undef PROBLEM_ROW
};

unsigned problem_status(enum problem p)
{
	return problems[p].status;
}

const char *problem_code(enum problem p)
{
	return problems[p].code;
}

enum problem problem_from(enum err e)
{
	switch (e) {
	case ERR_TIMEOUT:
	case ERR_CLOSED:
	case ERR_FULL:
	case ERR_IO:
		return PROBLEM_STORE;
	case ERR_BUSY:
	case ERR_AGAIN:
	case ERR_NO_MEMORY:
		return PROBLEM_BUSY;
	case ERR_NOT_FOUND:
		return PROBLEM_NOT_FOUND;
	case ERR_FORBIDDEN:
		return PROBLEM_FORBIDDEN;
	case ERR_UNAUTHENTICATED:
	case ERR_EXPIRED:
		return PROBLEM_NO_SESSION;
	case ERR_OK:
	case ERR_INVALID:
	case ERR_TRUNCATED:
	case ERR_TOO_LARGE:
	case ERR_EXISTS:
	case ERR_UNSUPPORTED:
	case ERR_CONFLICT:
	case ERR_INTERNAL:
		return PROBLEM_INTERNAL;
	}
	return PROBLEM_INTERNAL;
}

static enum err send_document(struct req *r, enum problem p, const char *detail, json_t *errors)
{
	json_t *doc = json_pack("{s:o, s:s, s:i, s:s}", "type", json_sprintf("urn:duplex:problem:%s", problems[p].code), "title",
				problems[p].title, "status", (int)problems[p].status, "code", problems[p].code);

	if (detail != NULL)
		(void)json_object_set_new(doc, "detail", json_string(detail));
	if (errors != NULL)
		(void)json_object_set_new(doc, "errors", errors);
	if (r->http->request_id.len > 0)
		(void)json_object_set_new(doc, "request_id", json_stringn(r->http->request_id.p, r->http->request_id.len));
	r->problem = p;
	reply_write(r, problems[p].status, "application/problem+json", doc);
	return ERR_OK;
}

enum err problem_send(struct req *r, enum problem p, const char *detail)
{
	if (problems[p].status == 503)
		return problem_retry(r, p, detail, 1);
	return send_document(r, p, detail, NULL);
}

enum err problem_retry(struct req *r, enum problem p, const char *detail, uint64_t retry_after_s)
{
	http_header(r->out, "Retry-After", "%llu", (unsigned long long)retry_after_s);
	return send_document(r, p, detail, NULL);
}

enum err problem_fields(struct req *r, json_t *errors)
{
	return send_document(r, PROBLEM_INVALID, NULL, errors);
}

enum err problem_field(struct req *r, const char *pointer, const char *detail)
{
	return problem_fields(r, json_pack("[{s:s, s:s}]", "pointer", pointer, "detail", detail));
}
