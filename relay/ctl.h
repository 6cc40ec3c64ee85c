/* The control thread's ear: events on Redis by which calls and users end here (common/events.h). Without Redis
 * the relay works; allocations then live as long as their clients keep them. */
#ifndef DUPLEX_RELAY_CTL_H
#define DUPLEX_RELAY_CTL_H

#include "relay/relay.h"

struct ctl;

/* Starts the thread. `redis` is the address; empty = no thread, *out is NULL. `name` is the relay's among all relays; borrowed until
 * ctl_stop. */
enum err ctl_start(struct relay *relay, const char *redis, const char *name, struct ctl **out);
/* Ends it, within half a second. */
void ctl_stop(struct ctl *c);

#endif
