#include "signalling/location.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/rkeys.h"
#include "signalling/conn.h"
#include "signalling/peer.h"
#include "signalling/registrar.h"
#include "signalling/worker.h"

/* One look-up under way: two commands, the second reply ends it. */
struct lookup {
	struct worker *w;
	location_fn fn;           /* NULL: nobody asks any more */
	void *user_data;
	struct list node;         /* on `lookups` */
	bool account_known;       /* the first reply came */
	bool again;               /* this is the second try */
	bool soon;                /* it is not urgent */
	bool known, dnd, lost;
	char user[USER_NAME_SIZE];
	char instance[INSTANCE_MAX + 1]; /* "" = all devices */
	size_t count;
	struct binding binding[DEVICES_MAX];
};

/* All that are under way, for location_forget: a process has one worker, and there are few at a time. */
static struct list lookups = { &lookups, &lookups };

static void add(struct lookup *l, const struct stored *s, uint64_t wall_ms)
{
	struct binding b;
	size_t at = l->count;

	if (s->expires_ms <= wall_ms || (l->instance[0] != '\0' && !str_eq(s->instance, str_from(l->instance))))
		return;
	if (stored_to_binding(s, l->w->flow_key, &b) != ERR_OK)
		return;
	if (!flow_alive(l->w, &b.flow)) {
		l->lost = true;
		return;
	}
	if (at == DEVICES_MAX)
		return;
	/* Newest first. */
	for (; at > 0 && l->binding[at - 1].updated_ms < b.updated_ms; at--)
		l->binding[at] = l->binding[at - 1];
	l->binding[at] = b;
	l->count++;
}

static void add_local(const struct stored *s, const struct flow *flow, void *arg)
{
	(void)flow;
	add(arg, s, clock_wall_ms());
}

static void finish(struct lookup *l, enum err e)
{
	struct location loc = { .known = l->known, .binding = l->binding };

	if (e != ERR_OK) {
		l->count = 0;
		reg_local_each(l->w, str_from(l->user), add_local, l);
		loc.uncertain = true;
		loc.known = l->count > 0;
		if (l->count > 0)
			e = ERR_OK;
	}
	loc.dnd = l->dnd;
	loc.lost = l->lost;
	loc.count = l->count;
	list_remove(&l->node);
	if (l->fn != NULL)
		l->fn(l->user_data, e, &loc);
	free(l);
}

static void ask(struct lookup *l);

static void on_account(void *user_data, enum err e, const struct redisReply *reply)
{
	struct lookup *l = user_data;

	l->account_known = e == ERR_OK;
	l->known = str_eq(rds_text(rds_at(reply, 0)), STR("active"));
	l->dnd = str_eq(rds_text(rds_at(reply, 1)), STR("1"));
}

static void on_bindings(void *user_data, enum err e, const struct redisReply *reply)
{
	struct lookup *l = user_data;
	uint64_t wall = clock_wall_ms();

	for (size_t i = 0; i + 1 < rds_len(reply); i += 2) {
		struct stored s;

		if (stored_get(rds_text(rds_at(reply, i)), rds_text(rds_at(reply, i + 1)), &s) == ERR_OK)
			add(l, &s, wall);
	}
	if (e == ERR_OK && !l->account_known)
		e = ERR_TIMEOUT;
	/* A read may be repeated: a Redis that is busy writing to a slow disk has often answered by the second deadline. */
	if (e == ERR_TIMEOUT && !l->again) {
		l->again = true;
		l->count = 0;
		ask(l);
		return;
	}
	finish(l, e);
}

static void ask(struct lookup *l)
{
	struct rkey account = rkey_user(str_from(l->user)), location = rkey_location(str_from(l->user));

	RDS_ASYNC_SOON(l->w->rds, on_account, l, STR("HMGET"), rkey_str(&account), STR("state"), STR("dnd"));
	if (l->soon)
		RDS_ASYNC_SOON(l->w->rds, on_bindings, l, STR("HGETALL"), rkey_str(&location));
	else
		RDS_ASYNC(l->w->rds, on_bindings, l, STR("HGETALL"), rkey_str(&location));
}

static void look_up(struct worker *w, struct str user, struct str instance, bool soon, location_fn fn, void *user_data)
{
	struct lookup *l = malloc(sizeof(*l));

	/* The room for bindings is large, and only what was found there is looked at. */
	if (l != NULL)
		memset(l, 0, offsetof(struct lookup, binding));
	if (l == NULL || str_copy(user, l->user, sizeof(l->user)) != ERR_OK) {
		struct location none = { 0 };

		free(l);
		fn(user_data, ERR_NO_MEMORY, &none);
		return;
	}
	/* An instance that is longer than any we store finds nothing. */
	if (str_copy(instance, l->instance, sizeof(l->instance)) != ERR_OK)
		l->instance[0] = '?';
	l->w = w;
	l->fn = fn;
	l->user_data = user_data;
	l->soon = soon;
	list_append(&lookups, &l->node);
	ask(l);
}

void location_lookup(struct worker *w, struct str user, struct str instance, location_fn fn, void *user_data)
{
	look_up(w, user, instance, false, fn, user_data);
}

void location_lookup_soon(struct worker *w, struct str user, struct str instance, location_fn fn, void *user_data)
{
	look_up(w, user, instance, true, fn, user_data);
}

void location_forget(struct worker *w, const void *user_data)
{
	struct list *it, *tmp;

	(void)w;
	LIST_FOR_EACH (it, tmp, &lookups) {
		struct lookup *l = CONTAINER_OF(it, struct lookup, node);

		if (l->user_data == user_data)
			l->fn = NULL;
	}
}

void location_remove(struct worker *w, struct str user, struct str instance, const struct flow *flow)
{
	char token_text[FLOW_TOKEN_MAX];
	struct buf token = buf_fixed(token_text, sizeof(token_text));

	(void)instance;
	/* One that only we cannot reach may well be reached by others. */
	if (!peers_certain(w->peers, str_from(flow->worker), flow->epoch))
		return;
	/* The token names one flow of one device: nothing else can match it. The device may come back within its grace, and is till then
	 * one that is worth waiting for. */
	flow_token_put(&token, flow, w->flow_key);
	reg_drop(w, user, STR("*"), buf_view(&token), STR_NONE, w->conf->flow_grace_ms);
}

void location_gruu_put(struct buf *to, struct str domain, struct str user, struct str instance)
{
	buf_z(to, "sip:");
	buf_str(to, user);
	buf_char(to, '@');
	buf_str(to, domain);
	buf_z(to, ";gr=");
	buf_str(to, instance);
}
