/* A spin lock for control requests (never taken on the packet path, but where workers share a send queue: port.h). Holders are short; a waiter yields,
 * because workers may share a CPU. */
#ifndef DUPLEX_RELAY_SPIN_H
#define DUPLEX_RELAY_SPIN_H

#include <sched.h>
#include <stdatomic.h>

#include "common/base.h"

struct spin {
	atomic_flag taken;
};

static inline void spin_init(struct spin *s)
{
	atomic_flag_clear(&s->taken);
}

static inline void spin_lock(struct spin *s)
{
	for (unsigned tries = 1; atomic_flag_test_and_set_explicit(&s->taken, memory_order_acquire); tries++) {
		if (tries % 64 == 0)
			(void)sched_yield();
	}
}

static inline void spin_unlock(struct spin *s)
{
	atomic_flag_clear_explicit(&s->taken, memory_order_release);
}

#endif
