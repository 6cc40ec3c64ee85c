/* One WebSocket client: its socket, its identity, its budgets, and what hangs on it. Owned by the connection table of the worker; referred
 * to from outside only by `struct flow` (slot + generation), so that nothing ever points at a connection that is gone. */
#ifndef DUPLEX_SIGNALLING_CONN_H
#define DUPLEX_SIGNALLING_CONN_H

#include "common/counter.h"
#include "common/loop.h"
#include "signalling/flow.h"

struct conn;
struct conns;

/* Table with room for `max` connections; takes memory as they come. */
enum err conns_new(struct worker *w, size_t max, struct conns **out);
/* Closes all sockets without a word. NULL is fine. */
void conns_free(struct conns *cs);
/* Connections that have a slot: in the upgrade, open or closing. */
size_t conns_count(const struct conns *cs);
/* Those that are not admitted yet. */
size_t conns_arriving(const struct conns *cs);
/* Takes over `fd`, a connected non-blocking stream that starts with the upgrade request. Closes it on failure. */
enum err conns_accept(struct conns *cs, int fd);

/* NULL unless the flow is a living one of this worker. */
struct conn *conn_of(struct conns *cs, const struct flow *f);
/* Its name for others; borrows from the connection. */
const struct flow *conn_flow(const struct conn *c);
/* What a message of this client is handed on with; its slices borrow from the connection. */
struct origin conn_origin(const struct conn *c);
/* Queues one SIP message as one text frame. ERR_FULL closes the connection (slow reader). */
enum err conn_send(struct conn *c, struct str message);
/* Sends a close frame with `code` and `reason` (at most 123 bytes). The flow is dead from now on; what hung on it is told at the end of this turn; the
 * socket is closed when the client has answered the close, at the latest after 2 s. */
void conn_close(struct conn *c, uint16_t code, const char *reason);
/* Every connection of `user` (of that session only, unless `session` is empty) is closed. Returns how many. */
size_t conns_close_user(struct conns *cs, struct str user, struct str session, uint16_t code, const char *reason);
/* Closes all with code 1012 (restart), a batch each 50 ms spread over `spread_ms`. One on which a request waits for its answer, a call that rings above
 * all, is left until the answer is there, for `patience_ms` at most. */
void conns_drain(struct conns *cs, uint64_t spread_ms, uint64_t patience_ms);
/* Those that are left stay. */
void conns_drain_stop(struct conns *cs);
/* Calls `fn` for each open connection of `user`. */
void conns_each(struct conns *cs, struct str user, void (*fn)(struct conn *c, void *arg), void *arg);

#endif
