/* Ports on interfaces that the kernel uses as well. At start: the interface's own address where the relay shares it,
 * and ports that the kernel will not want. Later, by a thread: neighbours and gateways as the kernel knows them, by
 * rtnetlink, since on a shared address ARP and neighbour discovery are the kernel's. */
#ifndef DUPLEX_RELAY_KERNEL_H
#define DUPLEX_RELAY_KERNEL_H

#include "relay/conf.h"
#include "relay/relay.h"

/* Completes the plan of ports that share the host's address: addresses, gateways, and in `c` the relayed ports, which
 * shrink to what the kernel does not give out if they are the preset ones. On failure `why` holds one sentence. */
enum err kernel_plan(struct relay_conf *c, struct relay_plan *plan, char *why, size_t why_size);

/* The next hop of a shared port for what is not on its subnet: no address but a name for whatever gateway the kernel
 * uses at the time, so that routes may change while workers read. */
struct addr kernel_gateway(bool v6);

struct kernel;

/* Starts the thread; *out is NULL, and nothing is started, if no port needs it. Before the workers. */
enum err kernel_start(struct relay *relay, const struct relay_plan *plan, struct kernel **out);
/* Ends it and waits. After the workers. */
void kernel_stop(struct kernel *k);
/* From a worker: a neighbour is wanted. `fd`: relay->kernel_fd. */
void kernel_wake(int fd);

#endif
