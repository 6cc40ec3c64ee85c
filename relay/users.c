#include "relay/users.h"

#include <stdlib.h>

#include "common/crypto.h"

enum err users_init(struct users *u, uint32_t max)
{
	uint32_t size = 16;

	while (size < 2 * (uint64_t)max)
		size *= 2;
	u->at = calloc(size, sizeof(*u->at));
	u->mask = size - 1;
	crypto_random(u->key, sizeof(u->key));
	return u->at != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void users_fini(struct users *u)
{
	free(u->at);
	u->at = NULL;
}

static uint64_t hash(const struct users *u, struct str name)
{
	uint8_t mac[SHA256_LEN];
	uint64_t id;

	crypto_hmac_sha256(str_of(u->key, sizeof(u->key)), name, mac);
	memcpy(&id, mac, sizeof(id));
	return id != 0 ? id : 1;
}

/* Where the id stands, or the free entry where it would. */
static uint32_t place(const struct users *u, uint64_t id)
{
	uint32_t i = (uint32_t)id & u->mask;

	while (u->at[i].id != 0 && u->at[i].id != id)
		i = (i + 1) & u->mask;
	return i;
}

uint32_t users_find(const struct users *u, struct str name)
{
	uint32_t i = place(u, hash(u, name));

	return u->at[i].id != 0 ? i : USERS_NONE;
}

uint32_t users_get(struct users *u, struct str name)
{
	uint64_t id = hash(u, name);
	uint32_t i = place(u, id);

	if (u->at[i].id == 0)
		u->at[i] = (struct user){ .id = id, .first = USERS_NONE };
	return i;
}

void users_put(struct users *u, uint32_t i, void (*moved)(void *ctx, uint32_t from, uint32_t to), void *ctx)
{
	if (u->at[i].count > 0)
		return;
	/* Deletion by shifting back: no entry is left behind that a search would have to step over. */
	u->at[i].id = 0;
	for (uint32_t j = (i + 1) & u->mask; u->at[j].id != 0; j = (j + 1) & u->mask) {
		uint32_t home = (uint32_t)u->at[j].id & u->mask;

		if (((j - home) & u->mask) < ((j - i) & u->mask))
			continue;
		u->at[i] = u->at[j];
		u->at[j].id = 0;
		moved(ctx, j, i);
		i = j;
	}
}
