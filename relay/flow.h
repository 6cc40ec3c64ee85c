/* The steering rules of a device (nic.h), by rte_flow. */
#ifndef DUPLEX_RELAY_FLOW_H
#define DUPLEX_RELAY_FLOW_H

#include "relay/iface.h"
#include "relay/nic.h"

struct rte_flow;

#define FLOWS_MAX (2u * 64u)

struct flows {
	struct rte_flow *at[FLOWS_MAX];
	unsigned count;
};

/* Sends the relayed ports of a port's addresses to the workers' queues. All rules or none: false, with the device's
 * reason in `why`, if it does not take one of them; nothing is lost then but that both directions of an allocation may
 * be on two cores. */
bool flow_steer(uint16_t port, const struct iface *f, const struct steer *s, struct flows *out, char *why, size_t why_size);
void flow_clear(uint16_t port, struct flows *f);

#endif
