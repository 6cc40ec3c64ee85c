#include "signalling/source.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "common/crypto.h"

#define BUCKETS 4096u /* power of two */

struct bucket {
	struct budget budget;
	unsigned streams;
};

struct sources {
	uint64_t seed;
	struct bucket bucket[BUCKETS];
};

enum err sources_new(uint64_t per_s, uint64_t burst, uint64_t now_ms, struct sources **out)
{
	struct sources *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NO_MEMORY;
	crypto_random(&s->seed, sizeof(s->seed));
	for (size_t i = 0; i < BUCKETS; i++)
		budget_init(&s->bucket[i].budget, per_s, burst, now_ms);
	*out = s;
	return ERR_OK;
}

void sources_free(struct sources *s)
{
	free(s);
}

static struct bucket *bucket_of(struct sources *s, const struct sockaddr_storage *from)
{
	const void *ip = from->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr
						     : (const void *)&((const struct sockaddr_in *)from)->sin_addr;
	size_t len = from->ss_family == AF_INET6 ? 8 : 4;
	uint64_t h = s->seed;

	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const uint8_t *)ip)[i]) * 0x100000001b3ull;
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ull;
	return &s->bucket[h >> 40 & (BUCKETS - 1)];
}

bool sources_take(struct sources *s, const struct sockaddr_storage *from, unsigned cost, uint64_t now_ms)
{
	struct budget *b = &bucket_of(s, from)->budget;

	if (budget_wait_ms(b, now_ms) > 0)
		return false;
	budget_take(b, cost);
	return true;
}

unsigned sources_streams(struct sources *s, const struct sockaddr_storage *from, int change)
{
	struct bucket *b = bucket_of(s, from);

	b->streams = (unsigned)((int)b->streams + change);
	return b->streams;
}
