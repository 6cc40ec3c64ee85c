#include "relay/peers.h"

#include <stdlib.h>

static_assert(sizeof(struct perm) == 24 && sizeof(struct chan) == 36, "the size of an allocation's state is part of the design");
static_assert(_Alignof(struct peers) >= _Alignof(struct chan) && _Alignof(struct chan) == _Alignof(struct perm),
	      "the arrays follow each other");

void peers_settle(struct peers *b)
{
	for (unsigned i = 0; i < b->chans; i++) {
		struct chan *c = &peers_chans(b)[i];
		struct perm *p = &peers_perms(b)[c->perm];

		c->until_s = (int32_t)(c->expires_s - p->expires_s) < 0 ? c->expires_s : p->expires_s;
		if (c->home < 0 && c->hop == HOP_NONE)
			c->hop = p->hop;
	}
}

static bool listed(const struct addr *ips, unsigned count, const struct addr *ip)
{
	for (unsigned i = 0; i < count; i++) {
		if (addr_eq(&ips[i], ip))
			return true;
	}
	return false;
}

static void add_perm(struct peers *b, const struct addr *ip, uint32_t expires_s, uint32_t hop)
{
	struct perm *p = peers_perms(b) + b->perms++;

	p->ip = *ip;
	p->expires_s = expires_s;
	p->hop = hop;
}

/* Of a block that workers read and whose ways they renew. */
static void add_chan(struct peers *b, const struct chan *from)
{
	struct chan *c = &peers_chans(b)[b->chans++];

	*c = (struct chan){ .ip = from->ip, .port = from->port, .number = from->number, .expires_s = from->expires_s, .home = from->home };
	if (from->home >= 0)
		c->slot = from->slot;
	else
		c->hop = from->hop;
}

static void copy_chans(struct peers *b, const struct peers *old, const struct chan *chan, uint32_t now_s)
{
	for (unsigned i = 0; old != NULL && i < old->chans; i++) {
		const struct chan *c = &peers_chans(old)[i];

		if (peers_alive(&c->expires_s, now_s) && (chan == NULL || c->number != chan->number))
			add_chan(b, c);
	}
	if (chan != NULL) {
		struct chan *c = &peers_chans(b)[b->chans++];

		*c = *chan;
		c->expires_s = now_s + CHANNEL_LIFETIME_S;
	}
}

static void copy_perms(struct peers *b, const struct peers *old, const struct addr *ips, unsigned count, uint32_t now_s)
{
	for (unsigned i = 0; old != NULL && i < old->perms; i++) {
		const struct perm *p = &peers_perms(old)[i];

		/* A dead permission stays while a live channel points at it: the channel outlives it (600 s
		 * against 300 s). */
		bool renewed = listed(ips, count, &p->ip), pointed_at = false;
		for (unsigned c = 0; c < b->chans; c++)
			pointed_at |= addr_eq(&peers_chans(b)[c].ip, &p->ip);
		if (renewed || pointed_at || peers_alive(&p->expires_s, now_s))
			add_perm(b, &p->ip, renewed ? now_s + PERMISSION_LIFETIME_S : p->expires_s, p->hop);
	}
	for (unsigned i = 0; i < count; i++) {
		if (peers_perm(b, &ips[i]) == NULL)
			add_perm(b, &ips[i], now_s + PERMISSION_LIFETIME_S, HOP_NONE);
	}
}

static void point(struct peers *b)
{
	for (unsigned i = 0; i < b->chans; i++) {
		struct chan *c = &peers_chans(b)[i];

		c->perm = (uint16_t)(peers_perm(b, &c->ip) - peers_perms(b));
		c->v6 = !addr_is_v4(&c->ip);
	}
	peers_settle(b);
}

struct peers *peers_keep(const struct peers *old, bool v6, uint32_t now_s)
{
	struct peers *b = calloc(1, sizeof(*b) + old->chans * sizeof(struct chan) + old->perms * sizeof(struct perm));

	if (b == NULL)
		return NULL;
	for (unsigned i = 0; i < old->chans; i++) {
		const struct chan *c = &peers_chans(old)[i];

		if (addr_is_v4(&c->ip) != v6 && peers_alive(&c->expires_s, now_s))
			add_chan(b, c);
	}
	for (unsigned i = 0; i < old->perms; i++) {
		const struct perm *p = &peers_perms(old)[i];

		if (addr_is_v4(&p->ip) != v6)
			add_perm(b, &p->ip, p->expires_s, p->hop);
	}
	point(b);
	return b;
}

struct peers *peers_extend(const struct peers *old, const struct addr *ips, unsigned count, const struct chan *chan, uint32_t now_s)
{
	size_t chans = (old != NULL ? old->chans : 0u) + (chan != NULL ? 1u : 0u);
	size_t perms = (old != NULL ? old->perms : 0u) + count;
	struct peers *b = calloc(1, sizeof(*b) + chans * sizeof(struct chan) + perms * sizeof(struct perm));

	if (b == NULL)
		return NULL;
	copy_chans(b, old, chan, now_s);
	copy_perms(b, old, ips, count, now_s);
	point(b);
	return b;
}

struct peers *peers_of(const struct perm *perms, unsigned perm_count, const struct chan *chans, unsigned chan_count)
{
	struct peers *b = calloc(1, sizeof(*b) + chan_count * sizeof(struct chan) + perm_count * sizeof(struct perm));

	if (b == NULL)
		return NULL;
	for (unsigned i = 0; i < chan_count; i++) {
		for (unsigned k = 0; k < perm_count; k++) {
			if (!addr_eq(&perms[k].ip, &chans[i].ip))
				continue;
			struct chan *c = &peers_chans(b)[b->chans++];
			*c = chans[i];
			c->perm = (uint16_t)k;
			c->v6 = !addr_is_v4(&c->ip);
			break;
		}
	}
	/* The permissions begin where the channels end. */
	for (unsigned k = 0; k < perm_count; k++)
		add_perm(b, &perms[k].ip, perms[k].expires_s, perms[k].hop);
	peers_settle(b);
	return b;
}
