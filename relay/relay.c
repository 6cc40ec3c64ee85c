#include "relay/relay.h"

#include <stdlib.h>

enum err relay_new(const struct relay_size *size, const struct ifaces *ifaces, struct policy *policy, struct relay **out)
{
	struct relay *r = aligned_alloc(CACHE_LINE, (sizeof(*r) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);

	if (r == NULL)
		return ERR_NO_MEMORY;
	memset(r, 0, sizeof(*r));
	(void)pthread_mutex_init(&r->control, NULL);
	r->ifaces = *ifaces;
	for (unsigned i = 0; i < iface_locals(ifaces); i++)
		r->own[i] = iface_local(ifaces, i)->addr;
	r->turn_port = swap16(size->turn_port);
	r->workers = size->workers;
	r->kernel_fd = -1;
	r->links = UINT32_MAX;
	neigh_init(&r->neigh);
	limit_init(&r->challenges);
	ended_init(&r->ended);
	revoked_init(&r->revoked);

	struct table_size t = {
		.ifaces = &r->ifaces, .port_min = size->port_min, .port_max = size->port_max, .max = size->max_allocations
	};
	r->stats = aligned_alloc(CACHE_LINE, (size->workers + 1) * sizeof(*r->stats));
	r->records = records_new();
	enum err e = r->stats != NULL && r->records != NULL ? rcu_new(size->workers, &r->rcu) : ERR_NO_MEMORY;
	if (e == ERR_OK)
		e = table_new(&t, r->rcu, &r->table);
	if (e == ERR_OK)
		table_set_records(r->table, r->records);
	if (e != ERR_OK) {
		relay_free(r);
		return e;
	}
	memset(r->stats, 0, (size->workers + 1) * sizeof(*r->stats));
	r->policy = policy;
	*out = r;
	return ERR_OK;
}

void relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	table_free(r->table);
	records_free(r->records);
	rcu_free(r->rcu);
	policy_free((struct policy *)(uintptr_t)r->policy);
	free((struct drain *)(uintptr_t)r->drain);
	free(r->stats);
	(void)pthread_mutex_destroy(&r->control);
	free(r);
}

void relay_set_policy(struct relay *r, struct policy *policy)
{
	(void)pthread_mutex_lock(&r->control);
	const struct policy *old = atomic_exchange(&r->policy, policy);

	rcu_wait(r->rcu);
	policy_free((struct policy *)(uintptr_t)old);
	(void)pthread_mutex_unlock(&r->control);
}
