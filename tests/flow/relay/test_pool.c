/* Packet buffers: all of them are usable by the driver of AF_XDP, which shows the kernel only as much memory as they take side by side. */
#include "relay/pool.h"

#include "tests/flow/relay/rig.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#define COUNT 4096u

/* All that there are, and whether each lies in what the driver would show: from the page of the first piece of memory on, COUNT buffers long. */
static unsigned take_all(struct rte_mempool *mp, struct rte_mbuf *all[COUNT])
{
	uintptr_t first = (uintptr_t)STAILQ_FIRST(&mp->mem_list)->addr;
	uintptr_t last = first + (uintptr_t)COUNT * rte_mempool_calc_obj_size(mp->elt_size, mp->flags, NULL);
	unsigned n = 0, outside = 0;

	while (n < COUNT && (all[n] = rte_pktmbuf_alloc(mp)) != NULL) {
		outside += (uintptr_t)all[n] - mp->header_size < first || (uintptr_t)all[n] + mp->elt_size > last;
		n++;
	}
	assert_null(rte_pktmbuf_alloc(mp));
	assert_int_equal(outside, 0);
	return n;
}

static void check_buffers(struct rte_mempool *mp, bool all_there)
{
	static struct rte_mbuf *all[COUNT];
	unsigned n = take_all(mp, all);

	if (all_there)
		assert_int_equal(n, COUNT);
	else
		assert_in_range(n, COUNT / 4, COUNT - 1);
	assert_int_equal(rte_pktmbuf_headroom(all[0]), RTE_PKTMBUF_HEADROOM);
	assert_int_equal(rte_pktmbuf_tailroom(all[0]), 2048);
	assert_int_equal(all[0]->nb_segs, 1);
	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free(all[i]);
	assert_int_equal(rte_mempool_avail_count(mp), n);
	rte_mempool_free(mp);
}

static void without_a_card_they_lie_side_by_side(void **state)
{
	const struct pool_wish w = { .count = COUNT, .room = 2048 + RTE_PKTMBUF_HEADROOM, .node = SOCKET_ID_ANY, .xdp = true };
	struct rte_mempool *mp = pool_new(&w);

	(void)state;
	assert_non_null(mp);
	check_buffers(mp, true);
}

/* With small pages about every other buffer would cross a border. */
static void with_a_card_those_outside_are_left_out(void **state)
{
	const struct pool_wish w = { .count = COUNT, .room = 2048 + RTE_PKTMBUF_HEADROOM, .node = SOCKET_ID_ANY, .dma = true, .xdp = true };
	struct rte_mempool *mp = pool_new(&w);

	(void)state;
	assert_non_null(mp);
	check_buffers(mp, false);
}

static void too_many(void **state)
{
	const struct pool_wish w = { .count = 10000000, .room = 2048 + RTE_PKTMBUF_HEADROOM, .node = SOCKET_ID_ANY };

	(void)state;
	assert_null(pool_new(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_card_they_lie_side_by_side),
		cmocka_unit_test(with_a_card_those_outside_are_left_out),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
