#include "relay/rcu.h"

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>
#include <time.h>

struct rcu {
	struct rte_rcu_qsbr *qsbr; /* owned; the struct itself is only a handle */
};

enum err rcu_new(unsigned readers, struct rcu **out)
{
	struct rcu *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ERR_NO_MEMORY;
	r->qsbr = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(readers), RTE_CACHE_LINE_SIZE);
	if (r->qsbr == NULL || rte_rcu_qsbr_init(r->qsbr, readers) != 0) {
		rcu_free(r);
		return ERR_NO_MEMORY;
	}
	for (unsigned i = 0; i < readers; i++)
		(void)rte_rcu_qsbr_thread_register(r->qsbr, i);
	*out = r;
	return ERR_OK;
}

void rcu_free(struct rcu *r)
{
	if (r == NULL)
		return;
	rte_free(r->qsbr);
	free(r);
}

void rcu_online(struct rcu *r, unsigned id)
{
	rte_rcu_qsbr_thread_online(r->qsbr, id);
}

void rcu_offline(struct rcu *r, unsigned id)
{
	rte_rcu_qsbr_thread_offline(r->qsbr, id);
}

void rcu_quiescent(struct rcu *r, unsigned id)
{
	rte_rcu_qsbr_quiescent(r->qsbr, id);
}

uint64_t rcu_token(struct rcu *r)
{
	return rte_rcu_qsbr_start(r->qsbr);
}

bool rcu_passed(struct rcu *r, uint64_t token)
{
	return rte_rcu_qsbr_check(r->qsbr, token, false) != 0;
}

void rcu_wait(struct rcu *r)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	uint64_t token = rcu_token(r);

	while (!rcu_passed(r, token))
		(void)nanosleep(&pause, NULL);
}
