/* Is the session of a connection still there? Asked before the first SIP is read, when the session's time is over, and now and then. */
#include "common/crypto.h"
#include "common/events.h"
#include "common/log.h"
#include "signalling/conn_int.h"
#include "signalling/edge_int.h"
#include "signalling/session.h"

#define LOOK_AGAIN_MS 300000u /* at the latest; up to a fifth earlier, so that not all ask at once */
#define RETRY_MS 2000u        /* while Redis is away */

static void admit(struct conn *c, uint64_t left_ms)
{
	uint32_t jitter;

	if (!c->admitted) {
		c->admitted = true;
		conn_arrived(c);
		c->revision = STR_NONE;
		conn_want(c);
	}
	crypto_random(&jitter, sizeof(jitter));
	uint64_t next = LOOK_AGAIN_MS - jitter % (LOOK_AGAIN_MS / 5);
	/* PTTL rounds: a millisecond later the key is gone. */
	timer_arm(loop_timers(c->w->loop), &c->session_due, MIN(next, left_ms) + 1);
}

/* Redis did not answer. Whoever was admitted goes on: with Redis away calls between local users shall work. Nobody new is let in: the API,
 * which reads the same Redis, could not have said yes a moment later. */
static void no_answer(struct conn *c, enum err e)
{
	c->w->count->reject[REJ_REDIS]++;
	if (c->admitted) {
		timer_arm(loop_timers(c->w->loop), &c->session_due, RETRY_MS);
	} else if (e == ERR_TIMEOUT && !c->asked_again) {
		/* A Redis that is busy writing to a slow disk has often answered by the second deadline. */
		c->asked_again = true;
		conn_session_ask(c);
	} else {
		conn_close(c, WS_CODE_TRY_LATER, "store not available");
	}
}

static void on_answer(void *user_data, enum err e, const struct redisReply *reply)
{
	struct conn *c = user_data;
	struct worker *w = c->w;
	uint64_t left_ms = 0;

	c->asking = false;
	if (c->phase != PHASE_OPEN)
		return;
	if (e != ERR_OK) {
		no_answer(c, e);
		return;
	}
	enum session_state state = session_answer(reply, &left_ms);
	if (state == SESSION_VALID) {
		admit(c, left_ms);
		if (c->line != NULL)
			gate_admitted(c);
		return;
	}
	w->count->reject[REJ_SESSION]++;
	/* Other permissions than those it came with: it may come again for the new ones, as after an event. */
	if (state == SESSION_CHANGED)
		conn_close(c, WS_CLOSE_SESSION_ENDED, "permissions changed");
	else
		session_end(w, c->user, c->session);
}

void conn_session_ask(struct conn *c)
{
	if (c->asking)
		return;
	c->asking = true;
	session_ask(c->w, c->user, c->session, c->revision, on_answer, c);
}

void conn_session_on_due(struct timer *t, uint64_t now_ms)
{
	struct conn *c = CONTAINER_OF(t, struct conn, session_due);

	(void)now_ms;
	if (c->phase == PHASE_OPEN)
		conn_session_ask(c);
}

void conn_session_forget(struct conn *c)
{
	if (c->asking && c->w->rds != NULL)
		rds_async_forget(c->w->rds, c);
}
