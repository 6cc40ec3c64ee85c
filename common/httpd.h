/* HTTP on a unix socket, for a program's own tools and for scrapers: a table of routes, each with a function. Served by libmicrohttpd in
 * threads of its own, so a route's function must read only what is safe to read from another thread. Who may connect is decided by the
 * socket's mode and the folder it lies in. */
#ifndef DUPLEX_COMMON_HTTPD_H
#define DUPLEX_COMMON_HTTPD_H

#include "common/buf.h"

#define HTTPD_JSON "application/json"
#define HTTPD_TEXT "text/plain; version=0.0.4"

struct httpd;

/* More of a long answer: up to `max` bytes into `to`. Returns how many, 0 if there is nothing yet (it is asked again after a moment), -1 at
 * the end. Runs in the connection's thread. */
typedef long (*httpd_more_fn)(void *source, char *to, size_t max);

/* One request and its answer. The function fills in `status` (200 is preset), `type` and `body`, or `more`. */
struct httpd_call {
	struct str rest;         /* of the path, behind that of a route that ends in '/' */
	unsigned status;
	const char *type;        /* a literal */
	struct buf body;         /* grows; freed by the server */
	httpd_more_fn more;      /* instead of `body` */
	void (*done)(void *source); /* after the last `more`, also when the client went away */
	void *source;
	void *inside;            /* the server's */
};

struct httpd_route {
	const char *method;      /* "GET" */
	const char *path;        /* whole, or up to a final '/' */
	void (*fn)(struct httpd_call *c, void *user);
};

/* Listens on the unix socket `path` (replacing a stale one, mode 0660). `routes` and `user` are borrowed until httpd_stop. With `threads`
 * each connection has a thread, so that long answers hold up nobody. A path that is no route is 404, another method 405. ERR_IO. */
enum err httpd_start(const char *path, const struct httpd_route *routes, size_t count, void *user, bool threads, struct httpd **out);
void httpd_stop(struct httpd *h);

/* The decoded value of a query parameter; an empty slice if it is missing. Valid during the call. */
struct str httpd_query(const struct httpd_call *c, const char *name);
/* The same as a number. False if it is given and is none, or is above `max`. Untouched if it is missing. */
bool httpd_query_u64(const struct httpd_call *c, const char *name, uint64_t max, uint64_t *out);

#endif
