/* The route table's type and how a request finds its row. */
#ifndef DUPLEX_API_ROUTE_H
#define DUPLEX_API_ROUTE_H

#include "api/req.h"

enum access {
	ACCESS_PUBLIC,      /* no session */
	ACCESS_SESSION,     /* the cookie of a live session, and `perm` if it is one */
	ACCESS_CERTIFICATE, /* only on the host for client certificates */
	ACCESS_INTERNAL,    /* only from nginx itself (auth_request) */
};

/* Largest body of a route; the smaller of this and [api] max-body holds. */
#define BODY_NONE 0u
#define BODY_FORM 4096u
#define BODY_CSR 16384u

struct route {
	enum http_method method;
	const char *pattern; /* literal segments and {name} */
	enum access access;
	enum perm perm;      /* PERM_COUNT: none needed */
	size_t body_max;     /* BODY_NONE: takes no body */
	enum err (*handler)(struct req *r);
	const char *name;    /* operationId in api/openapi.json, label in the metrics */
};

extern const struct route route_table[];
extern const size_t route_count;

#define PATH_MAX_LEN 512u

/* The row for `method` and `path`, with its parameters. HEAD finds the row of GET. ERR_NOT_FOUND: no row has
 * the path; ERR_UNSUPPORTED: the path is there with other methods, which *allowed then holds as a bit per enum
 * http_method. */
enum err route_find(const struct route *table, size_t count, enum http_method method, struct str path, const struct route **out,
		    struct str param[ROUTE_PARAMS_MAX], unsigned *allowed);

#endif
