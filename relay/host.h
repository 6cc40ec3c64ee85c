/* The kernel's end of a TAP port: its address and state. */
#ifndef DUPLEX_RELAY_HOST_H
#define DUPLEX_RELAY_HOST_H

#include "common/err.h"
#include "common/base.h"

/* Gives the interface an IPv4 address (network order) with a prefix length and an MTU, and sets it up. ERR_IO
 * with errno. */
enum err host_configure(const char *name, uint32_t ip, uint8_t bits, unsigned mtu);

#endif
