/* The relay's own place on the wire: one address a port, its subnet, its gateway; and the choice of port and
 * next hop for a destination. Fixed after start, read by all threads. */
#ifndef DUPLEX_RELAY_IFACE_H
#define DUPLEX_RELAY_IFACE_H

#include "relay/net.h"

#define IFACE_MAX 8u

struct iface {
	struct net net;      /* MAC and address */
	struct addr addr;    /* the same address */
	struct cidr subnet;
	uint32_t gateway;    /* network order, 0 = none */
	uint16_t mtu;        /* bytes of IPv4 */
	bool tx_sum;         /* the device fills in UDP checksums */
};

struct ifaces {
	struct iface at[IFACE_MAX];
	unsigned count;
};

/* The port and the neighbour by which `dst` (network order) is reached: a port on whose subnet it lies, else
 * the gateway of port `prefer`, else any gateway. False if there is none. */
bool iface_route(const struct ifaces *all, unsigned prefer, uint32_t dst, unsigned *out_if, uint32_t *next_hop);
/* The port that has this address, or -1. */
int iface_of_addr(const struct ifaces *all, const struct addr *a);

#endif
