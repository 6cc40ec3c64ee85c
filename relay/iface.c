#include "relay/iface.h"

bool iface_route(const struct ifaces *all, unsigned prefer, const struct addr *dst, unsigned *out_if, struct addr *next_hop)
{
	unsigned v6 = !addr_is_v4(dst);
	int gateway = -1;

	for (unsigned i = 0; i < all->count; i++) {
		const struct local *l = &all->at[i].ip[v6];

		if (addr_is_none(&l->addr))
			continue;
		if (addr_in(dst, &l->subnet)) {
			*out_if = i;
			*next_hop = *dst;
			return true;
		}
		if (!addr_is_none(&l->gateway) && (gateway < 0 || i == prefer))
			gateway = (int)i;
	}
	if (gateway < 0)
		return false;
	*out_if = (unsigned)gateway;
	*next_hop = all->at[gateway].ip[v6].gateway;
	return true;
}

int iface_local_of(const struct ifaces *all, const struct addr *a)
{
	unsigned v6 = !addr_is_v4(a);

	for (unsigned i = 0; i < all->count; i++) {
		const struct local *l = &all->at[i].ip[v6];

		if (!addr_is_none(&l->addr) && (addr_eq(&l->addr, a) || addr_eq(&l->shown, a)))
			return (int)(2 * i + v6);
	}
	return -1;
}
