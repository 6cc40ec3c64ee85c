/* The journal's bytes, and how they are read back: a header page, cells of 256 bytes, and the header once more. One
 * snapshot of an allocation is a head cell and, if it has many peers, more cells in a chain. Every part carries a
 * CRC32C bound to its place and to the number of its snapshot, so that what is torn, damaged or stale is known as
 * such, piece by piece. Only the deadlines change in place: each is one aligned 64-bit word with its own check, stored
 * by one instruction, which a killed process has done or not done.
 *
 * Reading is a pure function of the bytes, for they may come from anywhere. Integers are in the machine's own order:
 * a journal never leaves its machine, nor outlives a boot. */
#ifndef DUPLEX_RELAY_JOURNAL_FORMAT_H
#define DUPLEX_RELAY_JOURNAL_FORMAT_H

#include <stdatomic.h>

#include "common/crypto.h"
#include "common/turn_cred.h"
#include "relay/addr.h"

#define JOURNAL_MAGIC "DPXJRNL"
#define JOURNAL_VERSION 1u   /* of the layout below: another one is not read */
#define JOURNAL_PAGE 4096u
#define JOURNAL_CELL 256u
#define JOURNAL_LOCALS 32u
#define JOURNAL_BOOT_LEN 16u
#define JOURNAL_CELLS_MAX (1u << 24)

/* At the start of the first page, and again behind the last cell. */
struct journal_header {
	char magic[8];
	uint32_t version, cell_size, cells, locals;
	uint8_t boot[JOURNAL_BOOT_LEN]; /* the kernel's name for this boot: deadlines are in its clock */
	struct addr local[JOURNAL_LOCALS]; /* the relay's addresses; cells name them by index */
	uint32_t crc;                   /* of all before */
};

/* In the middle of the first page: what changes while the relay runs. */
struct journal_state {
	_Atomic uint64_t starts;        /* word: starts from this journal in a row that did not get far */
	_Atomic uint32_t live;          /* heads in use, to tell how many are missing */
};
#define JOURNAL_STATE_AT 2048u

enum journal_kind { JOURNAL_FREE, JOURNAL_ALLOCATION, JOURNAL_RESERVATION, JOURNAL_MORE };

/* A permission (number and port 0), a channel, or what a dual allocation has for each of its halves (RFC 8656 §7.2). */
#define JOURNAL_OWN_HALF 0xffffu   /* as `number`: when its own relayed address ends; the deadline 0 = it has */
#define JOURNAL_OTHER_HALF 0xfffeu /* the other relayed address and port, and when they end */
struct journal_entry {
	struct addr ip;
	uint16_t port, number;          /* network order */
	uint32_t crc;                   /* of all before, with the snapshot and the place */
	_Atomic uint64_t deadline;      /* word, checked against crc */
};

struct journal_head {
	_Atomic uint64_t seq;           /* number of the snapshot; 0 = cell not in use. Stored last */
	uint32_t crc;                   /* of all from `next` to the end of the user name */
	uint32_t next;                  /* index + 1 of the next cell of the snapshot, 0 = none */
	uint16_t entries;               /* of the whole snapshot: halves, permissions, channels */
	uint16_t perms;                 /* how many of them are permissions */
	uint8_t kind, proto, key_len, username_len;
	uint8_t service, relayed;       /* addresses, as indices into header.local */
	uint8_t halves;                 /* entries of halves: 0 or 2 */
	uint8_t refused_family;         /* as in struct alloc */
	uint16_t refused_code;
	uint16_t service_port, client_port, relayed_port; /* network order; of a reservation only the last */
	struct addr client;
	uint16_t ticket, zero;          /* ticket: number of the MOBILITY-TICKET that is good now (RFC 8016) */
	_Atomic uint64_t deadline;      /* word, checked against crc */
	uint32_t lifetime_s;
	uint8_t tid[STUN_TID_LEN];
	uint8_t token[8];               /* RESERVATION-TOKEN */
	uint8_t key[SHA256_LEN];
	char username[];                /* then, aligned to 8, entries as far as they fit */
};

struct journal_more {
	_Atomic uint64_t seq;
	uint32_t crc;                   /* of all from `next` on */
	uint32_t next;
	uint32_t head;                  /* index of the snapshot's head */
	uint8_t kind, zero[3];
	uint32_t zeros[2];
	struct journal_entry entry[];
};

#define JOURNAL_MORE_ENTRIES ((JOURNAL_CELL - sizeof(struct journal_more)) / sizeof(struct journal_entry))

static_assert(sizeof(struct journal_header) <= JOURNAL_STATE_AT, "the header does not reach into the state");
static_assert(sizeof(struct journal_entry) == 32 && sizeof(struct journal_more) == 32, "the layout is version 1");
static_assert(offsetof(struct journal_head, username) + TURN_USERNAME_MAX <= JOURNAL_CELL, "the longest user name fits");

/* Entries that fit into a head with a user name of that length, and where they begin. */
static inline unsigned journal_head_entries_at(unsigned username_len)
{
	return (unsigned)((offsetof(struct journal_head, username) + username_len + 7) & ~7u);
}

static inline unsigned journal_head_entries(unsigned username_len)
{
	return (JOURNAL_CELL - journal_head_entries_at(username_len)) / (unsigned)sizeof(struct journal_entry);
}

/* Bytes of a whole journal. */
static inline size_t journal_size(uint32_t cells)
{
	return 2 * (size_t)JOURNAL_PAGE + (size_t)cells * JOURNAL_CELL;
}

/* A value and its check in one word. */
uint64_t journal_word(uint32_t value, uint32_t seed);
bool journal_word_ok(uint64_t word, uint32_t seed);
uint32_t journal_header_crc(const struct journal_header *h);
uint32_t journal_head_crc(const struct journal_head *h, uint64_t seq, uint32_t cell);
uint32_t journal_more_crc(const struct journal_more *m, uint64_t seq, uint32_t cell);
uint32_t journal_entry_crc(const struct journal_entry *e, uint64_t seq, uint32_t cell, unsigned place);

/* A journal in memory, its header checked. */
struct journal_view {
	const uint8_t *p;       /* borrowed: cell 0 */
	uint32_t cells;         /* that are there in full */
	uint32_t live;          /* heads that were in use, as the writer counted; 0 = not known */
	struct journal_header header;
};

/* What one head cell says. */
struct journal_record {
	enum journal_kind kind; /* ALLOCATION or RESERVATION */
	uint64_t seq;
	uint32_t cell;
	uint32_t expires_s, lifetime_s;
	struct addr service, relayed, client;
	uint16_t service_port, relayed_port, client_port; /* network order */
	uint8_t proto, key_len;
	const uint8_t *tid, *token, *key; /* into the view */
	struct str username;
	unsigned entries, halves, perms;
	uint8_t refused_family;
	uint16_t refused_code, ticket;
};

struct journal_peer {
	struct addr ip;
	uint16_t port, number; /* network order; number 0 = a permission, JOURNAL_OWN_HALF and _OTHER_HALF as they say */
	uint32_t expires_s;
};

/* Where a walk over a record's peers stands; start with zeros. */
struct journal_cursor {
	uint32_t cell;   /* index + 1 */
	unsigned place, seen;
};

/* Checks header and size. `p` must be aligned to 8. ERR_INVALID: no header is intact; ERR_UNSUPPORTED: another
 * version; ERR_EXPIRED: of another boot. */
enum err journal_view_open(const void *p, size_t len, const uint8_t boot[JOURNAL_BOOT_LEN], struct journal_view *out);
/* ERR_NOT_FOUND: cell is free or part of another; ERR_INVALID: it is damaged. */
enum err journal_view_record(const struct journal_view *v, uint32_t cell, struct journal_record *out);
/* The next peer of a record. ERR_INVALID: this one is damaged, go on; ERR_NOT_FOUND: the end; what is then missing of
 * r->entries is r->entries - cursor->seen. */
enum err journal_view_peer(const struct journal_view *v, const struct journal_record *r, struct journal_cursor *c,
			   struct journal_peer *out);

#endif
