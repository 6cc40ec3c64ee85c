#include "relay/iface.h"

bool iface_route(const struct ifaces *all, unsigned prefer, uint32_t dst, unsigned *out_if, uint32_t *next_hop)
{
	struct addr a = addr_v4(dst);
	int gateway = -1;

	for (unsigned i = 0; i < all->count; i++) {
		if (addr_in(&a, &all->at[i].subnet)) {
			*out_if = i;
			*next_hop = dst;
			return true;
		}
		if (all->at[i].gateway != 0 && (gateway < 0 || i == prefer))
			gateway = (int)i;
	}
	if (gateway < 0)
		return false;
	*out_if = (unsigned)gateway;
	*next_hop = all->at[gateway].gateway;
	return true;
}

int iface_of_addr(const struct ifaces *all, const struct addr *a)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (addr_eq(&all->at[i].addr, a))
			return (int)i;
	}
	return -1;
}
