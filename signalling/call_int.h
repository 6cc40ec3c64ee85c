/* The inside of the call table: for call.c and call_record.c only. */
#ifndef DUPLEX_SIGNALLING_CALL_INT_H
#define DUPLEX_SIGNALLING_CALL_INT_H

#include "signalling/call.h"
#include "signalling/proxy.h"

#define CALLS_BUCKETS 1024u /* power of two */

struct calls {
	const struct proxy_host *ops; /* borrowed, as are host and worker */
	void *host;
	struct timers *timers;
	struct str worker;
	size_t max, count;
	uint64_t seed; /* of the hashes: Call-IDs are chosen by clients */
	struct list by_call_id[CALLS_BUCKETS];
	struct list by_user[CALLS_BUCKETS];
	struct timer lease; /* renews that of live:WORKER */
	size_t shown;       /* entries in live:WORKER */
	struct calls_stats stats;
};

uint64_t call_wall_ms(const struct calls *cs);
void call_lease_due(struct timer *timer, uint64_t now);
void call_record_answered(struct call *c);

#endif
