/* The journal's bytes: what is written is read back, and whatever bit is changed is noticed. */
#include "relay/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay/journal_file.h"
#include "tests/lib/cm.h"

static char path[64];
static struct ifaces ifaces;

static int setup(void **state)
{
	(void)state;
	ifaces = (struct ifaces){ .count = 1 };
	ifaces.at[0].ip[0].addr = addr_v4(0x0200290a);
	(void)snprintf(path, sizeof(path), "/tmp/dpx-journal-XXXXXX");
	int fd = mkstemp(path);
	return fd >= 0 ? close(fd) : -1;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static struct journal *open_journal(struct journal_view *old)
{
	struct journal_conf conf = { .path = path, .ifaces = &ifaces, .max = 8 };
	struct journal *j;
	enum err state;
	char why[512];

	assert_ok(journal_open(&conf, &j, old, &state, why, sizeof(why)));
	return j;
}

/* An allocation with `n` permissions and `n` channels. */
static struct alloc sample(unsigned n)
{
	struct perm perms[32];
	struct chan chans[32];
	struct alloc a = { .key = { .client = addr_v4(0x01010808), .client_port = 7, .relay_port = 8, .proto = 17 },
			   .relay_port = 9, .lifetime_s = 600, .username_len = 5, .username = "alice", .auth.len = 16 };

	for (unsigned i = 0; i < n; i++) {
		perms[i] = (struct perm){ .ip = addr_v4(100 + i), .expires_s = 1000 + i };
		chans[i] = (struct chan){ .ip = addr_v4(100 + i), .port = 1, .number = (uint16_t)(0x40 + i), .expires_s = 2000 + i };
	}
	memset(a.tid, 1, sizeof(a.tid));
	memset(a.auth.bytes, 2, 16);
	a.peers = n > 0 ? peers_of(perms, n, chans, n) : NULL;
	return a;
}

/* Writes one allocation and gives back the whole file, which the caller frees. */
static uint8_t *written(unsigned peers, size_t *len, uint8_t boot[JOURNAL_BOOT_LEN])
{
	struct journal_view old;
	struct journal *j = open_journal(&old);
	struct alloc a = sample(peers);

	journal_put(j, &a, 5000);
	free(a.peers);
	assert_ok(journal_commit(j));
	journal_close(j, false);
	journal_file_boot(boot);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	*len = journal_size(2 * 8 + 64);
	uint8_t *p = malloc(*len);
	assert_int_equal(fread(p, 1, *len, f), *len);
	assert_int_equal(fgetc(f), EOF);
	(void)fclose(f);
	return p;
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= 32; n++) {
		uint8_t boot[JOURNAL_BOOT_LEN];
		size_t len;
		uint8_t *p = written(n, &len, boot);
		struct journal_cursor c = { 0 };
		struct journal_view v;
		struct journal_record r;
		struct journal_peer peer;

		assert_ok(journal_view_open(p, len, boot, &v));
		assert_int_equal(v.live, 1);
		assert_ok(journal_view_record(&v, 0, &r));
		assert_str(r.username, "alice");
		assert_int_equal(r.expires_s, 5000);
		assert_int_equal(r.entries, 2 * n);
		assert_int_equal(r.client_port, 7);
		assert_true(addr_eq(&r.service, &ifaces.at[0].ip[0].addr));
		for (unsigned i = 0; i < 2 * n; i++) {
			assert_ok(journal_view_peer(&v, &r, &c, &peer));
			assert_int_equal(peer.expires_s, i < n ? 1000 + i : 2000 + i - n);
			assert_int_equal(peer.number, i < n ? 0 : 0x40 + i - n);
		}
		assert_err(journal_view_peer(&v, &r, &c, &peer), ERR_NOT_FOUND);
		for (uint32_t cell = 1; cell < v.cells; cell++)
			assert_err(journal_view_record(&v, cell, &r), ERR_NOT_FOUND);
		free(p);
	}
}

/* Every peer that is read is one that was written, at its place; returns how many. */
static unsigned read_peers(const struct journal_view *v, const struct journal_record *r)
{
	struct journal_cursor c = { 0 };
	struct journal_peer peer;
	unsigned good = 0;
	enum err e;

	while ((e = journal_view_peer(v, r, &c, &peer)) != ERR_NOT_FOUND) {
		unsigned i = c.seen - 1;

		if (e != ERR_OK)
			continue;
		assert_int_equal(peer.ip.w[3], 100 + i % 8);
		assert_int_equal(peer.expires_s, i < 8 ? 1000 + i : 2000 + i - 8);
		good++;
	}
	return good;
}

static void every_changed_bit_is_noticed(void **state)
{
	uint8_t boot[JOURNAL_BOOT_LEN];
	size_t len;
	uint8_t *p = written(8, &len, boot);
	unsigned cells = 3, heads_lost = 0, peers_lost = 0;

	(void)state;
	for (size_t bit = 0; bit < (size_t)cells * JOURNAL_CELL * 8; bit++) {
		struct journal_record r;
		struct journal_view v;

		p[JOURNAL_PAGE + bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_ok(journal_view_open(p, len, boot, &v));
		if (journal_view_record(&v, 0, &r) != ERR_OK) {
			heads_lost++;
		} else {
			assert_str(r.username, "alice");
			assert_int_equal(r.expires_s, 5000);
			peers_lost += 16 - read_peers(&v, &r);
		}
		p[JOURNAL_PAGE + bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* Nothing of the head but padding can change unnoticed; a changed entry costs itself alone. */
	assert_true(heads_lost >= (offsetof(struct journal_head, username) + 5) * 8);
	assert_true(peers_lost >= 16 * 32 * 8);
	free(p);
}

static void headers(void **state)
{
	uint8_t boot[JOURNAL_BOOT_LEN], other[JOURNAL_BOOT_LEN] = { 1 };
	size_t len;
	uint8_t *p = written(1, &len, boot);
	struct journal_view v;

	(void)state;
	assert_err(journal_view_open(p, len, other, &v), ERR_EXPIRED);
	assert_err(journal_view_open(p, 100, boot, &v), ERR_INVALID);
	for (size_t i = 0; i < offsetof(struct journal_header, crc) + 4; i++) {
		p[i] ^= 0x10;
		/* The copy stands in, */
		assert_ok(journal_view_open(p, len, boot, &v));
		assert_int_equal(v.cells, 80);
		/* unless it is cut off. */
		assert_int_not_equal(journal_view_open(p, len - 1, boot, &v), ERR_OK);
		p[i] ^= 0x10;
	}
	p[offsetof(struct journal_header, version)]++;
	memset(p + len - JOURNAL_PAGE, 0, JOURNAL_PAGE);
	assert_err(journal_view_open(p, len, boot, &v), ERR_UNSUPPORTED);
	free(p);
}

static void deadlines_change_in_place(void **state)
{
	struct journal_view old;
	struct journal *j = open_journal(&old);
	struct alloc a = sample(8);
	uint32_t used, cell;

	(void)state;
	journal_put(j, &a, 5000);
	used = journal_used(j);
	cell = a.journal;
	for (unsigned i = 0; i < 8; i++) {
		peers_perms(a.peers)[i].expires_s += 50;
		peers_chans(a.peers)[i].expires_s += 50;
	}
	journal_touch(j, &a, 6000);
	assert_int_equal(journal_used(j), used);
	assert_int_equal(a.journal, cell);
	assert_ok(journal_commit(j));
	journal_close(j, false);

	struct journal_cursor c = { 0 };
	struct journal_record r;
	struct journal_peer peer;
	j = open_journal(&old);
	assert_ok(journal_view_record(&old, cell - 1, &r));
	assert_int_equal(r.expires_s, 6000);
	for (unsigned i = 0; i < 16; i++) {
		assert_ok(journal_view_peer(&old, &r, &c, &peer));
		assert_int_equal(peer.expires_s, i < 8 ? 1050 + i : 2050 + i - 8);
	}
	free(a.peers);
	journal_close(j, false);
}

static void a_dropped_allocation_leaves_no_key(void **state)
{
	struct journal_view old;
	struct journal *j = open_journal(&old);
	struct alloc a = sample(2);
	uint8_t bytes[4 * JOURNAL_CELL];

	(void)state;
	journal_put(j, &a, 5000);
	assert_int_not_equal(a.journal, 0);
	journal_drop(j, &a);
	assert_int_equal(a.journal, 0);
	assert_int_equal(journal_used(j), 0);
	assert_ok(journal_commit(j));
	journal_close(j, false);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fseek(f, JOURNAL_PAGE, SEEK_SET), 0);
	assert_int_equal(fread(bytes, 1, sizeof(bytes), f), sizeof(bytes));
	(void)fclose(f);
	assert_null(memmem(bytes, sizeof(bytes), "alice", 5));
	assert_null(memmem(bytes, sizeof(bytes), "\2\2\2\2\2\2\2\2", 8));
	free(a.peers);
}

static void streams_are_not_kept(void **state)
{
	struct journal_view old;
	struct journal *j = open_journal(&old);
	struct alloc a = sample(0);

	(void)state;
	a.key.proto = 6;
	journal_put(j, &a, 5000);
	assert_int_equal(a.journal, 0);
	assert_int_equal(journal_used(j) + journal_overflows(j), 0);
	journal_close(j, false);
	/* And no journal is no trouble. */
	journal_put(NULL, &a, 5000);
	journal_touch(NULL, &a, 5000);
	journal_drop(NULL, &a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(every_changed_bit_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(headers, setup, teardown),
		cmocka_unit_test_setup_teardown(deadlines_change_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dropped_allocation_leaves_no_key, setup, teardown),
		cmocka_unit_test_setup_teardown(streams_are_not_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
