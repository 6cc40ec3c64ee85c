/* The login session behind a connection: whether it is still there, when it ends, and its end.
 *
 * nginx asks the API before an upgrade, but what the API said may be old when the upgrade is done: a client can be slow, and a session has an end.
 * So a worker asks Redis itself: once when the connection is among those that an event closes, and before any SIP of it is read; again when
 * the session's time is over, as far as it was known; and every few minutes, should an event have been lost. */
#ifndef DUPLEX_SIGNALLING_SESSION_H
#define DUPLEX_SIGNALLING_SESSION_H

#include "common/rds_async.h"
#include "common/rkeys.h"

struct worker;

enum session_state {
	SESSION_VALID,
	SESSION_GONE,    /* ended, expired, or the user is not active */
	SESSION_CHANGED, /* it is there, but the user's record is not the one that the permissions came from */
};

/* The key whose being there keeps the session alive: of a login, or of a device (common/device.h). */
struct rkey session_key(struct str user, struct str session);
/* Asks Redis, with the deadline of every command (rds_async.h; rds_async_forget by `user_data`). `fn` reads the reply with session_answer, unless Redis
 * did not answer, which says nothing about the session. `revision`: of the user's record; empty = any. */
void session_ask(struct worker *w, struct str user, struct str session, struct str revision, rds_async_fn fn, void *user_data);
/* *left_ms (SESSION_VALID only): how long the session lasts unless it is prolonged; UINT64_MAX = no end. */
enum session_state session_answer(const struct redisReply *reply, uint64_t *left_ms);

/* The session has ended, or all of the user when `session` is empty: calls first, while both sides can still be told; then the sockets (4001); then
 * the bindings. */
void session_end(struct worker *w, struct str user, struct str session);

#endif
