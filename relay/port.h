/* The relay's DPDK ports: opening, what the device can do, buffers. A receive and a send queue for each worker. */
#ifndef DUPLEX_RELAY_PORT_H
#define DUPLEX_RELAY_PORT_H

#include "relay/conf.h"
#include "relay/flow.h"

struct rte_mempool;

struct port {
	uint16_t id;        /* DPDK's number */
	struct nic nic;     /* what the device does for us */
	struct steer steer; /* which relayed ports come to which worker; none without rules in the device */
	struct flows flows;
	char kernel_if[16]; /* the kernel's interface, empty if it has none */
	int node;           /* memory node of the device, -1 = it does not say */
	bool link;          /* as last seen by ports_watch */
	bool interrupts;    /* a worker can wait for packets */
	uint16_t queues;    /* receive queues: at least one a worker, who serves his own and every `cores` further one */
	const char *kept;   /* borrowed from the plan: name of a TAP that the kernel keeps when we end; NULL = none */
};

struct ports {
	struct port at[IFACE_MAX];
	unsigned count;
	struct rte_mempool *pool;
};

/* Opens and starts all ports and fills in `ifaces`. On failure `why` holds one sentence. */
enum err ports_open(const struct relay_conf *conf, const struct relay_plan *plan, struct ports *out,
		    struct ifaces *ifaces, char *why, size_t why_size);
/* With `leave`, TAPs that the kernel keeps stay as they are, for the next relay; then EAL must not be stopped either,
 * for it would close them. True if there are any. */
bool ports_close(struct ports *p, bool leave);
/* Twice a second, from the control thread: what devices must be told, and what they tell. Returns a bit for each port
 * that has a link. */
uint32_t ports_watch(struct ports *p, uint64_t now_us);

#endif
