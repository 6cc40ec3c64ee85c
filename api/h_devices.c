/* /me/devices, /me/sip-tokens and /admin/users/{username}/devices: desk phones and other SIP clients. */
#include <sodium.h>

#include "api/app.h"
#include "api/check.h"
#include "api/devices.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/reply.h"
#include "api/users.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/sip_token.h"

static void add_item(void *arg, const struct device *d)
{
	(void)json_array_append_new(arg, json_pack("{s:s, s:o, s:o, s:o}", "id", d->id, "name", reply_str(d->name), "created_at",
						   reply_time_json(d->created_ms), "used_at", reply_time_json(d->used_ms)));
}

static enum err list(struct req *r, struct str user)
{
	json_t *items = json_array();
	enum err e = devices_list(r->rds, user, add_item, items);

	if (e != ERR_OK) {
		json_decref(items);
		return e;
	}
	return reply_list(r, items, STR(""));
}

static enum err take_away(struct req *r, struct str user, struct str id)
{
	enum err e = devices_remove(r->rds, user, id);

	if (e == ERR_NOT_FOUND)
		return problem_send(r, PROBLEM_NOT_FOUND, NULL);
	if (e != ERR_OK)
		return e;
	log_event(LOG_INFO, "device-removed", "user=%.*s device=%.*s by=%s", STR_FMT(user), STR_FMT(id), r->who.user);
	return reply_empty(r, 204);
}

enum err h_devices(struct req *r)
{
	return list(r, req_user(r));
}

struct device_post {
	struct str name;
};

static const struct field fields[] = {
	{ "name", INPUT_TEXT, true, check_display_name, offsetof(struct device_post, name) },
};

enum err h_device_add(struct req *r)
{
	struct device_post in = { 0 };
	struct device d;
	char secret[DEVICE_SECRET_LEN + 1], login_mem[DEVICE_LOGIN_MAX];
	struct buf login = buf_fixed(login_mem, sizeof(login_mem));

	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	enum err e = devices_add(r->rds, req_user(r), str_from(r->set->domain), in.name, r->now_ms, &d, secret);
	if (e == ERR_FULL)
		return problem_send(r, PROBLEM_LIMIT, "Remove a device that is not used any more");
	if (e != ERR_OK)
		return e;
	device_login_put(&login, req_user(r), str_from(d.id));
	log_event(LOG_INFO, "device-added", "user=%s device=%s", r->who.user, d.id);
	json_t *doc = json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:o}", "id", d.id, "name", reply_str(d.name), "created_at",
				reply_time_json(d.created_ms), "used_at", reply_time_json(d.used_ms), "login", reply_str(buf_view(&login)),
				"secret", secret, "realm", r->set->domain, "address_of_record",
				json_sprintf("sip:%s@%s", r->who.user, r->set->domain));
	sodium_memzero(secret, sizeof(secret));
	return reply_json(r, 201, doc);
}

enum err h_device_remove(struct req *r)
{
	return take_away(r, req_user(r), r->param[0]);
}

enum err h_sip_token(struct req *r)
{
	struct sip_token t = { .revision = r->who.revision, .perms = r->who.perms, .expires_s = r->now_ms / MS_PER_S + SIP_TOKEN_TTL_S };
	char mem[SIP_TOKEN_MAX];
	struct buf text = buf_fixed(mem, sizeof(mem));
	enum err e = str_copy(req_user(r), t.user, sizeof(t.user));

	if (e == ERR_OK)
		e = str_copy(str_from(r->who.session), t.session, sizeof(t.session));
	if (e != ERR_OK)
		return e;
	sip_token_put(&text, &t, str_from(r->set->turn_secret));
	if (text.overflow)
		return ERR_TOO_LARGE;
	json_t *doc = json_pack("{s:o, s:o}", "token", reply_str(buf_view(&text)), "expires_at", reply_time_json(t.expires_s * MS_PER_S));
	sodium_memzero(mem, sizeof(mem));
	return reply_json(r, 201, doc);
}

/* ERR_OK with the name's user there; else answered, or an error. */
static enum err user_there(struct req *r, bool *there)
{
	struct user u;
	enum err e = users_get(r->rds, r->param[0], &u);

	*there = e == ERR_OK;
	if (e == ERR_OK)
		users_wipe(&u);
	return e == ERR_NOT_FOUND ? problem_send(r, PROBLEM_NO_SUCH_USER, NULL) : e;
}

enum err h_admin_devices(struct req *r)
{
	bool there;
	enum err e = user_there(r, &there);

	return there ? list(r, r->param[0]) : e;
}

enum err h_admin_device_remove(struct req *r)
{
	bool there;
	enum err e = user_there(r, &there);

	return there ? take_away(r, r->param[0], r->param[1]) : e;
}
