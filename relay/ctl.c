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
#include "relay/announce.h"
#include "relay/call_media.h"
#include "relay/drain.h"
#include "relay/media_redis.h"
#include "relay/path.h"

#define BLOCK_MS "400"     /* how long one XREAD waits; also how long stopping may take */
#define TIMEOUT_MS 1500u   /* of a command; more than BLOCK_MS */
#define RETRY_MIN_MS 200u
#define RETRY_MAX_MS 5000u
#define BATCH "128"
#define ID_SIZE 48u
#define ASKED_AGE_MS 5000u /* nobody waits for the answer to an older question */

struct ctl {
	struct relay *relay; /* borrowed */
	struct rds *redis;   /* owned */
	pthread_t thread;
	atomic_bool stop;
	struct announce announce;
	uint64_t announced_ms; /* monotonic */
	char last_id[ID_SIZE]; /* of the last event seen; at first before all of them */
	char asked_id[ID_SIZE]; /* of the last question seen */
};

/* The time in an event's id: ms since 1970. */
static uint64_t ms_of(struct str id)
{
	uint64_t ms = 0;

	(void)str_to_u64(str_sub(id, 0, str_find(id, '-')), UINT64_MAX, &ms);
	return ms;
}

/* Without `until`, as an older API writes it, an event counts only for what it found when it was written. */
static unsigned revoke(struct ctl *c, struct str user, struct str until, bool past)
{
	uint64_t until_s = past ? 0 : UINT64_MAX;

	if (until.len > 0 && str_to_u64(until, UINT64_MAX, &until_s) != ERR_OK)
		return 0;
	if (until.len > 0) {
		revoked_note(&c->relay->revoked, user, until_s, clock_wall_ms() / MS_PER_S);
		/* Who was let through just before has made the allocation after this, and it is found. */
		rcu_wait(c->relay->rcu);
	}
	return until_s > 0 ? table_revoke_user(c->relay->table, user, until_s) : 0;
}

static void drain(struct ctl *c, const struct redisReply *fields)
{
	struct str state = rds_field(fields, "state");
	enum err e = ERR_INVALID;

	if (str_eq(state, STR("draining")))
		e = relay_drain_as_configured(c->relay, clock_mono_ms());
	else if (str_eq(state, STR("serving")))
		e = relay_set_drain(c->relay, &(struct drain){ .mode = DRAIN_OFF });
	log_event(e == ERR_OK ? LOG_INFO : LOG_ERROR, "drain-asked", "state=%s result=%s", log_value(state), log_value(str_from(err_text(e))));
}

/* `past`: written before this relay started. */
static void obey(struct ctl *c, const struct redisReply *fields, bool past)
{
	struct str type = rds_field(fields, "t"), user = rds_field(fields, "user"), call = rds_field(fields, "call");
	unsigned freed = 0;

	if (str_eq(type, STR(EV_CALL_END)) && user.len > 0 && call.len > 0) {
		freed = table_remove_user(c->relay->table, user, call);
	} else if (str_eq(type, STR(EV_USER_REVOKE)) && user.len > 0) {
		freed = revoke(c, user, rds_field(fields, "until"), past);
	} else if (str_eq(type, STR(EV_RELAY_DRAIN)) && !past && str_eq(rds_field(fields, "relay"), str_from(c->announce.name))) {
		drain(c, fields);
		return;
	} else {
		return; /* another relay's affair, or a later version's */
	}
	if (freed > 0 || !past)
		log_event(LOG_INFO, "revoked", "type=%s user=%s call=%s allocations=%u", log_value(type), log_value(user),
			  log_value(call), freed);
}

/* The last id in a stream, "0-0" if it is empty. */
static enum err last_of(struct rds *redis, struct str stream, char id[ID_SIZE])
{
	struct redisReply *reply;
	enum err e = RDS(redis, &reply, STR("XREVRANGE"), stream, STR("+"), STR("-"), STR("COUNT"), STR("1"));

	if (e != ERR_OK)
		return e;
	struct str last = rds_text(rds_at(rds_at(reply, 0), 0));
	e = str_copy(last.len > 0 ? last : STR("0-0"), id, ID_SIZE);
	rds_reply_free(reply);
	return e;
}

/* After the connection was made: if the stream is younger than what we have seen, Redis was emptied, and we begin anew at its start. Of
 * questions only those count that come from now on. */
static enum err find_place(struct ctl *c)
{
	char id[ID_SIZE];
	enum err e = last_of(c->redis, STR(RKEY_EV_RELAY), id);

	if (e == ERR_OK)
		e = last_of(c->redis, STR(RKEY_EV_ASKED), c->asked_id);
	if (e == ERR_OK && ms_of(str_from(id)) < ms_of(str_from(c->last_id)))
		(void)str_copy(STR("0-0"), c->last_id, sizeof(c->last_id));
	return e;
}

static enum err answer(struct ctl *c, struct str id, const struct redisReply *fields)
{
	if (!str_eq(rds_field(fields, "t"), STR(EV_MEDIA_ASK)) || ms_of(id) + ASKED_AGE_MS < clock_wall_ms())
		return ERR_OK;
	return call_media_answer(c->redis, str_from(c->announce.name), c->relay->table, fields, path_seconds(clock_mono_ms()));
}

/* [[id, [field, value, …]], …] of one stream. */
static enum err read_stream(struct ctl *c, const struct redisReply *entries, bool questions)
{
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < rds_len(entries); i++) {
		const struct redisReply *entry = rds_at(entries, i);
		struct str id = rds_text(rds_at(entry, 0));

		/* Before it is obeyed: what cannot be answered is not asked again. */
		e = str_copy(id, questions ? c->asked_id : c->last_id, ID_SIZE);
		if (e != ERR_OK)
			return ERR_INVALID;
		if (questions)
			e = answer(c, id, rds_at(entry, 1));
		else
			obey(c, rds_at(entry, 1), ms_of(id) < c->announce.start_ms);
	}
	return e;
}

static enum err read_events(struct ctl *c)
{
	struct redisReply *reply;
	enum err e = RDS(c->redis, &reply, STR("XREAD"), STR("COUNT"), STR(BATCH), STR("BLOCK"), STR(BLOCK_MS), STR("STREAMS"),
			 STR(RKEY_EV_RELAY), STR(RKEY_EV_ASKED), str_from(c->last_id), str_from(c->asked_id));

	if (e != ERR_OK)
		return e;
	/* [[stream, [[id, [field, value, …]], …]], …], or nil after BLOCK_MS. */
	for (size_t i = 0; e == ERR_OK && i < rds_len(reply); i++) {
		const struct redisReply *stream = rds_at(reply, i);

		e = read_stream(c, rds_at(stream, 1), str_eq(rds_text(rds_at(stream, 0)), STR(RKEY_EV_ASKED)));
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

/* A relay that cannot say that it is there works all the same. */
static enum err announce(struct ctl *c)
{
	uint64_t now = clock_mono_ms();

	if (c->announced_ms != 0 && now - c->announced_ms < ANNOUNCE_MS)
		return ERR_OK;
	c->announced_ms = now;
	return announce_write(&c->announce, c->redis, c->relay, clock_wall_ms());
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
		if (e == ERR_OK)
			e = media_redis_write(c->relay->records, c->redis);
		if (e == ERR_OK)
			e = announce(c);
		if (e != ERR_OK) {
			placed = false;
			pause_ms(c, wait_ms);
			wait_ms = MIN(wait_ms * 2, RETRY_MAX_MS);
		}
	}
	announce_end(&c->announce, c->redis);
	return NULL;
}

enum err ctl_start(struct relay *relay, const char *redis, const char *name, struct ctl **out)
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
	c->announce = (struct announce){ .name = name, .start_ms = clock_wall_ms() };
	(void)str_copy(STR("0-0"), c->last_id, sizeof(c->last_id));
	(void)str_copy(STR("0-0"), c->asked_id, sizeof(c->asked_id));
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
