#include "signalling/presence.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "signalling/presence_sub.h"
#include "signalling/proxy.h"
#include "signalling/refusal.h"
#include "signalling/sip_build.h"
#include "signalling/sip_uri.h"
#include "signalling/worker.h"

#define SUBS_A_FLOW 4u
#define EXPIRES_PRESET_S 3600u
#define POLL_MS 1000u
#define RETRY_MS 2000u
#define LIST_USER "contacts"

enum err presence_new(struct worker *w, struct presence **out)
{
	struct presence *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ERR_NO_MEMORY;
	p->w = w;
	list_init(&p->subs);
	list_init(&p->todo);
	usermap_init(&p->targets);
	presence_busy_init(&p->busy);
	timer_init(&p->sweep, presence_on_sweep);
	*out = p;
	return ERR_OK;
}

void presence_free(struct presence *p)
{
	if (p == NULL)
		return;
	while (!list_empty(&p->subs))
		sub_free(CONTAINER_OF(p->subs.next, struct sub, node));
	timer_stop(loop_timers(p->w->loop), &p->sweep);
	presence_busy_fini(&p->busy);
	free(p);
}

void sub_free(struct sub *s)
{
	struct presence *p = s->w->presence;
	struct timers *wheel = loop_timers(s->w->loop);

	if (s->notify != NULL) {
		/* The transaction comes back here when it has ended. */
		struct txn *t = s->notify;

		s->dead = true;
		s->notify = NULL;
		txn_abandon(t);
		return;
	}
	if (s->loading)
		rds_async_forget(s->w->rds, s);
	timer_stop(wheel, &s->expiry);
	timer_stop(wheel, &s->gather);
	timer_stop(wheel, &s->reading);
	sub_unwatch_all(s);
	list_remove(&s->node);
	p->sub_count--;
	s->w->count->watchers = p->sub_count;
	free(s->text);
	free(s);
}

/* --- contacts --- */

static void load(struct sub *s);

/* Replaces what is watched. The new targets are watched before the old are let go, so that those in both keep their state. */
static void rewatch(struct sub *s, const struct redisReply *names)
{
	size_t max = MIN(rds_len(names), (size_t)CONTACTS_MAX);
	struct sub before = *s;

	if (rds_len(names) > max)
		log_event(LOG_WARN, "contacts-cut", "user=%s contacts=%zu limit=%zu", log_value(s->user), rds_len(names), max);
	s->watch = calloc(max + 1, sizeof(*s->watch));
	s->count = 0;
	if (s->watch == NULL) {
		s->watch = before.watch;
		s->count = before.count;
		return;
	}
	for (size_t i = 0; i < max; i++) {
		struct str name = rds_text(rds_at(names, i));

		if (user_name_valid(name) && sub_watch(s, &s->watch[s->count], name) == ERR_OK)
			s->count++;
	}
	sub_unwatch_all(&before);
}

static void on_contacts(void *user_data, enum err e, const struct redisReply *reply)
{
	struct sub *s = user_data;

	s->loading = false;
	if (s->reload) {
		s->reload = false;
		load(s);
		return;
	}
	if (e != ERR_OK) {
		timer_arm(loop_timers(s->w->loop), &s->reading, RETRY_MS);
		return;
	}
	rewatch(s, reply);
	s->loaded = true;
	s->full = true;
	s->loaded_ms = worker_now(s->w);
	sub_notify_soon(s);
}

static void on_reading(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	load(CONTAINER_OF(t, struct sub, reading));
}

static void load(struct sub *s)
{
	struct rkey key = rkey_contacts(s->user);

	if (s->loading) {
		s->reload = true;
		return;
	}
	s->loading = true;
	RDS_ASYNC(s->w->rds, on_contacts, s, STR("HKEYS"), rkey_str(&key));
}

void presence_on_contacts(struct worker *w, struct str user)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &w->presence->subs) {
		struct sub *s = CONTAINER_OF(it, struct sub, node);

		if (str_eq(s->user, user))
			load(s);
	}
}

void presence_redis_up(struct worker *w)
{
	struct list *it, *tmp;

	presence_busy_write(w, &w->presence->busy);
	LIST_FOR_EACH (it, tmp, &w->presence->subs) {
		struct sub *s = CONTAINER_OF(it, struct sub, node);

		if (!s->loaded && !s->loading)
			load(s);
	}
	presence_refresh(w);
}

void presence_set_busy(struct worker *w, struct str user, bool busy)
{
	if (w->presence != NULL)
		presence_busy_set(w, &w->presence->busy, user, busy);
}

void presence_flow_lost(struct worker *w, const struct flow *flow)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &w->presence->subs) {
		struct sub *s = CONTAINER_OF(it, struct sub, node);

		if (flow_eq(&s->flow, flow))
			sub_free(s);
	}
}

/* --- SUBSCRIBE --- */

static void on_expiry(struct timer *t, uint64_t now_ms)
{
	struct sub *s = CONTAINER_OF(t, struct sub, expiry);

	(void)now_ms;
	s->ending = true;
	s->full = false;
	sub_notify_soon(s);
}

static struct sub *sub_new(struct worker *w, const struct sip_msg *m, const struct origin *from, struct str contact)
{
	struct str event = sip_msg_value(m, SIP_H_EVENT), remote = sip_msg_value(m, SIP_H_FROM), local = sip_msg_value(m, SIP_H_TO);
	struct sub *s = calloc(1, sizeof(*s));
	char *at = malloc(from->user.len + m->call_id.len + remote.len + local.len + contact.len + event.len + 1);
	uint8_t random[8];

	if (s == NULL || at == NULL) {
		free(s);
		free(at);
		return NULL;
	}
	s->w = w;
	s->text = at;
	s->user = str_keep(&at, from->user);
	s->call_id = str_keep(&at, m->call_id);
	s->from = str_keep(&at, remote);
	s->to = str_keep(&at, local);
	s->contact = str_keep(&at, contact);
	s->event = str_keep(&at, event);
	s->flow = from->flow;
	s->peer_cseq = m->cseq;
	crypto_random(random, sizeof(random));
	struct buf tag = buf_fixed(s->local_tag, sizeof(s->local_tag) - 1);
	hex_put(&tag, random, sizeof(random));
	timer_init(&s->expiry, on_expiry);
	timer_init(&s->gather, sub_on_gather);
	timer_init(&s->reading, on_reading);
	list_append(&w->presence->subs, &s->node);
	w->presence->sub_count++;
	w->count->watchers = w->presence->sub_count;
	return s;
}

/* What every SUBSCRIBE must be. */
static enum err check(struct worker *w, const struct sip_msg *m, const struct origin *from, struct str *contact, struct refusal *why)
{
	struct sip_uri uri;
	struct sip_addr a;

	if (from->peer.len > 0 || from->user.len == 0)
		return refuse(why, 403, NULL, STR_NONE, REJ_SANITY);
	if (!str_eq(sip_msg_token(m, SIP_H_EVENT), STR("presence")))
		return refuse(why, 489, NULL, STR("Allow-Events: presence\r\n"), REJ_EVENT);
	if (sip_uri_parse(m->uri, &uri) != ERR_OK || !str_ieq(uri.host, w->domain) || !str_eq(uri.user, STR(LIST_USER)))
		return refuse(why, 404, "Only The Contact List Can Be Watched", STR_NONE, REJ_SANITY);
	/* RFC 4662 §4.2: a list can only be told to those who know lists. */
	if (!sip_list_has(m, SIP_H_SUPPORTED, STR("eventlist")))
		return refuse(why, 421, NULL, STR("Require: eventlist\r\n"), REJ_SANITY);
	if (sip_msg_addr(m, SIP_H_CONTACT, &a) != ERR_OK || sip_uri_parse(a.uri, &uri) != ERR_OK || a.uri.len > CONTACT_MAX)
		return refuse(why, 400, "Bad Contact", STR_NONE, REJ_SANITY);
	*contact = a.uri;
	return ERR_OK;
}

static struct sub *find(struct worker *w, const struct sip_msg *m, const struct origin *from, struct str to_tag)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &w->presence->subs) {
		struct sub *s = CONTAINER_OF(it, struct sub, node);

		if (flow_eq(&s->flow, &from->flow) && str_eq(s->call_id, m->call_id) && str_eq(str_from(s->local_tag), to_tag) &&
		    !s->ending && !s->dead)
			return s;
	}
	return NULL;
}

static size_t count_of(struct worker *w, const struct flow *flow)
{
	struct list *it, *tmp;
	size_t n = 0;

	LIST_FOR_EACH (it, tmp, &w->presence->subs)
		n += flow_eq(&CONTAINER_OF(it, struct sub, node)->flow, flow);
	return n;
}

static void accept(struct sub *s, struct txn *server, uint64_t expires_s)
{
	struct buf headers = buf_growing(1024), out = buf_growing(SIP_MSG_MAX);

	buf_printf(&headers, "Contact: <sip:" LIST_USER "@%.*s>\r\nExpires: %llu\r\nRequire: eventlist\r\nAllow-Events: presence\r\n",
		   STR_FMT(s->w->domain), (unsigned long long)expires_s);
	struct sip_reply r = { .status = 200, .to_tag = str_from(s->local_tag), .headers = buf_view(&headers), .record_route = true };
	if (sip_reply_put(&out, txn_request(server), &r) == ERR_OK)
		(void)txn_respond(server, buf_view(&out));
	buf_fini(&headers);
	buf_fini(&out);
	s->until_ms = worker_now(s->w) + expires_s * 1000;
	s->full = true;
	if (expires_s == 0) {
		/* A poll whose contacts cannot be read ends without them. */
		timer_arm(loop_timers(s->w->loop), &s->expiry, POLL_MS);
		s->ending = true;
	} else {
		timer_arm(loop_timers(s->w->loop), &s->expiry, expires_s * 1000);
	}
	/* RFC 6665 §4.2.1.2: a NOTIFY follows at once, with a refresh as well. */
	if (s->loaded || s->ending)
		sub_notify_soon(s);
}

void presence_on_subscribe(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from)
{
	struct worker *w = arg;
	struct refusal why;
	struct str contact;
	struct sip_addr to;
	uint32_t wanted = EXPIRES_PRESET_S;
	struct sub *s = NULL;

	if (check(w, m, from, &contact, &why) != ERR_OK) {
		w->count->reject[why.reason]++;
		proxy_reply(w->proxy, server, why.status, why.phrase, str_from(why.headers));
		return;
	}
	enum err e = sip_msg_number(m, SIP_H_EXPIRES, UINT32_MAX, &wanted);
	uint64_t expires = MIN((uint64_t)wanted, w->conf->subscribe_max_s);
	if ((e != ERR_OK && e != ERR_NOT_FOUND) || sip_msg_addr(m, SIP_H_TO, &to) != ERR_OK) {
		proxy_reply(w->proxy, server, 400, NULL, STR_NONE);
		return;
	}
	if (to.tag.len > 0) {
		s = find(w, m, from, to.tag);
		if (s == NULL || m->cseq <= s->peer_cseq) {
			proxy_reply(w->proxy, server, s == NULL ? 481 : 500, NULL, STR_NONE);
			return;
		}
		s->peer_cseq = m->cseq;
		accept(s, server, expires);
		return;
	}
	if (count_of(w, &from->flow) >= SUBS_A_FLOW || (s = sub_new(w, m, from, contact)) == NULL) {
		proxy_reply(w->proxy, server, 503, "Too Many Subscriptions", STR("Retry-After: 10\r\n"));
		return;
	}
	accept(s, server, expires);
	load(s);
}
