#include "signalling/presence_state.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/events.h"
#include "common/rkeys.h"
#include "signalling/peer.h"
#include "signalling/presence_sub.h"
#include "signalling/reg_binding.h"
#include "signalling/worker.h"

struct presence_ask {
	struct worker *w;
	presence_ask_fn fn; /* NULL: forgotten */
	void *arg;
	enum err err;
	bool online, dnd;
	uint64_t until_ms;
};

static void on_account(void *user_data, enum err e, const struct redisReply *reply)
{
	struct presence_ask *a = user_data;

	a->err = e;
	a->dnd = str_eq(rds_text(reply), STR("1"));
}

static enum presence_status status_of(const struct presence_ask *a, bool busy)
{
	if (!a->online)
		return PRESENCE_OFFLINE;
	return a->dnd ? PRESENCE_DND : busy ? PRESENCE_BUSY : PRESENCE_ONLINE;
}

static void on_location(void *user_data, enum err e, const struct redisReply *reply)
{
	struct presence_ask *a = user_data;
	uint64_t wall = clock_wall_ms();

	if (a->err == ERR_OK)
		a->err = e;
	for (size_t i = 0; i + 1 < rds_len(reply); i += 2) {
		struct stored s;
		struct flow f;

		/* A lost connection within its grace still counts as there; a dead worker's does not. */
		if (stored_get(rds_text(rds_at(reply, i)), rds_text(rds_at(reply, i + 1)), &s) != ERR_OK || s.expires_ms <= wall ||
		    flow_token_get(s.token, a->w->flow_key, &f) != ERR_OK ||
		    !peers_alive(a->w->peers, str_from(f.worker), f.epoch))
			continue;
		a->online = true;
		a->until_ms = a->until_ms == 0 ? s.expires_ms : MIN(a->until_ms, s.expires_ms);
	}
}

static void on_busy(void *user_data, enum err e, const struct redisReply *reply)
{
	struct presence_ask *a = user_data;
	bool busy = false;
	uint64_t epoch;

	for (size_t i = 0; i + 1 < rds_len(reply); i += 2) {
		if (str_to_u64(rds_text(rds_at(reply, i + 1)), UINT64_MAX, &epoch) == ERR_OK)
			busy |= peers_alive(a->w->peers, rds_text(rds_at(reply, i)), epoch);
	}
	if (a->err == ERR_OK)
		a->err = e;
	if (a->fn != NULL)
		a->fn(a->arg, a->err, status_of(a, busy), a->until_ms);
	free(a);
}

void presence_ask(struct worker *w, struct str user, presence_ask_fn fn, void *arg, struct presence_ask **out)
{
	struct presence_ask *a = calloc(1, sizeof(*a));
	struct rkey location = rkey_location(user), busy = rkey_busy(user), account = rkey_user(user);

	*out = a;
	if (a == NULL) {
		fn(arg, ERR_NO_MEMORY, PRESENCE_OFFLINE, 0);
		return;
	}
	a->w = w;
	a->fn = fn;
	a->arg = arg;
	RDS_ASYNC(w->rds, on_account, a, STR("HGET"), rkey_str(&account), STR("dnd"));
	RDS_ASYNC(w->rds, on_location, a, STR("HGETALL"), rkey_str(&location));
	RDS_ASYNC(w->rds, on_busy, a, STR("HGETALL"), rkey_str(&busy));
}

void presence_ask_forget(struct presence_ask *a)
{
	if (a != NULL)
		a->fn = NULL;
}

void presence_publish(struct worker *w, struct str user, enum presence_status status)
{
	RDS_ASYNC_SOON(w->rds, NULL, NULL, STR("XADD"), STR(RKEY_EV_PRESENCE), STR("MAXLEN"), STR("~"), STR(EVENTS_MAX), STR("*"), STR("t"),
		  STR(EV_PRESENCE), STR("user"), user, STR("status"), str_from(presence_status_name(status)));
}

/* --- calls of our own --- */

struct busy_user {
	struct list by_user;
	unsigned calls; /* 0: all over, but Redis has not confirmed it yet */
	char user[USER_NAME_SIZE];
};

/* One taking-out under way. */
struct clearing {
	struct worker *w;
	char user[USER_NAME_SIZE];
};

static struct busy_user *busy_find(struct presence_busy *b, struct str user)
{
	struct list *head = usermap_at(&b->users, user), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct busy_user *one = CONTAINER_OF(it, struct busy_user, by_user);

		if (str_eq(str_from(one->user), user))
			return one;
	}
	return NULL;
}

void presence_busy_init(struct presence_busy *b)
{
	usermap_init(&b->users);
}

void presence_busy_fini(struct presence_busy *b)
{
	for (size_t i = 0; i < USERMAP_BUCKETS; i++) {
		while (!list_empty(&b->users.bucket[i])) {
			struct busy_user *u = CONTAINER_OF(b->users.bucket[i].next, struct busy_user, by_user);

			list_remove(&u->by_user);
			free(u);
		}
	}
}

static void write_busy(struct worker *w, struct str user)
{
	struct rkey key = rkey_busy(user);
	char text[48];
	struct buf epoch = buf_fixed(text, 24), ttl = buf_fixed(text + 24, 24);

	buf_u64(&epoch, w->epoch);
	buf_u64(&ttl, BUSY_TTL_S);
	RDS_ASYNC_SOON(w->rds, NULL, NULL, STR("HSET"), rkey_str(&key), str_from(w->name), buf_view(&epoch));
	RDS_ASYNC_SOON(w->rds, NULL, NULL, STR("EXPIRE"), rkey_str(&key), buf_view(&ttl));
	presence_publish(w, user, PRESENCE_BUSY);
}

/* Not done: Redis is away, and will be asked again when it is back. The user may be in the next call by now. */
static void on_cleared(void *user_data, enum err e, UNUSED const struct redisReply *reply)
{
	struct clearing *c = user_data;
	struct busy_user *u = c->w->presence != NULL ? busy_find(&c->w->presence->busy, str_from(c->user)) : NULL;

	if (e == ERR_OK && u != NULL && u->calls == 0) {
		list_remove(&u->by_user);
		free(u);
	}
	free(c);
}

static void clear_busy(struct worker *w, const struct busy_user *u)
{
	struct rkey key = rkey_busy(str_from(u->user));
	struct clearing *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return;
	c->w = w;
	memcpy(c->user, u->user, sizeof(c->user));
	RDS_ASYNC_SOON(w->rds, on_cleared, c, STR("HDEL"), rkey_str(&key), str_from(w->name));
	/* Whether the user is online or not is for those to find out who get this. */
	presence_publish(w, str_from(u->user), PRESENCE_ONLINE);
}

void presence_busy_write(struct worker *w, struct presence_busy *b)
{
	for (size_t i = 0; i < USERMAP_BUCKETS; i++) {
		struct list *it, *tmp;

		LIST_FOR_EACH (it, tmp, &b->users.bucket[i]) {
			struct busy_user *u = CONTAINER_OF(it, struct busy_user, by_user);

			if (u->calls > 0)
				write_busy(w, str_from(u->user));
			else
				clear_busy(w, u);
		}
	}
}

void presence_busy_set(struct worker *w, struct presence_busy *b, struct str user, bool busy)
{
	struct busy_user *u = busy_find(b, user);

	if (busy && u != NULL) {
		if (u->calls++ == 0)
			write_busy(w, user);
	} else if (busy) {
		u = calloc(1, sizeof(*u));
		if (u == NULL || str_copy(user, u->user, sizeof(u->user)) != ERR_OK) {
			free(u);
			return;
		}
		u->calls = 1;
		list_append(usermap_at(&b->users, user), &u->by_user);
		write_busy(w, user);
	} else if (u != NULL && u->calls > 0 && --u->calls == 0) {
		clear_busy(w, u);
	}
}
