/* From a client's 5-tuple to the slot of its allocation. Buckets of one cache line hold, for up to 12 allocations,
 * the slot and 8 bits of the key's hash; the key itself is compared in the allocation, whose first line the packet
 * path needs in any case. So a look-up touches one line of its own, and the map takes 9 to 18 bytes an allocation.
 *
 * Readers take no lock: an entry is one word, and a word never moves; its tag comes after it, and goes before it.
 * An entry whose bucket is full goes into one of the buckets behind it; the home bucket then says how far to look.
 * A reader may see an entry of a key that has just been removed; its allocation tells (alloc_alive), and its slot has
 * no other use before the reader's next quiescent state. Writers hold the table's lock.
 *
 * The hash has a random key (two rounds of multiply and fold), so that nobody can choose addresses and ports that
 * meet in one bucket. */
#ifndef DUPLEX_RELAY_FLOWMAP_H
#define DUPLEX_RELAY_FLOWMAP_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "relay/alloc.h"

#define FLOWMAP_ENTRIES 12u
#define FLOWMAP_SLOTS_MAX (UINT32_MAX - 1) /* slots are 0 to this, exclusive */
#define FLOWMAP_NONE UINT32_MAX

struct flowmap_bucket {
	_Alignas(CACHE_LINE) _Atomic uint32_t at[FLOWMAP_ENTRIES]; /* slot + 1; 0 = free */
	_Atomic uint8_t tag[FLOWMAP_ENTRIES];                      /* of its key's hash; 0 = free */
	_Atomic uint32_t spilled; /* how many of this bucket's entries stand elsewhere << 16 | how many buckets on at most */
};

struct flowmap {
	struct flowmap_bucket *bucket; /* owned */
	uint32_t mask;
	uint64_t key[3];
};

/* Room for at least `max` entries. */
enum err flowmap_init(struct flowmap *m, uint32_t max);
void flowmap_fini(struct flowmap *m);
/* ERR_FULL if all buckets near its home are full. The key must not be there. */
enum err flowmap_add(struct flowmap *m, uint64_t hash, uint32_t slot);
/* The entry must be there. */
void flowmap_remove(struct flowmap *m, uint64_t hash, uint32_t slot);

static inline uint64_t flowmap_fold(uint64_t a, uint64_t b)
{
#ifdef __x86_64__
	/* As below, but without the way over the stack that the compiler takes there. */
	uint64_t low, high;

	__asm__("mulq %3" : "=a"(low), "=d"(high) : "0"(a), "rm"(b) : "cc");
	return low ^ high;
#else
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
#endif
}

/* Of a key in words: the client's address, and flow_key's last. */
static inline uint64_t flowmap_hash_words(const struct flowmap *m, struct addr_words client, uint64_t last)
{
	return flowmap_fold(flowmap_fold(client.hi ^ m->key[0], client.lo ^ m->key[1]) ^ last, m->key[2]);
}

static inline uint64_t flowmap_hash(const struct flowmap *m, const struct flow_key *k)
{
	return flowmap_hash_words(m, (struct addr_words){ k->w[0], k->w[1] }, k->w[2]);
}

static inline const struct flowmap_bucket *flowmap_home(const struct flowmap *m, uint64_t hash)
{
	return &m->bucket[(uint32_t)hash & m->mask];
}

/* Never 0, so that a free entry fits no key. Other bits than those that choose the bucket. */
static inline uint8_t flowmap_tag(uint64_t hash)
{
	uint8_t tag = (uint8_t)(hash >> 56);

	return tag != 0 ? tag : 1;
}

/* The entries of a bucket that bear the tag, as bits. */
static inline uint32_t flowmap_match(const struct flowmap_bucket *b, uint8_t tag)
{
	uint32_t hits = 0;

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
	/* With the tags comes `spilled`; what it matches is cut off below. */
	const __m128i *tags = (const __m128i *)(uintptr_t)b->tag;

	hits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128(tags), _mm_set1_epi8((char)tag)));
	atomic_signal_fence(memory_order_acquire);
#else
	for (unsigned i = 0; i < FLOWMAP_ENTRIES; i++)
		hits |= (uint32_t)(atomic_load_explicit(&b->tag[i], memory_order_acquire) == tag) << i;
#endif
	return hits & ((1u << FLOWMAP_ENTRIES) - 1);
}

/* FLOWMAP_NONE if the entry went away meanwhile. */
static inline uint32_t flowmap_slot(const struct flowmap_bucket *b, uint32_t hits)
{
	return atomic_load_explicit(&b->at[__builtin_ctz(hits)], memory_order_acquire) - 1;
}

/* The slot whose allocation is most likely the key's, for fetching it in advance; FLOWMAP_NONE if there is none. */
static inline uint32_t flowmap_guess(const struct flowmap *m, uint64_t hash)
{
	const struct flowmap_bucket *b = flowmap_home(m, hash);
	uint32_t hits = flowmap_match(b, flowmap_tag(hash));

	return hits != 0 ? flowmap_slot(b, hits) : FLOWMAP_NONE;
}

/* The slot whose allocation in `slots` has this key, or FLOWMAP_NONE. */
uint32_t flowmap_find(const struct flowmap *m, uint64_t hash, const struct flow_key *key, const struct alloc *slots);

#endif
