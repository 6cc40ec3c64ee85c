/* Users with a password of their own, from the file that option `users` names: made when the configuration is
 * read, never changed after, so that workers read it without a lock. Found by USERHASH, which for a name costs
 * one SHA-256. */
#ifndef DUPLEX_RELAY_ACCOUNTS_H
#define DUPLEX_RELAY_ACCOUNTS_H

#include "common/turn_cred.h"

#define ACCOUNTS_MAX 262144u

struct account {
	uint8_t userhash[SHA256_LEN];
	struct turn_key md5, sha256; /* len 0 = the file gives none */
	uint8_t name_len;
	char name[TURN_USERNAME_MAX];
};

static inline struct str account_name(const struct account *a)
{
	return str_of(a->name, a->name_len);
}

struct accounts;

/* Lines `name:password`, or with keys made elsewhere `name:md5=HEX`, `name:sha256=HEX` or both with a blank
 * between; # begins a comment line. Names have no colon, no control characters and at most TURN_USERNAME_MAX
 * bytes. On failure `why` holds one sentence with the number of the line, never its text. ERR_INVALID, ERR_EXISTS
 * for a name given twice, ERR_TOO_LARGE, ERR_NO_MEMORY. */
enum err accounts_parse(struct str text, struct str realm, struct accounts **out, char *why, size_t why_size);
/* The same from a file, which others must not be able to read. ERR_NOT_FOUND, ERR_FORBIDDEN. */
enum err accounts_load(const char *path, struct str realm, struct accounts **out, char *why, size_t why_size);
/* Keys are wiped. Accepts NULL. */
void accounts_free(struct accounts *a);

/* NULL if there is none; `a` may be NULL. Valid as long as `a`. */
const struct account *accounts_by_hash(const struct accounts *a, const uint8_t userhash[SHA256_LEN]);
const struct account *accounts_by_name(const struct accounts *a, struct str name);
size_t accounts_count(const struct accounts *a);

#endif
