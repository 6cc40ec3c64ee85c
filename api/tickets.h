/* One-time tickets: 256 random bits that stand for something for TICKET_TTL_S, kept in Redis by their hash,
 * taken once. */
#ifndef DUPLEX_API_TICKETS_H
#define DUPLEX_API_TICKETS_H

#include "api/sessions.h"

#define TICKET_SIZE 44u /* base64url of 32 bytes, with NUL */

/* What a ticket stands for: a WebSocket of a session, or a login that a client certificate has proved. One is
 * never taken for the other. */
struct ticket {
	char user[USER_NAME_SIZE];
	char session[SESSION_ID_SIZE]; /* empty for a login */
	char serial[SERIAL_SIZE];      /* empty for a WebSocket */
};

/* A new ticket for `t`, written to `out` with NUL (to be wiped). Errors of Redis. */
enum err tickets_make(struct rds *r, const struct ticket *t, char out[TICKET_SIZE]);
/* ERR_NOT_FOUND: unknown, used or expired. */
enum err tickets_take(struct rds *r, struct str text, struct ticket *out);

#endif
