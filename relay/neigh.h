/* The neighbour cache and ARP (RFC 826; probing as in RFC 4861 §7.3; its messages are in nd.h). Read by every worker without a lock: state,
 * generation and MAC of an entry are one 64-bit word, and a flow keeps the entry's handle. Written under a spin
 * lock, seldom.
 *
 * Safety: entries come from what the relay itself looks for, or from a host that asks for the relay; anything
 * else only updates an entry that exists. A sender must be on the port's subnet, must not use our address, and
 * must say the same MAC in ARP or ND and Ethernet. Data packets teach nothing. When there is no room, nothing is
 * learned. */
#ifndef DUPLEX_RELAY_NEIGH_H
#define DUPLEX_RELAY_NEIGH_H

#include <stdatomic.h>

#include "relay/iface.h"
#include "relay/spin.h"

#define NEIGH_SIZE 2048u   /* power of two */
#define NEIGH_STALE_S 10u  /* a neighbour in use is asked again after that long */
#define NEIGH_IDLE_S 60u   /* unused entries may be replaced */
#define NEIGH_PROBE_MS 1000u
#define NEIGH_PROBES 3u    /* unanswered before a neighbour is given up; the first to its MAC, then to all */
#define ARP_LEN (ETH_LEN + 28u)

/* Never 0, so that no entry's word looks like HOP_NONE. */
enum neigh_state { NEIGH_FREE = 1, NEIGH_WAIT, NEIGH_READY };

struct neigh_entry {
	_Atomic uint64_t link;  /* MAC << 16 | generation << 8 | iface << 4 | enum neigh_state */
	struct addr ip;         /* changes only with the generation */
	uint8_t probes;         /* unanswered so far */
	_Atomic uint32_t used_s, confirmed_s, next_probe_ms;
};

struct neigh {
	struct spin lock;
	struct neigh_entry e[NEIGH_SIZE];
	_Atomic uint64_t claimed[LOCAL_MAX]; /* the MAC of whoever last said to have our address, by its number; 0 = nobody since that was looked at */
	_Atomic uint32_t defended_s; /* when ours was announced because of that; 0 = never */
};
#define NEIGH_DEFEND_S 10u /* at most so often (RFC 5227 §2.4) */

/* A handle: the index of the entry, and above it the low 16 bits of its word when it is ready. */
#define HOP_NONE 0u
typedef _Atomic uint32_t hop_slot; /* where a flow keeps its handle; any worker may renew it */

static inline uint8_t neigh_hop_iface(uint32_t hop)
{
	return hop >> 20 & 0xf;
}

/* Writes the neighbour's MAC to the first 6 of the 8 bytes at `to` and returns true; false if the handle is
 * stale or the MAC not known. */
static inline bool neigh_mac(struct neigh *n, uint32_t hop, uint32_t now_s, uint8_t *to, uint8_t *iface)
{
	struct neigh_entry *e = &n->e[hop & (NEIGH_SIZE - 1)];
	uint64_t link = atomic_load_explicit(&e->link, memory_order_acquire);

	if (unlikely((uint16_t)link != hop >> 16))
		return false;
	if (atomic_load_explicit(&e->used_s, memory_order_relaxed) != now_s)
		atomic_store_explicit(&e->used_s, now_s, memory_order_relaxed);
	link >>= 16;
	memcpy(to, &link, sizeof(link));
	*iface = neigh_hop_iface(hop);
	return true;
}

void neigh_init(struct neigh *n);
/* The entry for `ip` on a port, made (unresolved) if there is none; HOP_NONE if there is no room. */
uint32_t neigh_get(struct neigh *n, unsigned iface, const struct addr *ip, uint32_t now_s);
/* True when it is time to ask for this unresolved neighbour; one caller gets it per NEIGH_PROBE_MS. */
bool neigh_probe_due(struct neigh *n, uint32_t hop, uint32_t now_ms);

/* What a neighbour says of itself, and what it is worth: it confirms the MAC we know, or is also taken where none
 * is known, or replaces another. `may_make`: also for one that nobody has looked for. */
enum neigh_word { NEIGH_CONFIRM, NEIGH_FILL, NEIGH_REPLACE };
void neigh_learn(struct neigh *n, unsigned iface, const struct addr *ip, const uint8_t *mac, bool may_make,
		 enum neigh_word word, uint32_t now_s);

/* Whether somebody waits for this entry's neighbour, or it is time to confirm it: for those of the kernel, which is
 * asked by another thread. `i` < NEIGH_SIZE. */
bool neigh_wanted(struct neigh *n, unsigned i, uint32_t now_s, unsigned *iface, struct addr *ip);

/* Somebody else says to have our address `local` (iface.h). */
void neigh_note_claim(struct neigh *n, const uint8_t *mac, unsigned local);
/* Whether it is time to announce ours against that; one caller gets it per NEIGH_DEFEND_S. */
bool neigh_defend_due(struct neigh *n, uint32_t now_s);
/* Handles a frame of type ARP in place: verdict SEND (it became our reply) or DROP. */
void neigh_arp(struct neigh *n, struct pkt *p, const struct iface *self, uint32_t now_s);
/* Writes a request for `ip` (network order; ARP_LEN bytes) to `frame`; broadcast if `mac` is NULL. */
void neigh_request(uint8_t *frame, const struct iface *self, uint32_t ip, const uint8_t *mac);
/* Writes the question whether anybody has our address (RFC 5227 §2.1.1; ARP_LEN bytes): who has it answers. */
void neigh_probe(uint8_t *frame, const struct iface *self);

/* Once a second, by one thread: gives up on silent neighbours and asks those in use again, through `ask`, which says
 * whether it could. False if it could not for all: call again soon. */
typedef bool (*neigh_ask_fn)(void *user, unsigned iface, const struct addr *ip, const uint8_t *mac);
bool neigh_sweep(struct neigh *n, uint32_t now_s, uint32_t now_ms, neigh_ask_fn ask, void *user);

#endif
