/* What is asked of a device, from what it says it can do. Decisions only: nothing here touches a device. */
#ifndef DUPLEX_RELAY_NIC_H
#define DUPLEX_RELAY_NIC_H

#include "common/base.h"

struct rte_eth_dev_info;
struct rte_eth_conf;

struct nic_wish {
	unsigned workers;
	bool hardware;   /* a device's offloads save work; software drivers would do it on our CPU */
	bool interrupts; /* workers want to sleep */
};

/* What was chosen, for the log and the packet path. */
struct nic {
	bool rx_sum, tx_sum; /* the device checks, fills in, UDP checksums */
	bool rss;            /* it spreads flows over the queues; without, all come to the first worker */
};

/* `conf` is written anew. */
struct nic nic_choose(const struct rte_eth_dev_info *info, const struct nic_wish *wish, struct rte_eth_conf *conf);

/* Steering relayed ports. A client's datagrams come to a worker by the hash of its address; those of its peers would
 * come to any. Rules that send each relayed port to a worker by its low bits let the relay choose a port whose
 * datagrams come where the client's do, so both directions of an allocation meet on one core.
 *
 * A rule matches `port & mask == value`. The high bits of the mask are those that all relayed ports have in common,
 * and the service port must not have, since it stays hashed. */
struct steer {
	uint16_t prefix, prefix_mask;
	uint16_t low_mask; /* a power of two, less one; 0 = no steering */
	unsigned workers;
};

/* ERR-free: low_mask is 0 if it cannot be done, or one worker has no need of it. */
struct steer steer_plan(uint16_t turn_port, uint16_t port_min, uint16_t port_max, unsigned workers);

static inline unsigned steer_rules(const struct steer *s)
{
	return s->low_mask == 0 ? 0 : s->low_mask + 1u;
}

struct steer_rule {
	uint16_t value, mask; /* of the destination port, host order */
	uint16_t queue;
};
struct steer_rule steer_rule(const struct steer *s, unsigned i);

/* The ports whose datagrams come to this worker: bit p % 64 for port p. All ones without steering. */
uint64_t steer_ports(const struct steer *s, unsigned worker);

#endif
