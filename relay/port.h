/* The relay's DPDK ports: opening, what the device can do, buffers. A receive and a send queue for each worker. */
#ifndef DUPLEX_RELAY_PORT_H
#define DUPLEX_RELAY_PORT_H

#include "relay/conf.h"

struct rte_mempool;

struct port {
	uint16_t id;        /* DPDK's number */
	bool rx_sum;        /* the device checks checksums on receive */
	bool interrupts;    /* a worker can wait for packets */
	uint16_t queues;    /* receive queues: at least one a worker, who serves his own and every `cores` further one */
};

struct ports {
	struct port at[IFACE_MAX];
	unsigned count;
	struct rte_mempool *pool;
};

/* Opens and starts all ports and fills in `ifaces`. On failure `why` holds one sentence. */
enum err ports_open(const struct relay_conf *conf, const struct relay_plan *plan, struct ports *out,
		    struct ifaces *ifaces, char *why, size_t why_size);
void ports_close(struct ports *p);
/* Twice a second, from the control thread: what devices must be told, and what they tell. */
void ports_watch(const struct ports *p, uint64_t now_us);

#endif
