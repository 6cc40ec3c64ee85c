/* Another host that has one of our addresses is told in the log: the packet path only notes it (neigh.h). */
#ifndef DUPLEX_RELAY_CLAIMED_H
#define DUPLEX_RELAY_CLAIMED_H

#include "relay/iface.h"
#include "relay/neigh.h"

#define CLAIMED_AGAIN_MS 60000u /* how often the same is said */
#define CLAIMED_OTHER_MS 10000u /* and how often of the same address with another sender */

/* By the number of our address. */
struct claimed {
	uint64_t who[LOCAL_MAX]; /* the MAC of whom the log speaks already; 0 = of nobody */
	uint64_t told_ms[LOCAL_MAX];
};
/* From the control thread, now and then. Returns of how many something was said. */
unsigned claimed_tell(struct claimed *c, struct neigh *n, const struct ifaces *all, uint64_t now_ms);

#endif
