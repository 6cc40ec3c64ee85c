#include "relay/portmap.h"

#include <string.h>

#define EVEN_BITS UINT64_C(0x5555555555555555)

static void set_taken(struct portmap *m, unsigned port)
{
	m->taken[port / 64] |= UINT64_C(1) << port % 64;
}

void portmap_init(struct portmap *m, uint16_t min, uint16_t max)
{
	memset(m, 0, sizeof(*m));
	m->min = min;
	m->max = max;
	m->free = (uint32_t)max - min + 1;
	for (unsigned port = 0; port < 65536; port++) {
		if (port < min || port > max)
			set_taken(m, port);
	}
}

/* The free ports of a word that fit the wish, as bits. */
static uint64_t fitting(const struct portmap *m, unsigned word, enum port_want want)
{
	uint64_t open = ~m->taken[word];

	switch (want) {
	case PORT_ANY:
		return open;
	case PORT_EVEN:
		return open & EVEN_BITS;
	case PORT_EVEN_PAIR:
		return open & open >> 1 & EVEN_BITS;
	}
	return 0;
}

static enum err take(struct portmap *m, enum port_want want, uint64_t like, uint32_t random, uint16_t *port)
{
	unsigned first = m->min / 64u, count = m->max / 64u - first + 1;
	unsigned start = (random >> 6) % count, turn = random % 64;

	for (unsigned i = 0; i < count; i++) {
		unsigned word = first + (start + i) % count;
		uint64_t open = fitting(m, word, want) & like;

		if (open == 0)
			continue;
		/* The first fitting bit from `turn` on, around the end. */
		uint64_t rotated = turn == 0 ? open : open >> turn | open << (64 - turn);
		unsigned p = word * 64 + (turn + (unsigned)__builtin_ctzll(rotated)) % 64;

		set_taken(m, p);
		m->free--;
		if (want == PORT_EVEN_PAIR) {
			set_taken(m, p + 1);
			m->free--;
		}
		*port = (uint16_t)p;
		return ERR_OK;
	}
	return ERR_FULL;
}

enum err portmap_take_like(struct portmap *m, enum port_want want, uint64_t like, uint32_t random, uint16_t *port)
{
	if (like != UINT64_MAX && take(m, want, like, random, port) == ERR_OK)
		return ERR_OK;
	return take(m, want, UINT64_MAX, random, port);
}

enum err portmap_take(struct portmap *m, enum port_want want, uint32_t random, uint16_t *port)
{
	return take(m, want, UINT64_MAX, random, port);
}

enum err portmap_take_this(struct portmap *m, uint16_t port)
{
	if (port < m->min || port > m->max || m->max == 0)
		return ERR_NOT_FOUND;
	if (portmap_taken(m, port))
		return ERR_EXISTS;
	set_taken(m, port);
	m->free--;
	return ERR_OK;
}

void portmap_give(struct portmap *m, uint16_t port)
{
	assert(portmap_taken(m, port) && port >= m->min && port <= m->max);
	m->taken[port / 64] &= ~(UINT64_C(1) << port % 64);
	m->free++;
}
