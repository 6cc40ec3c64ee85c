#include "api/call_media.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/event.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/rkeys.h"

#define ASK_BYTES 16u
#define ASK_SIZE (2 * ASK_BYTES + 1)

/* How many relays are up, and what was measured of allocations that have ended. Asked before the relays are: what ends between the two is in
 * neither, rather than in both. */
static enum err before(struct rds *r, uint64_t now_ms, struct call_media *m)
{
	struct rkey caller = rkey_media(m->caller.user, m->caller.session), callee = rkey_media(m->callee.user, m->callee.session);
	struct redisReply *replies[3];
	char now[24];

	(void)snprintf(now, sizeof(now), "%" PRIu64, now_ms);
	enum err e = RDS_QUEUE(r, STR("ZCOUNT"), STR(RKEY_RELAYS), str_from(now), STR("+inf"));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("HGETALL"), rkey_str(&caller));
	if (e == ERR_OK)
		e = RDS_QUEUE(r, STR("HGETALL"), rkey_str(&callee));
	if (e == ERR_OK)
		e = rds_collect(r, replies, ARRAY_LEN(replies));
	if (e != ERR_OK)
		return e;
	m->asked = (uint64_t)MAX(rds_int(replies[0]), INT64_C(0));
	if (m->caller.session.len > 0)
		m->caller.media = quality_of_ended(replies[1]);
	if (m->callee.session.len > 0)
		m->callee.media = quality_of_ended(replies[2]);
	for (size_t i = 0; i < ARRAY_LEN(replies); i++)
		rds_reply_free(replies[i]);
	return ERR_OK;
}

static void take(struct call_media *m, struct str text)
{
	json_t *answer = json_loadb(text.p != NULL ? text.p : "", text.len, 0, NULL);

	/* A relay's slip must not hide the others. */
	if (json_is_object(answer)) {
		m->answered++;
		m->measured_ms = clock_wall_ms();
		m->caller.allocations += quality_add_living(&m->caller.media, json_object_get(answer, "caller"));
		m->callee.allocations += quality_add_living(&m->callee.media, json_object_get(answer, "callee"));
	}
	json_decref(answer);
}

/* The thread waits in Redis, the others serve. */
static enum err collect(struct rds *r, struct str answers, uint64_t wait_ms, struct call_media *m)
{
	uint64_t end = clock_mono_ms() + wait_ms;

	for (uint64_t got = 0; got < m->asked; got++) {
		struct redisReply *reply;
		uint64_t now = clock_mono_ms();
		char seconds[24];

		if (now >= end)
			break;
		(void)snprintf(seconds, sizeof(seconds), "%" PRIu64 ".%03" PRIu64, (end - now) / MS_PER_S, (end - now) % MS_PER_S);
		enum err e = RDS(r, &reply, STR("BLPOP"), answers, str_from(seconds));
		if (e != ERR_OK)
			return e;
		bool none = rds_len(reply) < 2;
		if (!none)
			take(m, rds_text(rds_at(reply, 1)));
		rds_reply_free(reply);
		if (none)
			break;
	}
	return ERR_OK;
}

enum err call_media_ask(struct rds *r, const struct settings *set, uint64_t now_ms, struct call_media *m)
{
	uint8_t random[ASK_BYTES];
	char ask[ASK_SIZE];
	struct buf hex = buf_fixed(ask, sizeof(ask));
	size_t queued = 0;
	enum err e = before(r, now_ms, m);

	if (m->caller.session.len == 0 && m->callee.session.len == 0)
		m->asked = 0;
	if (e != ERR_OK || m->asked == 0)
		return e;
	crypto_random(random, sizeof(random));
	hex_put(&hex, random, sizeof(random));
	const struct event_media_ask event = { .ask = buf_view(&hex), .caller = m->caller.user, .caller_session = m->caller.session,
					       .callee = m->callee.user, .callee_session = m->callee.session };
	e = event_queue_media_ask(r, &event, &queued);
	if (e == ERR_OK)
		e = event_collect(r, queued);
	struct rkey answers = rkey_answer(buf_view(&hex));
	return e == ERR_OK ? collect(r, rkey_str(&answers), MIN((uint64_t)CALL_MEDIA_WAIT_MS, set->redis_timeout_ms / 2), m) : e;
}
