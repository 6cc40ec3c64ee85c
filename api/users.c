#include "api/users.h"

#include <stdio.h>

#include "api/names.h"
#include "common/clock.h"
#include "common/rkeys.h"

static struct rds_script create_script = {
	.source = "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
		  "redis.call('HSET', KEYS[1], 'display_name', ARGV[1], 'password', ARGV[2], 'role', ARGV[3], 'state', 'active',\n"
		  "  'denied', '', 'created', ARGV[4], 'rev', 1)\n"
		  "return 1\n",
};

static struct rds_script rehash_script = {
	.source = "if redis.call('HGET', KEYS[1], 'password') ~= ARGV[1] then return 0 end\n"
		  "redis.call('HSET', KEYS[1], 'password', ARGV[2])\n"
		  "return 1\n",
};

enum err users_from_reply(struct str name, const struct redisReply *fields, struct user *out)
{
	struct user u = { .denied = perm_parse(rds_field(fields, "denied")) };

	if (rds_len(fields) == 0)
		return ERR_NOT_FOUND;
	if (str_copy(name, u.name, sizeof(u.name)) != ERR_OK ||
	    str_copy(rds_field(fields, "display_name"), u.display_name, sizeof(u.display_name)) != ERR_OK ||
	    str_copy(rds_field(fields, "role"), u.role, sizeof(u.role)) != ERR_OK ||
	    str_copy(rds_field(fields, "password"), u.password, sizeof(u.password)) != ERR_OK)
		return ERR_INTERNAL;
	u.disabled = !str_eq(rds_field(fields, "state"), STR("active"));
	(void)(str_to_u64(rds_field(fields, "created"), UINT64_MAX, &u.created_ms) == ERR_OK);
	(void)(str_to_u64(rds_field(fields, "rev"), UINT64_MAX, &u.revision) == ERR_OK);
	*out = u;
	users_wipe(&u);
	return ERR_OK;
}

enum err users_get(struct rds *r, struct str name, struct user *out)
{
	struct redisReply *reply;

	if (!user_name_valid(name))
		return ERR_NOT_FOUND;
	struct rkey key = rkey_user(name);
	enum err e = RDS(r, &reply, STR("HGETALL"), rkey_str(&key));
	if (e != ERR_OK)
		return e;
	e = users_from_reply(name, reply, out);
	rds_reply_free(reply);
	return e;
}

void users_wipe(struct user *u)
{
	explicit_bzero(u->password, sizeof(u->password));
}

perm_set users_perms(const struct user *u)
{
	perm_set set = 0;

	if (u->disabled || perm_role(str_from(u->role), &set) != ERR_OK)
		return 0;
	return set & ~u->denied;
}

enum err users_queue_index(struct rds *r, struct str name, struct str old_display, struct str new_display, size_t *queued)
{
	struct names_words gone, come;
	enum err e = ERR_OK;

	names_words_of(old_display, name, &gone);
	names_words_of(new_display, name, &come);
	for (size_t i = 0; i < gone.count && e == ERR_OK; i++) {
		e = RDS_QUEUE(r, STR("ZREM"), STR(RKEY_NAMES), gone.word[i]);
		*queued += e == ERR_OK;
	}
	for (size_t i = 0; i < come.count && e == ERR_OK; i++) {
		e = RDS_QUEUE(r, STR("ZADD"), STR(RKEY_NAMES), STR("0"), come.word[i]);
		*queued += e == ERR_OK;
	}
	return e;
}

/* Index first, record last: a crash in between leaves hints that lead nowhere instead of a person whom nobody finds. */
static enum err write_index(struct rds *r, const struct user *u)
{
	struct redisReply *replies[NAMES_WORDS_MAX + 1];
	size_t queued = 1;
	enum err e = RDS_QUEUE(r, STR("ZADD"), STR(RKEY_USERS), STR("0"), str_from(u->name));

	if (e == ERR_OK)
		e = users_queue_index(r, str_from(u->name), STR(""), str_from(u->display_name), &queued);
	if (e == ERR_OK)
		e = rds_collect(r, replies, queued);
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < queued; i++)
		rds_reply_free(replies[i]);
	return ERR_OK;
}

enum err users_create(struct rds *r, const struct user *u)
{
	struct rkey key = rkey_user(str_from(u->name));
	struct redisReply *reply;
	char created[24];

	enum err e = write_index(r, u);
	if (e != ERR_OK)
		return e;
	(void)snprintf(created, sizeof(created), "%llu", (unsigned long long)clock_wall_ms());
	e = RDS_EVAL(r, &create_script, &reply, 1, rkey_str(&key), str_from(u->display_name), str_from(u->password), str_from(u->role),
		     str_from(created));
	if (e != ERR_OK)
		return e;
	bool made = rds_int(reply) == 1;
	rds_reply_free(reply);
	return made ? ERR_OK : ERR_EXISTS;
}

enum err users_rehash(struct rds *r, struct str name, const char *old, const char *new)
{
	struct rkey key = rkey_user(name);
	struct redisReply *reply;
	enum err e = RDS_EVAL(r, &rehash_script, &reply, 1, rkey_str(&key), str_from(old), str_from(new));

	if (e != ERR_OK)
		return e;
	bool done = rds_int(reply) == 1;
	rds_reply_free(reply);
	return done ? ERR_OK : ERR_CONFLICT;
}

enum err users_display_names(struct rds *r, const struct str *names, size_t count, users_name_fn into, void *user)
{
	struct redisReply *replies[64];

	for (size_t at = 0; at < count;) {
		size_t n = MIN(count - at, ARRAY_LEN(replies));
		enum err e = ERR_OK;

		for (size_t i = 0; i < n && e == ERR_OK; i++) {
			struct rkey key = rkey_user(names[at + i]);

			e = RDS_QUEUE(r, STR("HGET"), rkey_str(&key), STR("display_name"));
		}
		if (e == ERR_OK)
			e = rds_collect(r, replies, n);
		if (e != ERR_OK)
			return e;
		for (size_t i = 0; i < n; i++) {
			into(user, at + i, rds_text(replies[i]));
			rds_reply_free(replies[i]);
		}
		at += n;
	}
	return ERR_OK;
}
