#include "signalling/usermap.h"

#include "common/crypto.h"

void usermap_init(struct usermap *m)
{
	crypto_random(&m->seed, sizeof(m->seed));
	for (size_t i = 0; i < USERMAP_BUCKETS; i++)
		list_init(&m->bucket[i]);
}

struct list *usermap_at(struct usermap *m, struct str user)
{
	uint64_t h = m->seed;

	/* Each byte is mixed through all 64 bits (the finaliser of MurmurHash3), so that the seed decides every bit. */
	for (size_t i = 0; i < user.len; i++) {
		h ^= (uint8_t)user.p[i];
		h *= 0xff51afd7ed558ccdu;
		h ^= h >> 33;
	}
	return &m->bucket[h % USERMAP_BUCKETS];
}
