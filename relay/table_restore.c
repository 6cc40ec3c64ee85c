/* What the journal brings back into the table. */
#include "relay/table_inside.h"

static enum err restore_locked(struct table *t, const struct table_request *r, uint16_t port, struct alloc **out)
{
	struct table_inside *in = t->in;
	const uint8_t no_token[8] = { 0 };

	if (in->count >= MIN(r->max, in->max))
		return ERR_FULL;
	if (table_find_one(t, &r->key) != NULL)
		return ERR_EXISTS;
	enum err e = portmap_take_this(&in->map[r->local], port);
	return e == ERR_OK ? table_put_in(t, r, r->local, port, no_token, out) : e;
}

enum err table_restore(struct table *t, const struct table_request *r, uint16_t port, struct alloc **out)
{
	assert(r->username.len <= TURN_USERNAME_MAX && r->local < iface_locals(t->in->ifaces));
	spin_lock(&t->in->lock);
	enum err e = restore_locked(t, r, port, out);
	spin_unlock(&t->in->lock);
	return e;
}

enum err table_restore_reservation(struct table *t, unsigned local, uint16_t port, const uint8_t token[8], uint32_t expires_s)
{
	struct table_inside *in = t->in;
	enum err e = ERR_FULL;

	assert(local < iface_locals(in->ifaces));
	spin_lock(&in->lock);
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		struct reservation *v = &in->reservation[i];

		if (v->used)
			continue;
		e = portmap_take_this(&in->map[local], port);
		if (e == ERR_OK) {
			*v = (struct reservation){ .used = true, .port = port, .local = (uint8_t)local, .expires_s = expires_s };
			memcpy(v->token, token, sizeof(v->token));
			journal_put_reservation(in->journal, &v->journal, local, port, token, expires_s);
		}
		break;
	}
	spin_unlock(&in->lock);
	return e;
}
