/* Latencies in fixed buckets, as HdrHistogram has them: 64 to a power of two, so that a value is known to 1.6 % whatever its size, and
 * adding one is a shift and an increment. */
#ifndef DUPLEX_BENCH_SIPLOAD_HIST_H
#define DUPLEX_BENCH_SIPLOAD_HIST_H

#include "common/base.h"

#define HIST_SUB 64u
#define HIST_BITS 40u /* values up to 2^40 us; larger ones count as that */
#define HIST_BUCKETS ((HIST_BITS - 6u) * HIST_SUB + HIST_SUB)

struct hist {
	uint64_t n, sum, max;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t us);
/* The smallest value that at least `share` (0 to 1) of all values do not exceed, to 1.6 % upwards, at most the maximum; 0 if there is none. */
uint64_t hist_at(const struct hist *h, double share);
void hist_reset(struct hist *h);

#endif
