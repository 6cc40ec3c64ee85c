/* /me: the user's own profile, password, sessions and WebSocket tickets. */
#include "api/app.h"
#include "api/auth.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/password.h"
#include "api/profile.h"
#include "api/reply.h"
#include "api/throttle.h"
#include "api/tickets.h"
#include "api/user_change.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

enum err h_me(struct req *r)
{
	struct user u;
	enum err e = users_get(r->rds, req_user(r), &u);

	if (e != ERR_OK)
		return e;
	users_wipe(&u);
	return reply_tagged(r, profile_json(&u), u.revision);
}

struct me_patch {
	struct str display_name;
};

static const struct field patch_fields[] = {
	{ "display_name", INPUT_TEXT, false, check_display_name, offsetof(struct me_patch, display_name) },
};

enum err h_me_patch(struct req *r)
{
	struct me_patch in = { 0 };
	struct user u;

	if (!INPUT_READ(r, patch_fields, &in))
		return ERR_OK;
	enum err e = users_get(r->rds, req_user(r), &u);
	if (e != ERR_OK)
		return e;
	users_wipe(&u);
	if (!reply_matches(r, u.revision))
		return problem_send(r, PROBLEM_CHANGED, NULL);
	struct user_change change = { .display_name = in.display_name };
	e = user_change_apply(r->rds, &u, &change);
	if (e == ERR_CONFLICT)
		return problem_send(r, PROBLEM_CHANGED, NULL);
	return e == ERR_OK ? reply_tagged(r, profile_json(&u), u.revision) : e;
}

struct password_put {
	struct str current, new;
};

static const struct field password_fields[] = {
	{ "current_password", INPUT_TEXT, true, check_password_given, offsetof(struct password_put, current) },
	{ "new_password", INPUT_TEXT, true, check_new_password, offsetof(struct password_put, new) },
};

/* The session alone must not be enough to guess the password at speed: the same throttle as for the login. */
static enum err prove(struct req *r, const struct user *u, struct str password, bool *proved)
{
	uint64_t wait = 0;
	bool stale;

	*proved = false;
	enum err e = throttle_window(r->rds, "password", req_user(r), 10, 600, &wait);
	if (e != ERR_OK)
		return e;
	if (wait > 0)
		return problem_retry(r, PROBLEM_THROTTLED, NULL, wait);
	e = hash_verify(r->app->hash, u->password, password, &stale);
	if (e == ERR_UNAUTHENTICATED)
		return problem_send(r, PROBLEM_WRONG_PASSWORD, NULL);
	*proved = e == ERR_OK;
	return e;
}

enum err h_me_password(struct req *r)
{
	struct password_put in = { 0 };
	char fresh[HASH_SIZE];
	struct user u;
	bool proved;

	if (!INPUT_READ(r, password_fields, &in))
		return ERR_OK;
	enum err e = users_get(r->rds, req_user(r), &u);
	if (e != ERR_OK)
		return e;
	const char *weak = password_weak(in.new, req_user(r), str_from(u.display_name));
	if (weak != NULL) {
		users_wipe(&u);
		return problem_field(r, "/new_password", weak);
	}
	e = prove(r, &u, in.current, &proved);
	if (e == ERR_OK && proved) {
		e = hash_make(r->app->hash, in.new, fresh);
		if (e == ERR_OK)
			e = sessions_change_password(r->rds, req_user(r), str_from(u.password), str_from(fresh), str_from(r->who.session));
		explicit_bzero(fresh, sizeof(fresh));
		if (e == ERR_CONFLICT)
			e = problem_send(r, PROBLEM_CHANGED, "The password was changed at the same time");
		else if (e == ERR_OK)
			e = reply_empty(r, 204);
		log_event(LOG_INFO, "password-changed", "user=%s status=%u", r->who.user, r->out->status);
	}
	users_wipe(&u);
	return e;
}

struct listing {
	json_t *items;
	const char *current;
};

static void add_session(void *arg, const struct session *s)
{
	struct listing *l = arg;

	(void)json_array_append_new(l->items, json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:b}", "id", s->id, "created_at",
							reply_time_json(s->created_ms), "last_seen_at", reply_time_json(s->seen_ms),
							"expires_at", reply_time_json(s->expires_ms), "method", s->method,
							"address", s->address, "agent", s->agent, "current",
							strcmp(s->id, l->current) == 0));
}

enum err h_me_sessions(struct req *r)
{
	struct listing l = { .items = json_array(), .current = r->who.session };
	enum err e = sessions_list(r->rds, req_user(r), r->now_ms, add_session, &l);

	if (e != ERR_OK) {
		json_decref(l.items);
		return e;
	}
	return reply_list(r, l.items, STR(""));
}

enum err h_me_session_end(struct req *r)
{
	uint8_t raw[SESSION_ID_LEN / 2];
	size_t len;

	if (r->param[0].len != SESSION_ID_LEN || hex_get(r->param[0], raw, sizeof(raw), &len) != ERR_OK)
		return problem_send(r, PROBLEM_NOT_FOUND, NULL);
	enum err e = sessions_end(r->rds, req_user(r), r->param[0]);
	if (e != ERR_OK)
		return e;
	if (str_eq(r->param[0], str_from(r->who.session)))
		auth_clear_cookie(r);
	log_event(LOG_INFO, "session-ended", "user=%s session=%.*s", r->who.user, STR_FMT(r->param[0]));
	return reply_empty(r, 204);
}

enum err h_me_ticket(struct req *r)
{
	char text[TICKET_SIZE];
	struct ticket t = { 0 };

	memcpy(t.user, r->who.user, sizeof(t.user));
	memcpy(t.session, r->who.session, sizeof(t.session));
	enum err e = tickets_make(r->rds, &t, text);
	if (e != ERR_OK)
		return e;
	json_t *doc = json_pack("{s:s, s:o}", "ticket", text, "expires_at", reply_time_json(r->now_ms + TICKET_TTL_S * MS_PER_S));
	explicit_bzero(text, sizeof(text));
	return reply_json(r, 201, doc);
}
