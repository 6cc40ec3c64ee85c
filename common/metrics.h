/* Prometheus text exposition over HTTP on a unix socket: GET /metrics, GET /health. Served in a thread of its own, so the writer must read
 * only what is safe to read from another thread (plain counters). */
#ifndef DUPLEX_COMMON_METRICS_H
#define DUPLEX_COMMON_METRICS_H

#include "common/buf.h"

struct metrics;
typedef void (*metrics_fn)(struct buf *out, void *user);

/* Listens on the unix socket `path` (replacing a stale one, mode 0660). `fn` writes the text; `user` is borrowed until metrics_stop.
 * ERR_IO, ERR_NO_MEMORY. */
enum err metrics_start(const char *path, metrics_fn fn, void *user, struct metrics **out);
/* Does not remove the socket's file. Accepts NULL. */
void metrics_stop(struct metrics *m);

/* `# HELP`, `# TYPE` lines. `type` is "counter" or "gauge". */
void metrics_head(struct buf *out, const char *name, const char *type, const char *help);
/* name{label="value"} n; label NULL for none. */
void metrics_line(struct buf *out, const char *name, const char *label, const char *value, uint64_t n);

#endif
