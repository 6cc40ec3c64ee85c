#include "relay/stream_peers.h"

#include <stdlib.h>

enum err stream_peers_init(struct stream_peers *s, uint32_t max)
{
	uint32_t size = 16;

	while (size < 2 * (uint64_t)max)
		size *= 2;
	s->at = calloc(size, sizeof(*s->at));
	s->mask = size - 1;
	crypto_random(&s->seed, sizeof(s->seed));
	return s->at != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void stream_peers_fini(struct stream_peers *s)
{
	free(s->at);
	s->at = NULL;
}

static struct addr prefix(const struct addr *a)
{
	struct addr p = *a;

	if (!addr_is_v4(a))
		p.w[2] = p.w[3] = 0;
	return p;
}

static uint32_t home(const struct stream_peers *s, const struct addr *p)
{
	uint64_t h = s->seed;

	for (unsigned i = 0; i < 4; i++) {
		h = (h ^ p->w[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (uint32_t)h & s->mask;
}

/* Where the prefix stands, or the free entry where it would. */
static uint32_t place(const struct stream_peers *s, const struct addr *p)
{
	uint32_t i = home(s, p);

	while (s->at[i].count != 0 && !addr_eq(&s->at[i].prefix, p))
		i = (i + 1) & s->mask;
	return i;
}

bool stream_peers_take(struct stream_peers *s, const struct addr *a, uint32_t max)
{
	struct addr p = prefix(a);
	struct stream_peer *e = &s->at[place(s, &p)];

	if (e->count >= max)
		return false;
	e->prefix = p;
	e->count++;
	return true;
}

void stream_peers_give(struct stream_peers *s, const struct addr *a)
{
	struct addr p = prefix(a);
	uint32_t i = place(s, &p);

	assert(s->at[i].count > 0);
	if (--s->at[i].count > 0)
		return;
	/* Deletion by shifting back: no entry is left behind that a search would have to step over. */
	for (uint32_t j = (i + 1) & s->mask; s->at[j].count != 0; j = (j + 1) & s->mask) {
		if (((j - home(s, &s->at[j].prefix)) & s->mask) < ((j - i) & s->mask))
			continue;
		s->at[i] = s->at[j];
		s->at[j].count = 0;
		i = j;
	}
}

uint32_t stream_peers_count(const struct stream_peers *s, const struct addr *a)
{
	struct addr p = prefix(a);

	return s->at[place(s, &p)].count;
}
