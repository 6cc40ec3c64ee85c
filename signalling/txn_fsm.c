/* The four transaction machines of RFC 3261 §17 with the corrections of RFC 6026, as state × event tables. Owner: the
 * worker's thread.
 *
 *  INVITE client (RFC 6026 fig. 5)                INVITE server (RFC 6026 fig. 7)
 *    Calling --1xx--> Proceeding                    Proceeding --1xx from user--> Proceeding
 *       | A: resend     |                               |  |
 *       |-2xx-> Accepted <-2xx-|                        |  '-2xx from user-> Accepted --L--> end
 *       |          | M -> end  |                        '-3xx+ from user-> Completed  (G: resend, H: no ACK)
 *       '-3xx+-> Completed <-3xx+ : ACK                                       '-ACK-> Confirmed --I--> end
 *                  | D -> end
 *  other client (RFC 3261 fig. 6)                 other server (RFC 3261 fig. 8)
 *    Trying --1xx--> Proceeding                     Trying --1xx--> Proceeding
 *      '--final--> Completed --K--> end               '--final--> Completed --J--> end
 *      E: resend, F: time-out                         request again: last response again
 */
#include "signalling/txn_fsm.h"

#include <stdlib.h>

#include "common/log.h"
#include "signalling/sip_build.h"

/* What a transition does, in this order. */
enum {
	ACT_ACK = 1 << 0,          /* send ACK for the failure response */
	ACT_SEND = 1 << 1,         /* send the user's response */
	ACT_RESEND = 1 << 2,       /* send again what was sent last */
	ACT_BACKOFF = 1 << 3,      /* timer A doubles (§17.1.1.2), E and G double up to T2 */
	ACT_STOP_RESEND = 1 << 4,  /* stop A, E, G */
	ACT_STOP_TIMEOUT = 1 << 5, /* stop B, F, H */
	ACT_START_G_H = 1 << 6,
	ACT_LINGER = 1 << 7, /* start D, I, J, K, L or M, as the new state says */
	ACT_PASS = 1 << 8,   /* the response to the user */
	ACT_TELL_ACKED = 1 << 9,
	ACT_TELL_TIMEOUT = 1 << 10,
	ACT_TELL_TRANSPORT = 1 << 11,
	ACT_COUNT_ABSORBED = 1 << 12,
	ACT_SLOW = 1 << 13, /* timer E is T2 from here (§17.1.2.2) */
};
#define STOP (ACT_STOP_RESEND | ACT_STOP_TIMEOUT)

struct cell {
	bool valid;
	uint8_t next; /* enum txn_state */
	uint16_t act;
};
#define TO(state, actions)                     \
	{                                      \
		true, TXN_S_##state, (actions) \
	}

static const struct cell invite_client[TXN_S_COUNT][TXN_E_COUNT] = {
	[TXN_S_CALLING] = {
		[TXN_E_1XX] = TO(PROCEEDING, STOP | ACT_PASS),
		[TXN_E_2XX] = TO(ACCEPTED, STOP | ACT_LINGER | ACT_PASS),
		[TXN_E_FINAL] = TO(COMPLETED, STOP | ACT_ACK | ACT_LINGER | ACT_PASS),
		[TXN_E_RESEND] = TO(CALLING, ACT_RESEND | ACT_BACKOFF),
		[TXN_E_TIMEOUT] = TO(TERMINATED, ACT_TELL_TIMEOUT),
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_PROCEEDING] = {
		[TXN_E_1XX] = TO(PROCEEDING, ACT_PASS),
		[TXN_E_2XX] = TO(ACCEPTED, STOP | ACT_LINGER | ACT_PASS),
		[TXN_E_FINAL] = TO(COMPLETED, STOP | ACT_ACK | ACT_LINGER | ACT_PASS),
		[TXN_E_TIMEOUT] = TO(TERMINATED, ACT_TELL_TIMEOUT), /* only after txn_cancel_sent */
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_COMPLETED] = {
		[TXN_E_FINAL] = TO(COMPLETED, ACT_ACK | ACT_COUNT_ABSORBED),
		[TXN_E_LINGER] = TO(TERMINATED, 0), /* D */
		[TXN_E_TRANSPORT] = TO(TERMINATED, 0),
	},
	[TXN_S_ACCEPTED] = {
		[TXN_E_2XX] = TO(ACCEPTED, ACT_PASS),
		[TXN_E_LINGER] = TO(TERMINATED, 0), /* M */
		[TXN_E_TRANSPORT] = TO(ACCEPTED, 0),
	},
};

static const struct cell other_client[TXN_S_COUNT][TXN_E_COUNT] = {
	[TXN_S_CALLING] = {
		[TXN_E_1XX] = TO(PROCEEDING, ACT_SLOW | ACT_PASS),
		[TXN_E_2XX] = TO(COMPLETED, STOP | ACT_LINGER | ACT_PASS),
		[TXN_E_FINAL] = TO(COMPLETED, STOP | ACT_LINGER | ACT_PASS),
		[TXN_E_RESEND] = TO(CALLING, ACT_RESEND | ACT_BACKOFF),
		[TXN_E_TIMEOUT] = TO(TERMINATED, ACT_TELL_TIMEOUT),
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_PROCEEDING] = {
		[TXN_E_1XX] = TO(PROCEEDING, ACT_PASS),
		[TXN_E_2XX] = TO(COMPLETED, STOP | ACT_LINGER | ACT_PASS),
		[TXN_E_FINAL] = TO(COMPLETED, STOP | ACT_LINGER | ACT_PASS),
		[TXN_E_RESEND] = TO(PROCEEDING, ACT_RESEND | ACT_BACKOFF),
		[TXN_E_TIMEOUT] = TO(TERMINATED, ACT_TELL_TIMEOUT),
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_COMPLETED] = {
		[TXN_E_2XX] = TO(COMPLETED, ACT_COUNT_ABSORBED),
		[TXN_E_FINAL] = TO(COMPLETED, ACT_COUNT_ABSORBED),
		[TXN_E_1XX] = TO(COMPLETED, 0),
		[TXN_E_LINGER] = TO(TERMINATED, 0), /* K */
		[TXN_E_TRANSPORT] = TO(TERMINATED, 0),
	},
};

static const struct cell invite_server[TXN_S_COUNT][TXN_E_COUNT] = {
	[TXN_S_PROCEEDING] = {
		[TXN_E_1XX] = TO(PROCEEDING, ACT_SEND),
		[TXN_E_2XX] = TO(ACCEPTED, ACT_SEND | ACT_LINGER),
		[TXN_E_FINAL] = TO(COMPLETED, ACT_SEND | ACT_START_G_H),
		[TXN_E_REQUEST] = TO(PROCEEDING, ACT_RESEND | ACT_COUNT_ABSORBED),
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_COMPLETED] = {
		[TXN_E_REQUEST] = TO(COMPLETED, ACT_RESEND | ACT_COUNT_ABSORBED),
		[TXN_E_ACK] = TO(CONFIRMED, STOP | ACT_LINGER | ACT_TELL_ACKED),
		[TXN_E_RESEND] = TO(COMPLETED, ACT_RESEND | ACT_BACKOFF), /* G */
		[TXN_E_TIMEOUT] = TO(TERMINATED, ACT_TELL_TIMEOUT), /* H */
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_CONFIRMED] = {
		[TXN_E_REQUEST] = TO(CONFIRMED, ACT_COUNT_ABSORBED),
		[TXN_E_ACK] = TO(CONFIRMED, ACT_COUNT_ABSORBED),
		[TXN_E_LINGER] = TO(TERMINATED, 0), /* I */
		[TXN_E_TRANSPORT] = TO(TERMINATED, 0),
	},
	[TXN_S_ACCEPTED] = {
		[TXN_E_2XX] = TO(ACCEPTED, ACT_SEND),
		[TXN_E_REQUEST] = TO(ACCEPTED, ACT_COUNT_ABSORBED),
		[TXN_E_LINGER] = TO(TERMINATED, 0), /* L */
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
};

static const struct cell other_server[TXN_S_COUNT][TXN_E_COUNT] = {
	[TXN_S_CALLING] = {
		[TXN_E_1XX] = TO(PROCEEDING, ACT_SEND),
		[TXN_E_2XX] = TO(COMPLETED, ACT_SEND | ACT_LINGER),
		[TXN_E_FINAL] = TO(COMPLETED, ACT_SEND | ACT_LINGER),
		[TXN_E_REQUEST] = TO(CALLING, ACT_COUNT_ABSORBED),
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_PROCEEDING] = {
		[TXN_E_1XX] = TO(PROCEEDING, ACT_SEND),
		[TXN_E_2XX] = TO(COMPLETED, ACT_SEND | ACT_LINGER),
		[TXN_E_FINAL] = TO(COMPLETED, ACT_SEND | ACT_LINGER),
		[TXN_E_REQUEST] = TO(PROCEEDING, ACT_RESEND | ACT_COUNT_ABSORBED),
		[TXN_E_TRANSPORT] = TO(TERMINATED, ACT_TELL_TRANSPORT),
	},
	[TXN_S_COMPLETED] = {
		[TXN_E_REQUEST] = TO(COMPLETED, ACT_RESEND | ACT_COUNT_ABSORBED),
		[TXN_E_LINGER] = TO(TERMINATED, 0), /* J */
		[TXN_E_TRANSPORT] = TO(TERMINATED, 0),
	},
};

static const struct cell (*const machine[])[TXN_E_COUNT] = {
	[TXN_INVITE_CLIENT] = invite_client,
	[TXN_CLIENT] = other_client,
	[TXN_INVITE_SERVER] = invite_server,
	[TXN_SERVER] = other_server,
};

static bool is_client(const struct txn *t)
{
	return t->kind == TXN_INVITE_CLIENT || t->kind == TXN_CLIENT;
}

/* How long a state outlives its last message (§17.1.1.2 D, §17.1.2.2 K, §17.2.1 I, §17.2.2 J, RFC 6026 L and M). */
static uint64_t linger_ms(const struct txn *t)
{
	const struct txn_times *k = &t->layer->times;

	if (t->state == TXN_S_ACCEPTED)
		return 64ull * k->t1;
	if (t->reliable)
		return 0;
	if (t->kind == TXN_INVITE_CLIENT)
		return MAX(32000ull, 64ull * k->t1);
	if (t->kind == TXN_SERVER)
		return 64ull * k->t1;
	return k->t4;
}

static enum err send_bytes(struct txn *t, struct str bytes)
{
	return t->layer->ops->send(t->layer->host, &t->flow, bytes);
}

static enum err send_ack(struct txn *t, const struct sip_msg *m)
{
	struct buf b = buf_growing(SIP_MSG_MAX);
	enum err e = sip_ack_put(&b, t->request, m);

	if (e == ERR_OK)
		e = send_bytes(t, buf_view(&b));
	buf_fini(&b);
	return e;
}

static enum err send_again(struct txn *t)
{
	if (is_client(t)) {
		t->layer->counter[TXN_C_RETRANSMIT_OUT]++;
		return send_bytes(t, t->request->raw);
	}
	if (t->response == NULL)
		return ERR_OK;
	t->layer->counter[TXN_C_RETRANSMIT_OUT]++;
	return send_bytes(t, (struct str){ t->response, t->response_len });
}

static enum err send_response(struct txn *t, struct str out)
{
	if (!t->reliable) {
		char *copy = malloc(out.len);

		if (copy == NULL)
			return ERR_NO_MEMORY;
		memcpy(copy, out.p, out.len);
		free(t->response);
		t->response = copy;
		t->response_len = out.len;
	}
	return send_bytes(t, out);
}

static void backoff(struct txn *t)
{
	t->interval *= 2;
	if (t->kind != TXN_INVITE_CLIENT || t->interval > 64 * t->layer->times.t1)
		t->interval = MIN(t->interval, t->layer->times.t2);
	timer_arm(t->layer->timers, &t->resend, t->interval);
}

static void move_timers(struct txn *t, unsigned act)
{
	struct timers *w = t->layer->timers;

	if ((act & ACT_STOP_RESEND) != 0)
		timer_stop(w, &t->resend);
	if ((act & ACT_STOP_TIMEOUT) != 0)
		timer_stop(w, &t->timeout);
	if ((act & ACT_BACKOFF) != 0)
		backoff(t);
	if ((act & ACT_SLOW) != 0 && !t->reliable) {
		t->interval = t->layer->times.t2;
		timer_arm(w, &t->resend, t->interval);
	}
	if ((act & ACT_START_G_H) != 0) {
		if (!t->reliable) {
			t->interval = t->layer->times.t1;
			timer_arm(w, &t->resend, t->interval);
		}
		timer_arm(w, &t->timeout, 64ull * t->layer->times.t1);
	}
	if ((act & ACT_LINGER) != 0) {
		uint64_t ms = linger_ms(t);

		if (ms == 0) {
			t->state = TXN_S_TERMINATED;
		} else {
			timer_arm(w, &t->linger, ms);
			txn_answered(t);
		}
	}
}

static void tell(struct txn *t, unsigned act, const struct sip_msg *m)
{
	const struct txn_user *u = t->user;

	if ((act & ACT_PASS) != 0 && u->response != NULL)
		u->response(t, m);
	if ((act & ACT_TELL_ACKED) != 0 && u->acked != NULL)
		u->acked(t);
	if ((act & ACT_TELL_TIMEOUT) != 0) {
		t->layer->counter[TXN_C_TIMEOUT]++;
		if (u->failed != NULL)
			u->failed(t, TXN_TIMEOUT);
	}
	if ((act & ACT_TELL_TRANSPORT) != 0) {
		t->layer->counter[TXN_C_TRANSPORT]++;
		if (u->failed != NULL)
			u->failed(t, TXN_TRANSPORT);
	}
}

enum err txn_fsm_event(struct txn *t, enum txn_event ev, const struct sip_msg *m, struct str out)
{
	const struct cell *c = &machine[t->kind][t->state][ev];
	enum err e = ERR_OK;

	if (!c->valid)
		return ERR_CONFLICT;
	t->state = (enum txn_state)c->next;
	if (m != NULL)
		t->status = m->status;
	if ((c->act & ACT_COUNT_ABSORBED) != 0)
		t->layer->counter[TXN_C_RETRANSMIT_IN]++;
	if ((c->act & ACT_ACK) != 0)
		e = send_ack(t, m);
	if ((c->act & ACT_SEND) != 0)
		e = send_response(t, out);
	if ((c->act & ACT_SEND) != 0 && e == ERR_OK)
		account_responded(&t->layer->account, &t->mark, t->status);
	if ((c->act & ACT_RESEND) != 0)
		e = send_again(t);
	move_timers(t, c->act);
	/* The table is entered again only after this transition is complete: a user that answers inside a callback
	 * finds the new state. */
	tell(t, c->act, m);
	if (e != ERR_OK && t->state != TXN_S_TERMINATED)
		(void)txn_fsm_event(t, TXN_E_TRANSPORT, NULL, STR_NONE);
	if (t->state == TXN_S_TERMINATED)
		txn_finish(t);
	return e;
}

static void resend_due(struct timer *timer, UNUSED uint64_t now)
{
	(void)txn_fsm_event(CONTAINER_OF(timer, struct txn, resend), TXN_E_RESEND, NULL, STR_NONE);
}

static void timeout_due(struct timer *timer, UNUSED uint64_t now)
{
	(void)txn_fsm_event(CONTAINER_OF(timer, struct txn, timeout), TXN_E_TIMEOUT, NULL, STR_NONE);
}

static void linger_due(struct timer *timer, UNUSED uint64_t now)
{
	(void)txn_fsm_event(CONTAINER_OF(timer, struct txn, linger), TXN_E_LINGER, NULL, STR_NONE);
}

void txn_fsm_start(struct txn *t)
{
	struct timers *w = t->layer->timers;

	timer_init(&t->resend, resend_due);
	timer_init(&t->timeout, timeout_due);
	timer_init(&t->linger, linger_due);
	t->state = t->kind == TXN_INVITE_SERVER ? TXN_S_PROCEEDING : TXN_S_CALLING;
	if (!is_client(t))
		return;
	t->interval = t->layer->times.t1;
	if (!t->reliable)
		timer_arm(w, &t->resend, t->interval);         /* A, E */
	timer_arm(w, &t->timeout, 64ull * t->layer->times.t1); /* B, F */
}
