#include "common/timer.h"

void timers_init(struct timers *w, uint64_t now_ms)
{
	for (size_t i = 0; i < TIMER_SLOTS; i++)
		list_init(&w->slot[i]);
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

void timer_stop(struct timers *w, struct timer *t)
{
	if (!timer_armed(t))
		return;
	list_remove(&t->node);
	w->armed--;
}

void timer_arm(struct timers *w, struct timer *t, uint64_t delay_ms)
{
	timer_stop(w, t);
	/* A slot that timers_run is passing or has passed is not looked at again in this round: never less than one ahead. */
	t->due_ms = w->base_ms + MAX(delay_ms, (uint64_t)1);
	list_append(&w->slot[t->due_ms % TIMER_SLOTS], &t->node);
	w->armed++;
}

static size_t run_slot(struct timers *w, struct list *slot, uint64_t now_ms)
{
	struct list due, *it, *tmp;
	size_t fired = 0;

	/* Due timers move to a list of their own first, so that a callback may stop its neighbours. */
	list_init(&due);
	LIST_FOR_EACH (it, tmp, slot) {
		if (CONTAINER_OF(it, struct timer, node)->due_ms > now_ms)
			continue;
		list_remove(it);
		list_append(&due, it);
	}
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
		fired += run_slot(w, &w->slot[(from + i) % TIMER_SLOTS], now_ms);
	return fired;
}

uint64_t timers_next_ms(const struct timers *w, uint64_t now_ms, uint64_t max_ms)
{
	if (w->armed == 0)
		return max_ms;
	uint64_t limit = MIN(max_ms, (uint64_t)TIMER_SLOTS);

	for (uint64_t ahead = 0; ahead < limit; ahead++) {
		const struct list *slot = &w->slot[(w->now_ms + 1 + ahead) % TIMER_SLOTS];

		for (const struct list *it = slot->next; it != slot; it = it->next) {
			uint64_t due = CONTAINER_OF(it, const struct timer, node)->due_ms;

			if (due <= w->now_ms + 1 + ahead)
				return due > now_ms ? MIN(due - now_ms, max_ms) : 0;
		}
	}
	return limit;
}
