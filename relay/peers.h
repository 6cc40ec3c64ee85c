/* The permissions and channels of one allocation (RFC 8656 §9, §12), as one block that is never changed but in
 * its deadlines: adding builds a new block, which replaces the old one, and the old one is freed after a grace
 * period. So the packet path reads without a lock and never sees half of a binding. Writers hold the
 * allocation's stripe lock. */
#ifndef DUPLEX_RELAY_PEERS_H
#define DUPLEX_RELAY_PEERS_H

#include "relay/neigh.h"

#define PERMISSION_LIFETIME_S 300u /* RFC 8656 §9 */
#define CHANNEL_LIFETIME_S 600u    /* RFC 8656 §12 */

struct perm {
	struct addr ip;
	_Atomic uint32_t expires_s;
	hop_slot hop; /* the way to this peer */
};

struct chan {
	struct addr ip;
	uint16_t port;   /* network order */
	uint16_t number; /* network order */
	_Atomic uint32_t expires_s;
	_Atomic uint32_t until_s; /* the earlier of that and the end of the peer's permission: what a packet goes by */
	union {
		hop_slot hop;  /* the way to this peer, beside its permission's */
		uint32_t slot; /* if it is a relayed address of ours: index of its allocation's place in the table */
	};
	uint16_t perm;   /* index of the peer's permission */
	int8_t home;     /* our own address that the peer's is (iface.h), or -1 */
	bool v6;         /* the family of `ip`; set with the block */
};

struct peers {
	struct peers *next; /* in the list of blocks that wait for their grace period */
	uint64_t token;
	uint16_t perms, chans;
	/* then chans × struct chan, perms × struct perm */
};

static inline struct chan *peers_chans(const struct peers *b)
{
	return (struct chan *)((uintptr_t)b + sizeof(*b));
}

static inline struct perm *peers_perms(const struct peers *b)
{
	return (struct perm *)(peers_chans(b) + b->chans);
}

static inline bool peers_alive(const _Atomic uint32_t *expires_s, uint32_t now_s)
{
	return (int32_t)(atomic_load_explicit(expires_s, memory_order_relaxed) - now_s) > 0;
}

/* Look-ups; NULL if there is none, alive or not. `number` and `port` in network order. All accept a NULL block. */
static inline struct chan *peers_by_number(const struct peers *b, uint16_t number)
{
	if (b == NULL)
		return NULL;
	for (struct chan *c = peers_chans(b), *end = c + b->chans; c < end; c++) {
		if (c->number == number)
			return c;
	}
	return NULL;
}

static inline struct chan *peers_by_words(const struct peers *b, struct addr_words ip, uint16_t port)
{
	if (b == NULL)
		return NULL;
	for (struct chan *c = peers_chans(b), *end = c + b->chans; c < end; c++) {
		if (c->port == port && addr_is(&c->ip, ip))
			return c;
	}
	return NULL;
}

static inline struct chan *peers_by_addr(const struct peers *b, const struct addr *ip, uint16_t port)
{
	return peers_by_words(b, addr_words(ip), port);
}

static inline struct perm *peers_perm_by_words(const struct peers *b, struct addr_words ip)
{
	unsigned n = b != NULL ? b->perms : 0;
	struct perm *p = b != NULL ? peers_perms(b) : NULL;

	for (; n > 0; n--, p++) {
		if (addr_is(&p->ip, ip))
			return p;
	}
	return NULL;
}

static inline struct perm *peers_perm(const struct peers *b, const struct addr *ip)
{
	return peers_perm_by_words(b, addr_words(ip));
}

/* A block is made, or deadlines in it or ways to its peers have changed: the channels follow. */
void peers_settle(struct peers *b);
/* A new block: what is alive in `old` (may be NULL), and a permission for each of ips[count] that has none yet,
 * and, if `chan` is given, that channel (its `perm` is filled in). Deadlines of the new and the renewed are
 * set. NULL if memory is out. */
struct peers *peers_extend(const struct peers *old, const struct addr *ips, unsigned count, const struct chan *chan,
			   uint32_t now_s);
/* A new block of just these, which may be without their deadlines' future; `home` and `hop` as they are. A channel
 * whose peer has no permission is left out. NULL if memory is out. */
struct peers *peers_of(const struct perm *perms, unsigned perm_count, const struct chan *chans, unsigned chan_count);
/* A new block with what is alive in `old` of one address family. NULL if memory is out. */
struct peers *peers_keep(const struct peers *old, bool v6, uint32_t now_s);

#endif
