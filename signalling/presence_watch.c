/* Users who are watched: their state is asked for once, however many watch them, and again whenever something may have changed it. */
#include <stdlib.h>

#include "common/clock.h"
#include "signalling/presence_sub.h"
#include "signalling/worker.h"

#define SWEEP_TICK_MS 20u
#define SWEEP_BATCH 50u
#define EXPIRY_SLACK_MS 500u
#define RETRY_MS 2000u

static void on_state(void *arg, enum err e, enum presence_status status, uint64_t until_ms)
{
	struct target *t = arg;
	uint64_t wall = clock_wall_ms();
	struct list *it, *tmp;

	t->asking = NULL;
	if (t->again) {
		t->again = false;
		target_look(t);
		return;
	}
	if (e != ERR_OK) {
		/* The last known state stands until Redis answers. */
		timer_arm(loop_timers(t->w->loop), &t->expiry, RETRY_MS);
		return;
	}
	if (until_ms != 0)
		timer_arm(loop_timers(t->w->loop), &t->expiry, (until_ms > wall ? until_ms - wall : 0) + EXPIRY_SLACK_MS);
	if (t->known && t->status == status)
		return;
	t->known = true;
	t->status = status;
	LIST_FOR_EACH (it, tmp, &t->watches) {
		struct watch *watch = CONTAINER_OF(it, struct watch, of_target);

		watch->dirty = true;
		sub_notify_soon(watch->sub);
	}
}

void target_look(struct target *t)
{
	if (t->asking != NULL) {
		t->again = true;
		return;
	}
	presence_ask(t->w, str_from(t->user), on_state, t, &t->asking);
}

static void on_expiry(struct timer *timer, uint64_t now_ms)
{
	(void)now_ms;
	target_look(CONTAINER_OF(timer, struct target, expiry));
}

struct target *target_of(struct worker *w, struct str user, bool make)
{
	struct list *head = usermap_at(&w->presence->targets, user), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct target *t = CONTAINER_OF(it, struct target, by_user);

		if (str_eq(str_from(t->user), user))
			return t;
	}
	struct target *t = make ? calloc(1, sizeof(*t)) : NULL;
	if (t == NULL || str_copy(user, t->user, sizeof(t->user)) != ERR_OK) {
		free(t);
		return NULL;
	}
	t->w = w;
	list_init(&t->watches);
	list_init(&t->todo);
	timer_init(&t->expiry, on_expiry);
	list_append(head, &t->by_user);
	target_look(t);
	return t;
}

static void target_free(struct target *t)
{
	presence_ask_forget(t->asking);
	timer_stop(loop_timers(t->w->loop), &t->expiry);
	list_remove(&t->by_user);
	list_remove(&t->todo);
	free(t);
}

enum err sub_watch(struct sub *s, struct watch *watch, struct str user)
{
	struct target *t = target_of(s->w, user, true);

	if (t == NULL)
		return ERR_NO_MEMORY;
	watch->target = t;
	watch->sub = s;
	watch->dirty = true;
	list_append(&t->watches, &watch->of_target);
	return ERR_OK;
}

void sub_unwatch_all(struct sub *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct target *t = s->watch[i].target;

		list_remove(&s->watch[i].of_target);
		if (list_empty(&t->watches))
			target_free(t);
	}
	free(s->watch);
	s->watch = NULL;
	s->count = 0;
}

void presence_on_event(struct worker *w, struct str user)
{
	struct target *t = target_of(w, user, false);

	if (t != NULL)
		target_look(t);
}

void presence_refresh(struct worker *w)
{
	struct presence *p = w->presence;

	if (p == NULL)
		return;
	for (size_t i = 0; i < USERMAP_BUCKETS; i++) {
		struct list *it, *tmp;

		LIST_FOR_EACH (it, tmp, &p->targets.bucket[i]) {
			struct target *t = CONTAINER_OF(it, struct target, by_user);

			if (list_empty(&t->todo))
				list_append(&p->todo, &t->todo);
		}
	}
	if (!list_empty(&p->todo) && !timer_armed(&p->sweep))
		timer_arm(loop_timers(w->loop), &p->sweep, 1);
}

/* A limited number at a time: thousands of users may have been on the worker that went away. */
void presence_on_sweep(struct timer *timer, uint64_t now_ms)
{
	struct presence *p = CONTAINER_OF(timer, struct presence, sweep);

	(void)now_ms;
	for (size_t i = 0; i < SWEEP_BATCH && !list_empty(&p->todo); i++) {
		struct target *t = CONTAINER_OF(p->todo.next, struct target, todo);

		list_remove(&t->todo);
		target_look(t);
	}
	if (!list_empty(&p->todo))
		timer_arm(loop_timers(p->w->loop), timer, SWEEP_TICK_MS);
}
