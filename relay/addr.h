/* IP addresses in one form: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that state, filters and
 * comparisons know one kind only. */
#ifndef DUPLEX_RELAY_ADDR_H
#define DUPLEX_RELAY_ADDR_H

#include "common/stun.h"

#define ADDR_TEXT_SIZE 46u

struct addr {
	uint32_t w[4]; /* network order */
};

struct cidr {
	struct addr net;
	uint8_t bits; /* 0 to 128; 96 more than written for IPv4 */
};

/* An address as two words in memory order, the way it is compared on the packet path: reading words from what was
 * just written in smaller pieces would stall. */
struct addr_words {
	uint64_t hi, lo;
};

static inline struct addr_words addr_words(const struct addr *a)
{
	struct addr_words v;

	memcpy(&v.hi, &a->w[0], sizeof(v.hi));
	memcpy(&v.lo, &a->w[2], sizeof(v.lo));
	return v;
}

static inline struct addr_words addr_words_v4(uint32_t ip)
{
	return (struct addr_words){ 0, __builtin_bswap32(0xffff) | (uint64_t)ip << 32 };
}

static inline struct addr addr_of_words(struct addr_words v)
{
	struct addr a;

	memcpy(&a.w[0], &v.hi, sizeof(v.hi));
	memcpy(&a.w[2], &v.lo, sizeof(v.lo));
	return a;
}

/* `ip` in network order, as it stands in a header. */
static inline struct addr addr_v4(uint32_t ip)
{
	return (struct addr){ { 0, 0, __builtin_bswap32(0xffff), ip } };
}

static inline bool addr_is_v4(const struct addr *a)
{
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == __builtin_bswap32(0xffff);
}

/* Network order; only of an IPv4 address. */
static inline uint32_t addr_v4_of(const struct addr *a)
{
	return a->w[3];
}

/* :: stands for "no address" wherever one is optional. */
static inline bool addr_is_none(const struct addr *a)
{
	return (a->w[0] | a->w[1] | a->w[2] | a->w[3]) == 0;
}

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return ((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) | (a->w[3] ^ b->w[3])) == 0;
}

static inline bool addr_is(const struct addr *a, struct addr_words v)
{
	struct addr_words x = addr_words(a);

	return ((x.hi ^ v.hi) | (x.lo ^ v.lo)) == 0;
}

/* An IPv4 address in IPv6's clothes comes out as IPv4: callers ask addr_is_disguised first. */
struct addr addr_from_stun(const struct stun_addr *s);
bool addr_is_disguised(const struct stun_addr *s);
struct stun_addr addr_to_stun(const struct addr *a, uint16_t port);

bool addr_in(const struct addr *a, const struct cidr *c);
/* "10.0.0.0/8", "fc00::/7", "192.0.2.1" (a single host). Host bits behind the prefix are cleared. */
enum err addr_parse_cidr(struct str text, struct cidr *out);
/* The same, and the address as written, host bits and all. */
enum err addr_parse_interface(struct str text, struct addr *host, struct cidr *net);
const char *addr_text(const struct addr *a, char out[ADDR_TEXT_SIZE]);

#endif
