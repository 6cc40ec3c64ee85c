/* A token bucket: what a connection may send. May be overdrawn by what was read already; then the connection waits. */
#ifndef DUPLEX_SIGNALLING_BUDGET_H
#define DUPLEX_SIGNALLING_BUDGET_H

#include "common/base.h"

struct budget {
	int64_t left;        /* thousandths */
	uint64_t per_s, burst;
	uint64_t at_ms;
};

static inline void budget_init(struct budget *b, uint64_t per_s, uint64_t burst, uint64_t now_ms)
{
	*b = (struct budget){ .left = (int64_t)(burst * 1000), .per_s = per_s, .burst = burst, .at_ms = now_ms };
}

static inline void budget_take(struct budget *b, uint64_t n)
{
	b->left -= (int64_t)(n * 1000);
}

/* 0: go on; else how long until something is left. */
static inline uint64_t budget_wait_ms(struct budget *b, uint64_t now_ms)
{
	uint64_t gain = (now_ms - b->at_ms) * b->per_s;

	b->at_ms = now_ms;
	b->left = MIN(b->left + (int64_t)gain, (int64_t)(b->burst * 1000));
	return b->left > 0 ? 0 : (uint64_t)-b->left / b->per_s + 1;
}

#endif
