#include "relay/neigh.h"

#define WINDOW 16u /* entries that an address may stand in, from its hash on */

enum { ARP_HTYPE = 0, ARP_PTYPE = 2, ARP_HLEN = 4, ARP_OP = 6, ARP_SHA = 8, ARP_SPA = 14, ARP_THA = 18, ARP_TPA = 24 };
enum { ARP_REQUEST = 1, ARP_REPLY = 2 };

static_assert(IFACE_MAX <= 16, "an entry's word has 4 bits for the port");

static uint64_t link_of(const uint8_t *mac, unsigned gen, unsigned iface, enum neigh_state state)
{
	uint64_t m = 0;

	if (mac != NULL)
		memcpy(&m, mac, ETH_ADDR_LEN);
	return m << 16 | (gen & 0xff) << 8 | iface << 4 | state;
}

static enum neigh_state state_of(const struct neigh_entry *e)
{
	return (enum neigh_state)(atomic_load_explicit(&e->link, memory_order_acquire) & 0xf);
}

static unsigned gen_of(const struct neigh_entry *e)
{
	return (unsigned)(atomic_load_explicit(&e->link, memory_order_relaxed) >> 8 & 0xff);
}

static unsigned iface_of(const struct neigh_entry *e)
{
	return (unsigned)(atomic_load_explicit(&e->link, memory_order_relaxed) >> 4 & 0xf);
}

static uint32_t hop_of(const struct neigh *n, const struct neigh_entry *e)
{
	return gen_of(e) << 24 | iface_of(e) << 20 | (uint32_t)NEIGH_READY << 16 | (uint32_t)(e - n->e);
}

void neigh_init(struct neigh *n)
{
	memset(n, 0, sizeof(*n));
	for (unsigned i = 0; i < NEIGH_SIZE; i++)
		n->e[i].link = link_of(NULL, 0, 0, NEIGH_FREE);
	spin_init(&n->lock);
}

/* Seconds since then; none if another worker, whose clock is ahead, was here first. */
static uint32_t age_of(uint32_t then_s, uint32_t now_s)
{
	return (int32_t)(now_s - then_s) > 0 ? now_s - then_s : 0;
}

static struct neigh_entry *window_at(struct neigh *n, unsigned iface, const struct addr *ip, unsigned i)
{
	uint32_t h = (ip->w[0] ^ ip->w[1] * 0xcc9e2d51u ^ ip->w[2] * 0x1b873593u ^ ip->w[3] ^ iface * 0x85ebca6bu) * 0x9e3779b1u;

	return &n->e[((h >> 16) + i) & (NEIGH_SIZE - 1)];
}

static struct neigh_entry *find(struct neigh *n, unsigned iface, const struct addr *ip)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		struct neigh_entry *e = window_at(n, iface, ip, i);

		if (addr_eq(&e->ip, ip) && iface_of(e) == iface && state_of(e) != NEIGH_FREE)
			return e;
	}
	return NULL;
}

/* Under the lock. A free entry, else the one longest unused, if that is long enough. */
static struct neigh_entry *make(struct neigh *n, unsigned iface, const struct addr *ip, uint32_t now_s)
{
	struct neigh_entry *best = NULL;

	for (unsigned i = 0; i < WINDOW; i++) {
		struct neigh_entry *e = window_at(n, iface, ip, i);

		if (state_of(e) == NEIGH_FREE) {
			best = e;
			break;
		}
		uint32_t idle = age_of(e->used_s, now_s);
		if (idle >= NEIGH_IDLE_S && (best == NULL || idle > age_of(best->used_s, now_s)))
			best = e;
	}
	if (best == NULL)
		return NULL;
	unsigned gen = gen_of(best) + 1;
	/* First no reader takes the entry for the old address, then it gets the new one. */
	atomic_store_explicit(&best->link, link_of(NULL, gen, iface, NEIGH_FREE), memory_order_release);
	best->ip = *ip;
	best->probes = 0;
	best->used_s = now_s;
	best->confirmed_s = now_s;
	best->next_probe_ms = 0;
	atomic_store_explicit(&best->link, link_of(NULL, gen, iface, NEIGH_WAIT), memory_order_release);
	return best;
}

uint32_t neigh_get(struct neigh *n, unsigned iface, const struct addr *ip, uint32_t now_s)
{
	spin_lock(&n->lock);
	struct neigh_entry *e = find(n, iface, ip);
	if (e == NULL)
		e = make(n, iface, ip, now_s);
	uint32_t hop = e != NULL ? hop_of(n, e) : HOP_NONE;
	if (e != NULL)
		e->used_s = now_s;
	spin_unlock(&n->lock);
	return hop;
}

bool neigh_probe_due(struct neigh *n, uint32_t hop, uint32_t now_ms)
{
	struct neigh_entry *e = &n->e[hop & (NEIGH_SIZE - 1)];
	uint32_t next = atomic_load_explicit(&e->next_probe_ms, memory_order_relaxed);

	if (state_of(e) != NEIGH_WAIT || (next != 0 && (int32_t)(now_ms - next) < 0))
		return false;
	uint32_t later = now_ms + NEIGH_PROBE_MS;
	return atomic_compare_exchange_strong(&e->next_probe_ms, &next, later != 0 ? later : 1);
}

void neigh_learn(struct neigh *n, unsigned iface, const struct addr *ip, const uint8_t *mac, bool may_make,
		 enum neigh_word word, uint32_t now_s)
{
	spin_lock(&n->lock);
	struct neigh_entry *e = find(n, iface, ip);
	if (e == NULL && may_make)
		e = make(n, iface, ip, now_s);
	/* Links are compared without generation and state: the MAC alone. */
	bool same = e != NULL && (atomic_load_explicit(&e->link, memory_order_relaxed) ^ link_of(mac, 0, 0, NEIGH_FREE)) >> 16 == 0;
	if (e != NULL && (word == NEIGH_REPLACE || same || (word == NEIGH_FILL && state_of(e) == NEIGH_WAIT))) {
		e->confirmed_s = now_s;
		e->probes = 0;
		atomic_store_explicit(&e->link, link_of(mac, gen_of(e), iface, NEIGH_READY), memory_order_release);
	}
	spin_unlock(&n->lock);
}

static bool well_formed(const struct pkt *p, const struct iface *self)
{
	const uint8_t *a = p->data + ETH_LEN;

	if (p->len < ARP_LEN || be16_get(a + ARP_HTYPE) != 1 || be16_get(a + ARP_PTYPE) != ETHERTYPE_V4 ||
	    a[ARP_HLEN] != ETH_ADDR_LEN || a[ARP_HLEN + 1] != 4)
		return false;
	/* One sender, a single host (group bit clear), and not ourselves. */
	return memcmp(a + ARP_SHA, p->data + ETH_ADDR_LEN, ETH_ADDR_LEN) == 0 && (a[ARP_SHA] & 1) == 0 &&
	       memcmp(a + ARP_SHA, self->net.mac, ETH_ADDR_LEN) != 0;
}

void neigh_note_claim(struct neigh *n, const uint8_t *mac, unsigned local)
{
	uint64_t who = 0;

	memcpy(&who, mac, ETH_ADDR_LEN);
	atomic_store_explicit(&n->claimed[local], who, memory_order_relaxed);
}

bool neigh_defend_due(struct neigh *n, uint32_t now_s)
{
	uint32_t last = atomic_load_explicit(&n->defended_s, memory_order_relaxed);

	return (last == 0 || now_s - last >= NEIGH_DEFEND_S) && atomic_compare_exchange_strong(&n->defended_s, &last, now_s);
}

void neigh_arp(struct neigh *n, struct pkt *p, const struct iface *self, uint32_t now_s)
{
	uint8_t *a = p->data + ETH_LEN;

	if (!well_formed(p, self)) {
		pkt_drop(p, DROP_ARP_MALFORMED);
		return;
	}
	/* A port without IPv4 has no address that ARP could be about; 0.0.0.0 stands in questions of others (RFC 5227). */
	if (self->net.ip == 0) {
		pkt_drop(p, DROP_NOT_OURS);
		return;
	}
	uint16_t op = be16_get(a + ARP_OP);
	uint32_t spa = ne32(a + ARP_SPA);
	if (spa == self->net.ip) {
		neigh_note_claim(n, a + ARP_SHA, 2u * p->in_if);
		pkt_drop(p, DROP_ADDRESS_CLAIMED);
		return;
	}
	struct addr sender = addr_v4(spa);
	bool asks_us = op == ARP_REQUEST && ne32(a + ARP_TPA) == self->net.ip;

	/* An address of 0.0.0.0 is a probe for duplicates (RFC 5227): answered, but it names nobody. */
	if (spa != 0 && addr_in(&sender, &self->ip[0].subnet))
		neigh_learn(n, p->in_if, &sender, a + ARP_SHA, asks_us, NEIGH_REPLACE, now_s);
	if (!asks_us) {
		pkt_drop(p, DROP_ARP_DONE);
		return;
	}
	memcpy(p->data, a + ARP_SHA, ETH_ADDR_LEN);
	memcpy(p->data + ETH_ADDR_LEN, self->net.mac, ETH_ADDR_LEN);
	be16_put(a + ARP_OP, ARP_REPLY);
	memcpy(a + ARP_THA, a + ARP_SHA, ETH_ADDR_LEN);
	ne32_set(a + ARP_TPA, spa);
	memcpy(a + ARP_SHA, self->net.mac, ETH_ADDR_LEN);
	ne32_set(a + ARP_SPA, self->net.ip);
	p->len = ARP_LEN;
	p->out_if = p->in_if;
	p->verdict = PKT_SEND;
}

void neigh_request(uint8_t *frame, const struct iface *self, uint32_t ip, const uint8_t *mac)
{
	uint8_t *a = frame + ETH_LEN;

	memset(frame, 0, ARP_LEN);
	if (mac != NULL)
		memcpy(frame, mac, ETH_ADDR_LEN);
	else
		memset(frame, 0xff, ETH_ADDR_LEN);
	memcpy(frame + ETH_ADDR_LEN, self->net.mac, ETH_ADDR_LEN);
	be16_put(frame + 12, ETHERTYPE_ARP);
	be16_put(a + ARP_HTYPE, 1);
	be16_put(a + ARP_PTYPE, ETHERTYPE_V4);
	a[ARP_HLEN] = ETH_ADDR_LEN;
	a[ARP_HLEN + 1] = 4;
	be16_put(a + ARP_OP, ARP_REQUEST);
	memcpy(a + ARP_SHA, self->net.mac, ETH_ADDR_LEN);
	ne32_set(a + ARP_SPA, self->net.ip);
	ne32_set(a + ARP_TPA, ip);
}

void neigh_probe(uint8_t *frame, const struct iface *self)
{
	neigh_request(frame, self, self->net.ip, NULL);
	ne32_set(frame + ETH_LEN + ARP_SPA, 0);
}

/* One entry's second: whether to ask, and whether to give up. */
static bool sweep_entry(struct neigh_entry *e, uint32_t now_s, uint32_t now_ms)
{
	enum neigh_state state = state_of(e);
	uint32_t idle = age_of(e->used_s, now_s);

	if (idle >= 10 * NEIGH_IDLE_S || (state == NEIGH_WAIT && idle >= NEIGH_IDLE_S)) {
		atomic_store_explicit(&e->link, link_of(NULL, gen_of(e) + 1, iface_of(e), NEIGH_FREE), memory_order_release);
		return false;
	}
	if (e->next_probe_ms != 0 && (int32_t)(now_ms - e->next_probe_ms) < 0)
		return false;
	if (state == NEIGH_WAIT) /* while somebody sends there */
		return idle <= NEIGH_PROBES;
	if (age_of(e->confirmed_s, now_s) < NEIGH_STALE_S || idle >= NEIGH_STALE_S)
		return false;
	if (e->probes++ < NEIGH_PROBES)
		return true;
	e->probes = 0;
	atomic_store_explicit(&e->link, link_of(NULL, gen_of(e), iface_of(e), NEIGH_WAIT), memory_order_release);
	return true;
}

bool neigh_sweep(struct neigh *n, uint32_t now_s, uint32_t now_ms, neigh_ask_fn ask, void *user)
{
	bool all = true;

	for (unsigned i = 0; i < NEIGH_SIZE; i++) {
		struct neigh_entry *e = &n->e[i];

		if (state_of(e) == NEIGH_FREE)
			continue;
		spin_lock(&n->lock);
		bool wanted = state_of(e) != NEIGH_FREE && sweep_entry(e, now_s, now_ms);
		uint64_t link = atomic_load_explicit(&e->link, memory_order_relaxed);
		/* Who did not answer under its MAC may have another one by now (RFC 7048 §3): all are asked, while data
		 * still goes to the old one. */
		bool known = (link & 0xff) == NEIGH_READY && e->probes <= 1;
		struct addr ip = e->ip;
		unsigned iface = iface_of(e);
		if (wanted) {
			uint32_t later = now_ms + NEIGH_PROBE_MS;

			e->next_probe_ms = later != 0 ? later : 1;
		}
		spin_unlock(&n->lock);
		link >>= 16;
		if (wanted && !ask(user, iface, &ip, known ? (const uint8_t *)&link : NULL)) {
			e->next_probe_ms = 0;
			all = false;
		}
	}
	return all;
}

bool neigh_wanted(struct neigh *n, unsigned i, uint32_t now_s, unsigned *iface, struct addr *ip)
{
	struct neigh_entry *e = &n->e[i];

	if (state_of(e) == NEIGH_FREE)
		return false;
	spin_lock(&n->lock);
	enum neigh_state state = state_of(e);
	uint32_t idle = age_of(e->used_s, now_s);
	bool wanted = (state == NEIGH_WAIT && idle <= NEIGH_PROBES) ||
		      (state == NEIGH_READY && idle < NEIGH_STALE_S && age_of(e->confirmed_s, now_s) >= NEIGH_STALE_S);
	*iface = iface_of(e);
	*ip = e->ip;
	spin_unlock(&n->lock);
	return wanted;
}
