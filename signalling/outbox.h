/* Stream entries that must not be lost: call records, and what the relays must hear. Each is written exactly once, as soon as Redis takes it;
 * until then it is kept in memory and, from the first failure on, in a file of the run directory, which the next process of this worker goes on
 * with. Both are bounded; what finds no room is counted and logged.
 *
 * Exactly once: an attempt whose answer does not come may have been carried out, or may still be. So the script refuses to act after a time
 * that it was given (in Redis's own clock), the next attempt waits until that is over, and then looks first whether the record is there. */
#ifndef DUPLEX_SIGNALLING_OUTBOX_H
#define DUPLEX_SIGNALLING_OUTBOX_H

#include "common/counter.h"
#include "common/err.h"
#include "common/str.h"

struct outbox;
struct worker;

#define OUTBOX_COUNTERS(X)                                                                             \
	X(OUTBOX_WRITTEN, "written", "entries that Redis has taken")                                   \
	X(OUTBOX_FOUND, "found", "entries that an earlier attempt had written after all")              \
	X(OUTBOX_LATE, "late", "attempts that reached Redis too late and were made again")             \
	X(OUTBOX_KEPT, "kept", "entries put into the file because Redis did not take them")            \
	X(OUTBOX_RECOVERED, "recovered", "entries found in the file of an earlier process")            \
	X(OUTBOX_LOST_FULL, "lost_full", "entries lost: memory and file were full")                    \
	X(OUTBOX_LOST_REFUSED, "lost_refused", "entries lost: Redis refused them again and again")     \
	X(OUTBOX_LOST_DAMAGED, "lost_damaged", "file ends that could not be read")
COUNTER_ENUM(outbox_counter, OUTBOX_COUNTERS, OUTBOX_C_COUNT);
extern const struct counter_name outbox_counter_names[];

/* Reads what an earlier process left in `path` (borrowed for the call). `file_max`: bytes of the file, 0 = memory alone. A file that cannot be
 * opened is logged; then memory must do. ERR_NO_MEMORY. */
enum err outbox_new(struct worker *w, const char *path, size_t file_max, struct outbox **out);
/* After Redis was let go: what is not written yet stays in the file. NULL is fine. */
void outbox_free(struct outbox *o);
/* Redis is (back) there. */
void outbox_redis_up(struct outbox *o);

/* XADD `key` MAXLEN ~ `max` * fields… ; all copied. If the first field is "id", its value tells the entry from all others of the stream, and it
 * is written exactly once; else at least once. */
void outbox_put(struct outbox *o, struct str key, struct str max, size_t count, const struct str *fields);

/* OUTBOX_C_COUNT words, borrowed; written by the worker's thread only. */
const uint64_t *outbox_counters(const struct outbox *o);
/* Entries that wait in memory, bytes in the file. */
size_t outbox_waiting(const struct outbox *o);
size_t outbox_file_bytes(const struct outbox *o);

#endif
