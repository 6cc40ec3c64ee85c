/* NOTIFY: one at a time a subscription; what changes meanwhile goes into the next (RFC 6665 §4.2.2). A subscription whose client does not answer is
 * ended, and no other waits for it. */
#include <stdlib.h>

#include "signalling/presence_doc.h"
#include "signalling/presence_sub.h"
#include "signalling/proxy.h"
#include "signalling/sip_build.h"
#include "signalling/worker.h"

#define GATHER_MS 20u        /* changes that come together are told together */
#define FIRST_WAIT_MS 500u   /* a full state is sent with what is known after this */

static void on_response(struct txn *t, const struct sip_msg *m)
{
	struct sub *s = txn_ctx(t);

	if (m->status < 200)
		return;
	/* 481 above all: the client knows nothing of it any more (RFC 6665 §4.2.2). */
	if (m->status >= 300)
		s->dead = true;
}

static void on_failed(struct txn *t, enum txn_failure why)
{
	(void)why;
	((struct sub *)txn_ctx(t))->dead = true;
}

static void on_ended(struct txn *t)
{
	struct sub *s = txn_ctx(t);

	s->notify = NULL;
	if (s->dead || s->ended)
		sub_free(s);
	else
		sub_notify_soon(s);
}

static const struct txn_user notify_user = { .response = on_response, .failed = on_failed, .ended = on_ended };

static bool dirty(const struct sub *s)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->watch[i].dirty && s->watch[i].target->known)
			return true;
	}
	return false;
}

static bool all_known(const struct sub *s)
{
	for (size_t i = 0; i < s->count; i++) {
		if (!s->watch[i].target->known)
			return false;
	}
	return true;
}

void sub_notify_soon(struct sub *s)
{
	bool last = s->ending && (s->loaded || !s->full);

	if (s->notify == NULL && !s->dead && !timer_armed(&s->gather) && (last || (s->loaded && (s->full || dirty(s)))))
		timer_arm(loop_timers(s->w->loop), &s->gather, GATHER_MS);
}

static void headers_put(struct buf *h, const struct sub *s)
{
	uint64_t now = worker_now(s->w);

	buf_printf(h, "Contact: <sip:contacts@%.*s>\r\nEvent: %.*s\r\n", STR_FMT(s->w->domain), STR_FMT(s->event));
	if (s->ending)
		buf_printf(h, "Subscription-State: terminated;reason=%s\r\n", s->reason != NULL ? s->reason : "timeout");
	else
		buf_printf(h, "Subscription-State: active;expires=%llu\r\n",
			   (unsigned long long)(s->until_ms > now ? (s->until_ms - now) / 1000 : 0));
	buf_z(h, "Require: eventlist\r\n");
}

static enum err send(struct sub *s, struct str type, struct str body)
{
	char from_text[256];
	struct buf from = buf_fixed(from_text, sizeof(from_text)), headers = buf_growing(2048);

	buf_printf(&from, "%.*s;tag=%s", STR_FMT(s->to), s->local_tag);
	headers_put(&headers, s);
	struct sip_request r = { .method = SIP_NOTIFY, .uri = s->contact, .from = buf_view(&from), .to = s->from, .call_id = s->call_id,
				 .cseq = ++s->cseq, .headers = buf_view(&headers), .content_type = type, .body = body };
	enum err e = from.overflow || headers.overflow ? ERR_TOO_LARGE
						       : proxy_send(s->w->proxy, &s->flow, &r, &notify_user, s, &s->notify);
	buf_fini(&headers);
	if (e == ERR_OK)
		s->w->count->stat[STAT_NOTIFY]++;
	return e;
}

static enum err tell(struct sub *s)
{
	struct presence_item *items = calloc(s->count + 1, sizeof(*items));
	struct buf body = buf_growing(PRESENCE_DOC_MAX + 4096);
	char type_text[PRESENCE_TYPE_MAX];
	struct buf type = buf_fixed(type_text, sizeof(type_text));
	size_t count = 0;

	if (items == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < s->count; i++) {
		struct target *t = s->watch[i].target;
		bool say = t->known && (s->full || s->watch[i].dirty);

		items[i] = (struct presence_item){ str_from(t->user), t->status, say, false };
		count++;
	}
	presence_doc_type_put(&type, s->w->domain);
	enum err e = presence_doc_put(&body, s->w->domain, s->version, s->full, items, count);
	if (e == ERR_OK)
		e = send(s, buf_view(&type), buf_view(&body));
	if (e == ERR_OK) {
		s->version++;
		for (size_t i = 0; i < s->count; i++) {
			/* What is not known yet, or did not fit, stays to be told. */
			if (s->full || items[i].told)
				s->watch[i].dirty = !items[i].told;
		}
		s->full = false;
	}
	buf_fini(&body);
	free(items);
	return e;
}

void sub_on_gather(struct timer *t, uint64_t now_ms)
{
	struct sub *s = CONTAINER_OF(t, struct sub, gather);
	enum err e;

	if (s->notify != NULL)
		return;
	if (s->full && s->loaded && !all_known(s) && now_ms < s->loaded_ms + FIRST_WAIT_MS) {
		timer_arm(loop_timers(s->w->loop), t, GATHER_MS);
		return;
	}
	if (s->ending) {
		/* The last one of a poll (RFC 6665 §4.4.3) tells the state as well. */
		s->ended = true;
		e = s->loaded && s->full ? tell(s) : send(s, STR_NONE, STR_NONE);
	} else {
		e = tell(s);
	}
	if (e != ERR_OK)
		sub_free(s);
}
