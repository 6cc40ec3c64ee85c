/* Budgets for answers to those who have not proved who they are: a token bucket per source prefix (/24), in a
 * table of fixed size that all workers share without a lock. Nothing else is kept about such a sender. Where
 * two prefixes meet in one entry the quieter one is forgotten first. */
#ifndef DUPLEX_RELAY_LIMIT_H
#define DUPLEX_RELAY_LIMIT_H

#include <stdatomic.h>

#include "relay/addr.h"

#define LIMIT_SIZE 16384u /* entries of 8 bytes; power of two */

struct limit {
	_Atomic uint64_t at[LIMIT_SIZE]; /* tag 16 | tokens 16 | ms 32 */
	uint32_t seed;
};

#define LIMIT_BEHIND_MS 1000u

/* Milliseconds since `seen_ms`. Each worker reads the clock on its own: one that is behind by a moment sees no time gone, not all of it. */
static inline uint32_t limit_passed(uint32_t seen_ms, uint32_t now_ms)
{
	uint32_t since = now_ms - seen_ms;

	return since <= UINT32_MAX - LIMIT_BEHIND_MS ? since : 0;
}

void limit_init(struct limit *l);
/* Takes one of `burst` tokens, which come back at `rate` a second. False when they are used up. rate 0 = no limit. */
bool limit_take(struct limit *l, const struct addr *source, uint32_t rate, uint32_t burst, uint32_t now_ms);

#endif
