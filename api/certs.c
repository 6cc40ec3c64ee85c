#include "api/certs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "api/event.h"
#include "common/crypto.h"

/* KEYS certificates; ARGV serial, "not_after label", now (s), most. Drops what has expired, then adds. Returns
 * 0 if there is no room. */
static struct rds_script add_script = {
	.source = "local all = redis.call('HGETALL', KEYS[1])\n"
		  "local have = 0\n"
		  "for i = 1, #all, 2 do\n"
		  "  if tonumber(string.match(all[i + 1], '^%d+')) <= tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i])\n"
		  "  else have = have + 1 end\n"
		  "end\n"
		  "if have >= tonumber(ARGV[4]) then return 0 end\n"
		  "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
		  "return 1\n",
};

enum err certs_add(struct rds *r, struct str user, const struct ca_issued *issued, struct str label, uint64_t now_s)
{
	struct rkey key = rkey_certs(user);
	char value[400], now[24], most[16];
	struct redisReply *reply;

	int n = snprintf(value, sizeof(value), "%llu %.*s", (unsigned long long)issued->not_after_s, STR_FMT(label));
	if (n < 0 || (size_t)n >= sizeof(value))
		return ERR_TOO_LARGE;
	(void)snprintf(now, sizeof(now), "%llu", (unsigned long long)now_s);
	(void)snprintf(most, sizeof(most), "%u", CERTS_PER_USER);
	enum err e = RDS_EVAL(r, &add_script, &reply, 1, rkey_str(&key), str_from(issued->serial), str_of(value, (size_t)n), str_from(now),
			      str_from(most));
	if (e != ERR_OK)
		return e;
	bool added = rds_int(reply) == 1;
	rds_reply_free(reply);
	return added ? ERR_OK : ERR_FULL;
}

static uint64_t expiry_of(struct str value, struct str *label)
{
	struct str rest = value;
	uint64_t s;

	if (str_to_u64(str_cut(&rest, ' '), UINT64_MAX / 1000, &s) != ERR_OK)
		return 0;
	*label = rest;
	return s;
}

enum err certs_list(struct rds *r, struct str user, uint64_t now_s, certs_fn fn, void *arg)
{
	struct rkey key = rkey_certs(user);
	struct redisReply *reply;

	enum err e = RDS(r, &reply, STR("HGETALL"), rkey_str(&key));
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i + 1 < rds_len(reply); i += 2) {
		struct str label = STR_NONE;
		uint64_t not_after_s = expiry_of(rds_text(rds_at(reply, i + 1)), &label);

		if (not_after_s > now_s)
			fn(arg, rds_text(rds_at(reply, i)), not_after_s, label);
	}
	rds_reply_free(reply);
	return ERR_OK;
}

/* The CN of a name in the form of RFC 4514, "CN=alice". User names need no escapes there, and the authority
 * signs no other names. */
static enum err common_name(struct str subject, char out[USER_NAME_SIZE])
{
	while (subject.p != NULL) {
		struct str part = str_trim(str_cut(&subject, ','));

		if (str_starts(part, STR("CN=")) && user_name_valid(str_sub(part, 3, part.len)))
			return str_copy(str_sub(part, 3, part.len), out, USER_NAME_SIZE);
	}
	return ERR_FORBIDDEN;
}

static enum err canonical_serial(struct str serial, char out[SERIAL_SIZE])
{
	uint8_t raw[(SERIAL_SIZE - 1) / 2];
	struct buf b = buf_fixed(out, SERIAL_SIZE - 1);
	size_t len;

	if (serial.len != SERIAL_SIZE - 1 || hex_get(serial, raw, sizeof(raw), &len) != ERR_OK)
		return ERR_FORBIDDEN;
	hex_put(&b, raw, len);
	out[b.len] = '\0';
	return ERR_OK;
}

enum err certs_owner(struct rds *r, struct str subject, struct str serial, uint64_t now_ms, char user[USER_NAME_SIZE],
		     char serial_out[SERIAL_SIZE])
{
	char name[USER_NAME_SIZE], hex[SERIAL_SIZE];
	struct redisReply *replies[3];

	if (common_name(subject, name) != ERR_OK || canonical_serial(serial, hex) != ERR_OK)
		return ERR_FORBIDDEN;
	struct rkey certs = rkey_certs(str_from(name)), revoked = rkey_revoked(str_from(name)), record = rkey_user(str_from(name));
	enum err e = RDS_QUEUE(r, STR("HGET"), rkey_str(&certs), str_from(hex));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("SISMEMBER"), rkey_str(&revoked), str_from(hex));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("HGET"), rkey_str(&record), STR("state"));
	if (e == ERR_OK)
		e = rds_collect(r, replies, ARRAY_LEN(replies));
	if (e != ERR_OK)
		return e;
	struct str label;
	bool good = expiry_of(rds_text(replies[0]), &label) * 1000 > now_ms && rds_int(replies[1]) == 0 &&
		    str_eq(rds_text(replies[2]), STR("active"));
	for (size_t i = 0; i < ARRAY_LEN(replies); i++)
		rds_reply_free(replies[i]);
	if (!good)
		return ERR_FORBIDDEN;
	memcpy(user, name, sizeof(name));
	memcpy(serial_out, hex, sizeof(hex));
	return ERR_OK;
}

static enum err known(struct rds *r, struct str user, struct str serial, uint64_t *not_after_s)
{
	struct rkey certs = rkey_certs(user);
	struct redisReply *reply;
	struct str label;

	enum err e = RDS(r, &reply, STR("HGET"), rkey_str(&certs), serial);
	if (e != ERR_OK)
		return e;
	uint64_t until = expiry_of(rds_text(reply), &label);
	rds_reply_free(reply);
	if (until == 0)
		return ERR_NOT_FOUND;
	*not_after_s = until;
	return ERR_OK;
}

enum err certs_revoke(struct rds *r, struct str user, struct str serial, uint64_t now_s)
{
	struct rkey certs = rkey_certs(user), revoked = rkey_revoked(user);
	char member[80], score[24], hex[SERIAL_SIZE];
	uint64_t not_after_s;
	size_t queued = 0;

	if (canonical_serial(serial, hex) != ERR_OK)
		return ERR_NOT_FOUND;
	enum err e = known(r, user, str_from(hex), &not_after_s);
	if (e != ERR_OK)
		return e;
	(void)snprintf(score, sizeof(score), "%llu", (unsigned long long)not_after_s);
	(void)snprintf(member, sizeof(member), "%s %llu", hex, (unsigned long long)now_s);
	/* First, because it reads; the rest is one pipeline with the events it queues. */
	e = sessions_queue_end_certificate(r, user, str_from(hex), &queued);
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("HDEL"), rkey_str(&certs), str_from(hex));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("SADD"), rkey_str(&revoked), str_from(hex));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("ZADD"), STR(RKEY_CRL), str_from(score), str_from(member));
	return e == ERR_OK ? event_collect(r, queued + 3) : e;
}

static enum err fetch_revoked(struct rds *r, uint64_t now_s, struct ca_revoked **out, size_t *count)
{
	struct redisReply *replies[2];
	char now[24];

	(void)snprintf(now, sizeof(now), "%llu", (unsigned long long)now_s);
	enum err e = RDS_QUEUE(r, STR("ZREMRANGEBYSCORE"), STR(RKEY_CRL), STR("-inf"), str_from(now));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("ZRANGE"), STR(RKEY_CRL), STR("0"), STR("-1"));
	if (e == ERR_OK)
		e = rds_collect(r, replies, ARRAY_LEN(replies));
	if (e != ERR_OK)
		return e;
	size_t n = 0;
	struct ca_revoked *list = calloc(rds_len(replies[1]) + 1, sizeof(*list));
	for (size_t i = 0; list != NULL && i < rds_len(replies[1]); i++) {
		struct str rest = rds_text(rds_at(replies[1], i)), serial = str_cut(&rest, ' ');

		if (str_copy(serial, list[n].serial, sizeof(list[n].serial)) == ERR_OK &&
		    str_to_u64(rest, UINT64_MAX / 1000, &list[n].revoked_s) == ERR_OK)
			n++;
	}
	rds_reply_free(replies[0]);
	rds_reply_free(replies[1]);
	if (list == NULL)
		return ERR_NO_MEMORY;
	*out = list;
	*count = n;
	return ERR_OK;
}

enum err certs_write_crl(struct rds *r, struct ca *ca, const char *path, uint64_t now_s)
{
	struct ca_revoked *list = NULL;
	size_t count = 0;
	char lock_path[512];

	int n = snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	if (n < 0 || (size_t)n >= sizeof(lock_path))
		return ERR_TOO_LARGE;
	int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (lock < 0)
		return ERR_IO;
	/* The list is read under the lock, so that an older one never replaces a newer. */
	enum err e = flock(lock, LOCK_EX) == 0 ? fetch_revoked(r, now_s, &list, &count) : ERR_IO;
	if (e == ERR_OK)
		e = ca_write_crl(ca, path, list, count, now_s);
	free(list);
	(void)close(lock);
	return e;
}
