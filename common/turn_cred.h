/* Time-limited TURN credentials in the "TURN REST" form: minted by the API, verified by the relay, no state in between.
 *   user name = <expiry, s since 1970> ":" <user> [":" <call>]        password = base64(HMAC-SHA1(secret, user name))
 * `call` is the 32 hex digits of the RFC 7989 Session-ID that the page sends in its INVITE or 200: by it the relay knows whose call an
 * allocation belongs to, and frees it when signalling says that the call ended.
 * Source: draft-uberti-behave-turn-rest-00 §2.2; RFC 8489 §9.2 for the long-term key. */
#ifndef DUPLEX_COMMON_TURN_CRED_H
#define DUPLEX_COMMON_TURN_CRED_H

#include "common/crypto.h"

#define TURN_CALL_LEN 32u
#define TURN_USERNAME_MAX 128u
#define TURN_PASSWORD_LEN 28u /* base64 of 20 bytes */

struct turn_cred {
	uint64_t expires_s;
	struct str user; /* borrows from the user name; may be any text for foreign clients */
	struct str call; /* empty if there is none */
};

/* Writes the user name into `out` (at most TURN_USERNAME_MAX bytes). `call` may be empty. */
void turn_cred_username(struct buf *out, uint64_t expires_s, struct str user, struct str call);
/* Base64 password for `username`. */
void turn_cred_password(struct str secret, struct str username, char out[TURN_PASSWORD_LEN + 1]);
/* Splits a user name. ERR_INVALID if it has not the form, ERR_EXPIRED if now_s is past its expiry. */
enum err turn_cred_parse(struct str username, uint64_t now_s, struct turn_cred *out);
/* RFC 8489 §9.2.2: MD5(username ":" realm ":" password), the key of MESSAGE-INTEGRITY. */
enum err turn_cred_key(struct str secret, struct str username, struct str realm, uint8_t key[MD5_LEN]);

#endif
