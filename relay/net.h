/* Ethernet, IPv4 and UDP headers (RFC 791, RFC 768), and the Internet checksum (RFC 1071; incremental RFC
 * 1624). Layouts are read and written at fixed offsets; every length has been checked by net_parse before. */
#ifndef DUPLEX_RELAY_NET_H
#define DUPLEX_RELAY_NET_H

#include "relay/pkt.h"

#define ETH_LEN 14u
#define ETH_ADDR_LEN 6u
#define IP_LEN 20u
#define UDP_LEN 8u
#define ICMP_LEN 8u
#define HEADERS_LEN (ETH_LEN + IP_LEN + UDP_LEN)
#define ETHERTYPE_V4 0x0800u
#define ETHERTYPE_ARP 0x0806u
#define IPPROTO_ICMP_V4 1u
#define IPPROTO_UDP_V4 17u
#define IP_DF 0x4000u
#define IP_TTL 64u

/* Offsets in the IPv4 header; UDP follows at IP_LEN since options are not accepted. */
#define IP_TOS 1u
#define IP_TOTAL 2u
#define IP_ID 4u
#define IP_FRAG 6u
#define IP_TTL_AT 8u
#define IP_PROTO 9u
#define IP_SUM 10u
#define IP_SRC 12u
#define IP_DST 16u
#define UDP_SPORT (IP_LEN + 0u)
#define UDP_DPORT (IP_LEN + 2u)
#define UDP_TOTAL (IP_LEN + 4u)
#define UDP_SUM (IP_LEN + 6u)
#define UDP_DATA (IP_LEN + UDP_LEN)

static inline uint16_t ne16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t ne32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void ne16_set(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void ne32_set(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline uint16_t swap16(uint16_t v)
{
	return __builtin_bswap16(v);
}

/* One's complement sums are the same in either byte order, so they are taken over native words, 32 bits at a
 * time, and folded once. */
static inline uint16_t sum_fold(uint64_t s)
{
	s = (s >> 32) + (s & UINT32_MAX);
	s = (s >> 32) + (s & UINT32_MAX);
	s = (s >> 16) + (s & UINT16_MAX);
	s = (s >> 16) + (s & UINT16_MAX);
	return (uint16_t)((s >> 16) + (s & UINT16_MAX));
}

/* The sum over `len` bytes; an odd last byte is padded with zero (RFC 1071). */
static inline uint64_t sum_bytes(const uint8_t *p, size_t len)
{
	uint64_t s = 0;

	for (; len >= 4; p += 4, len -= 4)
		s += ne32(p);
	if (len >= 2) {
		s += ne16(p);
		p += 2;
		len -= 2;
	}
	if (len > 0) {
		uint8_t last[2] = { *p, 0 };

		s += ne16(last);
	}
	return s;
}

/* RFC 1624, equation 3: the checksum after words summing to `removed` left and words summing to `added` came.
 * Zero stands for "no checksum" in UDP and stays; a result of zero is sent as 0xffff (RFC 768). */
static inline uint16_t sum_update_udp(uint16_t old, uint64_t removed, uint64_t added)
{
	if (old == 0)
		return 0;
	uint16_t now = (uint16_t)~sum_fold((uint64_t)(uint16_t)~old + (uint16_t)~sum_fold(removed) + added);

	return now != 0 ? now : UINT16_MAX;
}

/* Writes an IPv4 header without options, checksum included. All but tos, total and ttl in network order. */
static inline void ip_put(uint8_t *ip, uint8_t tos, uint16_t total, uint16_t id, uint16_t frag, uint8_t ttl,
			  uint8_t proto, uint32_t src, uint32_t dst)
{
	ip[0] = 0x45;
	ip[IP_TOS] = tos;
	ne16_set(ip + IP_TOTAL, swap16(total));
	ne16_set(ip + IP_ID, id);
	ne16_set(ip + IP_FRAG, frag);
	ip[IP_TTL_AT] = ttl;
	ip[IP_PROTO] = proto;
	ne16_set(ip + IP_SUM, 0);
	ne32_set(ip + IP_SRC, src);
	ne32_set(ip + IP_DST, dst);
	ne16_set(ip + IP_SUM, (uint16_t)~sum_fold((uint64_t)ne32(ip) + ne32(ip + 4) + ne32(ip + 8) + src + dst));
}

/* The part of the UDP pseudo-header and header that changes when a datagram gets new addresses, ports or length. */
static inline uint64_t udp_sum_headers(const uint8_t *ip)
{
	return (uint64_t)ne32(ip + IP_SRC) + ne32(ip + IP_DST) + ne32(ip + UDP_SPORT) + 2u * (uint64_t)ne16(ip + UDP_TOTAL);
}

/* The UDP checksum in full, over a header whose checksum field is zero. */
uint16_t udp_sum_full(const uint8_t *ip);
/* The pseudo-header's sum alone, not complemented: what devices want in the checksum field when they fill it in. */
uint16_t udp_sum_pseudo(const uint8_t *ip);
bool udp_sum_ok(const uint8_t *ip);

enum net_kind { NET_DROP, NET_ARP, NET_ICMP, NET_UDP };

struct net {
	uint8_t mac[ETH_ADDR_LEN]; /* of the port */
	uint32_t ip;               /* network order */
};

/* Checks a frame down to its UDP or ICMP header. On NET_UDP and NET_ICMP p->len is cut to what the IPv4 header
 * says, and (for UDP) all bytes up to UDP length are there. On NET_DROP the reason is set. */
enum net_kind net_parse(struct pkt *p, const struct net *self);

/* Turns the UDP datagram in `p` into one back to its sender with the `len` bytes that stand at its payload's
 * place. Ethernet, IPv4, UDP: all anew. */
void net_reply_udp(struct pkt *p, size_t len, bool offload);
/* Answers an echo request in place; false (with reason) if it is none. `p` came as NET_ICMP. */
bool net_icmp(struct pkt *p);

#endif
