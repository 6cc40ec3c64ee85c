#include <stdlib.h>

#include "common/clock.h"
#include "common/events.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "signalling/conn.h"
#include "signalling/peer.h"
#include "signalling/presence.h"
#include "signalling/reg_script.h"
#include "signalling/registrar.h"
#include "signalling/session.h"
#include "signalling/worker.h"

#define AGAIN_TICK_MS 100u
#define AGAIN_REFUSED_MS 1000u
#define DROP_AGAIN_MS 1000u
#define DROPS_AT_ONCE 200u
#define AGAIN_BATCH 50u /* bindings written again a tick: 500 a second a worker */

/* A binding of one of our flows. */
struct reg {
	struct worker *w;
	struct list by_user;
	struct list dirty_node;  /* on registrar.dirty while Redis has not confirmed it */
	struct timer timer;      /* expiry, or the end of the grace */
	struct flow flow;
	bool lost;               /* the flow is gone: the grace is running */
	bool asking;             /* a second writing is under way */
	bool dnd;                /* the user wants no calls: as of the last REGISTER, and by events since */
	struct str user;
	struct stored s;         /* its slices, and `user`, lie in text */
	char text[];
};

/* A compare-and-delete under way. It is repeated until Redis has done it, or the binding has expired anyway. */
struct drop {
	struct worker *w;
	struct list node;       /* on registrar.drops */
	struct timer timer;
	uint64_t end_ms;        /* monotonic */
	char user[USER_NAME_SIZE];
	struct str field, token, session; /* lie in text */
	char text[];
};

struct registrar {
	struct worker *w;
	struct usermap users;
	struct list dirty;
	struct list drops;      /* under way, or waiting for their time */
	struct list due;        /* waiting for their turn */
	size_t dropping;        /* under way */
	struct timer again;
	size_t count;
};

static void on_again(struct timer *t, uint64_t now_ms);
static void on_timer(struct timer *t, uint64_t now_ms);
static void send_drop(struct drop *d);

static void drop_free(struct drop *d)
{
	timer_stop(loop_timers(d->w->loop), &d->timer);
	list_remove(&d->node);
	free(d);
}

/* When thousands of connections have gone at once, Redis is not asked about all of them at once: others wait for it, too. */
static void next_drops(struct registrar *r)
{
	while (r->dropping < DROPS_AT_ONCE && !list_empty(&r->due)) {
		struct drop *d = CONTAINER_OF(r->due.next, struct drop, node);

		list_remove(&d->node);
		list_append(&r->drops, &d->node);
		r->dropping++;
		send_drop(d);
	}
}

static void drop_due(struct drop *d)
{
	struct registrar *r = d->w->registrar;

	list_remove(&d->node);
	list_append(&r->due, &d->node);
	next_drops(r);
}

enum err registrar_new(struct worker *w, struct registrar **out)
{
	struct registrar *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ERR_NO_MEMORY;
	r->w = w;
	usermap_init(&r->users);
	list_init(&r->dirty);
	list_init(&r->drops);
	list_init(&r->due);
	timer_init(&r->again, on_again);
	*out = r;
	return ERR_OK;
}

static void reg_free(struct reg *g)
{
	struct registrar *r = g->w->registrar;

	timer_stop(loop_timers(g->w->loop), &g->timer);
	list_remove(&g->by_user);
	list_remove(&g->dirty_node);
	/* A walk over all that is under way: only for what has something among it. */
	if (g->asking && g->w->rds != NULL)
		rds_async_forget(g->w->rds, g);
	r->count--;
	g->w->count->registrations = r->count;
	free(g);
}

void registrar_free(struct registrar *r)
{
	if (r == NULL)
		return;
	timer_stop(loop_timers(r->w->loop), &r->again);
	while (!list_empty(&r->drops))
		drop_free(CONTAINER_OF(r->drops.next, struct drop, node));
	while (!list_empty(&r->due))
		drop_free(CONTAINER_OF(r->due.next, struct drop, node));
	for (size_t i = 0; i < USERMAP_BUCKETS; i++) {
		while (!list_empty(&r->users.bucket[i]))
			reg_free(CONTAINER_OF(r->users.bucket[i].next, struct reg, by_user));
	}
	free(r);
}

static struct reg *find(struct registrar *r, struct str user, struct str instance, uint32_t reg_id)
{
	struct list *head = usermap_at(&r->users, user), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct reg *g = CONTAINER_OF(it, struct reg, by_user);

		if (str_eq(g->user, user) && str_eq(g->s.instance, instance) && g->s.reg_id == reg_id)
			return g;
	}
	return NULL;
}

static void mark_dirty(struct reg *g)
{
	struct registrar *r = g->w->registrar;

	if (list_empty(&g->dirty_node))
		list_append(&r->dirty, &g->dirty_node);
	if (!timer_armed(&r->again))
		timer_arm(loop_timers(g->w->loop), &r->again, AGAIN_TICK_MS);
}

enum err reg_local_put(struct worker *w, struct str user, const struct flow *flow, const struct stored *s, bool dirty)
{
	struct registrar *r = w->registrar;
	struct reg *old = find(r, user, s->instance, s->reg_id);
	struct reg *g = calloc(1, sizeof(*g) + user.len + s->instance.len + s->token.len + s->session.len + s->call_id.len +
					  s->contact.len);

	if (g == NULL)
		return ERR_NO_MEMORY;
	char *at = g->text;
	g->w = w;
	g->flow = *flow;
	g->s = *s;
	g->user = str_keep(&at, user);
	g->s.instance = str_keep(&at, s->instance);
	g->s.token = str_keep(&at, s->token);
	g->s.session = str_keep(&at, s->session);
	g->s.call_id = str_keep(&at, s->call_id);
	g->s.contact = str_keep(&at, s->contact);
	list_init(&g->by_user);
	list_init(&g->dirty_node);
	timer_init(&g->timer, on_timer);
	/* The caller's slices may be those of the old one. */
	if (old != NULL)
		reg_free(old);
	list_append(usermap_at(&r->users, g->user), &g->by_user);
	r->count++;
	w->count->registrations = r->count;
	uint64_t wall = clock_wall_ms();
	timer_arm(loop_timers(w->loop), &g->timer, s->expires_ms > wall ? s->expires_ms - wall : 1);
	if (dirty)
		mark_dirty(g);
	return ERR_OK;
}

void reg_local_remove(struct worker *w, struct str user, struct str instance, uint32_t reg_id)
{
	struct reg *g = find(w->registrar, user, instance, reg_id);

	if (g != NULL)
		reg_free(g);
}

void reg_local_each(struct worker *w, struct str user, void (*fn)(const struct stored *s, const struct flow *flow, void *arg), void *arg)
{
	struct list *head = usermap_at(&w->registrar->users, user), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct reg *g = CONTAINER_OF(it, struct reg, by_user);

		if (str_eq(g->user, user) && !g->lost)
			fn(&g->s, &g->flow, arg);
	}
}

void reg_local_dnd(struct worker *w, struct str user, bool dnd)
{
	struct list *head = usermap_at(&w->registrar->users, user), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct reg *g = CONTAINER_OF(it, struct reg, by_user);

		if (str_eq(g->user, user))
			g->dnd = dnd;
	}
}

size_t registrar_near(struct worker *w, struct str user, struct str instance, struct binding *out, size_t max)
{
	struct list *head = usermap_at(&w->registrar->users, user), *it, *tmp;
	uint64_t wall = clock_wall_ms();
	size_t n = 0;

	LIST_FOR_EACH (it, tmp, head) {
		const struct reg *g = CONTAINER_OF(it, struct reg, by_user);

		if (!str_eq(g->user, user) || g->lost || (instance.len > 0 && !str_eq(g->s.instance, instance)))
			continue;
		if (g->dnd || !list_empty(&g->dirty_node))
			return 0;
		if (n == max || g->s.expires_ms <= wall || conn_of(w->conns, &g->flow) == NULL)
			continue;
		if (stored_at_flow(&g->s, &g->flow, &out[n]) == ERR_OK)
			n++;
	}
	return n;
}

bool registrar_knows(struct worker *w, const struct flow *flow, struct str user)
{
	struct list *head = usermap_at(&w->registrar->users, user), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		if (flow_eq(&CONTAINER_OF(it, struct reg, by_user)->flow, flow))
			return true;
	}
	return false;
}

void registrar_each(struct worker *w,
		    void (*fn)(struct str user, const struct stored *s, const struct flow *flow, bool lost, bool confirmed, void *arg), void *arg)
{
	for (size_t i = 0; i < USERMAP_BUCKETS; i++) {
		struct list *it, *tmp;

		LIST_FOR_EACH (it, tmp, &w->registrar->users.bucket[i]) {
			const struct reg *g = CONTAINER_OF(it, struct reg, by_user);

			fn(g->user, &g->s, &g->flow, g->lost, list_empty(&g->dirty_node), arg);
		}
	}
}

/* --- taking back --- */

static void on_dropped(void *user_data, enum err e, const struct redisReply *reply)
{
	struct drop *d = user_data;
	struct registrar *r = d->w->registrar;

	r->dropping--;
	if (e != ERR_OK && worker_now(d->w) < d->end_ms) {
		timer_arm(loop_timers(d->w->loop), &d->timer, DROP_AGAIN_MS);
		next_drops(r);
		return;
	}
	if (e == ERR_OK && rds_int(rds_at(reply, 1)) > 0) {
		d->w->count->stat[STAT_UNREGISTERED] += (uint64_t)rds_int(rds_at(reply, 1));
		if (rds_int(rds_at(reply, 2)) == 0)
			presence_publish(d->w, str_from(d->user), PRESENCE_OFFLINE);
	}
	drop_free(d);
	next_drops(r);
}

static void on_drop_again(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	drop_due(CONTAINER_OF(t, struct drop, timer));
}

static void send_drop(struct drop *d)
{
	struct rkey location = rkey_location(str_from(d->user));
	char digits[24];
	struct buf now = buf_fixed(digits, sizeof(digits));

	buf_u64(&now, clock_wall_ms());
	RDS_ASYNC_EVAL(d->w->rds, &reg_script_drop, on_dropped, d, 1, rkey_str(&location), buf_view(&now), d->field, d->token, d->session);
}

void reg_drop(struct worker *w, struct str user, struct str field, struct str token, struct str session, uint64_t delay_ms)
{
	struct drop *d = calloc(1, sizeof(*d) + field.len + token.len + session.len);

	if (d == NULL || str_copy(user, d->user, sizeof(d->user)) != ERR_OK) {
		free(d);
		return;
	}
	char *at = d->text;
	d->w = w;
	d->field = str_keep(&at, field);
	d->token = str_keep(&at, token);
	d->session = str_keep(&at, session);
	d->end_ms = worker_now(w) + w->conf->register_max_s * MS_PER_S;
	timer_init(&d->timer, on_drop_again);
	list_append(&w->registrar->drops, &d->node);
	if (delay_ms > 0)
		timer_arm(loop_timers(w->loop), &d->timer, delay_ms);
	else
		drop_due(d);
}

static void take_back(struct reg *g)
{
	char text[BINDING_FIELD_MAX];
	struct buf field = buf_fixed(text, sizeof(text));

	stored_field_put(&field, &g->s);
	reg_drop(g->w, g->user, buf_view(&field), g->s.token, STR_NONE, 0);
	reg_free(g);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	take_back(CONTAINER_OF(t, struct reg, timer));
}

void registrar_flow_lost(struct worker *w, const struct flow *flow, struct str user, unsigned code)
{
	struct list *head = usermap_at(&w->registrar->users, user), *it, *tmp;

	/* A worker that stops leaves the bindings alone: its epoch dies, and the clients register elsewhere within the second. */
	if (w->draining && code != WS_CLOSE_SESSION_ENDED)
		return;
	LIST_FOR_EACH (it, tmp, head) {
		struct reg *g = CONTAINER_OF(it, struct reg, by_user);

		if (!flow_eq(&g->flow, flow))
			continue;
		if (code == WS_CLOSE_SESSION_ENDED || w->conf->flow_grace_ms == 0) {
			take_back(g);
			continue;
		}
		/* Fast return (a reload, another network) keeps the device registered and its watchers calm. */
		g->lost = true;
		timer_arm(loop_timers(w->loop), &g->timer, w->conf->flow_grace_ms);
	}
}

void registrar_drop_session(struct worker *w, struct str user, struct str session)
{
	struct list *head = usermap_at(&w->registrar->users, user), *it, *tmp;
	bool ours = false;

	LIST_FOR_EACH (it, tmp, head) {
		struct reg *g = CONTAINER_OF(it, struct reg, by_user);

		if (!str_eq(g->user, user) || (session.len > 0 && !str_eq(g->s.session, session)))
			continue;
		reg_free(g);
		ours = true;
	}
	/* Every worker hears of it; one that holds such a binding takes it out. What a dead worker left is dead anyway. */
	if (ours)
		reg_drop(w, user, STR("*"), STR_NONE, session, 0);
}

/* --- writing again what Redis missed --- */

void reg_send_save(struct worker *w, struct str user, const struct stored *s, bool again,
		   void (*fn)(void *user_data, enum err e, const struct redisReply *reply), void *user_data)
{
	struct rkey location = rkey_location(user), session = session_key(user, s->session), messages = rkey_messages(user),
		    account = rkey_user(user);
	char field_text[BINDING_FIELD_MAX], value_text[BINDING_VALUE_MAX], numbers[72];
	struct buf field = buf_fixed(field_text, sizeof(field_text)), value = buf_fixed(value_text, sizeof(value_text));
	struct buf now = buf_fixed(numbers, 24), cseq = buf_fixed(numbers + 24, 24), max = buf_fixed(numbers + 48, 24);

	stored_field_put(&field, s);
	stored_value_put(&value, s);
	buf_u64(&now, clock_wall_ms());
	buf_u64(&cseq, s->cseq);
	buf_u64(&max, w->conf->devices_max);
	assert(!field.overflow && !value.overflow);
	RDS_ASYNC_EVAL_SOON(w->rds, &reg_script_save, fn, user_data, 4, rkey_str(&location), rkey_str(&session), rkey_str(&messages),
		       rkey_str(&account), buf_view(&now), buf_view(&field), buf_view(&value), s->call_id, buf_view(&cseq),
		       buf_view(&max), again ? STR("again") : STR("new"));
}

static void on_saved_again(void *user_data, enum err e, const struct redisReply *reply)
{
	struct reg *g = user_data;
	struct worker *w = g->w;
	struct str status = rds_text(rds_at(reply, 0));

	g->asking = false;
	if (e != ERR_OK) {
		/* Still dirty. A Redis that is full or slow is not asked as fast as one that takes what it gets. */
		timer_arm(loop_timers(w->loop), &w->registrar->again, AGAIN_REFUSED_MS);
		return;
	}
	list_remove(&g->dirty_node);
	if (str_eq(status, STR(REG_OK))) {
		if (rds_int(rds_at(reply, 4)) == 0)
			presence_publish(w, g->user, PRESENCE_ONLINE);
		return;
	}
	/* A younger binding of the device, or no session: this one ends. */
	struct conn *c = conn_of(w->conns, &g->flow);
	bool session_gone = str_eq(status, STR(REG_SESSION));

	reg_free(g);
	if (c != NULL && session_gone)
		conn_close(c, WS_CLOSE_SESSION_ENDED, "session ended");
	else if (c != NULL)
		conn_close(c, WS_CLOSE_SUPERSEDED, "registered elsewhere");
}

static void on_again(struct timer *t, uint64_t now_ms)
{
	struct registrar *r = CONTAINER_OF(t, struct registrar, again);
	struct list *it, *tmp;
	size_t sent = 0;

	(void)now_ms;
	if (list_empty(&r->dirty) || !rds_async_up(r->w->rds))
		return;
	LIST_FOR_EACH (it, tmp, &r->dirty) {
		struct reg *g = CONTAINER_OF(it, struct reg, dirty_node);

		if (g->asking)
			continue;
		g->asking = true;
		reg_send_save(r->w, g->user, &g->s, true, on_saved_again, g);
		if (++sent == AGAIN_BATCH)
			break;
	}
	timer_arm(loop_timers(r->w->loop), &r->again, AGAIN_TICK_MS);
}

void registrar_redis_up(struct worker *w)
{
	struct registrar *r = w->registrar;

	/* Redis may have come back without what it held (a restart with an empty store): all our bindings are offered again. */
	for (size_t i = 0; i < USERMAP_BUCKETS; i++) {
		struct list *it, *tmp;

		LIST_FOR_EACH (it, tmp, &r->users.bucket[i]) {
			struct reg *g = CONTAINER_OF(it, struct reg, by_user);

			if (!g->lost)
				mark_dirty(g);
		}
	}
}

void reg_close_token(struct worker *w, struct str token)
{
	struct flow f;

	if (token.len == 0 || flow_token_get(token, w->flow_key, &f) != ERR_OK)
		return;
	if (flow_local(w, &f)) {
		struct conn *c = conn_of(w->conns, &f);

		if (c != NULL)
			conn_close(c, WS_CLOSE_SUPERSEDED, "registered elsewhere");
		return;
	}
	if (peers_alive(w->peers, str_from(f.worker), f.epoch))
		RDS_ASYNC(w->rds, NULL, NULL, STR("XADD"), STR(RKEY_EV_SIGNAL), STR("MAXLEN"), STR("~"), STR(EVENTS_MAX), STR("*"),
			  STR("t"), STR(EV_FLOW_CLOSE), STR("flow"), token);
}
