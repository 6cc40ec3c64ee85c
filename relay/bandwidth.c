#include "relay/bandwidth.h"

#include "relay/limit.h"

#define MS_PER_S 1000u
#define BURST_LEAST (16u * 1500u)

bool bandwidth_take(bucket *b, uint32_t rate, enum media_kind kind, uint32_t bytes, uint32_t now_ms)
{
	uint64_t now = atomic_load_explicit(b, memory_order_relaxed);
	uint32_t burst = MAX(rate / 2, BURST_LEAST), left = (uint32_t)(now >> 32), since;

	if (rate == 0)
		return true;
	if (now == 0) {
		left = burst;
		since = 0;
	} else {
		since = limit_passed((uint32_t)now, now_ms);
	}
	uint64_t back = (uint64_t)since * rate / MS_PER_S;
	uint32_t seen = now == 0 || back > 0 ? now_ms : (uint32_t)now;
	left = (uint32_t)MIN(left + back, (uint64_t)burst);
	bool granted = left >= bytes + (kind == MEDIA_VIDEO ? burst / 4 : 0);
	if (granted)
		left -= bytes;
	uint64_t next = (uint64_t)left << 32 | seen;
	atomic_store_explicit(b, next != 0 ? next : 1, memory_order_relaxed);
	return granted;
}
