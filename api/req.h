/* One request on its way through the API: what came, who asks, and where the answer goes. Lives on the stack of
 * one worker thread. */
#ifndef DUPLEX_API_REQ_H
#define DUPLEX_API_REQ_H

#include <jansson.h>

#include "api/http.h"
#include "api/problem.h"
#include "api/settings.h"
#include "common/perm.h"
#include "common/rds.h"
#include "common/user.h"

struct app;
struct route;

#define SESSION_ID_LEN 32u /* hex digits */
#define ROUTE_PARAMS_MAX 2u

/* Who asks: filled by auth.c from the session, before a handler of a protected route runs. */
struct identity {
	char user[USER_NAME_SIZE];
	char session[SESSION_ID_LEN + 1];
	perm_set perms;
	uint64_t revision; /* of the user's record that `perms` come from */
};

struct req {
	struct app *app;                /* borrows: the process */
	const struct settings *set;     /* borrows: the process */
	struct rds *rds;                /* borrows: the thread's connection */
	const struct http_request *http;
	struct http_response *out;
	const struct route *route;
	struct str param[ROUTE_PARAMS_MAX]; /* borrows from the path */
	json_t *body;                   /* an object, or NULL for a route without body; owned by dispatch */
	struct identity who;
	uint64_t now_ms;                /* wall clock, read once */
	enum problem problem;           /* what was answered; PROBLEM_COUNT if it is not a problem */
};

static inline struct str req_user(const struct req *r)
{
	return str_from(r->who.user);
}

#endif
