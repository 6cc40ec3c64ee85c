/* The few messages of rtnetlink(7) that a relay on a kernel's interface needs: addresses, routes, neighbours.
 * Writing and reading only; no sockets. */
#ifndef DUPLEX_RELAY_RTNL_H
#define DUPLEX_RELAY_RTNL_H

#include "relay/net.h"

#define RTNL_QUESTION_MAX 64u /* bytes of the longest question below */

struct rtnl_msg {
	uint16_t type; /* RTM_…, NLMSG_… */
	uint32_t seq;  /* of the question it answers; 0 = of none */
	struct str body;
};

/* Cuts the next message off the front of what the kernel sent; false at its end, and if what follows is no message. */
bool rtnl_next(struct str *rest, struct rtnl_msg *out);

struct rtnl_addr {
	struct addr addr;
	uint8_t bits;    /* as written: up to 32 for IPv4 */
	uint32_t ifindex;
	bool lasting;    /* global, and neither temporary, secondary, deprecated nor tentative */
};

struct rtnl_route {
	struct cidr to;
	struct addr gateway; /* :: = on the link */
	uint32_t ifindex, metric;
	bool main;           /* of the main table */
};

struct rtnl_neigh {
	struct addr ip;
	uint32_t ifindex;
	bool usable;         /* its MAC is known, confirmed or not yet disproved */
	uint8_t mac[ETH_ADDR_LEN];
};

/* ERR_UNSUPPORTED if the message is of another type or family, ERR_INVALID if it is damaged. A route over several
 * gateways gives the first that `ifindex` leads to. */
enum err rtnl_read_addr(const struct rtnl_msg *m, struct rtnl_addr *out);
enum err rtnl_read_route(const struct rtnl_msg *m, uint32_t ifindex, struct rtnl_route *out);
enum err rtnl_read_neigh(const struct rtnl_msg *m, struct rtnl_neigh *out);

/* Questions; each returns its length, at most RTNL_QUESTION_MAX. `type`: RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH. */
size_t rtnl_ask_all(uint8_t out[RTNL_QUESTION_MAX], uint16_t type, uint8_t family, uint32_t seq);
/* Makes the kernel find, or confirm, a neighbour as if it had something to send there. */
size_t rtnl_ask_use(uint8_t out[RTNL_QUESTION_MAX], uint32_t ifindex, const struct addr *ip, uint32_t seq);

#endif
