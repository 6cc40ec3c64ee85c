#include "common/histogram.h"

#include <inttypes.h>

static const uint64_t bounds[] = {
#define HISTOGRAM_US(us, text) us,
	HISTOGRAM_BOUNDS(HISTOGRAM_US)
};

static const char *const texts[] = {
#define HISTOGRAM_TEXT(us, text) text,
	HISTOGRAM_BOUNDS(HISTOGRAM_TEXT) "+Inf"
};

static_assert(ARRAY_LEN(bounds) == HISTOGRAM_BUCKETS, "a bucket for each bound");

void histogram_add(struct histogram *h, uint64_t us)
{
	size_t i = 0;

	while (i < HISTOGRAM_BUCKETS && us > bounds[i])
		i++;
	h->bucket[i]++;
	h->sum_us += us;
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++)
		n += h->bucket[i];
	return n;
}

void histogram_put(struct buf *out, const char *name, const char *label, const char *value, const struct histogram *h)
{
	uint64_t below = 0, sum = h->sum_us;

	for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
		below += h->bucket[i];
		buf_printf(out, "%s_bucket{", name);
		if (label != NULL)
			buf_printf(out, "%s=\"%s\",", label, value);
		buf_printf(out, "le=\"%s\"} %" PRIu64 "\n", texts[i], below);
	}
	char labels[96];
	struct buf l = buf_fixed(labels, sizeof(labels));
	if (label != NULL)
		buf_printf(&l, "{%s=\"%s\"}", label, value);
	buf_printf(out, "%s_sum%.*s %" PRIu64 ".%06" PRIu64 "\n%s_count%.*s %" PRIu64 "\n", name, STR_FMT(buf_view(&l)), sum / 1000000, sum % 1000000,
		   name, STR_FMT(buf_view(&l)), below);
}
