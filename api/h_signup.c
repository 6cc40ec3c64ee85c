/* POST /users: a new account. */
#include "api/app.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/password.h"
#include "api/profile.h"
#include "api/reply.h"
#include "api/throttle.h"
#include "common/log.h"

struct signup {
	struct str username, display_name, password;
};

static const struct field fields[] = {
	{ "username", INPUT_TEXT, true, check_new_username, offsetof(struct signup, username) },
	{ "display_name", INPUT_TEXT, true, check_display_name, offsetof(struct signup, display_name) },
	{ "password", INPUT_TEXT, true, check_new_password, offsetof(struct signup, password) },
};

static enum err fill(struct user *u, const struct signup *in)
{
	enum err e = str_copy(in->username, u->name, sizeof(u->name));

	if (e == ERR_OK)
		e = str_copy(in->display_name, u->display_name, sizeof(u->display_name));
	if (e == ERR_OK)
		e = str_copy(STR("user"), u->role, sizeof(u->role));
	return e;
}

/* Before the expensive hash: is the name free, and has this address not made enough accounts already? Writes
 * the problem if not. */
static enum err may_sign_up(struct req *r, struct str username, bool *yes)
{
	char prefix[64];
	uint64_t wait = 0;
	struct user other;

	*yes = false;
	enum err e = users_get(r->rds, username, &other);
	if (e == ERR_OK) {
		users_wipe(&other);
		return problem_send(r, PROBLEM_USER_EXISTS, NULL);
	}
	if (e != ERR_NOT_FOUND)
		return e;
	if (r->set->signup_per_hour > 0) {
		throttle_prefix(r->http->address, prefix);
		e = throttle_window(r->rds, "signup", str_from(prefix), r->set->signup_per_hour, 3600, &wait);
		if (e != ERR_OK)
			return e;
	}
	if (wait > 0)
		return problem_retry(r, PROBLEM_THROTTLED, "Too many accounts were made from this address", wait);
	*yes = true;
	return ERR_OK;
}

enum err h_signup(struct req *r)
{
	struct signup in = { 0 };
	struct user u = { 0 };
	bool yes;

	if (!r->set->signup_open)
		return problem_send(r, PROBLEM_SIGNUP_CLOSED, NULL);
	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	const char *weak = password_weak(in.password, in.username, in.display_name);
	if (weak != NULL)
		return problem_field(r, "/password", weak);
	enum err e = may_sign_up(r, in.username, &yes);
	if (e != ERR_OK || !yes)
		return e;

	e = hash_make(r->app->hash, in.password, u.password);
	if (e == ERR_BUSY)
		stats_add(r->app->stats, STAT_HASH_BUSY);
	if (e == ERR_OK)
		e = fill(&u, &in);
	if (e == ERR_OK)
		e = users_create(r->rds, &u);
	if (e == ERR_EXISTS)
		return problem_send(r, PROBLEM_USER_EXISTS, NULL);
	if (e == ERR_OK)
		e = users_get(r->rds, in.username, &u);
	users_wipe(&u);
	if (e != ERR_OK)
		return e;
	stats_add(r->app->stats, STAT_SIGNUPS);
	log_event(LOG_INFO, "user-created", "user=%s by=signup", u.name);
	return reply_json(r, 201, profile_json(&u));
}
