#include "relay/table_walk.h"

#include "relay/table_inside.h"

static bool is_of(const struct alloc *a, struct str user)
{
	struct turn_cred cred = { .user = alloc_username(a) };

	if (user.len == 0)
		return true;
	(void)turn_cred_parse(alloc_username(a), 0, &cred);
	return str_eq(cred.user, user);
}

/* Takes the lock that guards this use of the slot. It stays that of the 5-tuple the allocation was made with, wherever its client has moved; if
 * another use began meanwhile, the generation has changed, and nothing is said of the lock. NULL then, and no lock is held. */
static struct spin *lock_use(struct table *t, const struct alloc *a, uint32_t generation)
{
	struct spin *lock = &t->in->stripe[atomic_load(&a->stripe) % STRIPES];

	spin_lock(lock);
	if (atomic_load(&a->generation) == generation && &t->in->stripe[atomic_load(&a->stripe) % STRIPES] == lock)
		return lock;
	spin_unlock(lock);
	return NULL;
}

static void look(struct table *t, const struct alloc *a, struct str user, uint32_t now_s, table_fn fn, void *ctx)
{
	struct spin *lock = lock_use(t, a, atomic_load(&a->generation));

	if (lock == NULL)
		return;
	if (alloc_alive(a, now_s) && is_of(a, user))
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
	struct spin *lock = lock_use(t, a, generation);
	bool gone = false;

	if (lock == NULL)
		return false;
	struct alloc *first = atomic_load(&a->second) ? table_other(t, a) : a;
	if (first != NULL && atomic_load(&a->expires_s) != 0 && atomic_load(&first->expires_s) != 0) {
		table_remove(t, first);
		gone = true;
	}
	spin_unlock(lock);
	return gone;
}
