/* The kernel's end of a TAP port: its address and state. */
#ifndef DUPLEX_RELAY_HOST_H
#define DUPLEX_RELAY_HOST_H

#include "relay/addr.h"

/* Gives the interface an address with a prefix length (as written: 24, 64) and an MTU, and sets it up. ERR_IO with
 * errno. */
enum err host_configure(const char *name, const struct addr *ip, uint8_t bits, unsigned mtu);
/* Has an interface of the kernel receive an Ethernet group (6 bytes) until this process ends. ERR_IO with errno. */
enum err host_join(const char *name, const uint8_t *group);
/* Whether an interface of the kernel is up and has a carrier. */
bool host_has_link(const char *name);

/* The addresses that this machine has now, at most `max`. Returns how many; 0 if the kernel does not say. */
unsigned host_addresses(struct addr *out, unsigned max);

#endif
