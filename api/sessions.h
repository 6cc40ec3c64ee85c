/* Sessions and one-time tickets in Redis. A session's secret is in the cookie only; Redis knows its hash as the
 * session's ID. Every end of a session is told to the signalling workers in the same pipeline. */
#ifndef DUPLEX_API_SESSIONS_H
#define DUPLEX_API_SESSIONS_H

#include "api/users.h"
#include "common/rkeys.h"

#define SESSION_SECRET_LEN 32u
#define SESSION_ID_SIZE 33u
#define SESSION_COOKIE_MAX (USER_NAME_MAX + 1 + 43 + 1)
#define SESSIONS_PER_USER 32u /* the oldest gives way */
#define SERIAL_SIZE 33u       /* 128-bit serial in hex */

struct session {
	char id[SESSION_ID_SIZE];
	uint64_t created_ms, seen_ms, expires_ms;
	char method[16];          /* password | certificate */
	char address[64];
	char agent[200];
	char certificate[SERIAL_SIZE]; /* the serial it was made with; empty for a password */
};

struct session_new {
	struct str user;
	struct str password; /* the stored text that was verified; empty for a certificate */
	struct str certificate;
	struct str address, agent;
	uint64_t now_ms, idle_ms, absolute_ms;
};

/* Makes a session. Writes the cookie's value (to be wiped) and the record. Refused in one step with the user's
 * state: ERR_FORBIDDEN if disabled, ERR_CONFLICT if the password or the certificate was changed meanwhile. */
enum err sessions_create(struct rds *r, const struct session_new *n, char cookie[SESSION_COOKIE_MAX], struct session *out);

/* Splits a cookie's value. ERR_INVALID. `user` borrows from it. */
enum err sessions_parse_cookie(struct str value, struct str *user, char id[SESSION_ID_SIZE]);

/* The session and its user in one round trip. ERR_NOT_FOUND: ended, expired, or the user is disabled. */
enum err sessions_get(struct rds *r, struct str user, struct str id, uint64_t now_ms, struct session *session, struct user *owner);
/* Notes that it was used, and moves its idle end; never brings an ended session back. */
enum err sessions_touch(struct rds *r, struct str user, const struct session *s, uint64_t now_ms, uint64_t idle_ms);

typedef void (*sessions_fn)(void *user, const struct session *s);
enum err sessions_list(struct rds *r, struct str user, uint64_t now_ms, sessions_fn fn, void *arg);
/* ERR_NOT_FOUND. */
enum err sessions_end(struct rds *r, struct str user, struct str id);
/* Sets a new password text and ends all sessions but `keep`. ERR_CONFLICT if the stored text is not `old` any
 * more (`old` empty: whatever it is). */
enum err sessions_change_password(struct rds *r, struct str user, struct str old, struct str new, struct str keep);
/* Ends those made with the certificate `serial`, queued on the pipeline. */
enum err sessions_queue_end_certificate(struct rds *r, struct str user, struct str serial, size_t *queued);

#endif
