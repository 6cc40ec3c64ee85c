#include "relay/addr.h"

#include <arpa/inet.h>

struct addr addr_from_stun(const struct stun_addr *s)
{
	struct addr a;
	uint32_t v4;

	if (s->family == STUN_IPV4) {
		memcpy(&v4, s->ip, sizeof(v4));
		return addr_v4(v4);
	}
	memcpy(&a, s->ip, sizeof(a));
	return a;
}

bool addr_is_disguised(const struct stun_addr *s)
{
	struct addr a = addr_from_stun(s);

	return s->family == STUN_IPV6 && addr_is_v4(&a);
}

struct stun_addr addr_to_stun(const struct addr *a, uint16_t port)
{
	struct stun_addr s = { .port = port, .family = addr_is_v4(a) ? STUN_IPV4 : STUN_IPV6 };

	if (s.family == STUN_IPV4)
		memcpy(s.ip, &a->w[3], 4);
	else
		memcpy(s.ip, a->w, sizeof(a->w));
	return s;
}

/* The mask of word `i` of a prefix, in network order. */
static uint32_t mask_word(uint8_t bits, unsigned i)
{
	unsigned n = bits > 32 * i ? MIN(bits - 32 * i, 32u) : 0;

	return n == 0 ? 0 : htonl(UINT32_MAX << (32 - n));
}

bool addr_in(const struct addr *a, const struct cidr *c)
{
	for (unsigned i = 0; i < 4; i++) {
		if (((a->w[i] ^ c->net.w[i]) & mask_word(c->bits, i)) != 0)
			return false;
	}
	return true;
}

enum err addr_parse_interface(struct str text, struct addr *host, struct cidr *net)
{
	char z[ADDR_TEXT_SIZE];
	struct str rest = text, name = str_cut(&rest, '/');
	struct in_addr v4;
	struct addr a;
	uint64_t bits;

	if (str_copy(name, z, sizeof(z)) != ERR_OK)
		return ERR_INVALID;
	bool is_v4 = inet_pton(AF_INET, z, &v4) == 1;
	if (is_v4)
		a = addr_v4(v4.s_addr);
	else if (inet_pton(AF_INET6, z, &a) != 1)
		return ERR_INVALID;
	bits = is_v4 ? 32 : 128;
	if (rest.p != NULL && str_to_u64(rest, bits, &bits) != ERR_OK)
		return ERR_INVALID;

	*host = a;
	net->bits = (uint8_t)(bits + (is_v4 ? 96 : 0));
	for (unsigned i = 0; i < 4; i++)
		net->net.w[i] = a.w[i] & mask_word(net->bits, i);
	return ERR_OK;
}

enum err addr_parse_cidr(struct str text, struct cidr *out)
{
	struct addr host;

	return addr_parse_interface(text, &host, out);
}

const char *addr_text(const struct addr *a, char out[ADDR_TEXT_SIZE])
{
	const void *from = addr_is_v4(a) ? (const void *)&a->w[3] : a->w;

	return inet_ntop(addr_is_v4(a) ? AF_INET : AF_INET6, from, out, ADDR_TEXT_SIZE);
}
