/* HTTP digest authentication as SIP uses it (RFC 7616, RFC 8760, RFC 3261 §22.4): reading credentials, checking them against an HA1, challenges, and
 * nonces that are kept nowhere. A nonce is the time and a random number under a MAC that also covers where the challenge was sent, so that it is of no
 * use on another connection. */
#ifndef DUPLEX_SIGNALLING_DIGEST_H
#define DUPLEX_SIGNALLING_DIGEST_H

#include "common/buf.h"
#include "common/crypto.h"

#define DIGEST_NONCE_LEN 38u      /* base64url characters */
#define DIGEST_NONCE_MS 300000u   /* a nonce is good for this long; then the client is told that it is stale */
#define DIGEST_KEY_LEN 32u

enum digest_algorithm { DIGEST_SHA256, DIGEST_MD5 };

/* Credentials. Slices borrow from the header's value; quotes are off. */
struct digest {
	struct str username, realm, nonce, uri, response, cnonce;
	struct str nc_text; /* eight hex digits, as hashed */
	uint32_t nc;
	enum digest_algorithm algorithm;
};

/* "Digest username=…, …" of Authorization or Proxy-Authorization. ERR_UNSUPPORTED: another scheme, algorithm or qop than auth. ERR_INVALID: anything else
 * that is not whole: a directive missing or twice, quoted-pairs (no login of ours needs one), nc of other than eight digits. */
enum err digest_parse(struct str value, struct digest *out);

/* Whether the response is the right one for `method` and the hex `ha1` (in constant time over the hash). */
bool digest_ok(const struct digest *d, struct str ha1, struct str method);

/* Appends the value of a challenge: Digest realm=…, nonce=…, algorithm=…, qop="auth"[, stale=true]. */
void digest_challenge_put(struct buf *to, enum digest_algorithm a, struct str realm, struct str nonce, bool stale);

/* Appends a new nonce for the place `where` (transport, address, connection) at `now_ms` (wall clock). */
void digest_nonce_put(struct buf *to, const uint8_t key[DIGEST_KEY_LEN], struct str where, uint64_t now_ms);
/* ERR_INVALID: not ours or made for another place. ERR_EXPIRED. *made: grows from nonce to nonce of one place: who has seen one takes no older one. */
enum err digest_nonce_get(struct str nonce, const uint8_t key[DIGEST_KEY_LEN], struct str where, uint64_t now_ms, uint64_t *made);

/* The nonces that one client has used lately, each with its counter: what is not beyond that is a replay (RFC 7616 §5.5). Several are kept, because many
 * clients have one for each of their registrations, calls and subscriptions at the same time. */
#define NONCES_MAX 8u
struct nonces {
	struct {
		uint64_t made; /* of digest_nonce_get; 0 = free */
		uint32_t count;
	} used[NONCES_MAX];
	uint64_t forgotten; /* the youngest that had to make room: older ones are not taken any more */
};

/* False: used before, or too old to know. Else it counts as used from now on. All zero: none was used. */
bool nonces_use(struct nonces *n, uint64_t made, uint32_t count);

#endif
