/* What the relay tells its XDP program: one struct in the program's map, read with every frame. Included by both
 * sides, so only types of the kernel's interface. */
#ifndef DUPLEX_RELAY_XDP_PARAMS_H
#define DUPLEX_RELAY_XDP_PARAMS_H

#include <linux/types.h>

#define XDP_PROGRAM_NAME "duplex_relay" /* how a program of ours is known on an interface; at most 15 bytes */
#define XDP_PARAMS_MAP "duplex_params"
#define XDP_SOCKETS_MAP "xsks_map"      /* the name that DPDK's driver looks for */
#define XDP_QUEUES_MAX 64u

struct xdp_params {
	__u64 alive_until_ns; /* CLOCK_MONOTONIC; until then frames for a relay without sockets are dropped, not passed */
	__u32 v4;             /* the relay's IPv4 address, network order; 0 = none, and then nothing matches */
	__u32 v6[4];          /* the same, IPv6 */
	__u16 turn_port;      /* host order, as the next two */
	__u16 port_min, port_max; /* relayed ports */
	__u16 vlan;           /* VLAN id of the relay's frames; 0 = untagged */
	__u8 shared;          /* the addresses are the kernel's: take relayed UDP only, and ICMP errors about it */
	__u8 pad[3];
};

#endif
