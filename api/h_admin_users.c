/* /admin/users: who there is, and what they may do. */
#include "api/app.h"
#include "api/check.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/profile.h"
#include "api/reply.h"
#include "api/search.h"
#include "api/user_change.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/rkeys.h"

static void add_item(void *arg, const struct user *u, bool online)
{
	(void)json_array_append_new(arg, profile_admin_json(u, online));
}

enum err h_admin_users(struct req *r)
{
	char query[DISPLAY_NAME_SIZE], next_mem[CURSOR_MAX];
	struct buf next = buf_fixed(next_mem, sizeof(next_mem));
	struct search s = { .with_disabled = true, .with_online = true };
	struct page page;

	if (!input_page(r, &page) || !input_query(r, "q", check_search, query, sizeof(query), &s.query))
		return ERR_OK;
	json_t *items = json_array();
	enum err e = search_run(r->rds, &s, &page, add_item, items, &next);
	if (e == ERR_OK)
		e = buf_err(&next);
	if (e != ERR_OK) {
		json_decref(items);
		return e;
	}
	return reply_list(r, items, buf_view(&next));
}

static enum err reply_user(struct req *r, const struct user *u)
{
	struct rkey location = rkey_location(str_from(u->name));
	struct redisReply *reply;
	enum err e = RDS(r->rds, &reply, STR("EXISTS"), rkey_str(&location));

	if (e != ERR_OK)
		return e;
	bool online = rds_int(reply) == 1;
	rds_reply_free(reply);
	/* The tag is for If-Match: `online` moves without it, so a GET is never answered with 304. */
	http_header(r->out, "ETag", "\"r%llu\"", (unsigned long long)u->revision);
	return reply_json(r, 200, profile_admin_json(u, online));
}

static enum err get(struct req *r, struct user *u)
{
	enum err e = users_get(r->rds, r->param[0], u);

	if (e == ERR_OK)
		users_wipe(u);
	return e;
}

enum err h_admin_user(struct req *r)
{
	struct user u;
	enum err e = get(r, &u);

	if (e == ERR_NOT_FOUND)
		return problem_send(r, PROBLEM_NO_SUCH_USER, NULL);
	return e == ERR_OK ? reply_user(r, &u) : e;
}

struct patch {
	struct str state, role, display_name;
	struct input_perms denied;
};

static const struct field fields[] = {
	{ "state", INPUT_TEXT, false, check_state, offsetof(struct patch, state) },
	{ "role", INPUT_TEXT, false, check_role, offsetof(struct patch, role) },
	{ "display_name", INPUT_TEXT, false, check_display_name, offsetof(struct patch, display_name) },
	{ "denied_permissions", INPUT_PERMS, false, NULL, offsetof(struct patch, denied) },
};

/* So that there is always an administrator left: nobody takes these rights from themselves. */
static bool locks_self_out(const struct req *r, const struct user *u, const struct patch *in)
{
	perm_set keep = 1u << PERM_USERS_READ | 1u << PERM_USERS_WRITE;

	if (strcmp(u->name, r->who.user) != 0)
		return false;
	return (in->state.p != NULL && !str_eq(in->state, STR("active"))) || (in->role.p != NULL && !str_eq(in->role, STR("admin"))) ||
	       (in->denied.given && (in->denied.set & keep) != 0);
}

enum err h_admin_user_patch(struct req *r)
{
	struct patch in = { 0 };
	struct user u;

	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	enum err e = get(r, &u);
	if (e == ERR_NOT_FOUND)
		return problem_send(r, PROBLEM_NO_SUCH_USER, NULL);
	if (e != ERR_OK)
		return e;
	if (!reply_matches(r, u.revision))
		return problem_send(r, PROBLEM_CHANGED, NULL);
	if (locks_self_out(r, &u, &in))
		return problem_send(r, PROBLEM_LAST_ADMIN, NULL);
	struct user_change change = { .display_name = in.display_name,
				      .state = in.state,
				      .role = in.role,
				      .deny = in.denied.given,
				      .denied = in.denied.set,
				      .credentials_end_s = r->now_ms / MS_PER_S + r->set->turn_ttl_s };
	e = user_change_apply(r->rds, &u, &change);
	if (e == ERR_CONFLICT)
		return problem_send(r, PROBLEM_CHANGED, NULL);
	if (e != ERR_OK)
		return e;
	log_event(LOG_INFO, "user-changed", "user=%s by=%s state=%s role=%s", u.name, r->who.user,
		  u.disabled ? "disabled" : "active", u.role);
	return reply_user(r, &u);
}
