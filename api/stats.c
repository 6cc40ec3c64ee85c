#include "api/stats.h"

#include <sys/mman.h>

#include "api/route.h"
#include "common/metrics.h"

static COUNTER_NAMES(names, STATS_LIST);
static_assert(PROBLEM_COUNT <= STATS_PROBLEMS_MAX, "room for every problem");

struct stats *stats_new(void)
{
	void *p = mmap(NULL, sizeof(struct stats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

void stats_free(struct stats *s)
{
	if (s != NULL)
		(void)munmap(s, sizeof(*s));
}

static uint64_t value(_Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

void stats_write(struct buf *out, void *stats)
{
	struct stats *s = stats;
	char name[80];

	for (size_t i = 0; i < STAT_COUNT; i++) {
		struct buf b = buf_fixed(name, sizeof(name) - 1);

		buf_printf(&b, "duplex_api_%s_total", names[i].name);
		name[b.len] = '\0';
		metrics_head(out, name, "counter", names[i].help);
		metrics_line(out, name, NULL, NULL, value(&s->count[i]));
	}
	metrics_head(out, "duplex_api_problems_total", "counter", "errors answered, by code");
	for (size_t i = 0; i < PROBLEM_COUNT; i++)
		metrics_line(out, "duplex_api_problems_total", "code", problem_code((enum problem)i), value(&s->problem[i]));
	metrics_head(out, "duplex_api_route_requests_total", "counter", "requests by route");
	for (size_t i = 0; i < route_count; i++)
		metrics_line(out, "duplex_api_route_requests_total", "route", route_table[i].name, value(&s->route[i]));
	metrics_head(out, "duplex_api_route_microseconds_total", "counter", "time spent by route");
	for (size_t i = 0; i < route_count; i++)
		metrics_line(out, "duplex_api_route_microseconds_total", "route", route_table[i].name, value(&s->route_us[i]));
}
