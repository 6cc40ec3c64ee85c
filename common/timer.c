#include "common/timer.h"

void timers_init(struct timers *w, uint64_t now_ms)
{
	for (size_t i = 0; i < TIMER_SLOTS; i++)
		list_init(&w->slot[i]);
	for (size_t i = 0; i < TIMER_TURNS; i++)
		list_init(&w->turn[i]);
	for (size_t i = 0; i < ARRAY_LEN(w->used); i++)
		w->used[i] = 0;
	w->now_ms = w->base_ms = now_ms;
	w->armed = 0;
}

void timers_touch(struct timers *w, uint64_t now_ms)
{
	w->base_ms = MAX(w->base_ms, now_ms);
}

void timer_init(struct timer *t, timer_fn fn)
{
	list_init(&t->node);
	t->due_ms = 0;
	t->fn = fn;
}

/* A slot's list has changed. */
static void mark(struct timers *w, size_t slot)
{
	uint64_t bit = 1ull << slot % 64;

	if (list_empty(&w->slot[slot]))
		w->used[slot / 64] &= ~bit;
	else
		w->used[slot / 64] |= bit;
}

/* All in a slot are due at the same time: those that would be due a turn later are elsewhere. */
static void place(struct timers *w, struct timer *t)
{
	size_t slot = t->due_ms % TIMER_SLOTS;

	if (t->due_ms - w->now_ms >= TIMER_SLOTS) {
		list_append(&w->turn[t->due_ms / TIMER_SLOTS % TIMER_TURNS], &t->node);
		return;
	}
	list_append(&w->slot[slot], &t->node);
	w->used[slot / 64] |= 1ull << slot % 64;
}

void timer_stop(struct timers *w, struct timer *t)
{
	if (!timer_armed(t))
		return;
	list_remove(&t->node);
	mark(w, t->due_ms % TIMER_SLOTS);
	w->armed--;
}

void timer_arm(struct timers *w, struct timer *t, uint64_t delay_ms)
{
	timer_stop(w, t);
	/* A slot that timers_run is passing or has passed is not looked at again in this round: never less than one ahead. */
	t->due_ms = w->base_ms + MAX(delay_ms, (uint64_t)1);
	place(w, t);
	w->armed++;
}

static size_t run_slot(struct timers *w, size_t index, uint64_t now_ms)
{
	struct list due, *it, *tmp, *slot = &w->slot[index];
	size_t fired = 0;

	/* Due timers move to a list of their own first, so that a callback may stop its neighbours. */
	list_init(&due);
	LIST_FOR_EACH (it, tmp, slot) {
		if (CONTAINER_OF(it, struct timer, node)->due_ms > now_ms)
			continue;
		list_remove(it);
		list_append(&due, it);
	}
	mark(w, index);
	while (!list_empty(&due)) {
		struct timer *t = CONTAINER_OF(due.next, struct timer, node);

		list_remove(&t->node);
		w->armed--;
		fired++;
		t->fn(t, now_ms);
	}
	return fired;
}

/* The turn begins: what is due in it comes closer. */
static void begin_turn(struct timers *w, uint64_t turn)
{
	struct list *head = &w->turn[turn % TIMER_TURNS], *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		size_t slot = CONTAINER_OF(it, struct timer, node)->due_ms % TIMER_SLOTS;

		if (CONTAINER_OF(it, struct timer, node)->due_ms / TIMER_SLOTS != turn)
			continue;
		list_remove(it);
		list_append(&w->slot[slot], it);
		mark(w, slot);
	}
}

/* The first slot from `slot` on, up to the last, that is not empty; TIMER_SLOTS if there is none. */
static size_t next_used(const struct timers *w, size_t slot)
{
	while (slot < TIMER_SLOTS) {
		uint64_t rest = w->used[slot / 64] >> slot % 64;

		if (rest != 0)
			return slot + (size_t)__builtin_ctzll(rest);
		slot += 64 - slot % 64;
	}
	return TIMER_SLOTS;
}

size_t timers_run(struct timers *w, uint64_t now_ms)
{
	size_t fired = 0;

	if (now_ms <= w->now_ms)
		return 0;
	uint64_t t = w->now_ms + 1;

	w->now_ms = now_ms;
	timers_touch(w, now_ms);
	while (t <= now_ms && w->armed > 0) {
		size_t from = t % TIMER_SLOTS;

		if (from == 0)
			begin_turn(w, t / TIMER_SLOTS);
		size_t slot = next_used(w, from);
		t += slot - from;
		if (slot == TIMER_SLOTS || t > now_ms)
			continue;
		fired += run_slot(w, slot, now_ms);
		t++;
	}
	return fired;
}

uint64_t timers_next_ms(const struct timers *w, uint64_t now_ms, uint64_t max_ms)
{
	if (w->armed == 0)
		return max_ms;
	/* At the end of the turn others may come closer. */
	uint64_t t = w->now_ms + 1;
	uint64_t due = t + next_used(w, t % TIMER_SLOTS) - t % TIMER_SLOTS;

	if (t % TIMER_SLOTS == 0 && !list_empty(&w->turn[t / TIMER_SLOTS % TIMER_TURNS]))
		due = t;
	return due > now_ms ? MIN(due - now_ms, max_ms) : 0;
}
