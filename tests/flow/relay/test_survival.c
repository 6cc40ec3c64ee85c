/* A relay that ends and the next one: what the journal carries over, exactly; and what becomes of a journal that was
 * cut, damaged, or made for another configuration. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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

static struct rig *begin(uint64_t mono_ms)
{
	struct rig *r = rig_new(1, FIRST, LAST, rig_policy());

	start(r, mono_ms);
	return r;
}

static void end(struct rig *r)
{
	struct journal *j = r->relay->journal;

	table_set_journal(r->relay->table, NULL);
	r->relay->journal = NULL;
	journal_close(j, false);
}

static int fresh(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/dpx-survival-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/journal", folder);
	return 0;
}

static int clean(void **state)
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

static bool same_alloc(const struct alloc *a, const struct alloc *b, uint32_t now_s, bool part)
{
	return memcmp(&a->key, &b->key, sizeof(a->key)) == 0 && a->expires_s == b->expires_s && a->lifetime_s == b->lifetime_s &&
	       a->relay_port == b->relay_port && a->local == b->local && addr_eq(&a->relay, &b->relay) &&
	       memcmp(a->tid, b->tid, sizeof(a->tid)) == 0 && memcmp(a->token, b->token, sizeof(a->token)) == 0 &&
	       memcmp(&a->auth, &b->auth, sizeof(a->auth)) == 0 && str_eq(alloc_username(a), alloc_username(b)) &&
	       same_peers(alloc_peers(a), alloc_peers(b), now_s, part);
}

/* Compares all slots; returns how many of `old` are alive in `now`. */
static unsigned compare(struct rig *old, struct rig *now, bool part)
{
	uint32_t now_s = path_seconds(now->clock.mono_ms);
	unsigned both = 0;

	for (unsigned port = FIRST; port <= LAST; port++) {
		struct alloc *a = table_by_port(old->relay->table, 0, (uint16_t)port), *b = table_by_port(now->relay->table, 0, (uint16_t)port);

		if (b == NULL || !alloc_alive(b, now_s)) {
			assert_true(part || !alloc_alive(a, now_s));
			continue;
		}
		assert_true(alloc_alive(a, now_s));
		assert_true(same_alloc(a, b, now_s, part));
		assert_ptr_equal(table_find_one(now->relay->table, &a->key), b);
		both++;
	}
	assert_int_equal(table_count(now->relay->table), both);
	return both;
}

static uint32_t rolls;

static uint32_t roll(uint32_t below)
{
	rolls = rolls * 1664525u + 1013904223u;
	return (rolls >> 8) % below;
}

struct life {
	struct client c[CLIENTS];
};

static void live_begin(struct life *l)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		char user[90] = "";

		/* User names of every length: each leaves other room for peers in the first cell. */
		memset(user, 'a' + (char)i, 1 + i * 3);
		l->c[i] = client_new(CLIENT_IP, (uint16_t)(2000 + i), user, i % 2 == 0 ? "0123456789abcdef0123456789abcdef" : "");
	}
}

/* One step of a random life of allocations. */
static void live(struct rig *r, struct life *l)
{
	struct client *c = &l->c[roll(CLIENTS)];

	switch (roll(8)) {
	case 0: (void)client_allocate(r, c); break;
	case 1: (void)client_refresh(r, c, roll(4) == 0 ? 0 : 600 + roll(600)); break;
	case 2:
	case 3: (void)client_permit(r, c, FAR + __builtin_bswap32(1 + roll(40))); break;
	case 4:
	case 5:
	case 6: (void)client_bind(r, c, (uint16_t)(0x4000 + roll(40)), FAR + __builtin_bswap32(1 + roll(40)), (uint16_t)(7000 + roll(3))); break;
	default: rig_pass(r, roll(12) == 0 ? 200000 : roll(4000)); break;
	}
}

static void a_random_life_is_carried_over_exactly(void **state)
{
	struct life l;
	unsigned carried = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 12; seed++) {
		rolls = seed;
		live_begin(&l);
		struct rig *old = begin(5000 + seed * 777);
		for (unsigned i = 0; i < 200 + seed * 60; i++)
			live(old, &l);
		end(old);
		struct rig *now = begin(old->clock.mono_ms + 1000);
		carried += compare(old, now, false);
		assert_int_equal(now->relay->restored.drops[RESTORE_CORRUPT], 0);
		assert_int_equal(now->relay->restored.drops[RESTORE_MISSING], 0);
		assert_int_equal(now->relay->restored.drops[RESTORE_PEER_CORRUPT], 0);
		assert_int_equal(journal_overflows(now->relay->journal), 0);
		end(now);
		/* Each generation is the old one of the next: what was restored is restored again. */
		struct rig *third = begin(now->clock.mono_ms);
		compare(now, third, false);
		end(third);
		rig_free(old);
		rig_free(now);
		rig_free(third);
		(void)unlink(path);
	}
	assert_true(carried > 12 * CLIENTS / 2);
}

static void cells_come_back(void **state)
{
	struct life l;
	struct rig *r = begin(5000);

	(void)state;
	rolls = 99;
	live_begin(&l);
	for (unsigned i = 0; i < 3000; i++)
		live(r, &l);
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)client_refresh(r, &l.c[i], 0);
	assert_int_equal(table_count(r->relay->table), 0);
	assert_int_equal(journal_used(r->relay->journal), 0);
	end(r);
	struct rig *now = begin(r->clock.mono_ms);
	assert_int_equal(now->relay->restored.allocations, 0);
	end(now);
	rig_free(now);
	rig_free(r);
}

static void media_and_requests_go_on(void **state)
{
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	const uint8_t data[] = { 0x40, 0x01, 0x00, 0x03, 'a', 'b', 'c', 0 };
	struct rig *old = begin(5000), *now;

	(void)state;
	assert_int_equal(client_allocate(old, &c), 0);
	assert_int_equal(client_bind(old, &c, 0x4001, PEER_IP, 7000), 0);
	assert_int_equal(client_permit(old, &c, OTHER_IP), 0);
	end(old);
	now = begin(old->clock.mono_ms + 900);
	/* The first packets wait for the neighbour to answer, and are not lost. */
	client_datagram(now, &c, data, 7);
	rig_expect(now, RELAY_IP, c.relayed, PEER_IP, 7000, "abc", 3);
	peer_datagram(now, 0, PEER_IP, 7000, c.relayed, "xyz", 3);
	rig_expect_channel(now, &c, 0x4001, "xyz", 3);
	peer_datagram(now, 0, OTHER_IP, 9, c.relayed, "xyz", 3);
	rig_expect_data(now, &c, OTHER_IP, 9, "xyz", 3);
	/* Not widened: another host is refused, and the permission ends when it would have ended. */
	peer_datagram(now, 0, THIRD_IP, 9, c.relayed, "xyz", 3);
	assert_int_equal(now->outs, 0);
	rig_pass(now, (PERMISSION_LIFETIME_S - 2) * 1000);
	peer_datagram(now, 0, OTHER_IP, 9, c.relayed, "xyz", 3);
	assert_int_equal(now->outs, 1);
	rig_pass(now, 2000);
	peer_datagram(now, 0, OTHER_IP, 9, c.relayed, "xyz", 3);
	assert_int_equal(now->outs, 0);
	/* The nonce and the key of before are good; what is renewed is renewed in the journal too. */
	assert_int_equal(client_bind(now, &c, 0x4001, PEER_IP, 7000), 0);
	assert_int_equal(client_refresh(now, &c, 900), 0);
	end(now);
	struct rig *third = begin(now->clock.mono_ms + 1);
	assert_int_equal(compare(now, third, false), 1);
	peer_datagram(third, 0, PEER_IP, 7000, c.relayed, "xyz", 3);
	rig_expect_channel(third, &c, 0x4001, "xyz", 3);
	assert_int_equal(client_refresh(third, &c, 0), 0);
	end(third);
	rig_free(old);
	rig_free(now);
	rig_free(third);
}

static void put_pair(struct wr *w, const void *arg)
{
	put_udp(w, NULL);
	if (arg == NULL)
		stun_put(w, STUN_EVEN_PORT, str_of("\x80", 1));
	else
		stun_put(w, STUN_RESERVATION_TOKEN, str_of(arg, 8));
}

static void a_reservation_outlives_the_relay(void **state)
{
	struct client c = client_new(CLIENT_IP, 1234, "alice", ""), d = client_new(CLIENT_IP, 1235, "alice", "");
	struct rig *old = begin(5000);
	struct stun_msg m;
	struct stun_addr relayed, second;
	char token[8];

	(void)state;
	assert_int_equal(client_request(old, &c, STUN_ALLOCATE, put_pair, NULL, &m), 0);
	memcpy(token, stun_bytes(&m, STUN_RESERVATION_TOKEN).p, 8);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	end(old);
	struct rig *now = begin(old->clock.mono_ms + 1000);
	assert_int_equal(now->relay->restored.reservations, 1);
	assert_int_equal(client_request(now, &d, STUN_ALLOCATE, put_pair, token, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &second));
	assert_int_equal(second.port, relayed.port + 1);
	end(now);
	/* Used up, and used up for good. */
	struct rig *third = begin(now->clock.mono_ms);
	assert_int_equal(third->relay->restored.reservations, 0);
	assert_int_equal(third->relay->restored.allocations, 2);
	end(third);
	rig_free(old);
	rig_free(now);
	rig_free(third);
}

/* --- another configuration --- */

static void fill(struct rig *r, struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		c[i] = client_new(CLIENT_IP, (uint16_t)(3000 + i), "bob", "");
		assert_int_equal(client_allocate(r, &c[i]), 0);
		assert_int_equal(client_bind(r, &c[i], 0x4001, PEER_IP, 7000), 0);
		assert_int_equal(client_permit(r, &c[i], OTHER_IP), 0);
	}
}

static void a_changed_configuration_is_respected(void **state)
{
	struct client c[20];
	struct rig *old = begin(5000);
	struct policy *strict = rig_policy();
	char bad_text[] = "9.9.9.9/32";
	struct str bad;

	(void)state;
	fill(old, c, 20);
	end(old);
	strict->max_allocations = 12;
	assert_ok(filter_parse("", bad_text, false, &strict->filter, &bad));
	struct rig *now = rig_new(1, FIRST, FIRST + 31, strict);
	start(now, old->clock.mono_ms);
	const struct restore_counts *n = &now->relay->restored;
	assert_int_equal(n->allocations + n->drops[RESTORE_PORT] + n->drops[RESTORE_LIMIT], 20);
	assert_true(n->drops[RESTORE_PORT] > 0 && n->allocations <= 12);
	assert_int_equal(n->channels, 0);
	assert_int_equal(n->permissions, n->allocations);
	assert_int_equal(n->drops[RESTORE_PEER_DENIED], 2 * n->allocations);
	compare(old, now, true);
	end(now);
	rig_free(now);
	rig_free(old);
}

static void an_address_that_is_gone(void **state)
{
	struct client c = client_new(CLIENT_IP, 3000, "bob", "");
	struct rig *old = rig_new_ports(1, 2, FIRST, LAST, rig_policy());

	(void)state;
	start(old, 5000);
	c.server = SECOND_IP;
	assert_int_equal(client_allocate(old, &c), 0);
	end(old);
	struct rig *now = begin(old->clock.mono_ms);
	assert_int_equal(now->relay->restored.drops[RESTORE_ADDRESS], 1);
	assert_int_equal(table_count(now->relay->table), 0);
	end(now);
	rig_free(now);
	rig_free(old);
}

/* --- damage --- */

static size_t load(uint8_t **bytes)
{
	FILE *f = fopen(path, "rb");
	struct stat s;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &s), 0);
	*bytes = malloc((size_t)s.st_size);
	assert_int_equal(fread(*bytes, 1, (size_t)s.st_size, f), s.st_size);
	(void)fclose(f);
	return (size_t)s.st_size;
}

static void store(const uint8_t *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Damages a copy somewhere in the first `used` bytes; returns its new length. */
static size_t damage(uint8_t *bytes, size_t len, size_t used)
{
	switch (roll(4)) {
	case 0: /* cut off */
		return roll((uint32_t)used);
	case 1: /* a page of zeros */
		memset(bytes + roll((uint32_t)(used / 4096)) * 4096, 0, 4096);
		return len;
	case 2: { /* bits */
		for (unsigned n = 1 + roll(20); n > 0; n--)
			bytes[roll((uint32_t)used)] ^= (uint8_t)(1u << roll(8));
		return len;
	}
	default: { /* an old piece over a new one */
		uint32_t from = roll((uint32_t)used - 1024), to = roll((uint32_t)used - 1024);

		memmove(bytes + to, bytes + from, 1 + roll(1024));
		return len;
	}
	}
}

static void of_a_damaged_journal_the_intact_part_is_used(void **state)
{
	struct life l;
	uint8_t *bytes;
	unsigned kept = 0, whole;

	(void)state;
	rolls = 4711;
	live_begin(&l);
	struct rig *old = begin(5000);
	for (unsigned i = 0; i < 500; i++)
		live(old, &l);
	whole = table_count(old->relay->table);
	size_t used = JOURNAL_PAGE + (size_t)journal_used(old->relay->journal) * JOURNAL_CELL;
	end(old);
	size_t len = load(&bytes);
	uint8_t *copy = malloc(len);
	for (unsigned i = 0; i < 300; i++) {
		memcpy(copy, bytes, len);
		store(copy, damage(copy, len, used));
		struct rig *now = begin(old->clock.mono_ms);
		unsigned n = compare(old, now, true);
		kept += n;
		end(now);
		rig_free(now);
	}
	/* Most damage is small. */
	assert_true(whole >= 8 && kept > 300 * whole / 2);
	free(copy);
	free(bytes);
	rig_free(old);
}

static void what_is_lost_is_counted(void **state)
{
	struct client c[20];
	struct rig *old = begin(5000);
	uint8_t *bytes;

	(void)state;
	fill(old, c, 20);
	end(old);
	size_t len = load(&bytes);
	/* One bit of a user name, one of a permission, and a page of zeros over cells 16 to 19. */
	bytes[JOURNAL_PAGE + offsetof(struct journal_head, username)] ^= 1;
	bytes[JOURNAL_PAGE + 3 * JOURNAL_CELL + journal_head_entries_at(14) + 15] ^= 1;
	store(bytes, len);
	struct rig *now = begin(old->clock.mono_ms);
	const struct restore_counts *n = &now->relay->restored;
	assert_int_equal(n->allocations, 19);
	assert_int_equal(n->drops[RESTORE_CORRUPT], 1);
	assert_int_equal(n->drops[RESTORE_PEER_CORRUPT], 1);
	end(now);
	rig_free(now);
	free(bytes);

	len = load(&bytes);
	memset(bytes + 2 * JOURNAL_PAGE, 0, JOURNAL_PAGE);
	store(bytes, len);
	now = begin(old->clock.mono_ms);
	n = &now->relay->restored;
	assert_true(n->drops[RESTORE_MISSING] > 0);
	assert_int_equal(n->allocations + n->drops[RESTORE_MISSING], 19);
	end(now);
	rig_free(now);
	free(bytes);

	/* The header's copy, at the end, is as good. */
	len = load(&bytes);
	memset(bytes, 0, JOURNAL_PAGE);
	store(bytes, len);
	struct rig *third = begin(old->clock.mono_ms);
	assert_true(third->relay->restored.allocations >= 15);
	end(third);
	rig_free(third);
	free(bytes);
	rig_free(old);
}

/* --- the file --- */

static void one_journal_one_relay(void **state)
{
	struct rig *one = begin(5000), *two = rig_new(1, FIRST, LAST, rig_policy());
	char why[512] = "";

	(void)state;
	assert_err(restore_start(two->relay, path, RIG_ALLOCATIONS, 10, why, sizeof(why)), ERR_BUSY);
	assert_true(strstr(why, "another relay") != NULL);
	end(one);
	assert_ok(restore_start(two->relay, path, RIG_ALLOCATIONS, 10, why, sizeof(why)));
	end(two);
	/* Nor one that others could read. */
	assert_int_equal(chmod(path, 0644), 0);
	assert_err(restore_start(one->relay, path, RIG_ALLOCATIONS, 10, why, sizeof(why)), ERR_FORBIDDEN);
	rig_free(one);
	rig_free(two);
}

static void starts_that_get_nowhere_give_it_up(void **state)
{
	struct client c[4];
	struct rig *r = begin(5000);

	(void)state;
	fill(r, c, 4);
	end(r);
	rig_free(r);
	for (unsigned i = 0; i < JOURNAL_STARTS_MAX; i++) {
		r = begin(6000);
		assert_int_equal(r->relay->restored.allocations, 4);
		end(r);
		rig_free(r);
	}
	r = begin(6000);
	assert_int_equal(r->relay->restored.allocations, 0);
	fill(r, c, 2);
	end(r);
	rig_free(r);
	/* And then it counts anew; one that ran for a while starts it over. */
	for (unsigned i = 0; i < 3 * JOURNAL_STARTS_MAX; i++) {
		r = begin(6000);
		assert_int_equal(r->relay->restored.allocations, 2);
		journal_settled(r->relay->journal);
		end(r);
		rig_free(r);
	}
}

static void a_full_journal_refuses_nobody(void **state)
{
	struct journal_conf conf = { .path = path, .max = 0 };
	struct client c[2];
	struct journal_view old;
	struct journal *j;
	enum err why_not;
	char why[512];
	struct rig *r = rig_new(1, FIRST, LAST, rig_policy());

	(void)state;
	conf.ifaces = &r->relay->ifaces;
	assert_ok(journal_open(&conf, &j, &old, &why_not, why, sizeof(why)));
	assert_ok(journal_commit(j));
	r->relay->journal = j;
	table_set_journal(r->relay->table, j);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		c[i] = client_new(CLIENT_IP, (uint16_t)(3000 + i), "bob", "");
		assert_int_equal(client_allocate(r, &c[i]), 0);
	}
	r->path[0].policy = r->relay->policy;
	((struct policy *)(uintptr_t)r->relay->policy)->max_peers = 1024;
	/* 64 cells: 2 heads, and 7 peers in each other one. */
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(client_permit(r, &c[i % 2], FAR + __builtin_bswap32(1 + i)), 0);
	assert_true(journal_overflows(j) > 0);
	assert_int_equal(client_refresh(r, &c[0], 700), 0);
	end(r);
	struct rig *now = begin(r->clock.mono_ms);
	assert_true(now->relay->restored.permissions > 300);
	compare(r, now, true);
	end(now);
	rig_free(now);
	rig_free(r);
}

/* --- killed --- */

#define VICTIMS 6u
#define PEERS 30u

/* What the victim's clients have been told, one each; written around each request, so that at a kill at most one is
 * under way. */
struct told {
	_Atomic uint32_t busy, alive, port, perms, chans; /* bits of peers; channel 0x4000 + n is bound to peer n */
	_Atomic uint32_t want_perms, want_chans;          /* with the request under way */
	_Atomic uint32_t requests;
};

static uint32_t peer_ip(unsigned n)
{
	return IPV4(9, 9, 7, n + 1);
}

static struct told *map_told(const char *file, bool make)
{
	FILE *f = fopen(file, make ? "w+b" : "r+b");
	size_t size = CLIENTS * sizeof(struct told);
	struct told *t;

	assert_non_null(f);
	assert_int_equal(make ? ftruncate(fileno(f), (off_t)size) : 0, 0);
	t = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
	assert_true(t != MAP_FAILED);
	(void)fclose(f);
	return t;
}

static void one_request(struct rig *r, struct client *c, struct told *t)
{
	unsigned n = roll(PEERS), what = t->alive ? 1 + roll(12) : 0;

	t->want_perms = t->perms;
	t->want_chans = t->chans;
	if (what > 0 && what < 12)
		t->want_perms |= 1u << n;
	if (what > 6 && what < 12)
		t->want_chans |= 1u << n;
	t->busy = 1;
	if (what == 0) {
		assert_int_equal(client_allocate(r, c), 0);
		t->port = c->relayed;
		t->alive = 1;
	} else if (what == 12) {
		assert_int_equal(client_refresh(r, c, 0), 0);
		t->alive = t->want_perms = t->want_chans = 0;
	} else if (what > 6) {
		assert_int_equal(client_bind(r, c, (uint16_t)(0x4000 + n), peer_ip(n), 7000), 0);
	} else {
		assert_int_equal(client_permit(r, c, peer_ip(n)), 0);
	}
	t->perms = t->want_perms;
	t->chans = t->want_chans;
	t->busy = 0;
	t->requests++;
}

/* In a process of its own, until it is killed. */
static int victim(const char *journal, const char *file, unsigned seed)
{
	struct told *t = map_told(file, false);
	struct life l;

	(void)snprintf(path, sizeof(path), "%s", journal);
	if (rig_eal(NULL) != 0)
		return 1;
	rolls = seed;
	live_begin(&l);
	struct rig *r = begin(5000);
	for (;;) {
		unsigned i = roll(CLIENTS);

		one_request(r, &l.c[i], &t[i]);
	}
}

/* Runs a victim until it has served some requests, and kills it in the midst of another. */
static void run_victim(const char *file, struct told *t, unsigned seed)
{
	const struct timespec step = { .tv_nsec = 1000000 + 17 * seed };
	char number[16];
	pid_t pid;

	(void)snprintf(number, sizeof(number), "%u", seed);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl("/proc/self/exe", "test_survival", "victim", path, file, number, (char *)NULL);
		_exit(127);
	}
	for (uint32_t served = 0; served < 2000;) {
		(void)nanosleep(&step, NULL);
		served = 0;
		for (unsigned i = 0; i < CLIENTS; i++)
			served += t[i].requests;
		if (waitpid(pid, NULL, WNOHANG) != 0)
			fail_msg("the victim ended by itself");
	}
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static uint32_t bits_of(const struct peers *b, bool chans)
{
	uint32_t bits = 0;

	for (unsigned n = 0; n < PEERS; n++) {
		struct addr ip = addr_v4(peer_ip(n));

		if (chans ? peers_by_addr(b, &ip, swap16(7000)) != NULL : peers_perm(b, &ip) != NULL)
			bits |= 1u << n;
	}
	return bits;
}

static void what_clients_were_told_outlives_a_kill(void **state)
{
	char file[128];

	(void)state;
	(void)snprintf(file, sizeof(file), "%s/told", folder);
	for (unsigned round = 0; round < VICTIMS; round++) {
		struct told *t = map_told(file, true);
		struct life l;
		unsigned busy = 0;

		run_victim(file, t, round + 1);
		live_begin(&l);
		struct rig *r = begin(6000);
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct flow_key key = { .client = addr_v4(CLIENT_IP), .client_port = swap16(l.c[i].port),
						.relay_port = swap16(TURN_PORT), .proto = 17 };
			const struct alloc *a = table_find_one(r->relay->table, &key);
			uint32_t perms = a != NULL ? bits_of(alloc_peers(a), false) : 0, chans = a != NULL ? bits_of(alloc_peers(a), true) : 0;

			busy += t[i].busy;
			if (t[i].busy == 0)
				assert_int_equal(a != NULL, t[i].alive);
			if (t[i].busy == 0 || (perms != t[i].perms && a != NULL))
				assert_int_equal(perms, t[i].busy == 0 ? t[i].perms : t[i].want_perms);
			if (t[i].busy == 0 || (chans != t[i].chans && a != NULL))
				assert_int_equal(chans, t[i].busy == 0 ? t[i].chans : t[i].want_chans);
			if (t[i].busy == 0 && a != NULL)
				assert_int_equal(swap16(a->relay_port), t[i].port);
		}
		assert_true(busy <= 1);
		assert_int_equal(r->relay->restored.drops[RESTORE_CORRUPT], 0);
		assert_int_equal(r->relay->restored.drops[RESTORE_PEER_CORRUPT], 0);
		assert_int_equal(r->relay->restored.drops[RESTORE_MISSING], 0);
		end(r);
		rig_free(r);
		(void)munmap(t, CLIENTS * sizeof(*t));
		(void)unlink(file);
		(void)unlink(path);
	}
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "victim") == 0)
		return victim(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10));

	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_random_life_is_carried_over_exactly, fresh, clean),
		cmocka_unit_test_setup_teardown(cells_come_back, fresh, clean),
		cmocka_unit_test_setup_teardown(media_and_requests_go_on, fresh, clean),
		cmocka_unit_test_setup_teardown(a_reservation_outlives_the_relay, fresh, clean),
		cmocka_unit_test_setup_teardown(a_changed_configuration_is_respected, fresh, clean),
		cmocka_unit_test_setup_teardown(an_address_that_is_gone, fresh, clean),
		cmocka_unit_test_setup_teardown(of_a_damaged_journal_the_intact_part_is_used, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_lost_is_counted, fresh, clean),
		cmocka_unit_test_setup_teardown(one_journal_one_relay, fresh, clean),
		cmocka_unit_test_setup_teardown(starts_that_get_nowhere_give_it_up, fresh, clean),
		cmocka_unit_test_setup_teardown(what_clients_were_told_outlives_a_kill, fresh, clean),
		cmocka_unit_test_setup_teardown(a_full_journal_refuses_nobody, fresh, clean),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
