#include "relay/ctl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/events.h"
#include "common/log.h"
#include "common/rds.h"
#include "common/rkeys.h"

#define BLOCK_MS "400"     /* how long one XREAD waits; also how long stopping may take */
#define TIMEOUT_MS 1500u   /* of a command; more than BLOCK_MS */
#define RETRY_MIN_MS 200u
#define RETRY_MAX_MS 5000u
#define BATCH "128"
#define ID_SIZE 48u

struct ctl {
	struct relay *relay; /* borrowed */
	struct rds *redis;   /* owned */
	pthread_t thread;
	atomic_bool stop;
	uint64_t start_ms;     /* wall clock, as in the ids of events */
	char last_id[ID_SIZE]; /* of the last event seen; empty = none yet */
};

static void obey(struct ctl *c, const struct redisReply *fields)
{
	struct str type = rds_field(fields, "t"), user = rds_field(fields, "user"), call = rds_field(fields, "call");
	unsigned freed;

	if (str_eq(type, STR(EV_CALL_END)) && user.len > 0 && call.len > 0)
		freed = table_remove_user(c->relay->table, user, call);
	else if (str_eq(type, STR(EV_USER_REVOKE)) && user.len > 0)
		freed = table_remove_user(c->relay->table, user, STR_NONE);
	else
		return; /* another relay's affair, or a later version's */
	log_event(LOG_INFO, "revoked", "type=%s user=%s call=%s allocations=%u", log_value(type), log_value(user),
		  log_value(call), freed);
}

/* Where the stream ends now, or ended when this relay started, if Redis came later: what was written before that
 * does not concern it. If the stream is younger than what we have seen, Redis was emptied, and we begin anew at its
 * start. */
static enum err find_place(struct ctl *c)
{
	struct redisReply *reply;
	enum err e = RDS(c->redis, &reply, STR("XREVRANGE"), STR(RKEY_EV_RELAY), STR("+"), STR("-"), STR("COUNT"), STR("1"));

	if (e != ERR_OK)
		return e;
	struct str id = rds_text(rds_at(rds_at(reply, 0), 0));
	unsigned long long last_ms = strtoull(c->last_id, NULL, 10), end_ms;
	char text[ID_SIZE] = "0-0";
	if (id.len > 0 && id.len < sizeof(text)) {
		memcpy(text, id.p, id.len);
		text[id.len] = '\0';
	}
	rds_reply_free(reply);
	end_ms = strtoull(text, NULL, 10);
	if (c->last_id[0] == '\0' && end_ms > c->start_ms)
		(void)snprintf(c->last_id, sizeof(c->last_id), "%llu-0", (unsigned long long)c->start_ms);
	else if (c->last_id[0] == '\0')
		memcpy(c->last_id, text, sizeof(text));
	else if (end_ms < last_ms)
		(void)str_copy(STR("0-0"), c->last_id, sizeof(c->last_id));
	return ERR_OK;
}

static enum err read_events(struct ctl *c)
{
	struct redisReply *reply;
	enum err e = RDS(c->redis, &reply, STR("XREAD"), STR("COUNT"), STR(BATCH), STR("BLOCK"), STR(BLOCK_MS), STR("STREAMS"),
			 STR(RKEY_EV_RELAY), str_from(c->last_id));

	if (e != ERR_OK)
		return e;
	/* [[stream, [[id, [field, value, …]], …]]], or nil after BLOCK_MS. */
	const struct redisReply *entries = rds_at(rds_at(reply, 0), 1);
	for (size_t i = 0; i < rds_len(entries); i++) {
		const struct redisReply *entry = rds_at(entries, i);

		obey(c, rds_at(entry, 1));
		if (str_copy(rds_text(rds_at(entry, 0)), c->last_id, sizeof(c->last_id)) != ERR_OK)
			e = ERR_INVALID;
	}
	rds_reply_free(reply);
	return e;
}

static void pause_ms(struct ctl *c, unsigned ms)
{
	const struct timespec step = { .tv_nsec = 50000000 };

	for (; ms > 0 && !atomic_load(&c->stop); ms -= MIN(ms, 50u))
		(void)nanosleep(&step, NULL);
}

static void *run(void *arg)
{
	struct ctl *c = arg;
	unsigned wait_ms = RETRY_MIN_MS;
	bool placed = false;

	while (!atomic_load(&c->stop)) {
		enum err e = placed ? ERR_OK : find_place(c);

		if (e == ERR_OK) {
			if (!placed)
				log_event(LOG_INFO, "events-following", "stream=%s from=%s", RKEY_EV_RELAY, c->last_id);
			placed = true;
			wait_ms = RETRY_MIN_MS;
			e = read_events(c);
		}
		if (e != ERR_OK) {
			placed = false;
			pause_ms(c, wait_ms);
			wait_ms = MIN(wait_ms * 2, RETRY_MAX_MS);
		}
	}
	return NULL;
}

enum err ctl_start(struct relay *relay, const char *redis, struct ctl **out)
{
	if (redis == NULL || redis[0] == '\0') {
		log_event(LOG_WARN, "redis-none", "effect=%s", log_value(STR("allocations end by their lifetime only")));
		*out = NULL;
		return ERR_OK;
	}
	struct ctl *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ERR_NO_MEMORY;
	c->relay = relay;
	c->start_ms = clock_wall_ms();
	enum err e = rds_new(redis, TIMEOUT_MS, &c->redis);
	if (e == ERR_OK && pthread_create(&c->thread, NULL, run, c) != 0)
		e = ERR_NO_MEMORY;
	if (e != ERR_OK) {
		rds_free(c->redis);
		free(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void ctl_stop(struct ctl *c)
{
	if (c == NULL)
		return;
	atomic_store(&c->stop, true);
	(void)pthread_join(c->thread, NULL);
	rds_free(c->redis);
	free(c);
}
