#include "relay/net.h"

COUNTER_NAMES(drop_names, DROPS);

enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_QUENCH = 4, ICMP_ECHO = 8, ICMP_TIME_EXCEEDED = 11, ICMP_PARAMETER = 12 };

static uint64_t pseudo(const uint8_t *ip)
{
	return (uint64_t)ne32(ip + IP_SRC) + ne32(ip + IP_DST) + ne16(ip + UDP_TOTAL) + swap16(IPPROTO_UDP_V4);
}

uint16_t udp_sum_pseudo(const uint8_t *ip)
{
	return sum_fold(pseudo(ip));
}

uint16_t udp_sum_full(const uint8_t *ip)
{
	uint16_t s = (uint16_t)~sum_fold(pseudo(ip) + sum_bytes(ip + IP_LEN, be16_get(ip + UDP_TOTAL)));

	return s != 0 ? s : UINT16_MAX;
}

bool udp_sum_ok(const uint8_t *ip)
{
	if (ne16(ip + UDP_SUM) == 0)
		return true;
	return sum_fold(pseudo(ip) + sum_bytes(ip + IP_LEN, be16_get(ip + UDP_TOTAL))) == UINT16_MAX;
}

void net_form_of(const struct net *self, struct net_form *out)
{
	uint8_t want[sizeof(out->want)] = { 0 }, mask[sizeof(out->mask)] = { 0 };
	uint8_t *second = want + 16, *second_mask = mask + 16;

	memcpy(want, self->mac, ETH_ADDR_LEN);
	memset(mask, 0xff, ETH_ADDR_LEN);
	ne16_set(want + 12, swap16(ETHERTYPE_V4));
	ne16_set(mask + 12, UINT16_MAX);
	want[ETH_LEN] = 0x45;
	mask[ETH_LEN] = 0xff;
	ne16_set(second_mask + IP_FRAG - IP_ID, swap16((uint16_t)~IP_DF));
	second[IP_PROTO - IP_ID] = IPPROTO_UDP_V4;
	second_mask[IP_PROTO - IP_ID] = 0xff;
	ne32_set(second + IP_DST - IP_ID, self->ip);
	ne32_set(second_mask + IP_DST - IP_ID, UINT32_MAX);
	memcpy(out->want, want, sizeof(want));
	memcpy(out->mask, mask, sizeof(mask));
	out->ip = self->ip;
	out->least = self->ip != 0 ? HEADERS_LEN : UINT32_MAX;
}

static enum net_kind drop(struct pkt *p, enum drop reason)
{
	pkt_drop(p, reason);
	return NET_DROP;
}

static enum net_kind parse_udp(struct pkt *p, const uint8_t *ip, uint16_t total)
{
	if (total < IP_LEN + UDP_LEN)
		return drop(p, DROP_UDP_HEADER);
	uint16_t udp = be16_get(ip + UDP_TOTAL);
	if (udp < UDP_LEN || udp > total - IP_LEN || ne16(ip + UDP_SPORT) == 0 || ne16(ip + UDP_DPORT) == 0)
		return drop(p, DROP_UDP_HEADER);
	if (p->rx_sum == PKT_SUM_BAD && ne16(ip + UDP_SUM) != 0)
		return drop(p, DROP_UDP_CHECKSUM);
	p->len = ETH_LEN + IP_LEN + udp;
	p->payload = HEADERS_LEN;
	return NET_UDP;
}

static enum net_kind parse_ip(struct pkt *p, const struct net *self)
{
	const uint8_t *ip = p->data + ETH_LEN;

	p->v6 = false;
	if (unlikely(p->len < ETH_LEN + IP_LEN))
		return drop(p, DROP_FRAME_SHORT);
	if (unlikely(ne32(ip + IP_DST) != self->ip))
		return drop(p, DROP_NOT_OURS);
	if (unlikely(ip[0] != 0x45))
		return drop(p, ip[0] >> 4 == 4 && (ip[0] & 15) > 5 ? DROP_IP_OPTIONS : DROP_IP_HEADER);
	uint16_t total = be16_get(ip + IP_TOTAL);
	if (unlikely(total < IP_LEN || total > p->len - ETH_LEN || !ip_sum_ok(ip)))
		return drop(p, DROP_IP_HEADER);
	if (unlikely(!net_source_ok(ne32(ip + IP_SRC), self->ip)))
		return drop(p, DROP_IP_SOURCE);
	/* All of the fragment field but DF: a fragment, or the reserved bit. */
	uint16_t mark = be16_get(ip + IP_FRAG) & (uint16_t)~IP_DF;
	if (unlikely(mark != 0)) {
		p->len = ETH_LEN + total;
		return (mark & 0x8000) == 0 && ip[IP_PROTO] == IPPROTO_UDP_V4 ? NET_FRAGMENT : drop(p, DROP_IP_FRAGMENT);
	}
	if (likely(ip[IP_PROTO] == IPPROTO_UDP_V4))
		return parse_udp(p, ip, total);
	if (ip[IP_PROTO] != IPPROTO_ICMP_V4)
		return drop(p, DROP_IP_PROTOCOL);
	if (total < IP_LEN + ICMP_LEN)
		return drop(p, DROP_ICMP_OTHER);
	p->len = ETH_LEN + total;
	return NET_ICMP;
}

enum net_kind net_parse(struct pkt *p, const struct net *self)
{
	static const uint8_t broadcast[ETH_ADDR_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (unlikely(p->len < ETH_LEN))
		return drop(p, DROP_FRAME_SHORT);
	bool to_us = memcmp(p->data, self->mac, ETH_ADDR_LEN) == 0;
	uint16_t type = be16_get(p->data + 12);
	if (likely(type == ETHERTYPE_V4))
		return to_us ? parse_ip(p, self) : drop(p, DROP_NOT_OURS);
	if (type == ETHERTYPE_V6)
		return net6_parse(p, self, to_us);
	if (type != ETHERTYPE_ARP)
		return drop(p, DROP_ETHERTYPE);
	if (!to_us && memcmp(p->data, broadcast, ETH_ADDR_LEN) != 0)
		return drop(p, DROP_NOT_OURS);
	return NET_ARP;
}

void net_swap_ethernet(uint8_t *eth)
{
	uint8_t sender[ETH_ADDR_LEN];

	memcpy(sender, eth + ETH_ADDR_LEN, ETH_ADDR_LEN);
	memcpy(eth + ETH_ADDR_LEN, eth, ETH_ADDR_LEN);
	memcpy(eth, sender, ETH_ADDR_LEN);
}

bool net_udp_sum_ok(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN;

	return p->v6 ? udp6_sum_ok(ip) : udp_sum_ok(ip);
}

static void reply_ip4(struct pkt *p, size_t len)
{
	uint8_t *ip = p->data + ETH_LEN;

	ip_put(ip, 0, (uint32_t)(IP_LEN + UDP_LEN + len), IP_WHOLE, IP_TTL, IPPROTO_UDP_V4, ne32(ip + IP_DST),
	       ne32(ip + IP_SRC));
}

static void reply_ip6(struct pkt *p, size_t len)
{
	uint8_t *ip = p->data + ETH_LEN;
	struct addr src = ip6_addr(ip + IP6_SRC), dst = ip6_addr(ip + IP6_DST);

	ip6_put(ip, 0, 0, (uint16_t)(UDP_LEN + len), IPPROTO_UDP_V4, IP_TTL, &dst, &src);
}

void net_reply_udp(struct pkt *p, size_t len, bool offload)
{
	uint8_t *ip = p->data + ETH_LEN, *udp = pkt_payload(p) - UDP_LEN;
	uint16_t sport = ne16(udp + UDP_AT_SPORT), dport = ne16(udp + UDP_AT_DPORT);

	net_swap_ethernet(p->data);
	if (p->v6)
		reply_ip6(p, len);
	else
		reply_ip4(p, len);
	ne16_set(udp + UDP_AT_SPORT, dport);
	ne16_set(udp + UDP_AT_DPORT, sport);
	be16_put(udp + UDP_AT_TOTAL, (uint16_t)(UDP_LEN + len));
	ne16_set(udp + UDP_AT_SUM, 0);
	if (p->v6)
		ne16_set(udp + UDP_AT_SUM, offload ? udp6_sum_pseudo(ip) : udp6_sum_full(ip));
	else
		ne16_set(udp + UDP_AT_SUM, offload ? udp_sum_pseudo(ip) : udp_sum_full(ip));
	p->tx_sum = offload;
	p->len = (uint32_t)(p->payload + len);
	p->out_if = p->in_if;
	p->verdict = PKT_SEND;
}

bool net_icmp(struct pkt *p)
{
	uint8_t *ip = p->data + ETH_LEN, *icmp = ip + IP_LEN;
	uint8_t type = icmp[0];

	if (sum_fold(sum_bytes(icmp, p->len - ETH_LEN - IP_LEN)) != UINT16_MAX || icmp[1] != 0 || type != ICMP_ECHO) {
		bool error = type == ICMP_UNREACHABLE || type == ICMP_QUENCH || type == ICMP_TIME_EXCEEDED ||
			     type == ICMP_PARAMETER;

		pkt_drop(p, error ? DROP_ICMP_ERROR : DROP_ICMP_OTHER);
		return false;
	}
	net_swap_ethernet(p->data);
	ip_put(ip, ip[IP_TOS], p->len - ETH_LEN, IP_WHOLE, IP_TTL, IPPROTO_ICMP_V4,
	       ne32(ip + IP_DST), ne32(ip + IP_SRC));
	icmp[0] = ICMP_ECHO_REPLY;
	ne16_set(icmp + 2, 0);
	ne16_set(icmp + 2, (uint16_t)~sum_fold(sum_bytes(icmp, p->len - ETH_LEN - IP_LEN)));
	p->out_if = p->in_if;
	p->verdict = PKT_SEND;
	return true;
}
