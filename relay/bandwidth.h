/* Limits of bandwidth: token buckets of bytes, for an allocation and for a user. When one runs low video goes first: it may use three quarters
 * of the bucket only, audio and everything else all of it, so that a call that sends too much goes on being heard. Several workers may take
 * from one bucket at a time without a lock; what one of them takes may then be forgotten, never given twice over. */
#ifndef DUPLEX_RELAY_BANDWIDTH_H
#define DUPLEX_RELAY_BANDWIDTH_H

#include "relay/media.h"

/* Bytes left << 32 | milliseconds; 0 = not used yet, full. */
typedef _Atomic uint64_t bucket;

/* For a new owner. Writes only where somebody has taken before. */
static inline void bandwidth_reset(bucket *b)
{
	if (atomic_load_explicit(b, memory_order_relaxed) != 0)
		atomic_store_explicit(b, 0, memory_order_relaxed);
}

/* Takes `bytes` at `rate` bytes a second, whose bucket holds half a second (and not less than 16 full packets). False if they are not there:
 * nothing is taken then. rate 0 = no limit. */
bool bandwidth_take(bucket *b, uint32_t rate, enum media_kind kind, uint32_t bytes, uint32_t now_ms);

#endif
