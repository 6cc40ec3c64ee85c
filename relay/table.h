/* All allocations: one array, whose index is the relayed port and the address it belongs to (`local`, iface.h), and a hash from
 * the client's 5-tuple to it. Readers (workers) take no lock; what they found stays valid until their next
 * quiescent state. Writers hold the stripe lock of the 5-tuple concerned; inside it the table's own lock guards
 * hash, ports and users. Order: stripe, then table. */
#ifndef DUPLEX_RELAY_TABLE_H
#define DUPLEX_RELAY_TABLE_H

#include "relay/flowmap.h"
#include "relay/iface.h"
#include "relay/portmap.h"
#include "relay/rcu.h"

#define RESERVATION_S 30u /* RFC 8656 §7.2 */

struct table {
	/* For the look-ups below; read-only after table_new. */
	struct alloc *slots;
	uint32_t port_min, ports; /* per address */
	uint32_t slot_count;
	bucket *buckets;          /* of bandwidth, by slot; a page that no limit has touched costs nothing */
	bucket *user_buckets;     /* by alloc.user_bucket; what they hold changes all the time */
	struct flowmap flows;     /* client's 5-tuple -> slot */
	struct table_inside *in;
};

struct table_size {
	const struct ifaces *ifaces; /* borrowed for good */
	uint16_t port_min, port_max;
	uint32_t max;                /* allocations for which memory is set aside */
};

struct journal;

enum err table_new(const struct table_size *size, struct rcu *rcu, struct table **out);
void table_free(struct table *t);
/* From now on what changes is also written to the journal, which is borrowed until table_free. Before workers run. */
void table_set_journal(struct table *t, struct journal *j);

struct records;
/* From now on what ends leaves its media there; borrowed until table_free. Before workers run. */
void table_set_records(struct table *t, struct records *r);

/* The slot of the relayed port that is the i-th of its address. */
static inline struct alloc *table_slot(const struct table *t, unsigned local, uint32_t i)
{
	return &t->slots[local * t->ports + i];
}

static inline uint32_t table_index(const struct table *t, const struct alloc *slot)
{
	return (uint32_t)(slot - t->slots);
}

/* The slot of a relayed port (host order), NULL outside the range. It may be unused: alloc_alive() tells. */
static inline struct alloc *table_by_port(const struct table *t, unsigned local, uint16_t port)
{
	uint32_t i = (uint32_t)port - t->port_min;

	return i < t->ports ? table_slot(t, local, i) : NULL;
}

struct table_query {
	struct flow_key key;
	uint64_t hash; /* flowmap_hash of it */
};
/* The allocation with this key, or NULL. */
struct alloc *table_find(const struct table *t, const struct table_query *q);
struct alloc *table_find_one(const struct table *t, const struct flow_key *key);

struct table_hold {
	uint32_t one, two; /* stripes, the lower first */
};
/* Takes both locks for a 5-tuple and its allocation, which is returned; or, if it has none, those for the 5-tuple and
 * the allocation `also`, if that is not NULL. What is returned may be a stand-in. By workers. */
struct alloc *table_lock(struct table *t, const struct flow_key *key, const struct alloc *also, struct table_hold *hold);
void table_unlock(struct table *t, const struct table_hold *hold);
/* Whether `hold` covers this allocation. */
bool table_holds(const struct table_hold *hold, const struct alloc *a);

struct table_request {
	struct flow_key key;
	unsigned local;        /* our address that becomes the relayed one */
	unsigned also;         /* 1 + another, of the other family, for a dual allocation; 0 = none */
	enum port_want want;
	uint64_t like;         /* ports that had better be taken, as in portmap_take_like; all ones = any */
	const uint8_t *token;  /* RESERVATION-TOKEN, 8 bytes, or NULL */
	struct str username;   /* in full; at most TURN_USERNAME_MAX */
	struct str user;       /* the part that limits and revocation go by */
	uint32_t max, max_of_user, max_of_address; /* 0 = no limit (but of `max`); an address is a /32 or a /64 */
	uint32_t random, now_s;
	uint16_t also_port;    /* host order; for table_restore: which port of `also` */
};

/* A new allocation, not yet alive: the caller fills in what is missing, then calls table_start. Under the
 * stripe lock; the key must not be there. ERR_BUSY: the user has max_of_user; ERR_CONFLICT: the client's
 * address has max_of_address; ERR_TOO_LARGE: there are `max`; ERR_FULL: no port; ERR_NOT_FOUND: unknown
 * token. With PORT_EVEN_PAIR, out->token is the reservation. Where only the additional address has no port,
 * out->other is 0. */
enum err table_add(struct table *t, const struct table_request *r, struct alloc **out);
/* Sets the deadline, of both halves; from the first time on data flows. The allocation is complete, and in the journal
 * when this returns. Under the stripe lock, as are the next five; none of them is given a second half. */
void table_start(struct table *t, struct alloc *a, uint32_t expires_s);
/* Sets the end of the half of one family, which must be there; the allocation lasts as long as the longer one. */
void table_start_half(struct table *t, struct alloc *a, bool v6, uint32_t expires_s);
/* Ends the half of one family, which must be there, with its permissions and channels; the whole allocation if it
 * was the last. ERR_NO_MEMORY: nothing was changed. */
enum err table_remove_half(struct table *t, struct alloc *a, bool v6, uint32_t now_s);
/* Deadlines of permissions or channels were renewed in place. */
void table_renewed(struct table *t, const struct alloc *a);
/* Replaces the block of permissions and channels; the old one is freed in time. */
void table_set_peers(struct table *t, struct alloc *a, struct peers *b);
/* Ends an allocation. Its port is free again after a grace period. */
void table_remove(struct table *t, struct alloc *a);

/* An allocation or reservation as it was before a restart; before workers run. ERR_EXISTS: port or 5-tuple are taken;
 * ERR_NOT_FOUND: the port is not of this relay; ERR_FULL: no room. Of the request count key, local, also, also_port,
 * username, user, max and now_s; if the port of `also` cannot be had, out->other is 0. The allocation is not alive yet,
 * as after table_add. */
enum err table_restore(struct table *t, const struct table_request *r, uint16_t port, struct alloc **out);
/* table_start for one that was restored and has two halves: the ends of its own address (0 = it has ended) and of the
 * other. */
void table_start_halves(struct table *t, struct alloc *a, uint32_t own_s, uint32_t other_s);
enum err table_restore_reservation(struct table *t, unsigned local, uint16_t port, const uint8_t token[8], uint32_t expires_s);

/* A client that moves (RFC 8016): table_move.c. Data goes to its old 5-tuple until it uses the new one. */
#define MOVE_S 30u /* for so long the new one is waited for */
/* The allocation a stand-in stands for; NULL if `a` is none. Under the locks of table_lock. */
struct alloc *table_stood_for(const struct table *t, const struct alloc *a);
/* From now on `to` leads to the allocation as well, in place of an earlier move that was not finished. *stand_in: its
 * client_hop is the way to `to`. Under the locks of both. ERR_CONFLICT: the new address has max_of_address;
 * ERR_FULL: too many clients move. */
enum err table_move_begin(struct table *t, struct alloc *a, const struct flow_key *to, uint32_t max_of_address, uint32_t now_s,
			  struct alloc **stand_in);
/* `to` is now the 5-tuple of the allocation, and the old one nobody's. Under the lock of the allocation. */
void table_move_finish(struct table *t, struct alloc *a);
/* A datagram came in for what the look-up found, which is not alive: if that is a stand-in, the move is finished.
 * Returns the allocation, or NULL. Takes the lock itself. */
struct alloc *table_move_use(struct table *t, struct alloc *found, uint32_t now_s);
uint64_t table_moves(const struct table *t); /* finished so far */
/* Gives up moves whose time is over. Takes the locks itself. */
void table_move_sweep(struct table *t, uint32_t now_s);

/* Removes what has expired among a share of the slots: words of 64 ports from *cursor on. Takes the locks
 * itself. Returns how many went. */
unsigned table_sweep(struct table *t, uint32_t *cursor, uint32_t words, uint32_t now_s);
uint32_t table_sweep_words(const struct table *t); /* of a whole round */
/* Removes the allocations of a user, or only those of one of the user's calls (empty `call` = all). Takes the
 * locks itself. */
unsigned table_remove_user(struct table *t, struct str user, struct str call);
/* Those of a user whose credentials end at until_s (seconds since 1970) or before. */
unsigned table_revoke_user(struct table *t, struct str user, uint64_t until_s);
/* The allocations of one of a user's calls: up to `max` slots, with the use of each. Takes the lock itself. */
unsigned table_of_call(struct table *t, struct str user, struct str call, uint32_t *slots, uint32_t *generations, unsigned max);

uint32_t table_count(const struct table *t);
uint32_t table_capacity(const struct table *t); /* ports that could be handed out at most */

#endif
