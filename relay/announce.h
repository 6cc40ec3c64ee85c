/* What a relay tells the others of itself, in Redis: a hash with a lease, for the API's list of relays. */
#ifndef DUPLEX_RELAY_ANNOUNCE_H
#define DUPLEX_RELAY_ANNOUNCE_H

#include "common/rds.h"
#include "relay/relay.h"

#define ANNOUNCE_MS 2000u /* how often; less than a third of the lease (RELAY_LEASE_MS) */

struct announce {
	const char *name;            /* of this relay; borrowed */
	uint64_t start_ms;           /* wall clock */
	uint64_t busy_ns, idle_ns;   /* at the last time, over all workers */
};

/* Writes the present state. Errors are those of Redis; nothing is lost by one. */
enum err announce_write(struct announce *a, struct rds *redis, const struct relay *r, uint64_t wall_ms);
/* The relay ends: takes itself off the list. */
void announce_end(const struct announce *a, struct rds *redis);

#endif
