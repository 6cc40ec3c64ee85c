/* Which allocations were ended by their clients a moment ago, so that a Refresh with LIFETIME 0 whose answer was
 * lost is answered as before when it comes again (RFC 8489 §6.3.1: a transaction has one answer), and cannot end a
 * newer allocation of the same 5-tuple. Written for authenticated requests only; of fixed size, oldest out first. */
#ifndef DUPLEX_RELAY_ENDED_H
#define DUPLEX_RELAY_ENDED_H

#include "relay/alloc.h"
#include "relay/spin.h"

#define ENDED_SETS 512u
#define ENDED_WAYS 8u
#define ENDED_S 40u /* a client retransmits for 39.5 s (RFC 8489 §6.2.1) */

struct ended_entry {
	struct flow_key key;
	uint8_t tid[STUN_TID_LEN];
	uint32_t until_s; /* 0 = none */
};

struct ended {
	struct ended_set {
		struct spin lock;
		uint32_t next;
		struct ended_entry e[ENDED_WAYS];
	} set[ENDED_SETS];
};

void ended_init(struct ended *d);
/* The transaction `tid` on this 5-tuple has ended its allocation. */
void ended_note(struct ended *d, const struct flow_key *key, const uint8_t tid[STUN_TID_LEN], uint32_t now_s);
/* True if it did, not longer than ENDED_S ago, and is still remembered. */
bool ended_is(struct ended *d, const struct flow_key *key, const uint8_t tid[STUN_TID_LEN], uint32_t now_s);

#endif
