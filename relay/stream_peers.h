/* How many connections each client address has: an exact count in a table of fixed size, for the limit per address. IPv6
 * goes by /64, which is what a customer gets. One thread uses it. */
#ifndef DUPLEX_RELAY_STREAM_PEERS_H
#define DUPLEX_RELAY_STREAM_PEERS_H

#include "relay/addr.h"

struct stream_peer {
	struct addr prefix;
	uint32_t count; /* 0 = entry not in use */
};

struct stream_peers {
	struct stream_peer *at; /* owned */
	uint32_t mask;
	uint32_t seed;          /* random: addresses cannot be chosen to collide */
};

/* Room for connections from `max` addresses at a time. */
enum err stream_peers_init(struct stream_peers *s, uint32_t max);
void stream_peers_fini(struct stream_peers *s);
/* One connection more of this address; false, and nothing counted, if it has `max` already. */
bool stream_peers_take(struct stream_peers *s, const struct addr *a, uint32_t max);
void stream_peers_give(struct stream_peers *s, const struct addr *a);
uint32_t stream_peers_count(const struct stream_peers *s, const struct addr *a);

#endif
