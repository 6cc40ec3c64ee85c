#include "api/auth.h"

#include "common/clock.h"

/* A session's last use is written at most this often: each write is an fsync. */
#define TOUCH_MS 60000u

static enum err identify(struct req *r, struct str user, struct str id, struct identity *out)
{
	struct identity who = { 0 };
	struct session session;
	struct user owner;

	enum err e = sessions_get(r->rds, user, id, r->now_ms, &session, &owner);
	if (e == ERR_NOT_FOUND)
		return ERR_UNAUTHENTICATED;
	if (e != ERR_OK)
		return e;
	uint64_t idle_ms = r->set->session_idle_s * MS_PER_S;
	if (r->now_ms > session.seen_ms + MIN((uint64_t)TOUCH_MS, idle_ms / 4)) {
		e = sessions_touch(r->rds, user, &session, r->now_ms, idle_ms);
		if (e != ERR_OK)
			return e;
	}
	memcpy(who.user, owner.name, sizeof(who.user));
	memcpy(who.session, session.id, sizeof(who.session));
	who.perms = users_perms(&owner);
	who.revision = owner.revision;
	*out = who;
	return ERR_OK;
}

enum err auth_by_cookie(struct req *r, struct identity *out)
{
	char id[SESSION_ID_SIZE];
	struct str value, user;

	if (http_cookie(r->http->cookie, STR(AUTH_COOKIE), &value) != ERR_OK || sessions_parse_cookie(value, &user, id) != ERR_OK)
		return ERR_UNAUTHENTICATED;
	return identify(r, user, str_from(id), out);
}

enum err auth_by_session(struct req *r, struct str user, struct str session, struct identity *out)
{
	return identify(r, user, session, out);
}

bool auth_origin_ok(const struct settings *set, struct str origin)
{
	for (size_t i = 0; i < set->origins; i++) {
		if (str_eq(origin, set->origin[i]))
			return true;
	}
	return false;
}

const char *auth_cross_site(const struct settings *set, const struct http_request *in)
{
	if (!str_eq(in->guard, STR("1")))
		return "the header X-Duplex-Request: 1 is missing";
	/* The host for client certificates has a page of its own, which posts to that host only. */
	if (in->origin.len > 0 && in->cert_verify.p != NULL && str_eq(in->origin, str_from(set->certificate_url)))
		return NULL;
	if (in->origin.len > 0)
		return auth_origin_ok(set, in->origin) ? NULL : "the Origin is not one of this server";
	/* No Origin: not a browser, or one that says where the request comes from in this way. */
	if (in->fetch_site.len > 0 && !str_eq(in->fetch_site, STR("same-origin")) && !str_eq(in->fetch_site, STR("none")))
		return "the request comes from another site";
	return NULL;
}

void auth_set_cookie(struct req *r, const char *value)
{
	http_header(r->out, "Set-Cookie", AUTH_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%llu", value,
		    (unsigned long long)r->set->session_absolute_s);
}

void auth_clear_cookie(struct req *r)
{
	http_header(r->out, "Set-Cookie", AUTH_COOKIE "=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
}
