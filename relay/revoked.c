#include "relay/revoked.h"

void revoked_init(struct revoked *r)
{
	memset(r, 0, sizeof(*r));
	crypto_random(r->key, sizeof(r->key));
	for (unsigned i = 0; i < REVOKED_SETS; i++)
		spin_init(&r->set[i].lock);
}

static uint64_t hash(const struct revoked *r, struct str user)
{
	uint8_t mac[SHA256_LEN];
	uint64_t id;

	crypto_hmac_sha256(str_of(r->key, sizeof(r->key)), user, mac);
	memcpy(&id, mac, sizeof(id));
	return id != 0 ? id : 1;
}

/* The entry of this user, or the one that may be taken for it: one that is over, else the one that ends first. */
static struct revoked_entry *place(struct revoked_set *s, uint64_t id, uint64_t wall_s)
{
	struct revoked_entry *best = &s->e[0];

	for (unsigned i = 0; i < REVOKED_WAYS; i++) {
		struct revoked_entry *e = &s->e[i];

		if (e->user == id)
			return e;
		if (e->until_s <= wall_s)
			e->until_s = 0;
		if (e->until_s < best->until_s)
			best = e;
	}
	return best;
}

void revoked_note(struct revoked *r, struct str user, uint64_t until_s, uint64_t wall_s)
{
	uint64_t id = hash(r, user);
	struct revoked_set *s = &r->set[id % REVOKED_SETS];

	if (until_s <= wall_s)
		return;
	spin_lock(&s->lock);
	struct revoked_entry *e = place(s, id, wall_s);
	if (e->user != id && e->until_s > wall_s)
		atomic_fetch_add_explicit(&r->forgotten, 1, memory_order_relaxed);
	if (e->user != id || e->until_s < until_s)
		*e = (struct revoked_entry){ .user = id, .until_s = until_s };
	spin_unlock(&s->lock);
}

bool revoked_is(struct revoked *r, struct str user, uint64_t expires_s)
{
	uint64_t id = hash(r, user);
	struct revoked_set *s = &r->set[id % REVOKED_SETS];
	bool found = false;

	spin_lock(&s->lock);
	for (unsigned i = 0; i < REVOKED_WAYS && !found; i++)
		found = s->e[i].user == id && expires_s <= s->e[i].until_s;
	spin_unlock(&s->lock);
	return found;
}
