#include "api/sessions.h"

#include <stdio.h>

#include "api/event.h"
#include "common/crypto.h"

#define NUMBER_SIZE 24u

/* KEYS user, sessions, session, certificates; ARGV id, password, serial, now, expires, idle end, method,
 * address, agent, most. Returns {0} disabled, {1} changed meanwhile, or {2, the sessions that gave way …}. */
static struct rds_script create_script = {
	.source = "if redis.call('HGET', KEYS[1], 'state') ~= 'active' then return {0} end\n"
		  "if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], 'password') ~= ARGV[2] then return {1} end\n"
		  "if ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[4], ARGV[3]) == 0 then return {1} end\n"
		  "redis.call('HSET', KEYS[3], 'created', ARGV[4], 'seen', ARGV[4], 'expires', ARGV[5], 'method', ARGV[7],\n"
		  "  'address', ARGV[8], 'agent', ARGV[9], 'certificate', ARGV[3])\n"
		  "redis.call('PEXPIREAT', KEYS[3], ARGV[6])\n"
		  "redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])\n"
		  "redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])\n"
		  "local gone = {2}\n"
		  "local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[10])\n"
		  "if over > 0 then\n"
		  "  local base = string.sub(KEYS[3], 1, -33)\n"
		  "  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, over - 1)) do\n"
		  "    redis.call('DEL', base .. id)\n"
		  "    redis.call('ZREM', KEYS[2], id)\n"
		  "    gone[#gone + 1] = id\n"
		  "  end\n"
		  "end\n"
		  "return gone\n",
};

static struct rds_script touch_script = {
	.source = "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
		  "redis.call('HSET', KEYS[1], 'seen', ARGV[2])\n"
		  "redis.call('PEXPIREAT', KEYS[1], ARGV[3])\n"
		  "redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[1])\n"
		  "return 1\n",
};

/* KEYS user, sessions; ARGV old, new, keep, prefix of the session keys. */
static const char password_source[] =
	"if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'password') ~= ARGV[1] then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'password', ARGV[2])\n"
	"for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do\n"
	"  if id ~= ARGV[3] then\n"
	"    redis.call('DEL', ARGV[4] .. id)\n"
	"    redis.call('ZREM', KEYS[2], id)\n"
	"  end\n"
	"end\n"
	"return 1\n";

static struct str number(uint64_t n, char mem[NUMBER_SIZE])
{
	return str_of(mem, (size_t)snprintf(mem, NUMBER_SIZE, "%llu", (unsigned long long)n));
}

static void id_of(const uint8_t secret[SESSION_SECRET_LEN], char id[SESSION_ID_SIZE])
{
	uint8_t sum[SHA256_LEN];
	struct buf b = buf_fixed(id, SESSION_ID_SIZE - 1);

	crypto_sha256(str_of(secret, SESSION_SECRET_LEN), sum);
	hex_put(&b, sum, (SESSION_ID_SIZE - 1) / 2);
	id[b.len] = '\0';
}

static void cut_copy(struct str s, char *dst, size_t size)
{
	s = str_sub(s, 0, size - 1);
	(void)(str_copy(s, dst, size) == ERR_OK);
}

/* Tells the workers of sessions that a newer one pushed out. */
static enum err tell_ended(struct rds *r, struct str user, const struct redisReply *ids)
{
	size_t queued = 0;
	enum err e = ERR_OK;

	for (size_t i = 1; i < rds_len(ids) && e == ERR_OK; i++)
		e = event_queue_session_end(r, user, rds_text(rds_at(ids, i)), &queued);
	return e == ERR_OK ? event_collect(r, queued) : e;
}

static enum err run_create(struct rds *r, const struct session_new *n, const struct session *s)
{
	struct rkey user = rkey_user(n->user), all = rkey_sessions(n->user), one = rkey_session(n->user, str_from(s->id));
	struct rkey certs = rkey_certs(n->user);
	char now[NUMBER_SIZE], expires[NUMBER_SIZE], idle[NUMBER_SIZE], most[NUMBER_SIZE];
	struct redisReply *reply;

	enum err e = RDS_EVAL(r, &create_script, &reply, 4, rkey_str(&user), rkey_str(&all), rkey_str(&one), rkey_str(&certs),
			      str_from(s->id), n->password, n->certificate, number(s->created_ms, now), number(s->expires_ms, expires),
			      number(MIN(s->expires_ms, n->now_ms + n->idle_ms), idle), str_from(s->method), str_from(s->address),
			      str_from(s->agent), number(SESSIONS_PER_USER, most));
	if (e != ERR_OK)
		return e;
	int64_t verdict = rds_int(rds_at(reply, 0));
	e = verdict == 0 ? ERR_FORBIDDEN : verdict == 1 ? ERR_CONFLICT : tell_ended(r, n->user, reply);
	rds_reply_free(reply);
	return e;
}

enum err sessions_create(struct rds *r, const struct session_new *n, char cookie[SESSION_COOKIE_MAX], struct session *out)
{
	struct session s = { .created_ms = n->now_ms, .seen_ms = n->now_ms, .expires_ms = n->now_ms + n->absolute_ms };
	uint8_t secret[SESSION_SECRET_LEN];
	struct buf b = buf_fixed(cookie, SESSION_COOKIE_MAX - 1);

	crypto_random(secret, sizeof(secret));
	id_of(secret, s.id);
	cut_copy(n->certificate.len > 0 ? STR("certificate") : STR("password"), s.method, sizeof(s.method));
	cut_copy(n->address, s.address, sizeof(s.address));
	cut_copy(n->agent, s.agent, sizeof(s.agent));
	cut_copy(n->certificate, s.certificate, sizeof(s.certificate));
	enum err e = run_create(r, n, &s);
	if (e == ERR_OK) {
		buf_str(&b, n->user);
		buf_char(&b, '.');
		base64url_put(&b, secret, sizeof(secret));
		cookie[b.len] = '\0';
		e = buf_err(&b);
	}
	explicit_bzero(secret, sizeof(secret));
	if (e == ERR_OK)
		*out = s;
	return e;
}

enum err sessions_parse_cookie(struct str value, struct str *user, char id[SESSION_ID_SIZE])
{
	const char *dot = value.len > 0 ? memrchr(value.p, '.', value.len) : NULL;
	uint8_t secret[SESSION_SECRET_LEN];
	size_t len;

	if (dot == NULL)
		return ERR_INVALID;
	struct str name = str_sub(value, 0, (size_t)(dot - value.p)), text = str_sub(value, name.len + 1, value.len);
	if (!user_name_valid(name) || base64url_get(text, secret, sizeof(secret), &len) != ERR_OK || len != sizeof(secret))
		return ERR_INVALID;
	id_of(secret, id);
	explicit_bzero(secret, sizeof(secret));
	*user = name;
	return ERR_OK;
}

static enum err from_reply(struct str id, const struct redisReply *fields, struct session *out)
{
	struct session s = { 0 };

	if (str_to_u64(rds_field(fields, "created"), UINT64_MAX, &s.created_ms) != ERR_OK ||
	    str_to_u64(rds_field(fields, "seen"), UINT64_MAX, &s.seen_ms) != ERR_OK ||
	    str_to_u64(rds_field(fields, "expires"), UINT64_MAX, &s.expires_ms) != ERR_OK)
		return ERR_NOT_FOUND;
	cut_copy(id, s.id, sizeof(s.id));
	cut_copy(rds_field(fields, "method"), s.method, sizeof(s.method));
	cut_copy(rds_field(fields, "address"), s.address, sizeof(s.address));
	cut_copy(rds_field(fields, "agent"), s.agent, sizeof(s.agent));
	cut_copy(rds_field(fields, "certificate"), s.certificate, sizeof(s.certificate));
	*out = s;
	return ERR_OK;
}

enum err sessions_get(struct rds *r, struct str user, struct str id, uint64_t now_ms, struct session *session, struct user *owner)
{
	struct rkey one = rkey_session(user, id), record = rkey_user(user);
	struct redisReply *replies[2];
	struct session s;

	enum err e = RDS_QUEUE(r, STR("HGETALL"), rkey_str(&one));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("HGETALL"), rkey_str(&record));
	if (e == ERR_OK)
		e = rds_collect(r, replies, ARRAY_LEN(replies));
	if (e != ERR_OK)
		return e;
	e = from_reply(id, replies[0], &s);
	if (e == ERR_OK && s.expires_ms <= now_ms)
		e = ERR_NOT_FOUND;
	if (e == ERR_OK)
		e = users_from_reply(user, replies[1], owner);
	if (e == ERR_OK) {
		users_wipe(owner);
		e = owner->disabled ? ERR_NOT_FOUND : ERR_OK;
	}
	rds_reply_free(replies[0]);
	rds_reply_free(replies[1]);
	if (e == ERR_OK)
		*session = s;
	return e;
}

enum err sessions_touch(struct rds *r, struct str user, const struct session *s, uint64_t now_ms, uint64_t idle_ms)
{
	struct rkey one = rkey_session(user, str_from(s->id)), all = rkey_sessions(user);
	char now[NUMBER_SIZE], idle[NUMBER_SIZE];
	struct redisReply *reply;

	enum err e = RDS_EVAL(r, &touch_script, &reply, 2, rkey_str(&one), rkey_str(&all), str_from(s->id), number(now_ms, now),
			      number(MIN(s->expires_ms, now_ms + idle_ms), idle));
	if (e == ERR_OK)
		rds_reply_free(reply);
	return e;
}

static enum err ids_of(struct rds *r, struct str user, struct redisReply **out)
{
	struct rkey all = rkey_sessions(user);

	return RDS(r, out, STR("ZRANGE"), rkey_str(&all), STR("0"), STR("-1"));
}

enum err sessions_list(struct rds *r, struct str user, uint64_t now_ms, sessions_fn fn, void *arg)
{
	struct redisReply *ids, *replies[SESSIONS_PER_USER];
	enum err e = ids_of(r, user, &ids);

	if (e != ERR_OK)
		return e;
	size_t count = MIN(rds_len(ids), (size_t)SESSIONS_PER_USER);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct rkey one = rkey_session(user, rds_text(rds_at(ids, i)));

		e = RDS_QUEUE(r, STR("HGETALL"), rkey_str(&one));
	}
	if (e == ERR_OK && count > 0)
		e = rds_collect(r, replies, count);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct session s;

		/* One that has run out meanwhile is simply not there. */
		if (from_reply(rds_text(rds_at(ids, i)), replies[i], &s) == ERR_OK && s.expires_ms > now_ms)
			fn(arg, &s);
		rds_reply_free(replies[i]);
	}
	rds_reply_free(ids);
	return e;
}

static enum err queue_end(struct rds *r, struct str user, struct str id, size_t *queued)
{
	struct rkey one = rkey_session(user, id), all = rkey_sessions(user);
	enum err e = RDS_QUEUE(r, STR("DEL"), rkey_str(&one));

	*queued += e == ERR_OK;
	if (e == ERR_OK) {
		e = RDS_QUEUE(r, STR("ZREM"), rkey_str(&all), id);
		*queued += e == ERR_OK;
	}
	return e == ERR_OK ? event_queue_session_end(r, user, id, queued) : e;
}

enum err sessions_end(struct rds *r, struct str user, struct str id)
{
	struct rkey one = rkey_session(user, id);
	struct redisReply *reply;
	size_t queued = 0;

	enum err e = RDS(r, &reply, STR("EXISTS"), rkey_str(&one));
	if (e != ERR_OK)
		return e;
	bool there = rds_int(reply) == 1;
	rds_reply_free(reply);
	if (!there)
		return ERR_NOT_FOUND;
	e = queue_end(r, user, id, &queued);
	return e == ERR_OK ? event_collect(r, queued) : e;
}

enum err sessions_change_password(struct rds *r, struct str user, struct str old, struct str new, struct str keep)
{
	struct rkey record = rkey_user(user), all = rkey_sessions(user), prefix = rkey_session(user, STR(""));
	struct redisReply *ids, *replies[1 + SESSIONS_PER_USER * 2];
	size_t queued = 0;

	enum err e = ids_of(r, user, &ids);
	if (e != ERR_OK)
		return e;
	e = RDS_QUEUE(r, STR("EVAL"), str_from(password_source), STR("2"), rkey_str(&record), rkey_str(&all), old, new, keep,
		      rkey_str(&prefix));
	queued += e == ERR_OK;
	for (size_t i = 0; i < rds_len(ids) && queued < ARRAY_LEN(replies) && e == ERR_OK; i++) {
		if (!str_eq(rds_text(rds_at(ids, i)), keep))
			e = event_queue_session_end(r, user, rds_text(rds_at(ids, i)), &queued);
	}
	rds_reply_free(ids);
	if (e == ERR_OK)
		e = rds_collect(r, replies, queued);
	if (e != ERR_OK)
		return e;
	e = rds_int(replies[0]) == 1 ? ERR_OK : ERR_CONFLICT;
	for (size_t i = 0; i < queued; i++)
		rds_reply_free(replies[i]);
	return e;
}

struct by_certificate {
	struct str serial;
	char id[SESSIONS_PER_USER][SESSION_ID_SIZE];
	size_t count;
};

static void pick(void *arg, const struct session *s)
{
	struct by_certificate *found = arg;

	if (str_eq(str_from(s->certificate), found->serial) && found->count < SESSIONS_PER_USER)
		memcpy(found->id[found->count++], s->id, sizeof(s->id));
}

enum err sessions_queue_end_certificate(struct rds *r, struct str user, struct str serial, size_t *queued)
{
	struct by_certificate found = { .serial = serial };
	enum err e = sessions_list(r, user, 0, pick, &found);

	for (size_t i = 0; i < found.count && e == ERR_OK; i++)
		e = queue_end(r, user, str_from(found.id[i]), queued);
	return e;
}
