#include "relay/partial.h"

#include "relay/vlan.h"

static bool complete_v4(uint8_t *ip, uint32_t len)
{
	if (len < IP_LEN + UDP_LEN || ip[0] != 0x45 || ip[IP_PROTO] != IPPROTO_UDP_V4 || (be16_get(ip + IP_FRAG) & 0x3fff) != 0)
		return false;
	uint16_t total = be16_get(ip + IP_TOTAL), datagram = be16_get(ip + UDP_TOTAL), sum = ne16(ip + UDP_SUM);
	if (total > len || datagram < UDP_LEN || datagram != total - IP_LEN || sum == 0 || sum != udp_sum_pseudo(ip))
		return false;
	ne16_set(ip + UDP_SUM, 0);
	ne16_set(ip + UDP_SUM, udp_sum_full(ip));
	return true;
}

static bool complete_v6(uint8_t *ip, uint32_t len)
{
	uint8_t *udp = ip + IP6_LEN;

	if (len < IP6_LEN + UDP_LEN || ip[0] >> 4 != 6 || ip[IP6_NEXT] != IPPROTO_UDP_V4)
		return false;
	uint16_t payload = be16_get(ip + IP6_TOTAL), datagram = be16_get(udp + UDP_AT_TOTAL), sum = ne16(udp + UDP_AT_SUM);
	if (payload > len - IP6_LEN || datagram < UDP_LEN || datagram != payload || sum == 0 || sum != udp6_sum_pseudo(ip))
		return false;
	ne16_set(udp + UDP_AT_SUM, 0);
	ne16_set(udp + UDP_AT_SUM, udp6_sum_full(ip));
	return true;
}

bool partial_complete(struct pkt *p)
{
	uint32_t at = ETH_LEN;

	if (p->len < ETH_LEN + VLAN_TAG_LEN)
		return false;
	uint16_t type = be16_get(p->data + ETH_LEN - 2);
	if (type == ETHERTYPE_VLAN) {
		type = be16_get(p->data + ETH_LEN + 2);
		at += VLAN_TAG_LEN;
	}
	if (type == ETHERTYPE_V4)
		return complete_v4(p->data + at, p->len - at);
	return type == ETHERTYPE_V6 && complete_v6(p->data + at, p->len - at);
}
