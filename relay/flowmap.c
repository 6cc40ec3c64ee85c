#include "relay/flowmap.h"

#include <stdlib.h>

#include "common/crypto.h"

#define REACH 16u /* buckets behind its home where an entry may stand */

static_assert(sizeof(struct flowmap_bucket) == CACHE_LINE, "a look-up touches one line");
static_assert(offsetof(struct flowmap_bucket, tag) % 16 == 0, "all tags are compared at once");

enum err flowmap_init(struct flowmap *m, uint32_t max)
{
	uint32_t n = 1;

	/* Full to six tenths at most, so that hardly any bucket overflows. */
	while (n * FLOWMAP_ENTRIES * (uint64_t)6 < (uint64_t)max * 10)
		n *= 2;
	m->bucket = aligned_alloc(CACHE_LINE, n * sizeof(*m->bucket));
	if (m->bucket == NULL)
		return ERR_NO_MEMORY;
	memset(m->bucket, 0, n * sizeof(*m->bucket));
	m->mask = n - 1;
	crypto_random(m->key, sizeof(m->key));
	m->key[2] |= 1;
	return ERR_OK;
}

void flowmap_fini(struct flowmap *m)
{
	free(m->bucket);
}

static struct flowmap_bucket *bucket_at(const struct flowmap *m, uint64_t hash, uint32_t on)
{
	return &m->bucket[((uint32_t)hash + on) & m->mask];
}

static bool put(struct flowmap_bucket *b, uint8_t tag, uint32_t entry)
{
	for (unsigned i = 0; i < FLOWMAP_ENTRIES; i++) {
		if (atomic_load_explicit(&b->at[i], memory_order_relaxed) != 0)
			continue;
		atomic_store_explicit(&b->at[i], entry, memory_order_release);
		atomic_store_explicit(&b->tag[i], tag, memory_order_release);
		return true;
	}
	return false;
}

enum err flowmap_add(struct flowmap *m, uint64_t hash, uint32_t slot)
{
	struct flowmap_bucket *home = bucket_at(m, hash, 0);
	uint32_t entry = slot + 1, s = home->spilled;
	uint8_t tag = flowmap_tag(hash);

	assert(slot < FLOWMAP_SLOTS_MAX);
	if (put(home, tag, entry))
		return ERR_OK;
	for (uint32_t on = 1; on <= MIN(REACH, m->mask); on++) {
		if (!put(bucket_at(m, hash, on), tag, entry))
			continue;
		atomic_store_explicit(&home->spilled, (s & 0xffff0000) + 0x10000 + MAX(s & 0xffff, on), memory_order_release);
		return ERR_OK;
	}
	return ERR_FULL;
}

static bool take(struct flowmap_bucket *b, uint32_t entry)
{
	for (unsigned i = 0; i < FLOWMAP_ENTRIES; i++) {
		if (atomic_load_explicit(&b->at[i], memory_order_relaxed) != entry)
			continue;
		atomic_store_explicit(&b->tag[i], 0, memory_order_release);
		atomic_store_explicit(&b->at[i], 0, memory_order_release);
		return true;
	}
	return false;
}

void flowmap_remove(struct flowmap *m, uint64_t hash, uint32_t slot)
{
	struct flowmap_bucket *home = bucket_at(m, hash, 0);
	uint32_t entry = slot + 1, s = home->spilled;

	if (take(home, entry))
		return;
	for (uint32_t on = 1; on <= (s & 0xffff); on++) {
		if (!take(bucket_at(m, hash, on), entry))
			continue;
		/* The reach shrinks only when all are back. */
		s -= 0x10000;
		atomic_store_explicit(&home->spilled, s >> 16 != 0 ? s : 0, memory_order_release);
		return;
	}
	assert(false && "an entry that is removed is there");
}

uint32_t flowmap_find(const struct flowmap *m, uint64_t hash, const struct flow_key *key, const struct alloc *slots)
{
	uint8_t tag = flowmap_tag(hash);
	uint32_t reach = atomic_load_explicit(&flowmap_home(m, hash)->spilled, memory_order_acquire) & 0xffff;

	for (uint32_t on = 0; on <= reach; on++) {
		const struct flowmap_bucket *b = bucket_at(m, hash, on);

		for (uint32_t hits = flowmap_match(b, tag); hits != 0; hits &= hits - 1) {
			uint32_t slot = flowmap_slot(b, hits);

			if (slot != FLOWMAP_NONE && flow_key_eq(&slots[slot].key, key))
				return slot;
		}
	}
	return FLOWMAP_NONE;
}
