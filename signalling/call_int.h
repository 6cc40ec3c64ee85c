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

/* The wall clock of the worker. */
uint64_t call_wall_ms(const struct calls *cs);
/* timer_fn of `lease`: live:WORKER is kept alive while there are calls in it. */
void call_lease_due(struct timer *timer, uint64_t now);
/* State, time and "busy" of an answer; what the answer says of the callee has been noted. */
void call_record_answered(struct call *c);

#endif
