#include "relay/vlan.h"

#define VLAN_ID 0x0fffu

bool vlan_strip(struct pkt *p, const struct iface *f)
{
	if (f->vlan == 0)
		return true;
	if (p->len < ETH_LEN + VLAN_TAG_LEN || be16_get(p->data + 2 * ETH_ADDR_LEN) != ETHERTYPE_VLAN ||
	    (be16_get(p->data + ETH_LEN) & VLAN_ID) != f->vlan) {
		pkt_drop(p, DROP_VLAN);
		return false;
	}
	memmove(p->data + VLAN_TAG_LEN, p->data, 2 * ETH_ADDR_LEN);
	p->data += VLAN_TAG_LEN;
	p->len -= VLAN_TAG_LEN;
	return true;
}

void vlan_insert(struct pkt *p, const struct iface *f)
{
	if (f->vlan == 0)
		return;
	if ((size_t)(p->data - p->start) < VLAN_TAG_LEN) {
		pkt_drop(p, DROP_REPLY_SPACE);
		return;
	}
	memmove(p->data - VLAN_TAG_LEN, p->data, 2 * ETH_ADDR_LEN);
	p->data -= VLAN_TAG_LEN;
	p->len += VLAN_TAG_LEN;
	be16_put(p->data + 2 * ETH_ADDR_LEN, ETHERTYPE_VLAN);
	be16_put(p->data + ETH_LEN, f->vlan);
}
