#include "api/live.h"

#include <stdio.h>

#include "api/reply.h"
#include "common/rkeys.h"

#define WORKERS_MAX 256u

/* The workers whose lease has not run out. */
static enum err workers(struct rds *r, uint64_t now_ms, struct redisReply **out)
{
	char now[24];

	(void)snprintf(now, sizeof(now), "%llu", (unsigned long long)now_ms);
	return RDS(r, out, STR("ZRANGEBYSCORE"), STR(RKEY_WORKERS), str_from(now), STR("+inf"), STR("LIMIT"), STR("0"), STR("256"));
}

static json_t *text_or_null(const json_t *call, const char *name)
{
	const char *text = json_string_value(json_object_get(call, name));

	return text != NULL ? json_string(text) : json_null();
}

/* Workers write milliseconds since 1970; 0 is "not yet". */
static json_t *time_or_null(const json_t *call, const char *name)
{
	json_int_t ms = json_integer_value(json_object_get(call, name));

	return reply_time_json(ms > 0 ? (uint64_t)ms : 0);
}

/* What the worker wrote of one call; NULL if that is not JSON, or not there. */
static json_t *parse(struct str text)
{
	json_t *call = json_loadb(text.p != NULL ? text.p : "", text.len, 0, NULL);

	if (json_is_object(call))
		return call;
	json_decref(call);
	return NULL;
}

static json_t *shown(struct str worker, struct str id, const json_t *call)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", reply_str(id), "caller", text_or_null(call, "caller"), "callee",
			 text_or_null(call, "callee"), "media", text_or_null(call, "media"), "state", text_or_null(call, "state"), "started_at",
			 time_or_null(call, "started_at"), "answered_at", time_or_null(call, "answered_at"), "worker", reply_str(worker));
}

static void add_call(json_t *items, struct str worker, struct str id, struct str text)
{
	json_t *call = parse(text);

	/* A worker's slip must not hide the other calls. */
	if (call != NULL)
		(void)json_array_append_new(items, shown(worker, id, call));
	json_decref(call);
}

enum err live_list(struct rds *r, uint64_t now_ms, json_t *items)
{
	struct redisReply *names, *replies[WORKERS_MAX];
	enum err e = workers(r, now_ms, &names);

	if (e != ERR_OK)
		return e;
	size_t count = MIN(rds_len(names), (size_t)WORKERS_MAX);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct rkey key = rkey_live(rds_text(rds_at(names, i)));

		e = RDS_QUEUE(r, STR("HGETALL"), rkey_str(&key));
	}
	if (e == ERR_OK && count > 0)
		e = rds_collect(r, replies, count);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		for (size_t k = 0; k + 1 < rds_len(replies[i]); k += 2)
			add_call(items, rds_text(rds_at(names, i)), rds_text(rds_at(replies[i], k)), rds_text(rds_at(replies[i], k + 1)));
		rds_reply_free(replies[i]);
	}
	rds_reply_free(names);
	return e;
}

static struct str text_of(const json_t *call, const char *name)
{
	const char *text = json_string_value(json_object_get(call, name));

	return text != NULL ? str_from(text) : STR("");
}

/* The Session-ID of a side, if it can be asked for: it becomes a part of keys together with the name. */
static struct str session_of(const json_t *call, const char *side, const char *name)
{
	return user_name_valid(text_of(call, side)) ? text_of(call, name) : STR("");
}

static struct live_call found(struct str worker, struct str id, json_t *call)
{
	return (struct live_call){ .shown = shown(worker, id, call), .text = call, .caller = text_of(call, "caller"), .callee = text_of(call, "callee"),
				   .caller_session = session_of(call, "caller", "caller_session"),
				   .callee_session = session_of(call, "callee", "callee_session") };
}

void live_call_fini(struct live_call *c)
{
	json_decref(c->shown);
	json_decref(c->text);
}

enum err live_get(struct rds *r, uint64_t now_ms, struct str id, struct live_call *out)
{
	struct redisReply *names, *replies[WORKERS_MAX];
	bool any = false;
	enum err e = workers(r, now_ms, &names);

	if (e != ERR_OK)
		return e;
	size_t count = MIN(rds_len(names), (size_t)WORKERS_MAX);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct rkey key = rkey_live(rds_text(rds_at(names, i)));

		e = RDS_QUEUE(r, STR("HGET"), rkey_str(&key), id);
	}
	if (e == ERR_OK && count > 0)
		e = rds_collect(r, replies, count);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		json_t *call = any ? NULL : parse(rds_text(replies[i]));

		if (call != NULL) {
			*out = found(rds_text(rds_at(names, i)), id, call);
			any = true;
		}
		rds_reply_free(replies[i]);
	}
	rds_reply_free(names);
	return e == ERR_OK && !any ? ERR_NOT_FOUND : e;
}
