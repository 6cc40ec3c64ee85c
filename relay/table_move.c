/* RFC 8016: an allocation whose client comes from another 5-tuple. Workers read the 5-tuple of an allocation without a
 * lock, so it changes in three steps. When the client asks, a slot beyond those of the ports gets the new 5-tuple and
 * stands in for the allocation; it is never alive, so that only what is about to be dropped looks at it twice. When the
 * client uses the new 5-tuple, key and client_hop are replaced between two counts of `turns`, and whoever read them
 * meanwhile throws his frame away. The stand-in is free again after a grace period. */
#include "relay/table_inside.h"

static struct alloc *linked(const struct table *t, const struct alloc *a)
{
	uint32_t link = atomic_load_explicit(&a->link, memory_order_acquire);

	return link != 0 ? &t->slots[link - 1] : NULL;
}

static bool is_stand_in(const struct table *t, const struct alloc *a)
{
	return (size_t)(a - t->slots) >= t->in->stand_base;
}

struct alloc *table_stood_for(const struct table *t, const struct alloc *a)
{
	return is_stand_in(t, a) ? linked(t, a) : NULL;
}

static uint64_t hash_of(const struct table *t, const struct flow_key *key)
{
	return flowmap_hash(&t->flows, key);
}

static void unlink_and_bury(struct table *t, struct alloc *a, struct alloc *p)
{
	atomic_store_explicit(&p->link, 0, memory_order_release);
	atomic_store_explicit(&a->link, 0, memory_order_release);
	table_bury(t, p);
}

void table_move_forget(struct table *t, struct alloc *a)
{
	struct alloc *p = linked(t, a);

	if (p == NULL)
		return;
	flowmap_remove(&t->flows, hash_of(t, &p->key), p->slot);
	table_leave_address(t, &p->key);
	unlink_and_bury(t, a, p);
}

static enum err begin_locked(struct table *t, struct alloc *a, const struct flow_key *to, uint32_t max_of_address, struct alloc **out)
{
	struct table_inside *in = t->in;

	table_move_forget(t, a);
	table_reclaim(t);
	/* A client whose port alone has changed takes nothing that it did not have. */
	if (!table_same_address(&a->key, to) && table_address_full(t, to, max_of_address))
		return ERR_CONFLICT;
	if (in->stands_free == 0)
		return ERR_FULL;
	uint32_t slot = in->stand_base + in->stand_free[in->stands_free - 1];
	struct alloc *p = &t->slots[slot];
	p->key = *to;
	p->slot = slot;
	p->client_hop = HOP_NONE;
	p->stripe = a->stripe;
	atomic_store_explicit(&p->link, a->slot + 1, memory_order_release);
	if (flowmap_add(&t->flows, hash_of(t, to), slot) != ERR_OK) {
		atomic_store_explicit(&p->link, 0, memory_order_release);
		return ERR_FULL;
	}
	in->stands_free--;
	table_join_address(t, to);
	atomic_store_explicit(&a->link, slot + 1, memory_order_release);
	*out = p;
	return ERR_OK;
}

enum err table_move_begin(struct table *t, struct alloc *a, const struct flow_key *to, uint32_t max_of_address, uint32_t now_s,
			  struct alloc **stand_in)
{
	spin_lock(&t->in->lock);
	enum err e = begin_locked(t, a, to, max_of_address, stand_in);
	if (e == ERR_OK)
		(*stand_in)->move_until_s = now_s + MOVE_S;
	spin_unlock(&t->in->lock);
	return e;
}

static void replace(struct alloc *a, const struct alloc *p)
{
	uint8_t turns = atomic_load_explicit(&a->turns, memory_order_relaxed);

	atomic_store_explicit(&a->turns, (uint8_t)(turns + 1), memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	a->key = p->key;
	atomic_store_explicit(&a->client_hop, atomic_load_explicit(&p->client_hop, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&a->turns, (uint8_t)(turns + 2), memory_order_release);
}

static void finish_locked(struct table *t, struct alloc *a, struct alloc *p)
{
	struct alloc *b = table_other(t, a);
	struct flow_key old = a->key;
	uint64_t hash = hash_of(t, &p->key);

	flowmap_remove(&t->flows, hash_of(t, &old), a->slot);
	replace(a, p);
	if (b != NULL)
		replace(b, p);
	/* The new entry before the stand-in's goes, so that nobody finds neither; if there is no room for both, where
	 * the stand-in's was there is. */
	bool added = flowmap_add(&t->flows, hash, a->slot) == ERR_OK;
	flowmap_remove(&t->flows, hash, p->slot);
	if (!added && flowmap_add(&t->flows, hash, a->slot) != ERR_OK)
		assert(false && "an entry fits where one was taken out");
	table_leave_address(t, &old);
	unlink_and_bury(t, a, p);
	a->ticket++;
	t->in->moves++;
}

void table_move_finish(struct table *t, struct alloc *a)
{
	struct alloc *p = linked(t, a);

	if (p == NULL)
		return;
	spin_lock(&t->in->lock);
	finish_locked(t, a, p);
	spin_unlock(&t->in->lock);
	journal_put(t->in->journal, a, a->expires_s);
}

uint64_t table_moves(const struct table *t)
{
	return atomic_load(&t->in->moves);
}

struct alloc *table_move_use(struct table *t, struct alloc *found, uint32_t now_s)
{
	struct alloc *a = table_stood_for(t, found);

	if (a == NULL)
		return NULL;
	struct spin *lock = &t->in->stripe[atomic_load(&found->stripe) % STRIPES];
	spin_lock(lock);
	/* Another worker may have been first, or the move given up. */
	bool ours = linked(t, a) == found && linked(t, found) == a;
	if (ours && alloc_alive(a, now_s))
		table_move_finish(t, a);
	if (!alloc_alive(a, now_s) || !flow_key_eq(&a->key, &found->key))
		a = NULL;
	spin_unlock(lock);
	return a;
}

void table_move_sweep(struct table *t, uint32_t now_s)
{
	for (uint32_t i = 0; i < STAND_INS; i++) {
		struct alloc *p = &t->slots[t->in->stand_base + i], *a = linked(t, p);

		if (a == NULL || (int32_t)(p->move_until_s - now_s) > 0)
			continue;
		struct spin *lock = &t->in->stripe[atomic_load(&p->stripe) % STRIPES];
		spin_lock(lock);
		if (linked(t, p) == a && linked(t, a) == p && (int32_t)(p->move_until_s - now_s) <= 0) {
			spin_lock(&t->in->lock);
			table_move_forget(t, a);
			spin_unlock(&t->in->lock);
		}
		spin_unlock(lock);
	}
}
