/* Ethernet, IPv4, IPv6 and UDP headers (RFC 791, RFC 8200, RFC 768), and the Internet checksum (RFC 1071;
 * incremental RFC 1624). Layouts are read and written at fixed offsets; every length has been checked by net_parse before. */
#ifndef DUPLEX_RELAY_NET_H
#define DUPLEX_RELAY_NET_H

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

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
#define ETHERTYPE_V6 0x86ddu
#define IP6_LEN 40u
#define IPPROTO_ICMP_V6 58u
#define IPPROTO_FRAGMENT_V6 44u
#define HEADERS6_LEN (ETH_LEN + IP6_LEN + UDP_LEN)

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

/* Offsets in the IPv6 header; UDP follows at IP6_LEN since extension headers are not accepted. */
#define IP6_TOTAL 4u
#define IP6_NEXT 6u
#define IP6_HOPS 7u
#define IP6_SRC 8u
#define IP6_DST 24u

/* Offsets in the UDP header itself. */
#define UDP_AT_SPORT 0u
#define UDP_AT_DPORT 2u
#define UDP_AT_TOTAL 4u
#define UDP_AT_SUM 6u

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

static inline uint64_t ne64(const uint8_t *p)
{
	uint64_t v;

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

static inline void ne64_put(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Two halves, `first` in front. */
static inline void ne64_set(uint8_t *p, uint32_t first, uint32_t second)
{
	uint64_t v = first | (uint64_t)second << 32;

	memcpy(p, &v, sizeof(v));
}

static inline uint16_t swap16(uint16_t v)
{
	return __builtin_bswap16(v);
}

/* One's complement sums are the same in either byte order, so they are taken over native words and folded once. A
 * word plus itself turned by half carries the low half's overflow around into the high half, which is then the sum
 * of both. */
static inline uint16_t sum_fold(uint64_t s)
{
	s += s << 32 | s >> 32;
	uint32_t h = (uint32_t)(s >> 32);

	h += h << 16 | h >> 16;
	return (uint16_t)(h >> 16);
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

/* RFC 1624, equation 3, in two steps: a UDP checksum of which words summing to `removed` (less than 2^40) have left, and the checksum once words
 * summing to `added` have come. Zero stands for "no checksum" and stays; a result of zero is sent as 0xffff (RFC 768). */
static inline uint64_t sum_without(uint16_t old, uint64_t removed)
{
	const uint64_t multiple = (uint64_t)UINT16_MAX << 32; /* is nothing to a one's complement sum, and keeps it positive */

	return old != 0 ? multiple + (uint16_t)~old - removed : 0;
}

static inline uint16_t sum_with(uint64_t kept, uint64_t added)
{
	uint16_t now = (uint16_t)~sum_fold(kept + added);

	return kept == 0 ? 0 : now != 0 ? now : UINT16_MAX;
}

/* Whether the checksum of an IPv4 header without options is right: the one's complement sum of its words is then a multiple of 65535. Words of
 * 64 bits sum to the same, since 2^16 is 1 modulo 65535; and what is divisible by an odd number becomes small when it is multiplied by that
 * number's inverse. */
static inline bool ip_sum_ok(const uint8_t *ip)
{
	const uint64_t divisor = 65535, inverse = 0xfffefffefffeffff;
	uint64_t s = ne64(ip), next = ne64(ip + 8);
	static_assert(65535 * 0xfffefffefffeffffu == 1, "the inverse modulo 2^64");

	s += next;
	s += (s < next); /* the carry goes around */
	next = ne32(ip + IP_DST);
	s += next;
	s += (s < next);
	return s * inverse <= UINT64_MAX / divisor;
}

/* Writes an IPv4 header without options, checksum included. All but tos, total and ttl in network order; `second`: identification and fragment
 * field. The words are put together in registers: reading back what was just written in smaller pieces would stall. */
static inline void ip_put(uint8_t *ip, uint32_t tos, uint32_t total, uint32_t second, uint32_t ttl, uint32_t proto, uint32_t src, uint32_t dst)
{
	uint32_t first = 0x45u | tos << 8 | (uint32_t)swap16((uint16_t)total) << 16, third = ttl | proto << 8;

	third |= (uint32_t)(uint16_t)~sum_fold((uint64_t)first + second + third + src + dst) << 16;
	ne64_set(ip, first, second);
	ne64_set(ip + 8, third, src);
	ne32_set(ip + IP_DST, dst);
}

/* The second word of a header that is not a fragment and need not be one: DF alone. */
#define IP_WHOLE ((uint32_t)swap16(IP_DF) << 16)

/* Writes an IPv6 header. `flow` is a flow label of 20 bits in host order; addresses are in network order. */
static inline void ip6_put(uint8_t *ip, uint8_t class, uint32_t flow, uint16_t length, uint8_t next, uint8_t hops,
			   const struct addr *src, const struct addr *dst)
{
	be32_put(ip, 6u << 28 | (uint32_t)class << 20 | flow);
	be16_put(ip + IP6_TOTAL, length);
	ip[IP6_NEXT] = next;
	ip[IP6_HOPS] = hops;
	memcpy(ip + IP6_SRC, src, sizeof(*src));
	memcpy(ip + IP6_DST, dst, sizeof(*dst));
}

static inline uint8_t ip6_class(const uint8_t *ip)
{
	return (uint8_t)(be16_get(ip) >> 4);
}

static inline struct addr ip6_addr(const uint8_t *at)
{
	struct addr a;

	memcpy(&a, at, sizeof(a));
	return a;
}

/* The sum over both addresses of an IPv6 header. */
static inline uint64_t ip6_sum_addrs(const uint8_t *ip)
{
	uint64_t s = 0;

	for (unsigned i = IP6_SRC; i < IP6_LEN; i += 4)
		s += ne32(ip + i);
	return s;
}

/* The part of the UDP pseudo-header and header that changes when a datagram gets new addresses, ports or length. */
static inline uint64_t udp_sum_headers(const uint8_t *ip)
{
	return (uint64_t)ne32(ip + IP_SRC) + ne32(ip + IP_DST) + ne32(ip + UDP_SPORT) + 2u * (uint64_t)ne16(ip + UDP_TOTAL);
}

/* The same behind an IPv6 header. */
static inline uint64_t udp6_sum_headers(const uint8_t *ip)
{
	return ip6_sum_addrs(ip) + ne32(ip + IP6_LEN) + 2u * (uint64_t)ne16(ip + IP6_LEN + UDP_AT_TOTAL);
}

/* The UDP checksum in full, over a header whose checksum field is zero. */
uint16_t udp_sum_full(const uint8_t *ip);
/* The pseudo-header's sum alone, not complemented: what devices want in the checksum field when they fill it in. */
uint16_t udp_sum_pseudo(const uint8_t *ip);
bool udp_sum_ok(const uint8_t *ip);
/* The same behind an IPv6 header, where a checksum of zero is wrong (RFC 8200 §8.1). */
uint16_t udp6_sum_full(const uint8_t *ip);
uint16_t udp6_sum_pseudo(const uint8_t *ip);
bool udp6_sum_ok(const uint8_t *ip);
/* ICMPv6's (RFC 4443 §2.3) over `len` bytes behind an IPv6 header: to be written over a field of zero, and right
 * if it comes out as zero over a whole message. */
uint16_t icmp6_sum(const uint8_t *ip, size_t len);

/* Exchanges the Ethernet header's addresses. */
void net_swap_ethernet(uint8_t *eth);

enum net_kind { NET_DROP, NET_ARP, NET_ICMP, NET_UDP, NET_ICMP6, NET_FRAGMENT };

struct net {
	uint8_t mac[ETH_ADDR_LEN]; /* of the port */
	uint32_t ip;               /* network order; 0 = the port has no IPv4 */
	struct addr ip6;           /* :: = the port has no IPv6 */
	struct addr link;          /* its link-local address, made from the MAC (RFC 4291 §2.5.1); with ip6 only */
};

/* Fills in `link`. */
void net_make_link(struct net *n);
/* The multicast group that an address is asked for in (RFC 4291 §2.7.1), and the Ethernet address of a group
 * (RFC 2464 §7). */
struct addr net_solicited_node(const struct addr *a);
void net_group_mac(const struct addr *group, uint8_t mac[ETH_ADDR_LEN]);

/* Checks a frame down to its UDP or ICMP header. On NET_UDP and NET_ICMP(6) p->len is cut to what the IP header
 * says, and (for UDP) all bytes up to UDP length are there. NET_FRAGMENT: of a UDP datagram, and cut likewise. On
 * NET_DROP the reason is set. */
enum net_kind net_parse(struct pkt *p, const struct net *self);

/* 0/8, 127/8, multicast, 240/4 and broadcast are no one's address (RFC 6890); our own comes only from a forger
 * or a loop. */
static inline bool net_source_ok(uint32_t src, uint32_t self)
{
	uint8_t first = (uint8_t)src;

	return src != self && first != 127 && (uint8_t)(first - 1) < 223;
}

/* What nearly every frame looks like to a port, as masks over its headers: to its MAC, IPv4 without options, no fragment, UDP, to its
 * address. 16 bytes of the frame from its beginning, and 16 from the identification of the IP header on. */
struct net_form {
	_Alignas(16) uint64_t want[4], mask[4];
	uint32_t ip;    /* the port's, network order */
	uint32_t least; /* bytes of a frame */
};
#define NET_FORM_SECOND (ETH_LEN + IP_ID)

/* `self` may be without IPv4: then no frame is long enough. */
void net_form_of(const struct net *self, struct net_form *out);

static HOT bool net_has_form(const uint8_t *frame, const struct net_form *form)
{
#ifdef __SSE4_1__
	const __m128i *want = (const __m128i *)(uintptr_t)form->want, *mask = (const __m128i *)(uintptr_t)form->mask;
	__m128i first = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(uintptr_t)frame), want[0]);
	__m128i second = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(uintptr_t)(frame + NET_FORM_SECOND)), want[1]);

	return _mm_testz_si128(first, mask[0]) != 0 && _mm_testz_si128(second, mask[1]) != 0;
#else
	return (((ne64(frame) ^ form->want[0]) & form->mask[0]) | ((ne64(frame + 8) ^ form->want[1]) & form->mask[1]) |
		((ne64(frame + NET_FORM_SECOND) ^ form->want[2]) & form->mask[2]) |
		((ne64(frame + NET_FORM_SECOND + 8) ^ form->want[3]) & form->mask[3])) == 0;
#endif
}

/* All that net_parse asks of UDP over IPv4 but for the destination port, in one go: true for what nearly every frame is, and `p` is then as
 * net_parse would leave it with NET_UDP. Of any other frame it says nothing. */
static HOT bool net_usual(struct pkt *p, const struct net_form *form)
{
	const uint8_t *frame = p->data, *ip = frame + ETH_LEN;
	uint32_t room = p->len;

	if (unlikely(room < form->least || !net_has_form(frame, form)))
		return false;
	uint32_t total = swap16(ne16(ip + IP_TOTAL)), udp = swap16(ne16(ip + UDP_TOTAL)), src = ne32(ip + IP_SRC);
	if (unlikely(!ip_sum_ok(ip) || total > room - ETH_LEN || udp < UDP_LEN || udp + IP_LEN > total || ne16(ip + UDP_SPORT) == 0 ||
		     p->rx_sum == PKT_SUM_BAD || !net_source_ok(src, form->ip)))
		return false;
	p->v6 = false;
	p->len = ETH_LEN + IP_LEN + udp;
	p->payload = HEADERS_LEN;
	return true;
}
/* The part of it behind the Ethernet header; `to_us`: that was addressed to the port's MAC. */
enum net_kind net6_parse(struct pkt *p, const struct net *self, bool to_us);
static inline struct addr net_source(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN;

	return likely(!p->v6) ? addr_v4(ne32(ip + IP_SRC)) : ip6_addr(ip + IP6_SRC);
}

static inline struct addr_words net_source_words(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN;

	if (likely(!p->v6))
		return addr_words_v4(ne32(ip + IP_SRC));
	return (struct addr_words){ ne64(ip + IP6_SRC), ne64(ip + IP6_SRC + 8) };
}

/* Whether the UDP checksum of a frame taken as NET_UDP is right; a missing one is, in IPv4. */
bool net_udp_sum_ok(const struct pkt *p);

/* Turns the UDP datagram in `p` into one back to its sender with the `len` bytes that stand at its payload's
 * place. Ethernet, IP, UDP: all anew. */
void net_reply_udp(struct pkt *p, size_t len, bool offload);
/* Answers an echo request in place; false (with reason) if it is none. `p` came as NET_ICMP. */
bool net_icmp(struct pkt *p);
/* The same for ICMPv6 (`p` came as NET_ICMP6, its checksum is known to be right). */
bool net6_echo(struct pkt *p);

#endif
