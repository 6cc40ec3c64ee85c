/* Which allocations belong to which user: for the limit per user and for revocation. An open-addressed table of
 * fixed size; the table's lock guards it. */
#ifndef DUPLEX_RELAY_USERS_H
#define DUPLEX_RELAY_USERS_H

#include "common/str.h"

#define USERS_NONE UINT32_MAX

struct user {
	uint64_t id;    /* keyed hash of the name; 0 = entry not in use */
	uint32_t count; /* allocations */
	uint32_t first; /* slot of one of them, head of the list through alloc.next_of_user */
};

struct users {
	struct user *at;  /* owned */
	uint32_t mask;
	uint8_t key[16];  /* of the hash, random: names cannot be chosen to collide */
};

/* Room for `max` users at a time. */
enum err users_init(struct users *u, uint32_t max);
void users_fini(struct users *u);
/* Index of the user, or USERS_NONE. */
uint32_t users_find(const struct users *u, struct str name);
/* Finds or makes. USERS_NONE only when more than `max` are in use. */
uint32_t users_get(struct users *u, struct str name);
/* Frees the entry if its count is 0. Other users may move: `moved` is called for each so that who keeps an
 * index can follow. */
void users_put(struct users *u, uint32_t i, void (*moved)(void *ctx, uint32_t from, uint32_t to), void *ctx);

#endif
