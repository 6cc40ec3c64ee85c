/* A request that needs neither transport nor Redis. */
#ifndef DUPLEX_TESTS_MAKE_REQ_H
#define DUPLEX_TESTS_MAKE_REQ_H

#include <jansson.h>

#include "api/req.h"

struct made_req {
	struct settings set;
	struct http_request http;
	struct http_response out;
	struct req r;
};

static inline void made_req_init(struct made_req *m)
{
	*m = (struct made_req){ 0 };
	http_response_init(&m->out);
	m->r = (struct req){ .set = &m->set, .http = &m->http, .out = &m->out, .problem = PROBLEM_COUNT };
}

static inline void made_req_fini(struct made_req *m)
{
	json_decref(m->r.body);
	http_response_fini(&m->out);
}

/* The reply's body as JSON; the caller frees it. */
static inline json_t *made_req_reply(const struct made_req *m)
{
	return json_loadb(m->out.body.p, m->out.body.len, 0, NULL);
}

#endif
