/* Allocations, permissions, channels and reservations back from the journal, after a kill or an upgrade. Before any
 * worker runs. What does not fit this configuration, or is damaged or over, is left out and counted. */
#ifndef DUPLEX_RELAY_RESTORE_H
#define DUPLEX_RELAY_RESTORE_H

#include "common/counter.h"
#include "relay/journal_format.h"

/* Why something of the journal was not taken over. The last two are permissions and channels, the others whole
 * allocations and reservations. */
#define RESTORE_DROPS(X)                                                                              \
	X(RESTORE_CORRUPT, "corrupt", "its check sum is wrong")                                       \
	X(RESTORE_MISSING, "missing", "lost with pages or the end of the file")                       \
	X(RESTORE_EXPIRED, "expired", "over meanwhile")                                               \
	X(RESTORE_SUPERSEDED, "superseded", "a later state of the same was found")                    \
	X(RESTORE_ADDRESS, "address", "its address is no more the relay's")                           \
	X(RESTORE_PORT, "port", "its port is outside the range, or not the TURN port")                \
	X(RESTORE_LIMIT, "limit", "beyond max-allocations")                                           \
	X(RESTORE_PEER_CORRUPT, "peer_corrupt", "permission or channel with a wrong check sum")       \
	X(RESTORE_PEER_DENIED, "peer_denied", "permission or channel to a peer that is now denied")
COUNTER_ENUM(restore_drop, RESTORE_DROPS, RESTORE_DROP_COUNT);
extern const struct counter_name restore_drop_names[RESTORE_DROP_COUNT];

struct restore_counts {
	uint32_t allocations, reservations, permissions, channels;
	uint32_t drops[RESTORE_DROP_COUNT];
};

struct relay;
/* Opens the journal at `path`, restores what it holds and keeps it from then on: r->journal and r->restored are set.
 * `max` allocations; now_s as struct path has it. When there is no room for a journal the relay goes without, which is
 * logged. The caller closes r->journal. On failure `why` holds one sentence. */
enum err restore_start(struct relay *r, const char *path, uint32_t max, uint32_t now_s, char *why, size_t why_size);

/* Fills the relay's table, which has its journal already, from the view; now_s as struct path has it. Next hops are
 * known to the neighbour cache afterwards and asked for at the first tick. ERR_NO_MEMORY. */
enum err restore_all(struct relay *r, const struct journal_view *v, uint32_t now_s, struct restore_counts *out);

#endif
