/* IEEE 802.1Q: a port may live in one VLAN. Its tag is taken off frames that come and put on frames that go, here
 * and nowhere else, so that the rest of the path knows no tags. Relays without such a port never come here. */
#ifndef DUPLEX_RELAY_VLAN_H
#define DUPLEX_RELAY_VLAN_H

#include "relay/iface.h"

#define VLAN_TAG_LEN 4u
#define ETHERTYPE_VLAN 0x8100u

/* Takes the tag off. False, and dropped, if the frame is not of the port's VLAN; of a port without one nothing is
 * asked, tags are then an Ethernet type like any other. */
bool vlan_strip(struct pkt *p, const struct iface *f);
/* Puts the port's tag on a frame that is to be sent. */
void vlan_insert(struct pkt *p, const struct iface *f);

#endif
