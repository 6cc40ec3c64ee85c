#include "relay/limit.h"

void limit_init(struct limit *l)
{
	memset(l, 0, sizeof(*l));
	crypto_random(&l->seed, sizeof(l->seed));
}

/* /24 of IPv4, /64 of IPv6. */
static uint64_t prefix_hash(const struct limit *l, const struct addr *a)
{
	uint64_t x = addr_is_v4(a) ? __builtin_bswap32(a->w[3]) >> 8 : (uint64_t)a->w[0] << 32 | a->w[1];

	x = (x ^ l->seed) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 32 ^ l->seed) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

bool limit_take(struct limit *l, const struct addr *source, uint32_t rate, uint32_t burst, uint32_t now_ms)
{
	uint64_t h = prefix_hash(l, source);
	_Atomic uint64_t *at = &l->at[h & (LIMIT_SIZE - 1)];
	uint64_t tag = h >> 48, old = atomic_load_explicit(at, memory_order_relaxed), now;
	bool granted;

	if (rate == 0)
		return true;
	burst = MIN(burst, (uint32_t)UINT16_MAX);
	do {
		uint32_t seen = (uint32_t)old, since = limit_passed(seen, now_ms);
		uint64_t tokens = old >> 32 & 0xffff, back = (uint64_t)since * rate / 1000;

		if (old == 0) {
			tokens = burst;
			seen = now_ms;
		} else if (old >> 48 != tag) {
			/* Another prefix holds the entry: it may be taken over once its bucket would be full
			 * again; until then both share it. */
			if (tokens + back >= burst) {
				tokens = burst;
				seen = now_ms;
			}
		}
		if (back > 0 && old != 0) {
			tokens = MIN(tokens + back, (uint64_t)burst);
			seen = now_ms;
		}
		granted = tokens > 0;
		now = tag << 48 | (tokens - (granted ? 1 : 0)) << 32 | seen;
		if (now == 0)
			now = 1;
	} while (!atomic_compare_exchange_weak_explicit(at, &old, now, memory_order_relaxed, memory_order_relaxed));
	return granted;
}
