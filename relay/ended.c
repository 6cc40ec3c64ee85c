#include "relay/ended.h"

void ended_init(struct ended *d)
{
	memset(d, 0, sizeof(*d));
	for (unsigned i = 0; i < ENDED_SETS; i++)
		spin_init(&d->set[i].lock);
}

/* By the transaction id, which is random, so that no 5-tuple can be made to push out another's on purpose. */
static struct ended_set *set_of(struct ended *d, const struct flow_key *key, const uint8_t tid[STUN_TID_LEN])
{
	return &d->set[(stun_crc32(tid, STUN_TID_LEN) ^ stun_crc32(key, sizeof(*key))) % ENDED_SETS];
}

void ended_note(struct ended *d, const struct flow_key *key, const uint8_t tid[STUN_TID_LEN], uint32_t now_s)
{
	struct ended_set *s = set_of(d, key, tid);

	spin_lock(&s->lock);
	struct ended_entry *e = &s->e[s->next++ % ENDED_WAYS];
	e->key = *key;
	memcpy(e->tid, tid, STUN_TID_LEN);
	e->until_s = now_s + ENDED_S;
	if (e->until_s == 0)
		e->until_s = 1;
	spin_unlock(&s->lock);
}

bool ended_is(struct ended *d, const struct flow_key *key, const uint8_t tid[STUN_TID_LEN], uint32_t now_s)
{
	struct ended_set *s = set_of(d, key, tid);
	bool found = false;

	spin_lock(&s->lock);
	for (unsigned i = 0; i < ENDED_WAYS && !found; i++) {
		const struct ended_entry *e = &s->e[i];

		found = e->until_s != 0 && (int32_t)(e->until_s - now_s) > 0 && memcmp(e->tid, tid, STUN_TID_LEN) == 0 &&
			memcmp(&e->key, key, sizeof(*key)) == 0;
	}
	spin_unlock(&s->lock);
	return found;
}
