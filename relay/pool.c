#include "relay/pool.h"

#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base.h"
#include "common/log.h"

/* A card wants each buffer in one piece of physical memory: then there are gaps where one would cross the border of a page. Without one they lie
 * side by side. */
static struct rte_mempool *make(const struct pool_wish *w)
{
	struct rte_pktmbuf_pool_private priv = { .mbuf_data_room_size = (uint16_t)w->room };
	struct rte_mempool *mp = rte_mempool_create_empty("packets", w->count, (unsigned)sizeof(struct rte_mbuf) + w->room, POOL_CACHE, sizeof(priv),
							  w->node, w->dma ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (mp == NULL)
		return NULL;
	if (rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL) == 0) {
		rte_pktmbuf_pool_init(mp, &priv);
		if (rte_mempool_populate_default(mp) >= 0) {
			(void)rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
			return mp;
		}
	}
	rte_mempool_free(mp);
	return NULL;
}

/* What the driver shows the kernel begins at the page of the first piece of memory. */
static bool shown(const struct rte_mempool *mp, const struct rte_mbuf *m)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)STAILQ_FIRST(&mp->mem_list)->addr, from = first & ~(page - 1);
	uint64_t size = (uint64_t)mp->populated_size * rte_mempool_calc_obj_size(mp->elt_size, mp->flags, NULL) + (first - from);
	uintptr_t begin = (uintptr_t)m - mp->header_size, end = (uintptr_t)m + mp->elt_size;

	return begin >= from && end <= from + size;
}

/* Takes out, for good, what the kernel will not see. */
static bool prune(struct rte_mempool *mp)
{
	unsigned n = mp->populated_size, in = 0;
	struct rte_mbuf **all = calloc(n, sizeof(struct rte_mbuf *));

	if (all == NULL || rte_mempool_get_bulk(mp, (void **)all, n) != 0) {
		free(all);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		if (shown(mp, all[i]))
			all[in++] = all[i];
	}
	rte_mempool_generic_put(mp, (void **)all, in, NULL); /* not into the cache of this thread, which needs none */
	free(all);
	if (in < n)
		log_event(LOG_INFO, "buffers-left-out", "count=%u of=%u reason=\"AF_XDP could not use them\"", n - in, n);
	return in > 0;
}

struct rte_mempool *pool_new(const struct pool_wish *w)
{
	struct rte_mempool *mp = make(w);

	if (mp != NULL && w->xdp && !prune(mp)) {
		rte_mempool_free(mp);
		return NULL;
	}
	return mp;
}
