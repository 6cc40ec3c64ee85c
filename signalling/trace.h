/* The SIP of one user or of one call, kept for an administrator who asked for it: a ring of at most so many messages and bytes, and for so long.
 * Owner: the worker's thread. */
#ifndef DUPLEX_SIGNALLING_TRACE_H
#define DUPLEX_SIGNALLING_TRACE_H

#include "common/buf.h"
#include "common/timer.h"
#include "signalling/sip_msg.h"
#include "signalling/tap.h"

struct trace;

#define TRACE_MESSAGES_MAX 5000u
#define TRACE_BYTES_MAX (8u << 20)
#define TRACE_SECONDS_MAX 3600u

/* `user` or `call_id`, the other empty; both copied. It takes nothing more after `seconds`, and is freed by its owner. */
enum err trace_new(struct str user, struct str call_id, uint64_t now_ms, uint64_t seconds, struct trace **out);
/* NULL is fine. */
void trace_free(struct trace *t);
/* Its time is over. */
bool trace_over(const struct trace *t, uint64_t now_ms);
/* Whether a message on a connection of `user` belongs to it; `m` NULL: it could not be read. */
bool trace_wants(const struct trace *t, struct str user, const struct sip_msg *m);
/* The oldest ones give way. */
void trace_add(struct trace *t, const struct tap_message *m, uint64_t wall_us);
/* {"dropped":N,"messages":[{"at_us","to_client","user","address","slot","text"}…]} */
void trace_put(struct buf *out, const struct trace *t);

#endif
