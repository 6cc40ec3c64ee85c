#include "relay/journal_format.h"

#include <rte_hash_crc.h>
#include <string.h>

#define SEED 0x6a726e6cu

/* rte_hash_crc() reads words where they lie, which the layout does not allow. */
static uint32_t crc_bytes(const void *p, size_t len, uint32_t crc)
{
	const uint8_t *at = p;
	uint64_t word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		crc = rte_hash_crc_8byte(word, crc);
	}
	for (; len > 0; at++, len--)
		crc = rte_hash_crc_1byte(*at, crc);
	return crc;
}

uint64_t journal_word(uint32_t value, uint32_t seed)
{
	return (uint64_t)~rte_hash_crc_4byte(value, seed ^ SEED) << 32 | value;
}

bool journal_word_ok(uint64_t word, uint32_t seed)
{
	return journal_word((uint32_t)word, seed) == word;
}

static uint32_t crc_place(uint64_t seq, uint32_t cell, uint32_t place)
{
	return rte_hash_crc_8byte(seq, rte_hash_crc_8byte((uint64_t)cell << 32 | place, SEED));
}

uint32_t journal_header_crc(const struct journal_header *h)
{
	return ~crc_bytes(h, offsetof(struct journal_header, crc), SEED);
}

uint32_t journal_head_crc(const struct journal_head *h, uint64_t seq, uint32_t cell)
{
	const size_t a = offsetof(struct journal_head, next), b = offsetof(struct journal_head, deadline),
		     c = offsetof(struct journal_head, lifetime_s), end = offsetof(struct journal_head, username);
	uint32_t crc = crc_bytes((const uint8_t *)h + a, b - a, crc_place(seq, cell, 0));

	return ~crc_bytes((const uint8_t *)h + c, end + h->username_len - c, crc);
}

uint32_t journal_more_crc(const struct journal_more *m, uint64_t seq, uint32_t cell)
{
	const size_t a = offsetof(struct journal_more, next);

	return ~crc_bytes((const uint8_t *)m + a, sizeof(*m) - a, crc_place(seq, cell, 1));
}

uint32_t journal_entry_crc(const struct journal_entry *e, uint64_t seq, uint32_t cell, unsigned place)
{
	return ~crc_bytes(e, offsetof(struct journal_entry, crc), crc_place(seq, cell, place + 2));
}

static enum err check_header(const struct journal_header *h, const uint8_t boot[JOURNAL_BOOT_LEN])
{
	if (memcmp(h->magic, JOURNAL_MAGIC, sizeof(h->magic)) != 0)
		return ERR_INVALID;
	/* Another version may have another layout behind this field, checksum and all. */
	if (h->version != JOURNAL_VERSION || h->cell_size != JOURNAL_CELL)
		return ERR_UNSUPPORTED;
	if (h->crc != journal_header_crc(h) || h->cells == 0 || h->cells > JOURNAL_CELLS_MAX || h->locals > JOURNAL_LOCALS)
		return ERR_INVALID;
	return memcmp(h->boot, boot, JOURNAL_BOOT_LEN) == 0 ? ERR_OK : ERR_EXPIRED;
}

enum err journal_view_open(const void *p, size_t len, const uint8_t boot[JOURNAL_BOOT_LEN], struct journal_view *out)
{
	const uint8_t *bytes = p;
	struct journal_view v = { 0 };

	if (len < 2 * (size_t)JOURNAL_PAGE)
		return ERR_INVALID;
	memcpy(&v.header, bytes, sizeof(v.header));
	enum err first = check_header(&v.header, boot);
	if (first != ERR_OK) {
		/* The copy: its place follows from the size, which only a whole file has. */
		memcpy(&v.header, bytes + len - len % JOURNAL_CELL - JOURNAL_PAGE, sizeof(v.header));
		if (check_header(&v.header, boot) != ERR_OK || journal_size(v.header.cells) != len)
			return first;
	}
	const struct journal_state *state = (const struct journal_state *)(const void *)(bytes + JOURNAL_STATE_AT);
	v.p = bytes + JOURNAL_PAGE;
	v.cells = (uint32_t)MIN((size_t)v.header.cells, (len - JOURNAL_PAGE) / JOURNAL_CELL);
	v.live = first == ERR_OK ? MIN(atomic_load_explicit(&state->live, memory_order_relaxed), v.header.cells) : 0;
	*out = v;
	return ERR_OK;
}

static const void *cell_at(const struct journal_view *v, uint32_t cell)
{
	return v->p + (size_t)cell * JOURNAL_CELL;
}

enum err journal_view_record(const struct journal_view *v, uint32_t cell, struct journal_record *out)
{
	const struct journal_head *h = cell_at(v, cell);
	uint64_t seq = atomic_load_explicit(&h->seq, memory_order_relaxed);

	if (seq == 0 || h->kind == JOURNAL_MORE)
		return ERR_NOT_FOUND;
	if ((h->kind != JOURNAL_ALLOCATION && h->kind != JOURNAL_RESERVATION) || h->username_len > TURN_USERNAME_MAX ||
	    h->key_len > SHA256_LEN || h->crc != journal_head_crc(h, seq, cell) || h->service >= v->header.locals ||
	    h->relayed >= v->header.locals || (h->halves != 0 && h->halves != 2) || h->halves + h->perms > h->entries)
		return ERR_INVALID;
	uint64_t deadline = atomic_load_explicit(&h->deadline, memory_order_relaxed);
	if (!journal_word_ok(deadline, h->crc))
		return ERR_INVALID;
	*out = (struct journal_record){
		.kind = (enum journal_kind)h->kind, .seq = seq, .cell = cell, .expires_s = (uint32_t)deadline,
		.lifetime_s = h->lifetime_s, .service = v->header.local[h->service], .relayed = v->header.local[h->relayed],
		.client = h->client, .service_port = h->service_port, .relayed_port = h->relayed_port,
		.client_port = h->client_port, .proto = h->proto, .key_len = h->key_len, .tid = h->tid, .token = h->token,
		.key = h->key, .username = str_of(h->username, h->username_len), .entries = h->entries,
		.halves = h->halves, .perms = h->perms, .refused_family = h->refused_family, .refused_code = h->refused_code, .ticket = h->ticket,
	};
	return ERR_OK;
}

/* The entry at the cursor, or NULL when the cell has no more; then *next is the cell that follows. */
static const struct journal_entry *entry_at(const struct journal_view *v, const struct journal_record *r,
					    const struct journal_cursor *c, uint32_t *next)
{
	const struct journal_head *h = cell_at(v, r->cell);
	const struct journal_more *m = cell_at(v, c->cell - 1);

	if (c->cell - 1 == r->cell) {
		*next = h->next;
		return c->place < journal_head_entries(h->username_len)
			       ? (const struct journal_entry *)(const void *)((const uint8_t *)h +
									      journal_head_entries_at(h->username_len)) +
					 c->place
			       : NULL;
	}
	*next = m->next;
	return c->place < JOURNAL_MORE_ENTRIES ? &m->entry[c->place] : NULL;
}

/* Whether the entry is of the sort that stands at this place of the snapshot. */
static bool fits(const struct journal_record *r, unsigned seen, uint16_t number)
{
	if (seen < r->halves)
		return number == (seen == 0 ? JOURNAL_OWN_HALF : JOURNAL_OTHER_HALF);
	return (number != 0) == (seen >= r->halves + r->perms) && number != JOURNAL_OWN_HALF && number != JOURNAL_OTHER_HALF;
}

/* A cell that continues the snapshot `r`. */
static bool continues(const struct journal_view *v, const struct journal_record *r, uint32_t cell)
{
	const struct journal_more *m = cell_at(v, cell);

	return atomic_load_explicit(&m->seq, memory_order_relaxed) == r->seq && m->kind == JOURNAL_MORE && m->head == r->cell &&
	       m->crc == journal_more_crc(m, r->seq, cell);
}

enum err journal_view_peer(const struct journal_view *v, const struct journal_record *r, struct journal_cursor *c,
			   struct journal_peer *out)
{
	uint32_t next;

	if (c->cell == 0)
		*c = (struct journal_cursor){ .cell = r->cell + 1 };
	if (c->seen == r->entries)
		return ERR_NOT_FOUND;
	const struct journal_entry *e = entry_at(v, r, c, &next);
	if (e == NULL) {
		/* seen < entries <= UINT16_MAX ends a chain that leads in a circle. */
		if (next == 0 || next > v->cells || !continues(v, r, next - 1))
			return ERR_NOT_FOUND;
		c->cell = next;
		c->place = 0;
		e = entry_at(v, r, c, &next);
	}
	uint64_t deadline = atomic_load_explicit(&e->deadline, memory_order_relaxed);
	bool good = e->crc == journal_entry_crc(e, r->seq, c->cell - 1, c->place) && journal_word_ok(deadline, e->crc) &&
		    fits(r, c->seen, e->number);
	c->place++;
	c->seen++;
	if (!good)
		return ERR_INVALID;
	*out = (struct journal_peer){ .ip = e->ip, .port = e->port, .number = e->number, .expires_s = (uint32_t)deadline };
	return ERR_OK;
}
