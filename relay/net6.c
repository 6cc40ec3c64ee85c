/* IPv6 as net.c does IPv4: a frame down to its UDP or ICMPv6 header, checksums, the answer to a ping. */
#include "relay/net.h"

enum { ICMP6_UNREACHABLE = 1, ICMP6_PARAMETER = 4, ICMP6_ECHO = 128, ICMP6_ECHO_REPLY = 129, ICMP6_ADVERTISEMENT = 136 };

#define FRAGMENT_LEN 8u

static uint64_t pseudo(const uint8_t *ip, uint16_t length, uint8_t next)
{
	return ip6_sum_addrs(ip) + length + swap16(next);
}

uint16_t udp6_sum_pseudo(const uint8_t *ip)
{
	return sum_fold(pseudo(ip, ne16(ip + IP6_LEN + UDP_AT_TOTAL), IPPROTO_UDP_V4));
}

static uint64_t udp_sum(const uint8_t *ip)
{
	const uint8_t *udp = ip + IP6_LEN;

	return pseudo(ip, ne16(udp + UDP_AT_TOTAL), IPPROTO_UDP_V4) + sum_bytes(udp, be16_get(udp + UDP_AT_TOTAL));
}

uint16_t udp6_sum_full(const uint8_t *ip)
{
	uint16_t s = (uint16_t)~sum_fold(udp_sum(ip));

	return s != 0 ? s : UINT16_MAX;
}

bool udp6_sum_ok(const uint8_t *ip)
{
	return ne16(ip + IP6_LEN + UDP_AT_SUM) != 0 && sum_fold(udp_sum(ip)) == UINT16_MAX;
}

uint16_t icmp6_sum(const uint8_t *ip, size_t len)
{
	return (uint16_t)~sum_fold(pseudo(ip, swap16((uint16_t)len), IPPROTO_ICMP_V6) + sum_bytes(ip + IP6_LEN, len));
}

void net_make_link(struct net *n)
{
	uint8_t a[16] = { 0xfe, 0x80 };

	memcpy(a + 8, n->mac, 3);
	a[8] ^= 2;
	a[11] = 0xff;
	a[12] = 0xfe;
	memcpy(a + 13, n->mac + 3, 3);
	memcpy(&n->link, a, sizeof(a));
}

struct addr net_solicited_node(const struct addr *a)
{
	uint8_t g[16] = { 0xff, 2, [11] = 1, [12] = 0xff };
	struct addr group;

	memcpy(g + 13, (const uint8_t *)a->w + 13, 3);
	memcpy(&group, g, sizeof(group));
	return group;
}

void net_group_mac(const struct addr *group, uint8_t mac[ETH_ADDR_LEN])
{
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, &group->w[3], 4);
}

static enum net_kind drop(struct pkt *p, enum drop reason)
{
	pkt_drop(p, reason);
	return NET_DROP;
}

/* Not: a group, ::1 and what else is below 2^96 (no host has an IPv4-compatible address), an IPv4 address in
 * IPv6's clothes (RFC 4291 §2.5.5.2: never on a wire), us. Of link-local addresses no datagrams are taken. :: asks
 * for duplicates, in ICMPv6 alone. */
static bool impossible_source(const struct addr *src, const struct net *self, bool udp)
{
	uint32_t first = __builtin_bswap32(src->w[0]);
	bool low = (src->w[0] | src->w[1]) == 0 && (src->w[2] == 0 || addr_is_v4(src));

	if (first >> 24 == 0xff || addr_eq(src, &self->ip6) || addr_eq(src, &self->link))
		return true;
	if (udp)
		return low || first >> 22 == 0xfe80u >> 6;
	return low && !addr_is_none(src);
}

/* But who else has our address advertises it from there (RFC 4862 §5.4.4): that is worth knowing. */
static bool claims_ours(const struct addr *src, const struct net *self, const uint8_t *ip, uint32_t length)
{
	return ip[IP6_NEXT] == IPPROTO_ICMP_V6 && length >= 8 + sizeof(*src) && ip[IP6_LEN] == ICMP6_ADVERTISEMENT &&
	       (addr_eq(src, &self->ip6) || addr_eq(src, &self->link)) && memcmp(ip + IP6_LEN + 8, src, sizeof(*src)) == 0;
}

/* Our address, or (for ICMPv6) the link-local one, or a group that every host is in or is asked in. */
static bool for_us(const struct addr *dst, const struct net *self, bool udp)
{
	if (likely(addr_eq(dst, &self->ip6)))
		return true;
	if (udp)
		return false;
	struct addr one = net_solicited_node(&self->ip6), two = net_solicited_node(&self->link);
	struct addr nodes = { { __builtin_bswap32(0xff020000), 0, 0, __builtin_bswap32(1) } };

	return addr_eq(dst, &self->link) || addr_eq(dst, &one) || addr_eq(dst, &two) || addr_eq(dst, &nodes);
}

static enum net_kind parse_udp(struct pkt *p, const uint8_t *ip, uint32_t length)
{
	const uint8_t *udp = ip + IP6_LEN;

	if (length < UDP_LEN)
		return drop(p, DROP_UDP_HEADER);
	uint16_t total = be16_get(udp + UDP_AT_TOTAL);
	if (total < UDP_LEN || total > length || ne16(udp + UDP_AT_SPORT) == 0 || ne16(udp + UDP_AT_DPORT) == 0)
		return drop(p, DROP_UDP_HEADER);
	if (p->rx_sum == PKT_SUM_BAD || ne16(udp + UDP_AT_SUM) == 0)
		return drop(p, DROP_UDP_CHECKSUM);
	p->len = ETH_LEN + IP6_LEN + total;
	p->payload = HEADERS6_LEN;
	return NET_UDP;
}

/* Headers between IPv6 and the upper layer (RFC 8200 §4.1, RFC 7045). */
static bool is_extension(uint8_t next)
{
	static const uint8_t known[] = { 0, 43, 50, 51, 60, 135, 139, 140, 253, 254 };

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i] == next)
			return true;
	}
	return false;
}

enum net_kind net6_parse(struct pkt *p, const struct net *self, bool to_us)
{
	const uint8_t *ip = p->data + ETH_LEN;

	if (addr_is_none(&self->ip6))
		return drop(p, DROP_ETHERTYPE);
	if (unlikely(p->len < ETH_LEN + IP6_LEN))
		return drop(p, DROP_FRAME_SHORT);
	p->v6 = true;
	bool udp = ip[IP6_NEXT] == IPPROTO_UDP_V4 || ip[IP6_NEXT] == IPPROTO_FRAGMENT_V6, icmp = ip[IP6_NEXT] == IPPROTO_ICMP_V6;
	struct addr src = ip6_addr(ip + IP6_SRC), dst = ip6_addr(ip + IP6_DST);
	if (unlikely(!for_us(&dst, self, !icmp) || (!to_us && (p->data[0] & 1) == 0)) || (udp && !to_us))
		return drop(p, DROP_NOT_OURS);
	uint32_t length = be16_get(ip + IP6_TOTAL);
	if (unlikely(ip[0] >> 4 != 6 || length > p->len - ETH_LEN - IP6_LEN))
		return drop(p, DROP_IP_HEADER);
	if (unlikely(impossible_source(&src, self, !icmp)) && !claims_ours(&src, self, ip, length))
		return drop(p, DROP_IP_SOURCE);
	if (likely(ip[IP6_NEXT] == IPPROTO_UDP_V4))
		return parse_udp(p, ip, length);
	if (ip[IP6_NEXT] == IPPROTO_FRAGMENT_V6) {
		p->len = ETH_LEN + IP6_LEN + length;
		return length >= FRAGMENT_LEN && ip[IP6_LEN] == IPPROTO_UDP_V4 ? NET_FRAGMENT : drop(p, DROP_IP_FRAGMENT);
	}
	if (is_extension(ip[IP6_NEXT]))
		return drop(p, DROP_IP_EXTENSION);
	if (!icmp)
		return drop(p, DROP_IP_PROTOCOL);
	if (length < ICMP_LEN || icmp6_sum(ip, length) != 0)
		return drop(p, DROP_ICMP_OTHER);
	p->len = ETH_LEN + IP6_LEN + length;
	return NET_ICMP6;
}

bool net6_echo(struct pkt *p)
{
	uint8_t *ip = p->data + ETH_LEN, *icmp = ip + IP6_LEN;
	struct addr src = ip6_addr(ip + IP6_SRC), dst = ip6_addr(ip + IP6_DST);
	uint32_t length = p->len - ETH_LEN - IP6_LEN;

	if (icmp[0] != ICMP6_ECHO || icmp[1] != 0 || addr_is_none(&src) || ip[IP6_DST] == 0xff) {
		pkt_drop(p, icmp[0] >= ICMP6_UNREACHABLE && icmp[0] <= ICMP6_PARAMETER ? DROP_ICMP_ERROR : DROP_ICMP_OTHER);
		return false;
	}
	net_swap_ethernet(p->data);
	ip6_put(ip, ip6_class(ip), 0, (uint16_t)length, IPPROTO_ICMP_V6, IP_TTL, &dst, &src);
	icmp[0] = ICMP6_ECHO_REPLY;
	ne16_set(icmp + 2, 0);
	ne16_set(icmp + 2, icmp6_sum(ip, length));
	p->out_if = p->in_if;
	p->verdict = PKT_SEND;
	return true;
}
