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

void limit_init(struct limit *l);
/* Takes one of `burst` tokens, which come back at `rate` a second. False when they are used up. rate 0 = no limit. */
bool limit_take(struct limit *l, const struct addr *source, uint32_t rate, uint32_t burst, uint32_t now_ms);

#endif
