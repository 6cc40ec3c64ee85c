#include "relay/table_walk.h"

static bool is_of(const struct alloc *a, struct str user)
{
	struct turn_cred cred = { .user = alloc_username(a) };

	if (user.len == 0)
		return true;
	(void)turn_cred_parse(alloc_username(a), 0, &cred);
	return str_eq(cred.user, user);
}

/* Calls `fn` while the allocation cannot change. The key says which lock that is; if another use of the slot began between reading it and
 * holding the lock, this use is over. */
static void look(struct table *t, const struct alloc *a, struct str user, uint32_t now_s, table_fn fn, void *ctx)
{
	uint32_t generation = atomic_load(&a->generation);
	struct flow_key key = a->key;
	struct spin *lock = table_stripe(t, &key);

	spin_lock(lock);
	if (atomic_load(&a->generation) == generation && flow_key_eq(&a->key, &key) && alloc_alive(a, now_s) && is_of(a, user))
		fn(ctx, a);
	spin_unlock(lock);
}

void table_each(struct table *t, struct str user, uint32_t now_s, table_fn fn, void *ctx)
{
	for (uint32_t i = 0; i < t->slot_count; i++) {
		if (alloc_alive(&t->slots[i], now_s))
			look(t, &t->slots[i], user, now_s, fn, ctx);
	}
}

void table_look(struct table *t, uint32_t slot, uint32_t now_s, table_fn fn, void *ctx)
{
	look(t, &t->slots[slot], STR_NONE, now_s, fn, ctx);
}

bool table_remove_slot(struct table *t, uint32_t slot, uint32_t generation)
{
	struct alloc *a = &t->slots[slot];
	struct flow_key key = a->key;
	struct spin *lock = table_stripe(t, &key);
	bool gone = false;

	spin_lock(lock);
	struct alloc *first = table_find_one(t, &key);
	if (first != NULL && atomic_load(&a->generation) == generation && flow_key_eq(&a->key, &key) &&
	    atomic_load(&first->expires_s) != 0) {
		table_remove(t, first);
		gone = true;
	}
	spin_unlock(lock);
	return gone;
}
