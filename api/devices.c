#include "api/devices.h"

#include <sodium.h>
#include <stdio.h>

#include "api/event.h"
#include "common/rkeys.h"

/* KEYS devices, device; ARGV id, now, most, name, sha256, md5. Returns 0 if there is no room. */
static struct rds_script add_script = {
	.source = "if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end\n"
		  "redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])\n"
		  "redis.call('HSET', KEYS[2], 'name', ARGV[4], 'created', ARGV[2], 'used', '0', 'sha256', ARGV[5], 'md5', ARGV[6])\n"
		  "return 1\n",
};

enum err devices_add(struct rds *r, struct str user, struct str realm, struct str name, uint64_t now_ms, struct device *out,
		     char secret[DEVICE_SECRET_LEN + 1])
{
	struct device d = { .name = name, .created_ms = now_ms };
	char login_mem[DEVICE_LOGIN_MAX], hash_mem[2 * DEVICE_HA1_MAX], now[24], most[16];
	struct buf login = buf_fixed(login_mem, sizeof(login_mem)), sha256 = buf_fixed(hash_mem, DEVICE_HA1_MAX),
		   md5 = buf_fixed(hash_mem + DEVICE_HA1_MAX, DEVICE_HA1_MAX);
	struct redisReply *reply;

	device_id_make(d.id);
	device_secret_make(secret);
	device_login_put(&login, user, str_from(d.id));
	device_ha1_sha256_put(&sha256, buf_view(&login), realm, str_from(secret));
	device_ha1_md5_put(&md5, buf_view(&login), realm, str_from(secret));
	if (login.overflow || sha256.overflow || md5.overflow)
		return ERR_NO_MEMORY;
	(void)snprintf(now, sizeof(now), "%llu", (unsigned long long)now_ms);
	(void)snprintf(most, sizeof(most), "%u", DEVICES_PER_USER);
	struct rkey list = rkey_devices(user), key = rkey_device(user, str_from(d.id));
	enum err e = RDS_EVAL(r, &add_script, &reply, 2, rkey_str(&list), rkey_str(&key), str_from(d.id), str_from(now), str_from(most), name,
			      buf_view(&sha256), buf_view(&md5));

	sodium_memzero(hash_mem, sizeof(hash_mem));
	if (e != ERR_OK)
		return e;
	bool added = rds_int(reply) == 1;
	rds_reply_free(reply);
	if (!added)
		return ERR_FULL;
	*out = d;
	return ERR_OK;
}

static void tell(const struct redisReply *fields, struct str id, devices_fn fn, void *arg)
{
	struct device d = { .name = rds_text(rds_at(fields, 0)) };

	/* Taken away between the list and this. */
	if (d.name.p == NULL || str_copy(id, d.id, sizeof(d.id)) != ERR_OK ||
	    str_to_u64(rds_text(rds_at(fields, 1)), UINT64_MAX, &d.created_ms) != ERR_OK ||
	    str_to_u64(rds_text(rds_at(fields, 2)), UINT64_MAX, &d.used_ms) != ERR_OK)
		return;
	fn(arg, &d);
}

enum err devices_list(struct rds *r, struct str user, devices_fn fn, void *arg)
{
	struct rkey list = rkey_devices(user);
	struct redisReply *ids, *fields[DEVICES_PER_USER];
	size_t count = 0;

	enum err e = RDS(r, &ids, STR("ZRANGE"), rkey_str(&list), STR("0"), STR("-1"));
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < rds_len(ids) && i < DEVICES_PER_USER && e == ERR_OK; i++) {
		struct rkey key = rkey_device(user, rds_text(rds_at(ids, i)));

		e = RDS_QUEUE(r, STR("HMGET"), rkey_str(&key), STR("name"), STR("created"), STR("used"));
		count += e == ERR_OK;
	}
	if (e == ERR_OK && count > 0)
		e = rds_collect(r, fields, count);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		tell(fields[i], rds_text(rds_at(ids, i)), fn, arg);
		rds_reply_free(fields[i]);
	}
	rds_reply_free(ids);
	return e;
}

enum err devices_remove(struct rds *r, struct str user, struct str id)
{
	char session[DEVICE_SESSION_LEN + 1];
	struct redisReply *replies[3];
	size_t queued = 2;

	if (!device_id_valid(id))
		return ERR_NOT_FOUND;
	(void)snprintf(session, sizeof(session), DEVICE_SESSION_PREFIX "%.*s", STR_FMT(id));
	struct rkey list = rkey_devices(user), key = rkey_device(user, id);
	enum err e = RDS_QUEUE(r, STR("DEL"), rkey_str(&key));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("ZREM"), rkey_str(&list), id);
	if (e == ERR_OK)
		e = event_queue_session_end(r, user, str_from(session), &queued);
	if (e == ERR_OK)
		e = rds_collect(r, replies, queued);
	if (e != ERR_OK)
		return e;
	bool was_there = rds_int(replies[0]) == 1;
	for (size_t i = 0; i < queued; i++)
		rds_reply_free(replies[i]);
	return was_there ? ERR_OK : ERR_NOT_FOUND;
}
