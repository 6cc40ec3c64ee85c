#include "relay/journal.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "relay/journal_file.h"
#include "relay/net.h"

#define NONE 0u /* of a reference: index + 1 of a cell */

struct journal {
	struct journal_file file;
	uint8_t *cell;               /* of the file: cell 0 */
	struct journal_state *state; /* of the file */
	uint32_t cells;
	/* Cells that were in use and are free: a stack. Its head is a count of changes << 32 and a reference, so that
	 * a head that was seen before is not taken for one that never changed. */
	_Atomic uint64_t free_head;
	_Atomic uint32_t *free_next; /* owned: the reference below each cell of the stack */
	_Atomic uint32_t fresh;      /* cells from here on have never been used */
	_Atomic uint32_t used;
	_Atomic uint64_t seq, overflows;
};

enum err journal_open(const struct journal_conf *conf, struct journal **out, struct journal_view *old, enum err *state,
		      char *why, size_t why_size)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return ERR_NO_MEMORY;
	/* One cell holds an allocation with two peers or so; browsers name more. */
	j->cells = 2 * conf->max + 64;
	enum err e = journal_file_open(conf->path, conf->ifaces, j->cells, &j->file, old, state, why, why_size);
	if (e != ERR_OK) {
		free(j);
		return e;
	}
	j->cell = j->file.map + JOURNAL_PAGE;
	j->state = (struct journal_state *)(void *)(j->file.map + JOURNAL_STATE_AT);
	/* Touched only as far as cells are used. */
	j->free_next = mmap(NULL, j->cells * sizeof(*j->free_next), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (j->free_next == MAP_FAILED) {
		j->free_next = NULL;
		journal_close(j, false);
		return ERR_NO_MEMORY;
	}
	*out = j;
	return ERR_OK;
}

enum err journal_commit(struct journal *j)
{
	return journal_file_commit(&j->file);
}

void journal_settled(struct journal *j)
{
	if (j != NULL)
		journal_file_set_starts(j->file.map, 0);
}

void journal_close(struct journal *j, bool remove)
{
	if (j == NULL)
		return;
	journal_file_close(&j->file, remove);
	if (j->free_next != NULL)
		(void)munmap(j->free_next, j->cells * sizeof(*j->free_next));
	free(j);
}

static struct journal_head *head_at(struct journal *j, uint32_t ref)
{
	return (struct journal_head *)(void *)(j->cell + (size_t)(ref - 1) * JOURNAL_CELL);
}

static struct journal_more *more_at(struct journal *j, uint32_t ref)
{
	return (struct journal_more *)(void *)(j->cell + (size_t)(ref - 1) * JOURNAL_CELL);
}

/* A reference to a free cell, or NONE. What it held last is void from here on. */
static uint32_t take(struct journal *j)
{
	uint64_t head = atomic_load_explicit(&j->free_head, memory_order_acquire);
	uint32_t ref = NONE;

	while ((ref = (uint32_t)head) != NONE) {
		uint64_t below = atomic_load_explicit(&j->free_next[ref - 1], memory_order_relaxed);

		if (atomic_compare_exchange_weak_explicit(&j->free_head, &head, ((head >> 32) + 1) << 32 | below,
							  memory_order_acq_rel, memory_order_acquire))
			break;
	}
	if (ref == NONE) {
		uint32_t fresh = atomic_load_explicit(&j->fresh, memory_order_relaxed);

		do {
			if (fresh == j->cells)
				return NONE;
		} while (!atomic_compare_exchange_weak_explicit(&j->fresh, &fresh, fresh + 1, memory_order_relaxed,
								memory_order_relaxed));
		ref = fresh + 1;
	}
	atomic_fetch_add_explicit(&j->used, 1, memory_order_relaxed);
	atomic_store_explicit(&head_at(j, ref)->seq, 0, memory_order_release);
	return ref;
}

static void give(struct journal *j, uint32_t ref)
{
	uint64_t head = atomic_load_explicit(&j->free_head, memory_order_relaxed);

	do {
		atomic_store_explicit(&j->free_next[ref - 1], (uint32_t)head, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&j->free_head, &head, ((head >> 32) + 1) << 32 | ref,
							memory_order_acq_rel, memory_order_relaxed));
	atomic_fetch_sub_explicit(&j->used, 1, memory_order_relaxed);
}

/* From the first store on the snapshot is no more; then keys and names are wiped, and the cells are free. */
static void release(struct journal *j, uint32_t ref)
{
	uint32_t next = head_at(j, ref)->next;

	atomic_fetch_sub_explicit(&j->state->live, 1, memory_order_relaxed);
	atomic_store_explicit(&head_at(j, ref)->seq, 0, memory_order_release);
	explicit_bzero(head_at(j, ref), JOURNAL_CELL);
	give(j, ref);
	while (next != NONE) {
		ref = next;
		next = more_at(j, ref)->next;
		atomic_store_explicit(&more_at(j, ref)->seq, 0, memory_order_relaxed);
		give(j, ref);
	}
}

static void drop(struct journal *j, uint32_t *ref)
{
	if (*ref != NONE)
		release(j, *ref);
	*ref = NONE;
}

/* The cell can be read from now on. */
static void seal(struct journal *j, uint32_t ref, uint64_t seq, uint32_t deadline_s)
{
	struct journal_head *h = head_at(j, ref);

	h->crc = journal_head_crc(h, seq, ref - 1);
	atomic_store_explicit(&h->deadline, journal_word(deadline_s, h->crc), memory_order_relaxed);
	atomic_store_explicit(&h->seq, seq, memory_order_release);
	/* Counted after it is there and uncounted before it goes: what a kill leaves is never one too many. */
	atomic_fetch_add_explicit(&j->state->live, 1, memory_order_relaxed);
}

/* What a snapshot has entries for. */
struct parts {
	const struct alloc *a, *other; /* other: the other half, NULL = none */
	const struct peers *b;         /* NULL = none */
	unsigned halves, perms, count;
};

static struct parts parts_of(const struct alloc *a)
{
	/* Both are slots of one array. */
	struct parts p = { .a = a, .other = a->other != 0 ? a - a->slot + (a->other - 1) : NULL, .b = alloc_peers(a) };

	p.halves = p.other != NULL ? 2 : 0;
	p.perms = p.b != NULL ? p.b->perms : 0;
	p.count = p.halves + p.perms + (p.b != NULL ? p.b->chans : 0);
	return p;
}

/* Deadline of entry i. */
static uint32_t deadline_of(const struct parts *p, unsigned i)
{
	if (i < p->halves)
		return i == 0 ? p->a->half_expires_s : p->other->expires_s;
	if (i < p->halves + p->perms)
		return peers_perms(p->b)[i - p->halves].expires_s;
	return peers_chans(p->b)[i - p->halves - p->perms].expires_s;
}

static void write_entry(const struct parts *p, unsigned i, struct journal_entry *e, uint64_t seq, uint32_t ref, unsigned place)
{
	e->port = e->number = 0;
	if (i < p->halves) {
		const struct alloc *half = i == 0 ? p->a : p->other;

		e->ip = half->relay;
		e->port = half->relay_port;
		e->number = i == 0 ? JOURNAL_OWN_HALF : JOURNAL_OTHER_HALF;
	} else if (i < p->halves + p->perms) {
		e->ip = peers_perms(p->b)[i - p->halves].ip;
	} else {
		const struct chan *c = &peers_chans(p->b)[i - p->halves - p->perms];

		e->ip = c->ip;
		e->port = c->port;
		e->number = c->number;
	}
	e->crc = journal_entry_crc(e, seq, ref - 1, place);
	atomic_store_explicit(&e->deadline, journal_word(deadline_of(p, i), e->crc), memory_order_relaxed);
}

static struct journal_entry *head_entry(struct journal_head *h, unsigned place)
{
	return (struct journal_entry *)(void *)((uint8_t *)h + journal_head_entries_at(h->username_len)) + place;
}

/* Writes entries from `i` on into cells of their own; the first one's reference, and in *written how many there are in
 * all when the journal was full before the last. */
static uint32_t write_more(struct journal *j, const struct parts *p, unsigned i, uint32_t head, uint64_t seq, unsigned *written)
{
	unsigned count = p->count;
	uint32_t ref = i < count ? take(j) : NONE, first = ref;

	while (ref != NONE) {
		struct journal_more *m = more_at(j, ref);
		uint32_t here = ref;

		for (unsigned k = 0; k < JOURNAL_MORE_ENTRIES && i < count; k++, i++)
			write_entry(p, i, &m->entry[k], seq, ref, k);
		ref = i < count ? take(j) : NONE;
		m->next = ref;
		m->head = head - 1;
		m->kind = JOURNAL_MORE;
		memset(m->zero, 0, sizeof(m->zero));
		memset(m->zeros, 0, sizeof(m->zeros));
		m->crc = journal_more_crc(m, seq, here - 1);
		atomic_store_explicit(&m->seq, seq, memory_order_relaxed);
	}
	*written = i;
	return first;
}

static void write_identity(struct journal_head *h, const struct alloc *a)
{
	memset(h, 0, sizeof(*h));
	h->kind = JOURNAL_ALLOCATION;
	h->proto = a->key.proto;
	h->service = a->key.local;
	h->relayed = a->local;
	h->service_port = a->key.relay_port;
	h->client_port = a->key.client_port;
	h->relayed_port = a->relay_port;
	h->client = a->key.client;
	h->lifetime_s = a->lifetime_s;
	memcpy(h->tid, a->tid, sizeof(h->tid));
	memcpy(h->token, a->token, sizeof(h->token));
	h->refused_family = a->refused_family;
	h->refused_code = a->refused_code;
	h->ticket = a->ticket;
	h->key_len = a->auth.len;
	memcpy(h->key, a->auth.bytes, sizeof(a->auth.bytes));
	h->username_len = a->username_len;
	memcpy(h->username, a->username, a->username_len);
}

/* A new snapshot's reference, NONE if there is no cell; *whole: all peers found room. */
static uint32_t write_snapshot(struct journal *j, const struct alloc *a, uint32_t expires_s, bool *whole)
{
	struct parts p = parts_of(a);
	uint64_t seq = atomic_fetch_add_explicit(&j->seq, 1, memory_order_relaxed) + 1;
	uint32_t ref = take(j);
	unsigned count = p.count, i = 0;

	*whole = false;
	if (ref == NONE)
		return NONE;
	struct journal_head *h = head_at(j, ref);
	write_identity(h, a);
	for (unsigned room = journal_head_entries(h->username_len); i < room && i < count; i++)
		write_entry(&p, i, head_entry(h, i), seq, ref, i);
	if (i < count)
		h->next = write_more(j, &p, i, ref, seq, &i);
	h->entries = (uint16_t)i;
	h->halves = (uint8_t)MIN(p.halves, i / 2 * 2);
	h->perms = (uint16_t)MIN(p.perms, i - h->halves);
	seal(j, ref, seq, expires_s);
	*whole = i == count;
	return ref;
}

void journal_put(struct journal *j, struct alloc *a, uint32_t expires_s)
{
	uint32_t old = a->journal;
	bool whole;

	if (j == NULL || a->key.proto != IPPROTO_UDP_V4)
		return;
	a->journal = write_snapshot(j, a, expires_s, &whole);
	if (old != NONE)
		release(j, old);
	if (!whole && old != NONE) {
		/* Full, but now the old one's room is free. A kill just here would cost what did not fit. */
		drop(j, &a->journal);
		a->journal = write_snapshot(j, a, expires_s, &whole);
	}
	if (!whole)
		atomic_fetch_add_explicit(&j->overflows, 1, memory_order_relaxed);
}

static void touch_word(_Atomic uint64_t *word, uint32_t value, uint32_t seed)
{
	if ((uint32_t)atomic_load_explicit(word, memory_order_relaxed) != value)
		atomic_store_explicit(word, journal_word(value, seed), memory_order_release);
}

void journal_touch(struct journal *j, const struct alloc *a, uint32_t expires_s)
{
	if (j == NULL || a->journal == NONE)
		return;
	struct parts p = parts_of(a);
	struct journal_head *h = head_at(j, a->journal);
	unsigned room = journal_head_entries(h->username_len), place = 0;
	struct journal_entry *e = head_entry(h, 0);
	uint32_t next = h->next;

	touch_word(&h->deadline, expires_s, h->crc);
	for (unsigned i = 0; i < h->entries; i++, place++) {
		if (place == room) {
			e = more_at(j, next)->entry;
			next = more_at(j, next)->next;
			room = JOURNAL_MORE_ENTRIES;
			place = 0;
		}
		touch_word(&e[place].deadline, deadline_of(&p, i), e[place].crc);
	}
}

void journal_drop(struct journal *j, struct alloc *a)
{
	if (j != NULL)
		drop(j, &a->journal);
}

void journal_put_reservation(struct journal *j, uint32_t *ref, unsigned local, uint16_t port, const uint8_t token[8],
			     uint32_t expires_s)
{
	*ref = j != NULL ? take(j) : NONE;
	if (*ref == NONE) {
		if (j != NULL)
			atomic_fetch_add_explicit(&j->overflows, 1, memory_order_relaxed);
		return;
	}
	struct journal_head *h = head_at(j, *ref);
	memset(h, 0, sizeof(*h));
	h->kind = JOURNAL_RESERVATION;
	h->service = h->relayed = (uint8_t)local;
	h->relayed_port = swap16(port);
	memcpy(h->token, token, sizeof(h->token));
	seal(j, *ref, atomic_fetch_add_explicit(&j->seq, 1, memory_order_relaxed) + 1, expires_s);
}

void journal_drop_reservation(struct journal *j, uint32_t *ref)
{
	if (j != NULL)
		drop(j, ref);
}

uint32_t journal_cells(const struct journal *j)
{
	return j != NULL ? j->cells : 0;
}

uint32_t journal_used(const struct journal *j)
{
	return j != NULL ? atomic_load_explicit(&j->used, memory_order_relaxed) : 0;
}

uint64_t journal_overflows(const struct journal *j)
{
	return j != NULL ? atomic_load_explicit(&j->overflows, memory_order_relaxed) : 0;
}
