/* Who asks, and from where: the session cookie, the guard against requests that other sites make our users'
 * browsers send, and the Origin. */
#ifndef DUPLEX_API_AUTH_H
#define DUPLEX_API_AUTH_H

#include "api/req.h"
#include "api/sessions.h"

#define AUTH_COOKIE "__Host-duplex"

/* Fills `out` from the Cookie header. ERR_UNAUTHENTICATED: none, or not one of a live session. Notes that the
 * session was used. */
enum err auth_by_cookie(struct req *r, struct identity *out);
/* Fills `out` for a session that a ticket named. */
enum err auth_by_session(struct req *r, struct str user, struct str session, struct identity *out);

/* Whether `origin` is one of [api] public-url. */
bool auth_origin_ok(const struct settings *set, struct str origin);
/* Whether an unsafe request comes from our page: X-Duplex-Request, which a form cannot send and a foreign
 * script only after a preflight that we refuse; Origin and Sec-Fetch-Site as the browser sets them. Returns a
 * phrase, or NULL if all is well. */
const char *auth_cross_site(const struct settings *set, const struct http_request *in);

/* Sets or takes away the cookie. */
void auth_set_cookie(struct req *r, const char *value);
void auth_clear_cookie(struct req *r);

#endif
