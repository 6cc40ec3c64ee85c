/* People in Redis: the record user:{u} and the two indices that the directory is searched by. The indices are
 * hints: whatever reads them checks with the record. */
#ifndef DUPLEX_API_USERS_H
#define DUPLEX_API_USERS_H

#include "api/check.h"
#include "api/hash.h"
#include "common/perm.h"
#include "common/rds.h"
#include "common/user.h"

#define USER_ROLE_SIZE 16u

struct user {
	char name[USER_NAME_SIZE];
	char display_name[DISPLAY_NAME_SIZE];
	char role[USER_ROLE_SIZE];
	char password[HASH_SIZE]; /* only where asked for; wipe with user_wipe */
	bool disabled;
	perm_set denied;
	uint64_t created_ms;
	uint64_t revision; /* grows with each change; the ETag */
};

/* ERR_NOT_FOUND. `name` need not be valid. */
enum err users_get(struct rds *r, struct str name, struct user *out);
/* From the reply of HGETALL user:{name}. */
enum err users_from_reply(struct str name, const struct redisReply *fields, struct user *out);
/* ERR_EXISTS. Sets created_ms and the indices. */
enum err users_create(struct rds *r, const struct user *u);
/* Role minus what was denied; nothing for a disabled user. */
perm_set users_perms(const struct user *u);
void users_wipe(struct user *u);

/* Replaces the password text `old` by `new`; ERR_CONFLICT if it has changed meanwhile. Sessions live on. */
enum err users_rehash(struct rds *r, struct str name, const char *old, const char *new);

/* Display names of `count` names in one round trip. A name without record gives an empty text. `into` is called
 * in order. */
typedef void (*users_name_fn)(void *user, size_t i, struct str display_name);
enum err users_display_names(struct rds *r, const struct str *names, size_t count, users_name_fn into, void *user);

/* Moves the index entries from one display name to another (either may be empty), queued on the pipeline;
 * *queued counts the commands. */
enum err users_queue_index(struct rds *r, struct str name, struct str old_display, struct str new_display, size_t *queued);

#endif
