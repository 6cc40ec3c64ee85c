/* A journal that was cut or damaged, shared, full, or left by a process that was killed in the midst of a request. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/flow/relay/survival.h"

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

/* What a kill between a new snapshot and the end of the old one leaves: the old one is put back where it was. */
static void put_old_one_back(const uint8_t *before, uint8_t *after, size_t len)
{
	static const uint8_t wiped[JOURNAL_CELL];

	for (size_t at = JOURNAL_PAGE; at < len - JOURNAL_PAGE; at += JOURNAL_CELL) {
		if (memcmp(after + at, wiped, sizeof(wiped)) == 0)
			memcpy(after + at, before + at, JOURNAL_CELL);
	}
	store(after, len);
}

/* Both are found, and the new one counts, whether it lies before the old one or behind it. */
static void of_two_snapshots_the_newer_counts(void **state)
{
	(void)state;
	for (unsigned turn = 0; turn < 2; turn++) {
		struct client c = client_new(CLIENT_IP, 3000, "bob", "");
		struct rig *old = begin(5000);
		uint8_t *before, *after;

		assert_int_equal(client_allocate(old, &c), 0);
		if (turn == 1)
			assert_int_equal(client_permit(old, &c, PEER_IP), 0);
		size_t len = load(&before);
		assert_int_equal(client_permit(old, &c, OTHER_IP), 0);
		end(old);
		assert_int_equal(load(&after), len);
		put_old_one_back(before, after, len);
		struct rig *now = begin(old->clock.mono_ms);
		assert_int_equal(now->relay->restored.drops[RESTORE_SUPERSEDED], 1);
		assert_int_equal(now->relay->restored.permissions, 1 + turn);
		assert_int_equal(compare(old, now, false), 1);
		end(now);
		free(before);
		free(after);
		rig_free(now);
		rig_free(old);
		(void)unlink(path);
	}
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
			if (!addr_is_none(&l.c[i].ip6)) {
				key.client = l.c[i].ip6;
				key.local = 1;
			}
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

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, clean)

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "victim") == 0)
		return victim(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10));

	const struct CMUnitTest tests[] = {
		T(of_a_damaged_journal_the_intact_part_is_used), T(what_is_lost_is_counted), T(of_two_snapshots_the_newer_counts), T(one_journal_one_relay),
		T(starts_that_get_nowhere_give_it_up), T(what_clients_were_told_outlives_a_kill), T(a_full_journal_refuses_nobody),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
