/* Client certificates in Redis: which serial belongs to whom, and which are revoked. nginx has checked
 * signature, dates and CRL; the record here decides, because nginx sees a new CRL only after a reload. */
#ifndef DUPLEX_API_CERTS_H
#define DUPLEX_API_CERTS_H

#include "api/ca.h"
#include "api/sessions.h"

#define CERTS_PER_USER 16u

/* The user whose certificate this is, by nginx's SSL_CLIENT_S_DN (RFC 4514) and SSL_CLIENT_SERIAL.
 * ERR_FORBIDDEN: not ours, revoked, expired, or the user is disabled. */
enum err certs_owner(struct rds *r, struct str subject, struct str serial, uint64_t now_ms, char user[USER_NAME_SIZE],
		     char serial_out[SERIAL_SIZE]);

/* ERR_FULL: CERTS_PER_USER are valid already. */
enum err certs_add(struct rds *r, struct str user, const struct ca_issued *issued, struct str label, uint64_t now_s);

typedef void (*certs_fn)(void *arg, struct str serial, uint64_t not_after_s, struct str label);
enum err certs_list(struct rds *r, struct str user, uint64_t now_s, certs_fn fn, void *arg);

/* Takes it back: the record, the sessions made with it, the list for the CRL. ERR_NOT_FOUND. */
enum err certs_revoke(struct rds *r, struct str user, struct str serial, uint64_t now_s);
/* Writes the CRL from the list. Safe from several processes at once. */
enum err certs_write_crl(struct rds *r, struct ca *ca, const char *path, uint64_t now_s);

#endif
