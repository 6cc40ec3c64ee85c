/* What is written about a call: live:WORKER while it lasts, CDR and history at its end, the relay's event, "busy", the
 * counts and one log line for each change of state. A call never waits for its
 * record: what it leaves behind for good goes through the outbox, which keeps it until Redis has it; the rest is written again
 * when Redis is back. Owner: the worker's thread. */
#include "common/events.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "signalling/call_int.h"

#include <inttypes.h>
#include <stdio.h>

#define NUMBER_SIZE    21u
#define CALL_ID_STORED 255u /* bytes of a Call-ID, which a client may make as long as a message */

static const char *const state_names[CALL_STATE_COUNT] = { "trying", "ringing", "answered", "ended" };

uint64_t call_wall_ms(const struct calls *cs)
{
	return cs->ops->wall_ms(cs->host);
}

static void store(const struct calls *cs, size_t argc, const struct str *argv)
{
	cs->ops->store(cs->host, argc, argv);
}

/* What must outlive an outage of Redis. */
static void append(const struct calls *cs, struct str key, struct str max, size_t count, const struct str *fields)
{
	cs->ops->append(cs->host, key, max, count, fields);
}

static struct str number(uint64_t n, char mem[NUMBER_SIZE])
{
	int len = snprintf(mem, NUMBER_SIZE, "%" PRIu64, n);

	return (struct str){ mem, (size_t)MAX(len, 0) };
}

static void set_state(struct call *c, enum call_state s)
{
	c->calls->stats.now[c->state]--;
	c->state = s;
	c->calls->stats.now[s]++;
}

/* Its transactions may keep it for half a minute more (RFC 6026 timers L and M), but nobody looks for it. */
static void set_ended(struct call *c)
{
	set_state(c, CALL_ENDED);
	list_remove(&c->by_call_id);
	for (unsigned side = 0; side < 2; side++)
		list_remove(&c->party[side].by_user);
}

/* --- live:WORKER ------------------------------------------------------------------------------ */

static void lease(struct calls *cs)
{
	struct rkey key = rkey_live(cs->worker);
	char mem[NUMBER_SIZE];

	store(cs, 3, (struct str[]){ STR("PEXPIRE"), rkey_str(&key), number(WORKER_LEASE_MS, mem) });
	timer_arm(cs->timers, &cs->lease, WORKER_LEASE_MS / 3);
}

/* Without calls there is no key, and nothing to renew. */
void call_lease_due(struct timer *timer, UNUSED uint64_t now)
{
	struct calls *cs = CONTAINER_OF(timer, struct calls, lease);

	if (cs->shown > 0)
		lease(cs);
}

/* {"id","caller","callee","caller_session","callee_session","media","state","started_at","answered_at","worker"}: names and ids need no
 * escapes; times are ms since 1970, 0 = never; a side's Session-ID (RFC 7989) is empty until it is known. */
static void show(struct call *c)
{
	struct calls *cs = c->calls;
	struct rkey key = rkey_live(cs->worker);
	char json[640];
	struct buf b = buf_fixed(json, sizeof(json));

	buf_printf(&b,
		   "{\"id\":\"%s\",\"caller\":\"%s\",\"callee\":\"%s\",\"caller_session\":\"%s\",\"callee_session\":\"%s\",\"media\":\"%s\","
		   "\"state\":\"%s\",\"started_at\":%" PRIu64 ",\"answered_at\":%" PRIu64 ",\"worker\":\"%.*s\"}",
		   c->id, c->party[CALL_CALLER].user, c->party[CALL_CALLEE].user, c->party[CALL_CALLER].uuid,
		   c->party[CALL_CALLEE].uuid, c->video ? "video" : "audio", state_names[c->state], c->started_ms, c->answered_ms, STR_FMT(cs->worker));
	if (b.overflow)
		return;
	store(cs, 4, (struct str[]){ STR("HSET"), rkey_str(&key), str_from(c->id), buf_view(&b) });
	if (!timer_armed(&cs->lease))
		lease(cs);
}

void call_show_again(struct call *c)
{
	if (c->state != CALL_ENDED && c->party[CALL_CALLER].counted_busy)
		show(c);
}

void calls_redis_up(struct calls *cs)
{
	struct rkey key = rkey_live(cs->worker);
	struct list *it, *tmp;

	store(cs, 2, (struct str[]){ STR("DEL"), rkey_str(&key) });
	for (size_t i = 0; i < CALLS_BUCKETS; i++) {
		LIST_FOR_EACH (it, tmp, &cs->by_call_id[i])
			call_show_again(CONTAINER_OF(it, struct call, by_call_id));
	}
	if (cs->shown > 0)
		lease(cs);
}

static void hide(struct call *c)
{
	struct rkey key = rkey_live(c->calls->worker);

	store(c->calls, 3, (struct str[]){ STR("HDEL"), rkey_str(&key), str_from(c->id) });
}

/* --- busy ------------------------------------------------------------------------------------- */

static void set_busy(struct call *c, enum call_side side, bool busy)
{
	struct call_party *p = &c->party[side];

	if (p->counted_busy == busy)
		return;
	p->counted_busy = busy;
	c->calls->ops->busy(c->calls->host, str_from(p->user), busy);
}

/* --- states ----------------------------------------------------------------------------------- */

void call_forked(struct call *c)
{
	c->calls->shown++;
	show(c);
	set_busy(c, CALL_CALLER, true);
	log_event(LOG_INFO, "call-started", "id=%s caller=%s callee=%s media=%s", c->id, c->party[CALL_CALLER].user,
		  c->party[CALL_CALLEE].user, c->video ? "video" : "audio");
}

void call_ringing(struct call *c)
{
	if (c->state != CALL_TRYING)
		return;
	set_state(c, CALL_RINGING);
	c->ringing_ms = call_wall_ms(c->calls);
	show(c);
}

void call_record_answered(struct call *c)
{
	set_state(c, CALL_ANSWERED);
	c->answered_ms = call_wall_ms(c->calls);
	c->calls->stats.answered++;
	show(c);
	set_busy(c, CALL_CALLEE, true);
	log_event(LOG_INFO, "call-answered", "id=%s after_ms=%" PRIu64, c->id, c->answered_ms - c->started_ms);
}

/* --- end -------------------------------------------------------------------------------------- */

void call_tell_relay(struct calls *cs, struct str user, struct str uuid)
{
	if (uuid.len == 0)
		return;
	append(cs, STR(RKEY_EV_RELAY), STR(EVENTS_MAX), 6,
	       (struct str[]){ STR("t"), STR(EV_CALL_END), STR("user"), user, STR("call"), uuid });
}

static void write_cdr(struct call *c, enum cdr_reason reason, unsigned status, const char *by)
{
	char started[NUMBER_SIZE], ringing[NUMBER_SIZE], answered[NUMBER_SIZE], ended[NUMBER_SIZE], code[NUMBER_SIZE];
	const struct str fields[] = {
		STR(CDR_ID),       str_from(c->id),
		STR(CDR_CALL_ID),  str_sub(str_from(c->call_id), 0, CALL_ID_STORED),
		STR(CDR_CALLER),   str_from(c->party[CALL_CALLER].user),
		STR(CDR_CALLEE),   str_from(c->party[CALL_CALLEE].user),
		STR(CDR_MEDIA),    c->video ? STR("video") : STR("audio"),
		STR(CDR_STARTED),  number(c->started_ms, started),
		STR(CDR_RINGING),  number(c->ringing_ms, ringing),
		STR(CDR_ANSWERED), number(c->answered_ms, answered),
		STR(CDR_ENDED),    number(call_wall_ms(c->calls), ended),
		STR(CDR_REASON),   str_from(cdr_reason_name(reason)),
		STR(CDR_STATUS),   number(status, code),
		STR(CDR_BY),       str_from(by),
		STR(CDR_CALLER_SESSION), str_from(c->party[CALL_CALLER].uuid),
		STR(CDR_CALLEE_SESSION), str_from(c->party[CALL_CALLEE].uuid),
		STR(CDR_REFERRED_BY), str_from(c->referred_by),
	};
	struct rkey caller = rkey_history(str_from(c->party[CALL_CALLER].user)),
		    callee = rkey_history(str_from(c->party[CALL_CALLEE].user));

	append(c->calls, STR(RKEY_CDRS), STR(CDR_MAX), ARRAY_LEN(fields), fields);
	if (reason == CDR_GLARE)
		return;
	append(c->calls, rkey_str(&caller), STR(HISTORY_MAX), ARRAY_LEN(fields), fields);
	/* A name that nobody has must not become a key; a call that was not permitted never got as far as to know. */
	if (c->callee_exists && strcmp(c->party[CALL_CALLER].user, c->party[CALL_CALLEE].user) != 0)
		append(c->calls, rkey_str(&callee), STR(HISTORY_MAX), ARRAY_LEN(fields), fields);
}

static void leave_live(struct call *c)
{
	if (c->party[CALL_CALLER].counted_busy) {
		hide(c);
		c->calls->shown--;
	}
	set_busy(c, CALL_CALLER, false);
	set_busy(c, CALL_CALLEE, false);
}

void call_drop(struct call *c)
{
	timer_stop(c->calls->timers, &c->audit);
	set_ended(c);
	leave_live(c);
	log_event(LOG_INFO, "call-left", "id=%s", c->id);
}

void call_end(struct call *c, enum cdr_reason reason, unsigned status, const char *by)
{
	if (c->state == CALL_ENDED)
		return;
	timer_stop(c->calls->timers, &c->audit);
	set_ended(c);
	c->calls->stats.ended[reason]++;
	write_cdr(c, reason, status, by);
	leave_live(c);
	for (unsigned side = 0; side < 2; side++)
		call_tell_relay(c->calls, str_from(c->party[side].user), str_from(c->party[side].uuid));
	log_event(LOG_INFO, "call-ended", "id=%s reason=%s status=%u by=%s", c->id, cdr_reason_name(reason), status,
		  by);
}
