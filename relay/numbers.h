/* A pool of small numbers, for things that need a place of their own while they live. The lowest never used, or one that was given back, last
 * in first out. Not thread-safe. */
#ifndef DUPLEX_RELAY_NUMBERS_H
#define DUPLEX_RELAY_NUMBERS_H

#include <stdlib.h>

#include "common/base.h"
#include "common/err.h"

struct numbers {
	uint32_t *spare; /* owned */
	uint32_t spares, used, max;
};

/* 0 to max - 1. ERR_NO_MEMORY. */
static inline enum err numbers_init(struct numbers *n, uint32_t max)
{
	*n = (struct numbers){ .spare = calloc(max, sizeof(*n->spare)), .max = max };
	return n->spare != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static inline void numbers_fini(struct numbers *n)
{
	free(n->spare);
	n->spare = NULL;
}

/* There is one: whoever takes knows that fewer than max are out. */
static inline uint32_t numbers_take(struct numbers *n)
{
	assert(n->spares > 0 || n->used < n->max);
	return n->spares > 0 ? n->spare[--n->spares] : n->used++;
}

static inline void numbers_give(struct numbers *n, uint32_t number)
{
	assert(n->spares < n->used);
	n->spare[n->spares++] = number;
}

#endif
