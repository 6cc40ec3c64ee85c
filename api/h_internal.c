/* GET /internal/authorize: nginx asks (auth_request) whether a WebSocket upgrade may pass, and as whom.
 * Reachable for nginx only: the parameter ORIGINAL_URI cannot be sent by a client. */
#include "api/app.h"
#include "api/auth.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/tickets.h"

#define PERMS_MAX 256u

static enum err by_ticket(struct req *r, struct str text, struct identity *who)
{
	struct ticket t;
	enum err e = tickets_take(r->rds, text, &t);

	if (e == ERR_NOT_FOUND || (e == ERR_OK && t.session[0] == '\0'))
		return ERR_UNAUTHENTICATED;
	return e == ERR_OK ? auth_by_session(r, str_from(t.user), str_from(t.session), who) : e;
}

static enum err identify(struct req *r, struct identity *who)
{
	struct str uri = r->http->original_uri, query = STR_NONE;
	size_t mark = str_find(uri, '?');
	char ticket[TICKET_SIZE];
	struct buf b = buf_fixed(ticket, sizeof(ticket));

	if (mark < uri.len)
		query = str_sub(uri, mark + 1, uri.len);
	enum err e = http_query(query, STR("ticket"), &b);
	if (e == ERR_OK)
		return by_ticket(r, buf_view(&b), who);
	return e == ERR_NOT_FOUND ? auth_by_cookie(r, who) : ERR_UNAUTHENTICATED;
}

enum err h_authorize(struct req *r)
{
	char perms[PERMS_MAX];
	struct buf b = buf_fixed(perms, sizeof(perms));
	struct identity who;

	/* A browser always says where a WebSocket comes from, and sends the cookie from anywhere on the same site. */
	if (r->http->origin.len > 0 && !auth_origin_ok(r->set, r->http->origin)) {
		stats_add(r->app->stats, STAT_UNAUTHORIZED);
		return problem_send(r, PROBLEM_CROSS_SITE, "the Origin is not one of this server");
	}
	enum err e = identify(r, &who);
	if (e == ERR_UNAUTHENTICATED)
		stats_add(r->app->stats, STAT_UNAUTHORIZED);
	if (e != ERR_OK)
		return e;
	perm_put(&b, who.perms);
	http_header(r->out, "X-Duplex-User", "%s", who.user);
	http_header(r->out, "X-Duplex-Session", "%s", who.session);
	http_header(r->out, "X-Duplex-Permissions", "%.*s", STR_FMT(buf_view(&b)));
	http_header(r->out, "X-Duplex-Revision", "%llu", (unsigned long long)who.revision);
	http_header(r->out, "X-Duplex-Address", "%.*s", STR_FMT(str_sub(r->http->address, 0, 64)));
	stats_add(r->app->stats, STAT_AUTHORIZED);
	return reply_empty(r, 204);
}
