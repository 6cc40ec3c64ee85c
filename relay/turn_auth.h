/* The long-term credential mechanism (RFC 8489 §9.2) over TURN-REST credentials, with a stateless nonce: the
 * time and a MAC over it and the sender's address. Nothing is kept for a sender that has not proved who it is. */
#ifndef DUPLEX_RELAY_TURN_AUTH_H
#define DUPLEX_RELAY_TURN_AUTH_H

#include "relay/turn.h"

#define TURN_NONCE_LEN 16u /* base64url of 4 bytes of time and 8 of MAC */

/* Checks the request's credentials and, if there is an allocation, that it is its owner's. TURN_OK:
 * q->username, q->cred and q->key_md5 are set and the answer will carry integrity. */
enum turn_code turn_auth_check(struct turn_req *q);
/* REALM and a fresh NONCE for a 401 or 438. */
void turn_auth_challenge(struct turn_req *q);

/* Exposed for tests. */
void turn_auth_nonce(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, char out[TURN_NONCE_LEN]);
bool turn_auth_nonce_fresh(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, struct str nonce);

#endif
