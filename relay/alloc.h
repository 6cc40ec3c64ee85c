/* One allocation (RFC 8656 §6): the client's 5-tuple, the relayed port, and what hangs below. The first cache
 * line is all that the packet path reads; each direction counts on a line of its own. Fields are written under
 * the stripe lock of the client's 5-tuple; those marked atomic are read without. */
#ifndef DUPLEX_RELAY_ALLOC_H
#define DUPLEX_RELAY_ALLOC_H

#include "common/turn_cred.h"
#include "relay/bandwidth.h"
#include "relay/peers.h"

#define CACHE_LINE 64u

/* What identifies a client (RFC 8656 §3: the 5-tuple). Ports in network order; the key of the table. */
struct flow_key {
	union {
		struct {
			struct addr client;
			uint16_t client_port, relay_port; /* relay_port: the service port the client talks to */
			uint8_t local;                    /* our address that it talks to: iface.h */
			uint8_t proto;
			uint8_t zero[2];
		};
		uint64_t w[3]; /* as it is written, hashed and compared: reading words just written in pieces would stall */
	};
};
static_assert(sizeof(struct flow_key) == 24, "hashed and compared as 24 bytes");

static inline void flow_key_set(struct flow_key *k, struct addr_words client, uint16_t client_port, uint16_t relay_port,
				uint8_t local, uint8_t proto)
{
	k->w[0] = client.hi;
	k->w[1] = client.lo;
	k->w[2] = client_port | (uint64_t)relay_port << 16 | (uint64_t)local << 32 | (uint64_t)proto << 40;
}

static inline bool flow_key_eq(const struct flow_key *a, const struct flow_key *b)
{
	return ((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2])) == 0;
}

/* Datagrams of one direction. Written by the worker that carries the flow; if several carry flows of one
 * direction at the same instant a count may be lost, the workers' own counters are exact. */
struct flow_count {
	_Alignas(CACHE_LINE) _Atomic uint64_t packets;
	_Atomic uint64_t bytes; /* of payload */
	struct media_stream audio;
};
static_assert(sizeof(struct flow_count) == CACHE_LINE, "a direction without video writes one line");

struct alloc {
	/* The packet path's line. */
	_Alignas(CACHE_LINE) struct flow_key key;
	_Atomic uint32_t expires_s;    /* dead from then on; 0 = not in use */
	uint16_t relay_port;           /* network order */
	uint8_t local;                 /* our address that is its relayed one: iface.h */
	_Atomic uint8_t turns;         /* odd while key and client_hop change, which is when the client moves */
	_Atomic(struct peers *) peers; /* owned; NULL = none yet */
	struct addr relay;             /* the relayed address, as packets carry it */
	hop_slot client_hop;           /* the way to the client */
	uint32_t slot;                 /* own index in the table */

	struct flow_count to_peer, to_client;
	struct media_stream video_to_peer;
	_Atomic uint32_t generation;   /* counts the uses of this slot */
	uint32_t user_bucket;          /* of the bandwidth of the user: index into table.user_buckets */
	uint32_t user;                 /* index into the users */
	uint32_t lifetime_s;           /* as granted by the Allocate */
	struct media_stream video_to_client;

	/* Control only. */
	union {
		uint8_t token[8];      /* RESERVATION-TOKEN given out with it, all zero = none */
		uint64_t grave_token;  /* once removed: grace period after which the slot is free */
	};
	union {
		uint32_t next_of_user; /* slots; the table's lock guards them */
		uint32_t grave_next;   /* once removed */
	};
	uint32_t prev_of_user;
	/* A dual allocation (RFC 8656 §7.2) has a slot for each of its relayed addresses. The first is the
	 * allocation; the second lends it its address: same key, same block of peers. */
	_Atomic uint32_t other;        /* slot + 1 of the other half, 0 = none */
	_Atomic uint32_t half_expires_s; /* of a first half: when its own address ends, at or before expires_s; 0 = it has */
	/* RFC 8016. A client that moves is known by two 5-tuples until it uses the new one, for which a slot beyond
	 * those of the ports stands in (table_move.c). */
	_Atomic uint32_t link;         /* slot + 1: of an allocation, its stand-in; of a stand-in, its allocation; 0 = none */
	uint32_t move_until_s;         /* of a stand-in */
	uint16_t ticket;               /* number of the MOBILITY-TICKET that is good now, and all later ones */
	uint8_t move_tid[STUN_TID_LEN]; /* of the Refresh that moved it last */
	uint32_t journal;              /* its cell in the journal + 1; 0 = not kept there */
	_Atomic uint16_t stripe;       /* of the lock that guards it */
	uint16_t refused_code;         /* why an address of a family was asked for in vain */
	uint8_t refused_family;        /* enum stun_family; 0 = none was */
	_Atomic bool second;
	uint8_t username_len;
	struct turn_key auth;          /* long-term key of its user name, as the Allocate used it */
	uint8_t tid[STUN_TID_LEN];     /* of the Allocate, to know its retransmission */
	char username[TURN_USERNAME_MAX];
};

static_assert(offsetof(struct alloc, to_peer) == CACHE_LINE, "the packet path reads one line");

static inline bool alloc_alive(const struct alloc *a, uint32_t now_s)
{
	/* 0 is before any time: the clock's seconds count from the machine's start. */
	return (int32_t)(atomic_load_explicit(&a->expires_s, memory_order_acquire) - now_s) > 0;
}

/* Who reads key and client_hop without a lock takes the first before and asks the second after: true if what was
 * read may be half of one 5-tuple and half of another. */
static inline uint8_t alloc_turns(const struct alloc *a)
{
	return atomic_load_explicit(&a->turns, memory_order_acquire);
}

static inline bool alloc_turned(const struct alloc *a, uint8_t seen)
{
	atomic_thread_fence(memory_order_acquire);
	return (seen & 1) != 0 || atomic_load_explicit(&a->turns, memory_order_relaxed) != seen;
}

/* Whether it has a relayed address of this family. Of a first half, under the stripe lock. */
static inline bool alloc_has(const struct alloc *a, bool v6)
{
	if ((a->local & 1) != v6)
		return a->other != 0;
	return a->other == 0 || atomic_load_explicit(&a->half_expires_s, memory_order_relaxed) != 0;
}

/* Slot of the other half + 1, 0 = there is none. Without a lock it may go at any moment, so it is looked at once. */
static inline uint32_t alloc_other(const struct alloc *a)
{
	return atomic_load_explicit(&a->other, memory_order_acquire);
}

static inline struct peers *alloc_peers(const struct alloc *a)
{
	return atomic_load_explicit(&a->peers, memory_order_acquire);
}

static inline struct str alloc_username(const struct alloc *a)
{
	return str_of(a->username, a->username_len);
}

static inline void flow_counted(struct flow_count *c, uint32_t bytes)
{
	uint64_t packets = atomic_load_explicit(&c->packets, memory_order_relaxed);
	uint64_t sum = atomic_load_explicit(&c->bytes, memory_order_relaxed);

	atomic_store_explicit(&c->packets, packets + 1, memory_order_relaxed);
	atomic_store_explicit(&c->bytes, sum + bytes, memory_order_relaxed);
}

#endif
