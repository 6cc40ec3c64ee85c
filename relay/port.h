/* The relay's DPDK ports: opening, what the device can do, buffers. A receive and a send queue for each worker, as far as the device has them. */
#ifndef DUPLEX_RELAY_PORT_H
#define DUPLEX_RELAY_PORT_H

#include "relay/conf.h"
#include "relay/flow.h"
#include "relay/spin.h"

struct rte_mempool;

struct send_queue {
	_Alignas(64) struct spin lock;
};

struct port {
	uint16_t id;        /* DPDK's number */
	struct nic nic;     /* what the device does for us */
	struct steer steer; /* which relayed ports come to which worker; none without rules in the device */
	struct flows flows;
	char kernel_if[16]; /* the kernel's interface, empty if it has none */
	int node;           /* memory node of the device, -1 = it does not say */
	bool link;          /* as last seen by ports_watch */
	bool interrupts;    /* a worker can wait for packets */
	/* Receive queues, and as many to send. A worker serves the one of his number and every `cores` further one. Where there are fewer than
	 * workers, the surplus ones receive nothing here, and send on the queues of others. */
	uint16_t queues;
	struct send_queue *shared; /* owned: one a queue, where workers share them; NULL = each has one of his own */
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
