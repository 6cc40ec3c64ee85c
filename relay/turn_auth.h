/* The long-term credential mechanism (RFC 8489 §9.2) over TURN-REST credentials and a file of users, with a
 * stateless nonce: the time and a MAC over it, the sender's address and what was offered. Nothing is kept for a sender that has not
 * proved who it is. */
#ifndef DUPLEX_RELAY_TURN_AUTH_H
#define DUPLEX_RELAY_TURN_AUTH_H

#include "relay/turn.h"

#define TURN_COOKIE_LEN 13u                     /* "obMatJos2" and the security features (RFC 8489 §9.2) */
#define TURN_NONCE_MAX (TURN_COOKIE_LEN + 11u) /* and base64url of 3 bytes of time and 5 of MAC */

/* Checks the request's credentials and, if there is an allocation, that it is its owner's. TURN_OK:
 * q->username, q->cred and q->auth are set and the answer will carry integrity. */
enum turn_code turn_auth_check(struct turn_req *q);
/* REALM, a fresh NONCE and, if any are offered, PASSWORD-ALGORITHMS for a 401 or 438. */
void turn_auth_challenge(struct turn_req *q);

/* Exposed for tests. Returns the length: with the cookie only if the policy offers a feature. */
size_t turn_auth_nonce(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, char out[TURN_NONCE_MAX]);
bool turn_auth_nonce_fresh(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, struct str nonce);

#endif
