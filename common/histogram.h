/* A histogram of times with fixed buckets, for Prometheus. Written by one thread with plain 64-bit stores; another may read it for metrics. */
#ifndef DUPLEX_COMMON_HISTOGRAM_H
#define DUPLEX_COMMON_HISTOGRAM_H

#include "common/buf.h"

/* Upper bounds in microseconds, as text in seconds. */
#define HISTOGRAM_BOUNDS(X)                                                                                        \
	X(50, "0.00005") X(100, "0.0001") X(250, "0.00025") X(500, "0.0005") X(1000, "0.001") X(2500, "0.0025")    \
	X(5000, "0.005") X(10000, "0.01") X(25000, "0.025") X(50000, "0.05") X(100000, "0.1") X(250000, "0.25")    \
	X(500000, "0.5") X(1000000, "1") X(5000000, "5")
#define HISTOGRAM_ONE(us, text) +1
#define HISTOGRAM_BUCKETS (0 HISTOGRAM_BOUNDS(HISTOGRAM_ONE))

struct histogram {
	uint64_t bucket[HISTOGRAM_BUCKETS + 1]; /* not cumulated; the last is beyond all bounds */
	uint64_t sum_us;
};

void histogram_add(struct histogram *h, uint64_t us);
/* How many there were. */
uint64_t histogram_count(const struct histogram *h);
/* Lines `NAME_bucket{LABEL="VALUE",le="…"}`, `NAME_sum` in seconds and `NAME_count`; `label` NULL for none. The head, with type "histogram", is the
 * caller's. */
void histogram_put(struct buf *out, const char *name, const char *label, const char *value, const struct histogram *h);

#endif
