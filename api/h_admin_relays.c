/* /admin/relays: the relays that are up, as they announce themselves (common/rkeys.h), and draining one. */
#include <stdio.h>

#include "api/check.h"
#include "api/event.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/reply.h"
#include "common/log.h"
#include "common/rkeys.h"

#define RELAYS_MAX 256u

/* Names whose lease has not run out. */
static enum err names(struct req *r, struct redisReply **out)
{
	char now[24];

	(void)snprintf(now, sizeof(now), "%llu", (unsigned long long)r->now_ms);
	return RDS(r->rds, out, STR("ZRANGEBYSCORE"), STR(RKEY_RELAYS), str_from(now), STR("+inf"), STR("LIMIT"), STR("0"), STR("256"));
}

static uint64_t number(const struct redisReply *hash, const char *field)
{
	uint64_t n = 0;

	(void)str_to_u64(rds_field(hash, field), INT64_MAX, &n);
	return n;
}

static json_t *addresses(const struct redisReply *hash)
{
	json_t *list = json_array();

	for (struct str rest = rds_field(hash, "addresses"); rest.p != NULL;) {
		struct str one = str_cut(&rest, ' ');

		if (one.len > 0)
			(void)json_array_append_new(list, reply_str(one));
	}
	return list;
}

static json_t *one_relay(struct str name, const struct redisReply *hash)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:f, s:o}", "name", reply_str(name), "state", reply_str(rds_field(hash, "state")),
			 "version", reply_str(rds_field(hash, "version")), "addresses", addresses(hash), "allocations",
			 (json_int_t)number(hash, "allocations"), "capacity", (json_int_t)number(hash, "capacity"), "workers",
			 (json_int_t)number(hash, "workers"), "busy", (double)number(hash, "busy") / 1000, "started_at",
			 reply_time_json(number(hash, "started")));
}

enum err h_admin_relays(struct req *r)
{
	struct redisReply *list, *hash[RELAYS_MAX];
	enum err e = names(r, &list);

	if (e != ERR_OK)
		return e;
	json_t *items = json_array();
	size_t count = MIN(rds_len(list), (size_t)RELAYS_MAX);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct rkey key = rkey_relay(rds_text(rds_at(list, i)));

		e = RDS_QUEUE(r->rds, STR("HGETALL"), rkey_str(&key));
	}
	if (e == ERR_OK && count > 0)
		e = rds_collect(r->rds, hash, count);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		/* One that has just gone is not listed. */
		if (rds_len(hash[i]) > 0)
			(void)json_array_append_new(items, one_relay(rds_text(rds_at(list, i)), hash[i]));
		rds_reply_free(hash[i]);
	}
	rds_reply_free(list);
	if (e != ERR_OK) {
		json_decref(items);
		return e;
	}
	return reply_list(r, items, STR(""));
}

static enum err is_up(struct req *r, struct str name)
{
	struct redisReply *score;
	enum err e = RDS(r->rds, &score, STR("ZSCORE"), STR(RKEY_RELAYS), name);

	if (e != ERR_OK)
		return e;
	bool up = !rds_nil(score) && (uint64_t)rds_int(score) >= r->now_ms;
	rds_reply_free(score);
	return up ? ERR_OK : ERR_NOT_FOUND;
}

struct patch {
	struct str state;
};

static const struct field fields[] = {
	{ "state", INPUT_TEXT, true, check_drain_state, offsetof(struct patch, state) },
};

enum err h_admin_relay_patch(struct req *r)
{
	struct patch in = { 0 };
	size_t queued = 0;

	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	enum err e = is_up(r, r->param[0]);
	if (e == ERR_OK)
		e = event_queue_relay_drain(r->rds, r->param[0], str_eq(in.state, STR("draining")), &queued);
	if (e == ERR_OK)
		e = event_collect(r->rds, queued);
	if (e != ERR_OK)
		return e;
	log_event(LOG_INFO, "relay-drain", "relay=%s state=%s by=%s", log_value(r->param[0]), log_value(in.state), r->who.user);
	return reply_empty(r, 202);
}
