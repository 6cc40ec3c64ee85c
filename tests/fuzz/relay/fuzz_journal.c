/* A journal as it may be found after anything, into a relay. The first byte of the input says what the rest is:
 *   0 a whole file   1 cells, which get a header that is right   2 the same, and every check sum is made right, so that what lies
 *   behind the checks is reached too
 * Whatever is read: what is restored lies in the relay's range and can be removed, and every head is accounted for. */
#include <rte_eal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/relay.h"

#define FIRST_PORT 50000u
#define LAST_PORT 50031u
#define ALLOCATIONS 16u
#define CELLS_MAX 64u
#define NOW_S 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t boot[JOURNAL_BOOT_LEN] = { 1, 2, 3 };

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void start_eal(void)
{
	static char text[][24] = { "fuzz",	     "--no-huge",	  "-m", "64", "--no-shconf", "--no-pci",
				   "--no-telemetry", "--log-level=error", "" };
	static char *args[ARRAY_LEN(text) + 1];

	(void)snprintf(text[ARRAY_LEN(text) - 1], sizeof(text[0]), "--lcores=0@%d", sched_getcpu());
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		args[i] = text[i];
	must(rte_eal_init(ARRAY_LEN(text), args) >= 0);
}

static struct relay *make_relay(void)
{
	struct relay_size sizes = { .turn_port = 3478, .port_min = FIRST_PORT, .port_max = LAST_PORT, .max_allocations = ALLOCATIONS,
				    .workers = 1 };
	struct policy *policy = calloc(1, sizeof(*policy));
	struct ifaces ifaces = { .count = 1 };
	struct iface *f = &ifaces.at[0];
	struct relay *r;

	must(policy != NULL);
	policy->max_allocations = ALLOCATIONS;
	policy->lifetime_s = policy->lifetime_max_s = 3600;
	f->mtu = 1500;
	must(addr_parse_interface(STR("198.41.0.2/24"), &f->ip[0].addr, &f->ip[0].subnet) == ERR_OK);
	must(addr_parse_interface(STR("2a00:1::2/64"), &f->ip[1].addr, &f->ip[1].subnet) == ERR_OK);
	f->ip[0].gateway = addr_v4(__builtin_bswap32(0xc6290001));
	must(relay_new(&sizes, &ifaces, policy, &r) == ERR_OK);
	rcu_online(r->rcu, 0);
	return r;
}

static void seal_entries(struct journal_entry *e, unsigned count, uint64_t seq, uint32_t cell)
{
	for (unsigned i = 0; i < count; i++) {
		e[i].crc = journal_entry_crc(&e[i], seq, cell, i);
		e[i].deadline = journal_word((uint32_t)e[i].deadline, e[i].crc);
	}
}

static void seal(uint8_t *p, uint32_t cell)
{
	struct journal_head *h = (struct journal_head *)(void *)p;
	struct journal_more *m = (struct journal_more *)(void *)p;

	h->seq &= 7; /* so that pieces of a snapshot find each other */
	h->kind &= 3;
	if (h->kind == JOURNAL_MORE) {
		seal_entries(m->entry, JOURNAL_MORE_ENTRIES, m->seq, cell);
		m->crc = journal_more_crc(m, m->seq, cell);
		return;
	}
	h->username_len = (uint8_t)MIN(h->username_len, TURN_USERNAME_MAX);
	h->perms = MIN(h->perms, h->entries);
	seal_entries((struct journal_entry *)(void *)(p + journal_head_entries_at(h->username_len)),
		     journal_head_entries(h->username_len), h->seq, cell);
	h->crc = journal_head_crc(h, h->seq, cell);
	h->deadline = journal_word((uint32_t)h->deadline, h->crc);
}

/* A file of these cells; returns its size. */
static size_t with_header(uint8_t *file, const uint8_t *cells, size_t len, bool sealed)
{
	struct journal_header h = { .magic = JOURNAL_MAGIC, .version = JOURNAL_VERSION, .cell_size = JOURNAL_CELL, .locals = 2 };

	len = MIN(len, (size_t)CELLS_MAX * JOURNAL_CELL);
	h.cells = (uint32_t)((len + JOURNAL_CELL - 1) / JOURNAL_CELL);
	h.cells += h.cells == 0;
	memcpy(h.boot, boot, sizeof(boot));
	struct cidr subnet;
	h.local[0] = addr_v4(__builtin_bswap32(0xc6290002));
	must(addr_parse_interface(STR("2a00:1::2"), &h.local[1], &subnet) == ERR_OK);
	h.crc = journal_header_crc(&h);
	memset(file, 0, journal_size(h.cells));
	memcpy(file, &h, sizeof(h));
	memcpy(file + JOURNAL_PAGE, cells, len);
	for (uint32_t i = 0; sealed && i < h.cells; i++)
		seal(file + JOURNAL_PAGE + i * JOURNAL_CELL, i);
	return journal_size(h.cells);
}

static unsigned remove_all(struct relay *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2 * (LAST_PORT + 1 - FIRST_PORT); i++) {
		uint16_t port = (uint16_t)(FIRST_PORT + i / 2);
		struct alloc *a = table_by_port(r->table, i % 2, port);

		must(a != NULL);
		if (a->second || !alloc_alive(a, NOW_S))
			continue;
		must(table_find_one(r->table, &a->key) == a && swap16(a->relay_port) == port && a->local == i % 2);
		must(a->username_len <= TURN_USERNAME_MAX && a->expires_s - NOW_S <= 86400);
		must(a->other == 0 || r->table->slots[a->other - 1].second);
		for (unsigned k = 0; alloc_peers(a) != NULL && k < alloc_peers(a)->chans; k++)
			must(peers_chans(alloc_peers(a))[k].perm < alloc_peers(a)->perms);
		table_remove(r->table, a);
		n++;
	}
	rcu_quiescent(r->rcu, 0);
	uint32_t cursor = table_sweep_words(r->table) - 1;
	(void)table_sweep(r->table, &cursor, 1, NOW_S + 100);
	neigh_init(&r->neigh);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct relay *relay;
	static uint64_t file[(2 * JOURNAL_PAGE + CELLS_MAX * JOURNAL_CELL) / sizeof(uint64_t)];
	struct restore_counts counts;
	struct journal_view v;
	uint32_t drops = 0;

	if (relay == NULL) {
		start_eal();
		relay = make_relay();
	}
	if (size == 0)
		return 0;
	unsigned kind = data[0] % 3;
	size_t len = MIN(size - 1, sizeof(file));
	if (kind == 0)
		memcpy(file, data + 1, len);
	else
		len = with_header((uint8_t *)file, data + 1, size - 1, kind == 2);
	/* A copy of just that size: what is read behind its end is seen. */
	uint8_t *exact = malloc(len > 0 ? len : 1);
	must(exact != NULL);
	memcpy(exact, file, len);
	if (journal_view_open(exact, len, boot, &v) == ERR_OK && v.cells <= CELLS_MAX) {
		must(restore_all(relay, &v, NOW_S, &counts) == ERR_OK);
		for (unsigned i = 0; i < RESTORE_PEER_CORRUPT; i++)
			drops += counts.drops[i];
		must(counts.allocations + counts.reservations + drops <= v.cells || v.live > 0);
		must(table_count(relay->table) == counts.allocations && remove_all(relay) == counts.allocations);
		must(table_count(relay->table) == 0);
	}
	free(exact);
	return 0;
}
