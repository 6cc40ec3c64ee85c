/* What is behind struct table, for the files that make it up: table.c, table_move.c and
 * table_restore.c. */
#ifndef DUPLEX_RELAY_TABLE_INSIDE_H
#define DUPLEX_RELAY_TABLE_INSIDE_H

#include "relay/journal.h"
#include "relay/table.h"
#include "relay/numbers.h"
#include "relay/users.h"

#define STRIPES 1024u
#define RESERVATIONS 256u /* at a time; more EVEN-PORT pairs are refused */
#define SLOT_NONE UINT32_MAX
#define STAND_INS 512u    /* clients that may be moving at a time */

struct reservation {
	uint8_t token[8];
	uint32_t expires_s;
	uint16_t port;
	uint8_t local;
	bool used;
	uint32_t journal; /* as struct alloc.journal */
};

struct table_inside {
	struct rcu *rcu;            /* borrowed */
	const struct ifaces *ifaces; /* borrowed */
	struct journal *journal;    /* borrowed; NULL = none */
	struct records *records;    /* borrowed; NULL = none */
	struct portmap *map;        /* owned: one per address */
	struct users users, addresses;
	struct numbers numbers;     /* of user_buckets, one a user */
	struct spin lock;           /* flows, map, users, graves, reservations */
	struct spin stripe[STRIPES];
	size_t bytes;               /* of table.slots */
	uint32_t max;               /* allocations that flows and users have room for */
	_Atomic uint32_t count;
	_Atomic uint64_t moves;     /* that were finished */
	uint32_t grave_first, grave_last; /* slots that wait for their grace period, oldest first */
	struct peers *block_first, *block_last; /* the same for blocks */
	struct reservation reservation[RESERVATIONS];
	uint32_t stand_base;        /* slot of the first stand-in */
	uint16_t stand_free[STAND_INS]; /* those not in use */
	unsigned stands_free;
};

/* All under the table's lock. */

/* Slots and blocks whose readers are gone become free. */
void table_reclaim(struct table *t);
/* The slot is free again after a grace period. */
void table_bury(struct table *t, struct alloc *a);
/* Makes the allocation of a port that has been taken. ERR_FULL: there is no room, and the port is given back. */
enum err table_put_in(struct table *t, const struct table_request *r, unsigned local, uint16_t port, const uint8_t token[8],
		      struct alloc **out);
void table_join_address(struct table *t, const struct flow_key *key);
void table_leave_address(struct table *t, const struct flow_key *key);
bool table_address_full(const struct table *t, const struct flow_key *key, uint32_t max);
bool table_same_address(const struct flow_key *a, const struct flow_key *b);
/* table_move_drop. */
void table_move_forget(struct table *t, struct alloc *a);

static inline struct alloc *table_other(const struct table *t, const struct alloc *a)
{
	uint32_t other = alloc_other(a);

	return other != 0 ? &t->slots[other - 1] : NULL;
}

#endif
