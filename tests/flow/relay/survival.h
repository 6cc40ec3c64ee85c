/* A relay that ends and the next one with the same journal: for the tests of survival. */
#ifndef DUPLEX_TESTS_SURVIVAL_H
#define DUPLEX_TESTS_SURVIVAL_H

#include <unistd.h>

#include "tests/flow/relay/rig.h"

#define FIRST 50000u
#define LAST 50063u
#define CLIENTS 24u
#define OTHER_IP IPV4(9, 9, 9, 10)
#define THIRD_IP IPV4(9, 9, 9, 11)
#define FAR IPV4(9, 9, 0, 0)

static char folder[64], path[96];

static void start(struct rig *r, uint64_t mono_ms)
{
	char why[512] = "";

	r->clock.mono_ms = mono_ms;
	r->clock.wall_s = RIG_WALL_S + mono_ms / 1000;
	if (restore_start(r->relay, path, RIG_ALLOCATIONS, path_seconds(mono_ms), why, sizeof(why)) != ERR_OK)
		fail_msg("%s", why);
}

static UNUSED struct rig *begin(uint64_t mono_ms)
{
	struct ifaces ifaces = rig_ifaces_dual(1);
	struct rig *r = rig_new_ifaces(1, &ifaces, FIRST, LAST, rig_policy());

	start(r, mono_ms);
	return r;
}

static UNUSED void end(struct rig *r)
{
	struct journal *j = r->relay->journal;

	table_set_journal(r->relay->table, NULL);
	r->relay->journal = NULL;
	journal_close(j, false);
}

static UNUSED int fresh(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/dpx-survival-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/journal", folder);
	return 0;
}

static UNUSED int clean(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder); /* nothing else lies there */
}

static uint32_t left(uint32_t expires_s, uint32_t now_s)
{
	return (int32_t)(expires_s - now_s) > 0 ? expires_s - now_s : 0;
}

/* Whether `b` is `a` as it was, as far as it is alive at now_s. With `part`, permissions and channels may be missing,
 * never more. */
static bool same_peers(const struct peers *a, const struct peers *b, uint32_t now_s, bool part)
{
	for (unsigned i = 0; b != NULL && i < b->perms; i++) {
		const struct perm *p = &peers_perms(b)[i], *old = peers_perm(a, &p->ip);

		if (old == NULL || left(old->expires_s, now_s) != left(p->expires_s, now_s))
			return false;
	}
	for (unsigned i = 0; b != NULL && i < b->chans; i++) {
		const struct chan *c = &peers_chans(b)[i], *old = peers_by_number(a, c->number);

		if (old == NULL || old->port != c->port || !addr_eq(&old->ip, &c->ip) || old->expires_s != c->expires_s ||
		    old->home != c->home || !addr_eq(&peers_perms(b)[c->perm].ip, &c->ip))
			return false;
	}
	for (unsigned i = 0; !part && a != NULL && i < a->perms; i++) {
		const struct perm *p = &peers_perms(a)[i];

		if (peers_alive(&p->expires_s, now_s) && peers_perm(b, &p->ip) == NULL)
			return false;
	}
	for (unsigned i = 0; !part && a != NULL && i < a->chans; i++) {
		const struct chan *c = &peers_chans(a)[i];

		if (peers_alive(&c->expires_s, now_s) && peers_by_number(b, c->number) == NULL)
			return false;
	}
	return true;
}

static const struct alloc *other_half(const struct rig *r, const struct alloc *a)
{
	return a->other != 0 ? &r->relay->table->slots[a->other - 1] : NULL;
}

/* Both halves of dual allocations. One that is over may be there or not. */
static bool same_halves(const struct rig *ra, const struct alloc *a, const struct rig *rb, const struct alloc *b, uint32_t now_s)
{
	const struct alloc *x = other_half(ra, a), *y = other_half(rb, b);

	if (x == NULL || !alloc_alive(x, now_s))
		return y == NULL || !alloc_alive(y, now_s);
	return y != NULL && x->relay_port == y->relay_port && x->local == y->local && addr_eq(&x->relay, &y->relay) &&
	       x->expires_s == y->expires_s && left(a->half_expires_s, now_s) == left(b->half_expires_s, now_s) &&
	       (a->half_expires_s == 0) == (b->half_expires_s == 0) && y->second && y->peers == b->peers &&
	       memcmp(&x->key, &y->key, sizeof(x->key)) == 0 && other_half(rb, y) == b;
}

static bool same_alloc(const struct alloc *a, const struct alloc *b, uint32_t now_s, bool part)
{
	return memcmp(&a->key, &b->key, sizeof(a->key)) == 0 && a->expires_s == b->expires_s && a->lifetime_s == b->lifetime_s &&
	       a->relay_port == b->relay_port && a->local == b->local && addr_eq(&a->relay, &b->relay) &&
	       a->ticket == b->ticket && a->refused_family == b->refused_family && a->refused_code == b->refused_code &&
	       memcmp(a->tid, b->tid, sizeof(a->tid)) == 0 && memcmp(a->token, b->token, sizeof(a->token)) == 0 &&
	       memcmp(&a->auth, &b->auth, sizeof(a->auth)) == 0 && str_eq(alloc_username(a), alloc_username(b)) &&
	       same_peers(alloc_peers(a), alloc_peers(b), now_s, part);
}

/* Compares all slots; returns how many of `old` are alive in `now`. */
static UNUSED unsigned compare(struct rig *old, struct rig *now, bool part)
{
	uint32_t now_s = path_seconds(now->clock.mono_ms);
	unsigned both = 0;

	for (unsigned i = 0; i < 2 * (LAST + 1 - FIRST); i++) {
		uint16_t port = (uint16_t)(FIRST + i / 2);
		struct alloc *a = table_by_port(old->relay->table, i % 2, port), *b = table_by_port(now->relay->table, i % 2, port);

		if (a->second)
			continue; /* seen with the first */
		if (b == NULL || !alloc_alive(b, now_s)) {
			assert_true(part || !alloc_alive(a, now_s));
			continue;
		}
		assert_true(alloc_alive(a, now_s));
		assert_true(same_alloc(a, b, now_s, part));
		assert_true(part || same_halves(old, a, now, b, now_s));
		assert_ptr_equal(table_find_one(now->relay->table, &a->key), b);
		both++;
	}
	assert_int_equal(table_count(now->relay->table), both);
	return both;
}

static UNUSED uint32_t rolls;

static UNUSED uint32_t roll(uint32_t below)
{
	rolls = rolls * 1664525u + 1013904223u;
	return (rolls >> 8) % below;
}

struct life {
	struct client c[CLIENTS];
};

static UNUSED void live_begin(struct life *l)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		char user[90] = "";

		/* User names of every length: each leaves other room for peers in the first cell. */
		memset(user, 'a' + (char)i, 1 + i * 3);
		l->c[i] = client_new(CLIENT_IP, (uint16_t)(2000 + i), user, i % 2 == 0 ? "0123456789abcdef0123456789abcdef" : "");
		if (i % 3 == 0) {
			l->c[i].ip6 = rig_ip("2a00:5::1");
			l->c[i].server6 = rig_ip("2a00:1::2");
		}
	}
}

struct wish {
	uint8_t family, also; /* REQUESTED- and ADDITIONAL-ADDRESS-FAMILY, 0 = left out */
	uint32_t lifetime;
};

static void put_wish(struct wr *w, const void *arg)
{
	const struct wish *x = arg;

	stun_put_u32(w, STUN_LIFETIME, x->lifetime);
	if (x->family != 0)
		stun_put_u32(w, STUN_REQUESTED_ADDRESS_FAMILY, (uint32_t)x->family << 24);
	if (x->also != 0)
		stun_put_u32(w, STUN_ADDITIONAL_ADDRESS_FAMILY, (uint32_t)x->also << 24);
}

static void put_allocate(struct wr *w, const void *arg)
{
	stun_put_u32(w, STUN_REQUESTED_TRANSPORT, 17u << 24);
	put_wish(w, arg);
}

struct to {
	struct addr ip;
	uint16_t port, channel;
};

static void put_to(struct wr *w, const void *arg)
{
	const struct to *t = arg;
	struct stun_addr s = addr_to_stun(&t->ip, t->port);

	if (t->channel != 0)
		stun_put_u32(w, STUN_CHANNEL_NUMBER, (uint32_t)t->channel << 16);
	stun_put_address(w, STUN_XOR_PEER_ADDRESS, &s);
}

/* One of some peers of either family, and with `bound` a channel. */
static struct to some_peer(bool bound)
{
	uint32_t n = __builtin_bswap32(1 + roll(40));
	struct to t = { .ip = addr_v4(FAR + n), .port = (uint16_t)(7000 + roll(3)), .channel = bound ? (uint16_t)(0x4000 + roll(40)) : 0 };

	if (roll(3) == 0) {
		t.ip = rig_ip("2a00:9::");
		t.ip.w[3] = n;
	}
	return t;
}

/* One step of a random life of allocations. */
static UNUSED void live(struct rig *r, struct life *l)
{
	const uint8_t families[] = { 0, 0, STUN_IPV4, STUN_IPV6 };
	struct client *c = &l->c[roll(CLIENTS)];
	struct wish wish = { .lifetime = 600 + roll(600) };
	struct stun_msg m;
	struct to to;

	switch (roll(9)) {
	case 0:
	case 1:
		wish.also = roll(2) == 0 ? STUN_IPV6 : 0;
		wish.family = wish.also == 0 ? families[roll(4)] : 0;
		(void)client_request(r, c, STUN_ALLOCATE, put_allocate, &wish, &m);
		break;
	case 2:
		wish.family = families[roll(4)];
		wish.lifetime = roll(4) == 0 ? 0 : wish.lifetime;
		(void)client_request(r, c, STUN_REFRESH, put_wish, &wish, &m);
		break;
	case 3:
	case 4:
		to = some_peer(false);
		(void)client_request(r, c, STUN_CREATE_PERMISSION, put_to, &to, &m);
		break;
	case 5:
	case 6:
	case 7:
		to = some_peer(true);
		(void)client_request(r, c, STUN_CHANNEL_BIND, put_to, &to, &m);
		break;
	default:
		rig_pass(r, roll(12) == 0 ? 200000 : roll(4000));
		break;
	}
}

/* n clients with an allocation, a channel and a permission each. */
static UNUSED void fill(struct rig *r, struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		c[i] = client_new(CLIENT_IP, (uint16_t)(3000 + i), "bob", "");
		assert_int_equal(client_allocate(r, &c[i]), 0);
		assert_int_equal(client_bind(r, &c[i], 0x4001, PEER_IP, 7000), 0);
		assert_int_equal(client_permit(r, &c[i], OTHER_IP), 0);
	}
}

#endif
