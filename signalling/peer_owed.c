#include "signalling/peer_owed.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "signalling/flow.h"
#include "signalling/sip_build.h"
#include "signalling/worker.h"

#define BUCKETS 1024u        /* power of two */
#define CALLER_GONE "Reason: SIP;cause=487;text=\"Caller is gone\"\r\n"
#define OTHER_MS 32000u      /* Timer F of the sender (RFC 3261 §17.1.2.2): it has given up by then */
#define INVITE_MS 240000u    /* longer than any ring-timeout and Timer C */

/* One request without a final response. */
struct debt {
	struct owed *owed;
	struct list by_branch, by_flow;
	struct timer over;
	struct flow flow;
	char sender[WORKER_NAME_MAX + 1];
	struct str branch, method, reply, cancel; /* lie in text; no `cancel` but of an INVITE */
	char text[];
};

struct owed {
	struct worker *w;
	uint64_t seed;
	struct list by_branch[BUCKETS], by_flow[BUCKETS];
};

enum err owed_new(struct worker *w, struct owed **out)
{
	struct owed *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return ERR_NO_MEMORY;
	o->w = w;
	crypto_random(&o->seed, sizeof(o->seed));
	for (size_t i = 0; i < BUCKETS; i++) {
		list_init(&o->by_branch[i]);
		list_init(&o->by_flow[i]);
	}
	*out = o;
	return ERR_OK;
}

static void debt_free(struct debt *d)
{
	timer_stop(loop_timers(d->owed->w->loop), &d->over);
	list_remove(&d->by_branch);
	list_remove(&d->by_flow);
	free(d);
}

void owed_free(struct owed *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (!list_empty(&o->by_flow[i]))
			debt_free(CONTAINER_OF(o->by_flow[i].next, struct debt, by_flow));
	}
	free(o);
}

static struct list *branch_bucket(struct owed *o, struct str branch)
{
	uint64_t h = o->seed;

	for (size_t i = 0; i < branch.len; i++)
		h = (h ^ (uint8_t)branch.p[i]) * 0x100000001b3u;
	return &o->by_branch[(h ^ h >> 29) & (BUCKETS - 1)];
}

static struct list *flow_bucket(struct owed *o, const struct flow *f)
{
	return &o->by_flow[f->slot & (BUCKETS - 1)];
}

static void on_over(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	debt_free(CONTAINER_OF(t, struct debt, over));
}

/* Sent again to a phone on UDP: it is owed once. */
static bool noted(struct owed *o, const struct flow *flow, struct str branch, struct str method)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, branch_bucket(o, branch)) {
		struct debt *d = CONTAINER_OF(it, struct debt, by_branch);

		if (str_eq(d->branch, branch) && str_eq(d->method, method) && flow_eq(&d->flow, flow))
			return true;
	}
	return false;
}

void owed_note(struct owed *o, const struct flow *flow, struct str sender, const struct sip_msg *m)
{
	const struct sip_reply r = { .status = 430, .phrase = "Flow Failed", .to_tag = STR("gone") };
	struct buf reply = buf_growing(SIP_MSG_MAX), cancel = buf_growing(SIP_MSG_MAX);
	struct debt *d = NULL;
	struct sip_via via;

	if (m->method == SIP_ACK || m->method == SIP_CANCEL || sip_msg_via(m, &via) != ERR_OK ||
	    noted(o, flow, via.branch, m->method_text))
		return;
	if (m->method == SIP_INVITE && sip_cancel_put(&cancel, m, STR(CALLER_GONE)) != ERR_OK)
		buf_reset(&cancel);
	if (sip_reply_put(&reply, m, &r) == ERR_OK)
		d = calloc(1, sizeof(*d) + via.branch.len + m->method_text.len + reply.len + cancel.len);
	if (d != NULL && str_copy(sender, d->sender, sizeof(d->sender)) == ERR_OK) {
		char *at = d->text;

		d->owed = o;
		d->flow = *flow;
		d->branch = str_keep(&at, via.branch);
		d->method = str_keep(&at, m->method_text);
		d->reply = str_keep(&at, buf_view(&reply));
		d->cancel = str_keep(&at, buf_view(&cancel));
		list_init(&d->by_branch);
		list_init(&d->by_flow);
		list_append(branch_bucket(o, d->branch), &d->by_branch);
		list_append(flow_bucket(o, flow), &d->by_flow);
		timer_init(&d->over, on_over);
		timer_arm(loop_timers(o->w->loop), &d->over, m->method == SIP_INVITE ? INVITE_MS : OTHER_MS);
	} else {
		free(d);
	}
	buf_fini(&reply);
	buf_fini(&cancel);
}

void owed_paid(struct owed *o, const struct flow *flow, const struct sip_msg *response)
{
	struct list *it, *tmp;
	struct sip_via via;

	if (response->status < 200 || sip_msg_via(response, &via) != ERR_OK)
		return;
	LIST_FOR_EACH (it, tmp, branch_bucket(o, via.branch)) {
		struct debt *d = CONTAINER_OF(it, struct debt, by_branch);

		if (str_eq(d->branch, via.branch) && str_eq(d->method, response->method_text) && flow_eq(&d->flow, flow))
			debt_free(d);
	}
}

void owed_worker_lost(struct owed *o, struct str sender)
{
	struct list *it, *tmp;

	for (size_t i = 0; i < BUCKETS; i++) {
		LIST_FOR_EACH (it, tmp, &o->by_flow[i]) {
			struct debt *d = CONTAINER_OF(it, struct debt, by_flow);

			if (!str_eq(str_from(d->sender), sender))
				continue;
			/* One that left in this very moment rings no more. */
			if (d->cancel.len > 0)
				(void)flow_send(o->w, &d->flow, d->cancel);
			debt_free(d);
		}
	}
}

bool owed_flow_busy(const struct owed *o, const struct flow *flow)
{
	const struct list *head = &o->by_flow[flow->slot & (BUCKETS - 1)];

	for (const struct list *it = head->next; it != head; it = it->next) {
		if (flow_eq(&CONTAINER_OF(it, const struct debt, by_flow)->flow, flow))
			return true;
	}
	return false;
}

void owed_flow_lost(struct owed *o, const struct flow *flow)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, flow_bucket(o, flow)) {
		struct debt *d = CONTAINER_OF(it, struct debt, by_flow);

		if (!flow_eq(&d->flow, flow))
			continue;
		o->w->count->reject[REJ_FLOW_GONE]++;
		/* A sender that is gone itself waits for nothing. */
		(void)flow_send_worker(o->w, str_from(d->sender), NULL, d->reply);
		debt_free(d);
	}
}
