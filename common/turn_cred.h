/* Time-limited TURN credentials in the "TURN REST" form: minted by the API, verified by the relay, no state in between.
 *   user name = <expiry, s since 1970> ":" <user> [":" <call>]        password = base64(HMAC-SHA1(secret, user name))
 * `call` is the 32 hex digits of the RFC 7989 Session-ID that the page sends in its INVITE or 200: by it the relay knows whose call an
 * allocation belongs to, and frees it when signalling says that the call ended.
 * Source: draft-uberti-behave-turn-rest-00 §2.2; RFC 8489 §9.2 for the long-term key. */
#ifndef DUPLEX_COMMON_TURN_CRED_H
#define DUPLEX_COMMON_TURN_CRED_H

#include "common/stun.h"

#define TURN_CALL_LEN 32u
#define TURN_USERNAME_MAX 128u
#define TURN_PASSWORD_LEN 28u /* base64 of 20 bytes */

/* A long-term key: 16 bytes made with MD5 or 32 made with SHA-256; len 0 = none. */
struct turn_key {
	uint8_t len;
	uint8_t bytes[SHA256_LEN];
};

static inline struct str turn_key_view(const struct turn_key *k)
{
	return str_of(k->bytes, k->len);
}

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
/* RFC 8489 §9.2.2, §18.5.1: the hash of username ":" realm ":" password, the key of both integrity attributes. The
 * password is taken as it is. ERR_TOO_LARGE if the three have more than TURN_KEY_TEXT bytes. */
#define TURN_KEY_TEXT (TURN_USERNAME_MAX + 512u)
enum err turn_key_make(enum stun_password_algorithm a, struct str username, struct str realm, struct str password,
		       struct turn_key *out);
/* The same with the password that belongs to `username`. */
enum err turn_cred_key_as(enum stun_password_algorithm a, struct str secret, struct str username, struct str realm,
			  struct turn_key *out);
/* With MD5, as all clients that know only RFC 5389. */
enum err turn_cred_key(struct str secret, struct str username, struct str realm, uint8_t key[MD5_LEN]);
/* USERHASH (RFC 8489 §14.4): SHA-256(username ":" realm). ERR_TOO_LARGE as above. */
enum err turn_userhash(struct str username, struct str realm, uint8_t out[SHA256_LEN]);

#endif
