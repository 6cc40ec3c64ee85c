/* The pool of packet buffers. */
#ifndef DUPLEX_RELAY_POOL_H
#define DUPLEX_RELAY_POOL_H

#include <stdbool.h>

struct rte_mempool;

#define POOL_CACHE 256u /* buffers that each worker keeps at hand */

struct pool_wish {
	unsigned count; /* buffers */
	unsigned room;  /* bytes in each, headroom included; what there is for a frame is a bit less */
	int node;       /* of memory, -1 = any */
	bool dma;       /* a card reads and writes them itself */
	bool xdp;       /* a port on AF_XDP will use it */
};
/* NULL if there is not so much memory. Buffers that the driver of AF_XDP could not use are not in the pool: it shows the kernel a piece of memory
 * as long as all buffers side by side would be, and the kernel silently drops, for good, whatever lies outside. */
struct rte_mempool *pool_new(const struct pool_wish *w);

#endif
