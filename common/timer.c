#include "common/timer.h"

void timers_init(struct timers *w, uint64_t now_ms)
{
	for (size_t i = 0; i < TIMER_SLOTS; i++)
		list_init(&w->slot[i]);
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

/* The slot's list has changed. */
static void mark(struct timers *w, size_t slot)
{
	uint64_t bit = 1ull << slot % 64;

	if (list_empty(&w->slot[slot]))
		w->used[slot / 64] &= ~bit;
	else
		w->used[slot / 64] |= bit;
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
	list_append(&w->slot[t->due_ms % TIMER_SLOTS], &t->node);
	mark(w, t->due_ms % TIMER_SLOTS);
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

size_t timers_run(struct timers *w, uint64_t now_ms)
{
	size_t fired = 0;

	if (now_ms <= w->now_ms)
		return 0;
	uint64_t from = w->now_ms + 1;
	uint64_t slots = MIN(now_ms - w->now_ms, (uint64_t)TIMER_SLOTS);

	w->now_ms = now_ms;
	timers_touch(w, now_ms);
	for (uint64_t i = 0; i < slots && w->armed > 0; i++)
		fired += run_slot(w, (from + i) % TIMER_SLOTS, now_ms);
	return fired;
}

uint64_t timers_next_ms(const struct timers *w, uint64_t now_ms, uint64_t max_ms)
{
	if (w->armed == 0)
		return max_ms;
	uint64_t limit = MIN(max_ms, (uint64_t)TIMER_SLOTS);

	for (uint64_t ahead = 0; ahead < limit; ahead++) {
		size_t index = (w->now_ms + 1 + ahead) % TIMER_SLOTS;
		uint64_t rest = w->used[index / 64] >> index % 64;

		if (rest == 0) {
			ahead += 63 - index % 64;
			continue;
		}
		ahead += (uint64_t)__builtin_ctzll(rest);
		const struct list *slot = &w->slot[(w->now_ms + 1 + ahead) % TIMER_SLOTS];
		for (const struct list *it = slot->next; it != slot; it = it->next) {
			uint64_t due = CONTAINER_OF(it, const struct timer, node)->due_ms;

			if (due <= w->now_ms + 1 + ahead)
				return due > now_ms ? MIN(due - now_ms, max_ms) : 0;
		}
	}
	return limit;
}
