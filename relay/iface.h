/* The relay's own place on the wire: an IPv4 and an IPv6 address a port, with subnet and gateway; and the choice of
 * port and next hop for a destination. Fixed after start, read by all threads.
 *
 * An address of the relay's own is named by its number, `local`: port * 2, and 1 more for IPv6. */
#ifndef DUPLEX_RELAY_IFACE_H
#define DUPLEX_RELAY_IFACE_H

#include "relay/net.h"

#define IFACE_MAX 8u

#define LOCAL_MAX (2 * IFACE_MAX)

struct local {
	struct addr addr;    /* :: = the port has none of this family */
	struct cidr subnet;
	struct addr gateway; /* :: = none */
	struct addr shown;   /* what clients are told of it: itself, or the one that a 1:1 NAT in front of us gives it */
};

struct iface {
	struct net net;      /* MAC and address */
	struct local ip[2];  /* IPv4, IPv6 */
	uint16_t mtu;        /* bytes of IP */
	uint16_t vlan;       /* 1 to 4094; 0 = frames have no tag */
	bool tx_sum;         /* the device fills in UDP checksums */
	bool of_kernel;      /* its addresses are the kernel's, which answers for them and finds neighbours (kernel.h) */
};

struct ifaces {
	struct iface at[IFACE_MAX];
	unsigned count;
	bool tagged;         /* some port has a VLAN */
};

static inline const struct local *iface_local(const struct ifaces *all, unsigned local)
{
	return &all->at[local / 2].ip[local & 1];
}

static inline unsigned iface_locals(const struct ifaces *all)
{
	return 2 * all->count;
}

/* The port and the neighbour by which `dst` is reached: a port on whose subnet it lies, else the gateway of port
 * `prefer`, else any gateway. False if there is none. */
bool iface_route(const struct ifaces *all, unsigned prefer, const struct addr *dst, unsigned *out_if, struct addr *next_hop);
/* The number of our own address `a`, by itself or as it is shown, or -1. */
int iface_local_of(const struct ifaces *all, const struct addr *a);

#endif
