#include "bench/sipload_hist.h"

#include <string.h>

static size_t index_of(uint64_t v)
{
	unsigned shift = v < 2 * HIST_SUB ? 0 : 63u - 6u - (unsigned)__builtin_clzll(v);

	return shift * HIST_SUB + (size_t)(v >> shift);
}

/* The largest value of a bucket. */
static uint64_t top_of(size_t i)
{
	if (i < 2 * HIST_SUB)
		return i;
	unsigned shift = (unsigned)(i / HIST_SUB) - 1;

	return ((i - shift * HIST_SUB + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t us)
{
	h->n++;
	h->sum += us;
	h->max = MAX(h->max, us);
	h->bucket[MIN(index_of(MIN(us, (1ull << HIST_BITS) - 1)), (size_t)HIST_BUCKETS - 1)]++;
}

uint64_t hist_at(const struct hist *h, double share)
{
	double want = share * (double)h->n;
	uint64_t seen = 0;

	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > 0 && (double)seen >= want)
			return MIN(top_of(i), h->max);
	}
	return h->max;
}

void hist_reset(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}
