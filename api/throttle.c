#include "api/throttle.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/rkeys.h"

#define PREFIX_WINDOW_S 600u

/* A hash with n (failures) and next (ms). ARGV now, free, cap of the delay (ms), life of the counter (ms).
 * Returns ms to wait; 0: counted and allowed. */
static struct rds_script delay_script = {
	.source = "local now = tonumber(ARGV[1])\n"
		  "local next = tonumber(redis.call('HGET', KEYS[1], 'next') or '0')\n"
		  "if now < next then return next - now end\n"
		  "local n = redis.call('HINCRBY', KEYS[1], 'n', 1)\n"
		  "local over = n - tonumber(ARGV[2])\n"
		  "local delay = 0\n"
		  "if over >= 0 then delay = math.min(1000 * 2 ^ math.min(over, 30), tonumber(ARGV[3])) end\n"
		  "redis.call('HSET', KEYS[1], 'next', string.format('%.0f', now + delay))\n"
		  "redis.call('PEXPIRE', KEYS[1], ARGV[4])\n"
		  "return 0\n",
};

/* A string. ARGV most, window (s), what to add (0: only look). Returns ms to wait; 0: counted and allowed. */
static struct rds_script window_script = {
	.source = "local n = tonumber(redis.call('GET', KEYS[1]) or '0')\n"
		  "if n >= tonumber(ARGV[1]) then return math.max(redis.call('PTTL', KEYS[1]), 1) end\n"
		  "if ARGV[3] == '1' and redis.call('INCR', KEYS[1]) == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end\n"
		  "return 0\n",
};

static struct rds_script refund_script = {
	.source = "if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end\n"
		  "return 0\n",
};

struct slow {
	const char *what;
	uint64_t free, cap_ms, life_ms;
};
static const struct slow pair = { "login-pair", 5, 900000, 86400000 };
static const struct slow account = { "login-user", 50, 10000, 3600000 };

void throttle_prefix(struct str address, char out[64])
{
	char text[64];
	struct in6_addr six;

	if (str_copy(address, text, sizeof(text)) != ERR_OK)
		text[0] = '\0';
	if (inet_pton(AF_INET6, text, &six) == 1 && !IN6_IS_ADDR_V4MAPPED(&six)) {
		memset(six.s6_addr + 8, 0, 8);
		(void)inet_ntop(AF_INET6, &six, out, 64);
	} else {
		(void)snprintf(out, 64, "%s", text);
	}
}

static enum err wait_of(enum err e, struct redisReply *reply, uint64_t *wait_s)
{
	if (e != ERR_OK)
		return e;
	int64_t ms = rds_int(reply);
	rds_reply_free(reply);
	*wait_s = ms > 0 ? ((uint64_t)ms + 999) / 1000 : 0;
	return ERR_OK;
}

static enum err delay(struct rds *r, const struct slow *s, struct str who, uint64_t now_ms, uint64_t *wait_s)
{
	struct rkey key = rkey_rate(s->what, who);
	struct redisReply *reply = NULL;
	char mem[4][24];
	const uint64_t n[4] = { now_ms, s->free, s->cap_ms, s->life_ms };

	for (size_t i = 0; i < ARRAY_LEN(n); i++)
		(void)snprintf(mem[i], sizeof(mem[i]), "%llu", (unsigned long long)n[i]);
	enum err e = RDS_EVAL(r, &delay_script, &reply, 1, rkey_str(&key), str_from(mem[0]), str_from(mem[1]), str_from(mem[2]),
			      str_from(mem[3]));
	return wait_of(e, reply, wait_s);
}

static enum err window(struct rds *r, const char *what, struct str who, uint64_t max, uint64_t window_s, bool count, uint64_t *wait_s)
{
	struct rkey key = rkey_rate(what, who);
	struct redisReply *reply = NULL;
	char most[24], length[24];

	(void)snprintf(most, sizeof(most), "%llu", (unsigned long long)max);
	(void)snprintf(length, sizeof(length), "%llu", (unsigned long long)window_s);
	enum err e = RDS_EVAL(r, &window_script, &reply, 1, rkey_str(&key), str_from(most), str_from(length), count ? STR("1") : STR("0"));
	return wait_of(e, reply, wait_s);
}

enum err throttle_window(struct rds *r, const char *what, struct str who, uint64_t max, uint64_t window_s, uint64_t *wait_s)
{
	return window(r, what, who, max, window_s, true, wait_s);
}

static struct str pair_of(struct str user, struct str prefix, char mem[THROTTLE_WHO_MAX])
{
	return str_of(mem, (size_t)snprintf(mem, THROTTLE_WHO_MAX, "%.*s/%.*s", STR_FMT(user), STR_FMT(prefix)));
}

enum err throttle_login(struct rds *r, struct str user, struct str prefix, uint64_t now_ms, uint64_t prefix_max, uint64_t *wait_s)
{
	char mem[THROTTLE_WHO_MAX];
	uint64_t wait = 0;

	/* Looked at first, so that one address cannot fill Redis with counters of made-up names; counted last,
		so that waiting for one's own
	 * account does not use up what others behind the same address have. */
	enum err e = window(r, "login-from", prefix, prefix_max, PREFIX_WINDOW_S, false, &wait);
	if (e == ERR_OK && wait == 0)
		e = delay(r, &pair, pair_of(user, prefix, mem), now_ms, &wait);
	if (e == ERR_OK && wait == 0)
		e = delay(r, &account, user, now_ms, &wait);
	if (e == ERR_OK && wait == 0)
		e = window(r, "login-from", prefix, prefix_max, PREFIX_WINDOW_S, true, &wait);
	if (e == ERR_OK)
		*wait_s = wait;
	return e;
}

enum err throttle_login_done(struct rds *r, struct str user, struct str prefix)
{
	char mem[THROTTLE_WHO_MAX];
	struct rkey two = rkey_rate(pair.what, pair_of(user, prefix, mem)), one = rkey_rate(account.what, user);
	struct rkey from = rkey_rate("login-from", prefix);
	struct redisReply *replies[3];

	enum err e = RDS_QUEUE(r, STR("DEL"), rkey_str(&two));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("DEL"), rkey_str(&one));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("EVAL"), str_from(refund_script.source), STR("1"), rkey_str(&from));
	if (e == ERR_OK)
		e = rds_collect(r, replies, ARRAY_LEN(replies));
	for (size_t i = 0; i < ARRAY_LEN(replies) && e == ERR_OK; i++)
		rds_reply_free(replies[i]);
	return e;
}
