/* Delivery of stored MESSAGEs to a device that has come: one after the other, each deleted only after the device's 200. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/list.h"
#include "common/rkeys.h"
#include "signalling/message.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/sip_build.h"
#include "signalling/worker.h"

#define STREAM_ID_MAX 47u
#define RETRY_MS 1000u
#define TRIES_MAX 5u

struct chat {
	struct worker *w;
	struct list drains;
};

/* One device being served. */
struct drain {
	struct worker *w;
	struct list node;
	struct txn *txn;                 /* the MESSAGE under way; NULL = none */
	struct timer retry;              /* Redis did not answer: once more */
	unsigned tries;
	bool again;                      /* something was stored meanwhile */
	bool taken;                      /* the device's answer was 2xx */
	bool useless;                    /* … or 415: this device will never take it, another one may */
	char start[STREAM_ID_MAX + 2];   /* of what is left for this device: "-", or "(" and the last one that it cannot take */
	struct flow flow;
	char user[USER_NAME_SIZE];
	char contact[CONTACT_MAX + 1];
	char entry[STREAM_ID_MAX + 1];   /* stream id of the message under way */
};

static const struct txn_user nobody;

static void next(struct drain *d);

enum err message_new(struct worker *w, struct chat **out)
{
	struct chat *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NO_MEMORY;
	c->w = w;
	list_init(&c->drains);
	*out = c;
	return ERR_OK;
}

static void drain_free(struct drain *d)
{
	rds_async_forget(d->w->rds, d);
	timer_stop(loop_timers(d->w->loop), &d->retry);
	list_remove(&d->node);
	free(d);
}

void message_free(struct chat *c)
{
	if (c == NULL)
		return;
	while (!list_empty(&c->drains)) {
		struct drain *d = CONTAINER_OF(c->drains.next, struct drain, node);

		if (d->txn != NULL) {
			txn_set_user(d->txn, &nobody, NULL);
			txn_abandon(d->txn);
		}
		drain_free(d);
	}
	free(c);
}

static void on_retry(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	next(CONTAINER_OF(t, struct drain, retry));
}

/* Beyond that what is left waits for the next REGISTER. */
static void try_again(struct drain *d)
{
	if (++d->tries > TRIES_MAX)
		drain_free(d);
	else
		timer_arm(loop_timers(d->w->loop), &d->retry, RETRY_MS);
}

/* --- one message --- */

static void on_response(struct txn *t, const struct sip_msg *m)
{
	struct drain *d = txn_ctx(t);

	d->taken = m->status >= 200 && m->status < 300;
	d->useless = m->status == 415;
}

static void on_deleted(void *user_data, enum err e, const struct redisReply *reply)
{
	struct drain *d = user_data;

	(void)reply;
	/* Not deleted: it will come again, with the same Call-ID. */
	if (e != ERR_OK)
		try_again(d);
	else
		next(d);
}

static void on_ended(struct txn *t)
{
	struct drain *d = txn_ctx(t);
	struct rkey key = rkey_messages(str_from(d->user));

	d->txn = NULL;
	if (d->useless) {
		(void)snprintf(d->start, sizeof(d->start), "(%s", d->entry);
		next(d);
		return;
	}
	if (!d->taken) {
		drain_free(d);
		return;
	}
	d->w->count->stat[STAT_CHAT_DRAINED]++;
	RDS_ASYNC(d->w->rds, on_deleted, d, STR("XDEL"), rkey_str(&key), str_from(d->entry));
}

static const struct txn_user message_user = { .response = on_response, .ended = on_ended };

/* RFC 3261 §20.17: when it was written, in GMT. */
static void date_put(struct buf *out, uint64_t time_ms)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t s = (time_t)(time_ms / MS_PER_S);
	struct tm tm;

	if (gmtime_r(&s, &tm) == NULL)
		return;
	buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static enum err send(struct drain *d, const struct redisReply *fields)
{
	struct worker *w = d->w;
	struct str sender = rds_field(fields, "from");
	char addresses[512];
	struct buf from = buf_fixed(addresses, 256), to = buf_fixed(addresses + 256, 256), headers = buf_growing(1024);
	uint8_t random[8];
	uint64_t time_ms;

	if (!user_name_valid(sender) || rds_field(fields, "id").len == 0)
		return ERR_INVALID;
	crypto_random(random, sizeof(random));
	buf_printf(&from, "<sip:%.*s@%.*s>;tag=", STR_FMT(sender), STR_FMT(w->domain));
	hex_put(&from, random, sizeof(random));
	buf_printf(&to, "<sip:%s@%.*s>", d->user, STR_FMT(w->domain));
	buf_printf(&headers, "P-Asserted-Identity: <sip:%.*s@%.*s>\r\n", STR_FMT(sender), STR_FMT(w->domain));
	if (str_to_u64(rds_field(fields, "time"), UINT64_MAX / 2, &time_ms) == ERR_OK)
		date_put(&headers, time_ms);
	struct sip_request r = { .method = SIP_MESSAGE, .uri = str_from(d->contact), .from = buf_view(&from), .to = buf_view(&to),
				 .call_id = rds_field(fields, "id"), .cseq = 1, .headers = buf_view(&headers),
				 .content_type = rds_field(fields, "type"), .body = rds_field(fields, "body") };
	d->taken = d->useless = false;
	enum err e = from.overflow || to.overflow || headers.overflow ? ERR_TOO_LARGE
								       : proxy_send(w->proxy, &d->flow, &r, &message_user, d, &d->txn);
	buf_fini(&headers);
	return e;
}

static void on_entry(void *user_data, enum err e, const struct redisReply *reply)
{
	struct drain *d = user_data;
	const struct redisReply *entry = rds_at(reply, 0);

	if (e != ERR_OK) {
		try_again(d);
		return;
	}
	if (entry == NULL && d->again) {
		d->again = false;
		next(d);
		return;
	}
	if (entry == NULL || str_copy(rds_text(rds_at(entry, 0)), d->entry, sizeof(d->entry)) != ERR_OK ||
	    send(d, rds_at(entry, 1)) != ERR_OK)
		drain_free(d);
}

static void next(struct drain *d)
{
	struct rkey key = rkey_messages(str_from(d->user));

	RDS_ASYNC(d->w->rds, on_entry, d, STR("XRANGE"), rkey_str(&key), str_from(d->start), STR("+"), STR("COUNT"), STR("1"));
}

/* --- starting --- */

void message_deliver(struct worker *w, struct str user, const struct binding *b)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &w->chat->drains) {
		struct drain *d = CONTAINER_OF(it, struct drain, node);

		if (!flow_eq(&d->flow, &b->flow))
			continue;
		d->again = true;
		return;
	}
	struct drain *d = calloc(1, sizeof(*d));
	if (d == NULL || str_copy(user, d->user, sizeof(d->user)) != ERR_OK) {
		free(d);
		return;
	}
	d->w = w;
	d->flow = b->flow;
	memcpy(d->contact, b->contact, sizeof(d->contact));
	d->start[0] = '-';
	timer_init(&d->retry, on_retry);
	list_append(&w->chat->drains, &d->node);
	next(d);
}

struct waiting {
	struct worker *w;
	struct str user;
	uint64_t since_ms;
};

static void deliver_to(const struct stored *s, const struct flow *flow, void *arg)
{
	struct waiting *to = arg;
	struct binding b;

	(void)flow;
	if (s->updated_ms >= to->since_ms && stored_to_binding(s, to->w->flow_key, &b) == ERR_OK)
		message_deliver(to->w, to->user, &b);
}

void message_on_waiting(struct worker *w, struct str user, uint64_t since_ms)
{
	reg_local_each(w, user, deliver_to, &(struct waiting){ w, user, since_ms });
}
