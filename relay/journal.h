/* The journal: every allocation with its permissions and channels, and every reservation, in a file of shared memory
 * (on tmpfs, mode 0600, for it holds the clients' keys), so that a relay that was killed or replaced goes on where it
 * was. Written by whoever changes an allocation, under the stripe lock that is held anyway, before the client hears of
 * the change: plain stores, no system call, no lock of its own. The packet path does not know of it. The layout is in
 * journal_format.h.
 *
 * A change writes a new snapshot of the allocation and then drops the old one; only deadlines change in place. So a
 * writer that is killed at any instruction leaves the old state or the new one. */
#ifndef DUPLEX_RELAY_JOURNAL_H
#define DUPLEX_RELAY_JOURNAL_H

#include "relay/alloc.h"
#include "relay/iface.h"
#include "relay/journal_format.h"

#define JOURNAL_STARTS_MAX 5u    /* starts in a row that did not get far: then the journal is to blame */
#define JOURNAL_SETTLED_MS 5000u /* what counts as having got far */

struct journal;

struct journal_conf {
	const char *path;
	const struct ifaces *ifaces; /* borrowed during journal_open */
	uint32_t max;                /* allocations */
};

/* Opens the journal at conf->path for this process alone and makes a fresh one that will replace it; what the old one
 * holds is read through *old (valid until journal_commit), whose `cells` is 0 if there was none. *state is why an old
 * one is not read: ERR_OK, ERR_INVALID (damaged), ERR_UNSUPPORTED (another version), ERR_EXPIRED (another boot),
 * ERR_CONFLICT (too many starts from it in a row failed). ERR_BUSY: another relay has it. On failure `why` holds one
 * sentence. */
enum err journal_open(const struct journal_conf *conf, struct journal **out, struct journal_view *old, enum err *state,
		      char *why, size_t why_size);
/* All that is worth keeping has been written: the fresh journal takes the old one's place. */
enum err journal_commit(struct journal *j);
/* The relay has run for JOURNAL_SETTLED_MS. */
void journal_settled(struct journal *j);
/* Unmaps and unlocks; the file stays unless `remove`. */
void journal_close(struct journal *j, bool remove);

/* What follows accepts a NULL journal, and is called under the lock of what is written. */

/* The allocation as it is, with this deadline. When the journal is full it is not kept; that is counted. Clients over
 * streams are not kept: their connection dies with the relay. */
void journal_put(struct journal *j, struct alloc *a, uint32_t expires_s);
/* Deadlines of the allocation, its permissions and channels, which have not changed otherwise. */
void journal_touch(struct journal *j, const struct alloc *a, uint32_t expires_s);
void journal_drop(struct journal *j, struct alloc *a);

/* A port that waits for its RESERVATION-TOKEN. *ref as struct alloc.journal. */
void journal_put_reservation(struct journal *j, uint32_t *ref, unsigned local, uint16_t port, const uint8_t token[8],
			     uint32_t expires_s);
void journal_drop_reservation(struct journal *j, uint32_t *ref);

uint32_t journal_cells(const struct journal *j);
uint32_t journal_used(const struct journal *j);
uint64_t journal_overflows(const struct journal *j); /* allocations and reservations not kept because it was full */

#endif
