#include "relay/filter.h"

#define BE(v) __builtin_bswap32((uint32_t)(v))
#define V4(a, b, c, d, n) { { { 0, 0, BE(0xffff), BE((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d)) } }, 96 + (n) }
#define V6(a, b, c, d, n) { { { BE(a), BE(b), BE(c), BE(d) } }, (n) }

/* No rule opens these. */
static const struct cidr never[] = {
	V4(0, 0, 0, 0, 8),             /* this network, RFC 791 */
	V4(127, 0, 0, 0, 8),           /* loopback */
	V4(169, 254, 0, 0, 16),        /* link-local, and 169.254.169.254 */
	V4(192, 0, 0, 192, 32),        /* metadata service, Oracle */
	V4(100, 100, 100, 200, 32),    /* metadata service, Alibaba */
	V4(168, 63, 129, 16, 32),      /* platform service, Azure */
	V4(224, 0, 0, 0, 4),           /* multicast */
	V4(240, 0, 0, 0, 4),           /* reserved, and 255.255.255.255 */
	V6(0, 0, 0, 0, 127),           /* :: and ::1 */
	V6(0xfe800000, 0, 0, 0, 10),   /* link-local */
	V6(0xff000000, 0, 0, 0, 8),    /* multicast */
	V6(0xfd000ec2, 0, 0, 0x254, 128), /* metadata service, AWS */
	V6(0xfd2000ce, 0, 0, 0x254, 128), /* metadata service, GCP */
};

/* Denied unless `allow` names them: private and special ranges, RFC 6890. */
static const struct cidr special[] = {
	V4(10, 0, 0, 0, 8), V4(172, 16, 0, 0, 12), V4(192, 168, 0, 0, 16), /* RFC 1918 */
	V4(100, 64, 0, 0, 10),   /* shared address space, RFC 6598 */
	V4(192, 0, 0, 0, 24), V4(192, 0, 2, 0, 24), V4(198, 51, 100, 0, 24), V4(203, 0, 113, 0, 24), /* protocol, documentation */
	V4(192, 88, 99, 0, 24),  /* 6to4 relays */
	V4(198, 18, 0, 0, 15),   /* benchmarks */
	V6(0xfc000000, 0, 0, 0, 7),   /* unique local */
	V6(0xfec00000, 0, 0, 0, 10),  /* site-local */
	V6(0x01000000, 0, 0, 0, 64),  /* discard */
	V6(0x20010000, 0, 0, 0, 23),  /* protocol assignments, Teredo among them */
	V6(0x20010db8, 0, 0, 0, 32),  /* documentation */
	V6(0x20020000, 0, 0, 0, 16),  /* 6to4 */
	V6(0x0064ff9b, 0, 0, 0, 32),  /* NAT64, well-known and local */
	V6(0, 0, 0, 0, 96),           /* IPv4-compatible */
	V6(0x3fff0000, 0, 0, 0, 20),  /* documentation */
	V6(0x5f000000, 0, 0, 0, 16),  /* segment routing */
};

static bool in_any(const struct addr *a, const struct cidr *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (addr_in(a, &list[i]))
			return true;
	}
	return false;
}

/* The IPv4 address that an IPv6 one carries, if it is of a form that does. */
static bool embedded_v4(const struct addr *a, struct addr *out)
{
	uint32_t w0 = __builtin_bswap32(a->w[0]), w1 = __builtin_bswap32(a->w[1]), w2 = __builtin_bswap32(a->w[2]);
	uint32_t v4;

	if (w0 == 0 && w1 == 0 && w2 == 0) /* ::a.b.c.d */
		v4 = a->w[3];
	else if (w0 == 0 && w1 == 0 && w2 == 0xffff0000) /* ::ffff:0:a.b.c.d, RFC 2765 */
		v4 = a->w[3];
	else if (w0 == 0x0064ff9b) /* 64:ff9b::/96, 64:ff9b:1::/48 */
		v4 = a->w[3];
	else if (w0 >> 16 == 0x2002) /* 6to4 */
		v4 = __builtin_bswap32(w0 << 16 | w1 >> 16);
	else if (w0 == 0x20010000) /* Teredo: the client's address, inverted */
		v4 = ~a->w[3];
	else if ((w2 & 0xfdffffff) == 0x00005efe) /* ISATAP */
		v4 = a->w[3];
	else
		return false;
	*out = addr_v4(v4);
	return true;
}

static bool is_host(const struct filter *f, const struct addr *a)
{
	for (unsigned i = 0; i < f->hosts; i++) {
		if (addr_eq(&f->host[i], a))
			return true;
	}
	return false;
}

static bool permits_plain(const struct filter *f, const struct addr *a)
{
	if (in_any(a, never, ARRAY_LEN(never)) || in_any(a, f->deny, f->denies))
		return false;
	return in_any(a, f->allow, f->allows) || (!in_any(a, special, ARRAY_LEN(special)) && !is_host(f, a));
}

bool filter_permits(const struct filter *f, const struct addr *peer)
{
	struct addr inner;

	if (f->relays_only || !permits_plain(f, peer))
		return false;
	return addr_is_v4(peer) || !embedded_v4(peer, &inner) || permits_plain(f, &inner);
}

static enum err parse_list(const char *text, struct cidr *list, unsigned *count, struct str *bad)
{
	const char *p = text != NULL ? text : "";

	while (*(p += strspn(p, " \t,")) != '\0') {
		struct str word = str_of(p, strcspn(p, " \t,"));

		*bad = word;
		if (*count == FILTER_RULES_MAX)
			return ERR_TOO_LARGE;
		enum err e = addr_parse_cidr(word, &list[*count]);
		if (e != ERR_OK)
			return e;
		(*count)++;
		p += word.len;
	}
	return ERR_OK;
}

enum err filter_parse(const char *allow, const char *deny, bool relays_only, struct filter *out, struct str *bad)
{
	struct filter f = { .relays_only = relays_only };
	enum err e = parse_list(allow, f.allow, &f.allows, bad);

	if (e == ERR_OK)
		e = parse_list(deny, f.deny, &f.denies, bad);
	if (e == ERR_OK)
		*out = f;
	return e;
}
