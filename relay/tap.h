/* The kernel's end of a TAP port. A TAP goes with the process that made it, and its addresses, routes and the plans of
 * every browser with it; one that is kept stays, without carrier, until the next relay takes it again. */
#ifndef DUPLEX_RELAY_TAP_H
#define DUPLEX_RELAY_TAP_H

#include "relay/net.h"

/* True if the interface is a TAP that no process holds. */
bool tap_is_orphan(const char *name);
/* Whether the kernel keeps the TAP `name`, which this process holds, when the process ends. */
enum err tap_keep(const char *name, bool keep);
/* The MAC that the kernel's end has at every start, from the relay's address: its neighbours need not learn another. */
void tap_mac(const struct addr *relay, uint8_t mac[ETH_ADDR_LEN]);

#endif
