/* What all threads of the relay share. Made at start; only `policy`, `drain` and `capture` are ever replaced. */
#ifndef DUPLEX_RELAY_RELAY_H
#define DUPLEX_RELAY_RELAY_H

#include <pthread.h>

#include "relay/ended.h"
#include "relay/journal.h"
#include "relay/limit.h"
#include "relay/policy.h"
#include "relay/records.h"
#include "relay/restore.h"
#include "relay/revoked.h"
#include "relay/stats.h"
#include "relay/stream_stats.h"
#include "relay/table.h"

struct relay {
	_Atomic(const struct policy *) policy; /* owned; read once a burst */
	_Atomic(const struct drain *) drain;   /* owned; NULL = not draining */
	pthread_mutex_t control;               /* of threads that replace these two, or read them without being workers */
	_Atomic(struct capture *) capture;     /* borrowed; NULL = nobody looks (capture.h) */
	struct ifaces ifaces;
	struct addr own[LOCAL_MAX];            /* our addresses by number, side by side */
	uint16_t turn_port;                    /* network order */
	struct rcu *rcu;
	struct table *table;
	struct neigh neigh;
	struct limit challenges;
	struct ended ended;
	struct revoked revoked;
	struct records *records;               /* owned */
	struct stats *stats;                   /* owned: one block a worker, and one behind them for the stream thread */
	unsigned workers;
	_Atomic uint32_t links;                /* a bit for each port that has a link */
	int kernel_fd;                         /* wakes the thread of kernel.c; -1 = there is none */
	struct journal *journal;               /* borrowed; NULL = none */
	struct restore_counts restored;        /* at start */
	struct stream_link *link;              /* borrowed: to the stream thread; NULL = no clients on streams */
	struct stream_stats stream;
};

struct relay_size {
	uint16_t turn_port, port_min, port_max; /* host order */
	uint32_t max_allocations;
	unsigned workers;
};

/* `policy` becomes the relay's own. EAL must be up (the hash lives in its memory). */
enum err relay_new(const struct relay_size *size, const struct ifaces *ifaces, struct policy *policy, struct relay **out);
void relay_free(struct relay *r);
/* Takes over `policy`, and frees the one before when no worker reads it any more. Not from a worker. */
void relay_set_policy(struct relay *r, struct policy *policy);

#endif
