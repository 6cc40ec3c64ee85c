#include "api/user_change.h"

#include <stdio.h>

#include "api/event.h"
#include "api/names.h"
#include "common/rkeys.h"

/* KEYS user, sessions; ARGV revision, prefix of session keys, "1" to end all sessions, then field, value …
 * Returns the new revision, or 0. */
static const char change_source[] =
	"if redis.call('HGET', KEYS[1], 'rev') ~= ARGV[1] then return 0 end\n"
	"for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
	"if ARGV[3] == '1' then\n"
	"  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do redis.call('DEL', ARGV[2] .. id) end\n"
	"  redis.call('DEL', KEYS[2])\n"
	"end\n"
	"return redis.call('HINCRBY', KEYS[1], 'rev', 1)\n";

static enum err merge(const struct user *u, const struct user_change *c, struct user *out)
{
	struct user next = *u;
	enum err e = ERR_OK;

	if (c->display_name.p != NULL)
		e = str_copy(c->display_name, next.display_name, sizeof(next.display_name));
	if (e == ERR_OK && c->role.p != NULL)
		e = str_copy(c->role, next.role, sizeof(next.role));
	if (c->state.p != NULL)
		next.disabled = !str_eq(c->state, STR("active"));
	if (c->deny)
		next.denied = c->denied;
	if (e == ERR_OK)
		*out = next;
	return e;
}

static enum err queue_record(struct rds *r, const struct user *old, const struct user *next, bool end_sessions)
{
	struct str name = str_from(old->name);
	struct rkey record = rkey_user(name), all = rkey_sessions(name), prefix = rkey_session(name, STR(""));
	char revision[24], denied[256];
	struct buf d = buf_fixed(denied, sizeof(denied));

	(void)snprintf(revision, sizeof(revision), "%llu", (unsigned long long)old->revision);
	perm_put(&d, next->denied);
	return RDS_QUEUE(r, STR("EVAL"), str_from(change_source), STR("2"), rkey_str(&record), rkey_str(&all), str_from(revision),
			 rkey_str(&prefix), end_sessions ? STR("1") : STR("0"), STR("display_name"), str_from(next->display_name),
			 STR("role"), str_from(next->role), STR("state"), next->disabled ? STR("disabled") : STR("active"),
			 STR("denied"), buf_view(&d));
}

/* What the record's change drags along. If the record turns out to have changed meanwhile these have done no
 * harm: index entries are hints, and a closed WebSocket comes back. */
static enum err queue_rest(struct rds *r, const struct user *old, const struct user *next, uint64_t credentials_end_s, size_t *queued)
{
	bool disabling = next->disabled && !old->disabled;
	enum err e = ERR_OK;

	if (strcmp(old->display_name, next->display_name) != 0)
		e = users_queue_index(r, str_from(old->name), str_from(old->display_name), str_from(next->display_name), queued);
	if (e == ERR_OK && (disabling || users_perms(old) != users_perms(next)))
		e = event_queue_user_disable(r, str_from(old->name), disabling ? credentials_end_s : 0, queued);
	return e;
}

enum err user_change_apply(struct rds *r, struct user *u, const struct user_change *change)
{
	struct redisReply *replies[2 * NAMES_WORDS_MAX + 3];
	struct user next;
	size_t queued = 1;

	enum err e = merge(u, change, &next);
	if (e == ERR_OK)
		e = queue_record(r, u, &next, next.disabled && !u->disabled);
	if (e == ERR_OK)
		e = queue_rest(r, u, &next, change->credentials_end_s, &queued);
	if (e == ERR_OK)
		e = rds_collect(r, replies, queued);
	if (e != ERR_OK)
		return e;
	next.revision = (uint64_t)rds_int(replies[0]);
	for (size_t i = 0; i < queued; i++)
		rds_reply_free(replies[i]);
	if (next.revision == 0)
		return ERR_CONFLICT;
	*u = next;
	return ERR_OK;
}
