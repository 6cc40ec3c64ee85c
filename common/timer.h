/* Two timer wheels: one with a list a millisecond for what is due soon, one with a list a turn of the first for what is due later, which moves to
 * the first when its turn comes. Arming, moving and stopping are O(1), and what is far away costs nothing until then; the caller's struct embeds the timer.
 * Single-threaded: they belong to one loop. Time is whatever the caller passes as `now` (milliseconds). */
#ifndef DUPLEX_COMMON_TIMER_H
#define DUPLEX_COMMON_TIMER_H

#include "common/list.h"

#define TIMER_SLOTS 4096u /* milliseconds of a turn; a power of two */
#define TIMER_TURNS 256u  /* what is due after more turns than these stays in its list for several rounds */

struct timer;
typedef void (*timer_fn)(struct timer *t, uint64_t now_ms);

struct timer {
	struct list node;
	uint64_t due_ms;
	timer_fn fn;
};

struct timers {
	struct list slot[TIMER_SLOTS], turn[TIMER_TURNS];
	uint64_t used[TIMER_SLOTS / 64]; /* a bit a slot that is not empty, so that looking for the next one jumps over the others */
	uint64_t now_ms;  /* every timer due up to here has fired */
	uint64_t base_ms; /* delays count from here: never behind now_ms */
	size_t armed;
};

void timers_init(struct timers *w, uint64_t now_ms);
/* Must be called once before the timer is armed or stopped. */
void timer_init(struct timer *t, timer_fn fn);
/* The time has gone on, but the timers shall run later in this turn: delays of timers that are armed from now on count from `now`. */
void timers_touch(struct timers *w, uint64_t now_ms);
/* Fires at now + delay, at the earliest in the next timers_run; moves the timer if it was armed. */
void timer_arm(struct timers *w, struct timer *t, uint64_t delay_ms);
/* Safe on a timer that is not armed. */
void timer_stop(struct timers *w, struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
	return !list_empty(&t->node);
}
/* Fires all that are due. A callback may arm and stop any timer, its own too, and may free its own. Returns how many fired. */
size_t timers_run(struct timers *w, uint64_t now_ms);
/* Milliseconds until the next timer is due, at most `max_ms`, and no further than the end of a turn; for epoll_wait. */
uint64_t timers_next_ms(const struct timers *w, uint64_t now_ms, uint64_t max_ms);

#endif
