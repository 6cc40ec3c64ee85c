/* Argon2id with a bound on how many run at once in this process, so that a flood of logins can neither take all
 * memory nor all threads. Thread-safe. */
#ifndef DUPLEX_API_HASH_H
#define DUPLEX_API_HASH_H

#include "common/str.h"

#define HASH_SIZE 128u /* crypto_pwhash_STRBYTES, with NUL */

struct hash_limits {
	uint64_t ops, kib;      /* Argon2id cost */
	unsigned parallel;      /* hashes at once */
	unsigned waiting;       /* callers that may wait for a turn; the rest get ERR_BUSY at once */
	uint64_t wait_ms;
};

struct hash;

/* Also makes the decoy that unknown users are compared with. */
enum err hash_new(const struct hash_limits *limits, struct hash **out);
void hash_free(struct hash *h);

/* ERR_BUSY: no turn within wait_ms; ERR_NO_MEMORY. */
enum err hash_make(struct hash *h, struct str password, char out[HASH_SIZE]);
/* Compares. `stored` NULL: there is no such user; the same work is done and the answer is ERR_UNAUTHENTICATED.
 * *stale: made with other costs than the present ones. */
enum err hash_verify(struct hash *h, const char *stored, struct str password, bool *stale);

#endif
