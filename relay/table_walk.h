/* Going through the allocations from outside the packet path: for lists, for statistics, and to end one of them. */
#ifndef DUPLEX_RELAY_TABLE_WALK_H
#define DUPLEX_RELAY_TABLE_WALK_H

#include "relay/table.h"

typedef void (*table_fn)(void *ctx, const struct alloc *a);

/* Calls `fn` for every live allocation, of `user` only if that is not empty, each under its stripe lock: keep it short. Not from a worker.
 * What comes or goes meanwhile may be missed. Of a dual allocation both halves are given, the second with `second` set. */
void table_each(struct table *t, struct str user, uint32_t now_s, table_fn fn, void *ctx);
/* The same for one slot. */
void table_look(struct table *t, uint32_t slot, uint32_t now_s, table_fn fn, void *ctx);
/* Ends the allocation in this use of a slot, or the one to which this half belongs. False if it is gone. Not from a worker. */
bool table_remove_slot(struct table *t, uint32_t slot, uint32_t generation);

#endif
