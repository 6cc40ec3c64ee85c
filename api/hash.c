#include "api/hash.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

static_assert(HASH_SIZE == crypto_pwhash_STRBYTES, "the size of a hash text");

struct hash {
	struct hash_limits limits;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	unsigned running, waiting;
	char decoy[HASH_SIZE];
};

static enum err enter(struct hash *h)
{
	struct timespec until;
	enum err e = ERR_OK;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(h->limits.wait_ms / 1000);
	until.tv_nsec += (long)(h->limits.wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	(void)pthread_mutex_lock(&h->lock);
	if (h->running >= h->limits.parallel && h->waiting >= h->limits.waiting) {
		e = ERR_BUSY;
		goto out;
	}
	h->waiting++;
	while (h->running >= h->limits.parallel && e == ERR_OK) {
		if (pthread_cond_timedwait(&h->turn, &h->lock, &until) == ETIMEDOUT && h->running >= h->limits.parallel)
			e = ERR_BUSY;
	}
	h->waiting--;
	if (e == ERR_OK)
		h->running++;
out:
	(void)pthread_mutex_unlock(&h->lock);
	return e;
}

static void leave(struct hash *h)
{
	(void)pthread_mutex_lock(&h->lock);
	h->running--;
	(void)pthread_cond_signal(&h->turn);
	(void)pthread_mutex_unlock(&h->lock);
}

enum err hash_make(struct hash *h, struct str password, char out[HASH_SIZE])
{
	char text[HASH_SIZE];
	enum err e = enter(h);

	if (e != ERR_OK)
		return e;
	int made = crypto_pwhash_str_alg(text, password.p, password.len, h->limits.ops, (size_t)h->limits.kib * 1024,
					 crypto_pwhash_ALG_ARGON2ID13);
	leave(h);
	if (made != 0)
		return ERR_NO_MEMORY;
	memcpy(out, text, sizeof(text));
	return ERR_OK;
}

enum err hash_verify(struct hash *h, const char *stored, struct str password, bool *stale)
{
	const char *against = stored != NULL ? stored : h->decoy;
	enum err e = enter(h);

	if (e != ERR_OK)
		return e;
	int same = crypto_pwhash_str_verify(against, password.p, password.len);
	leave(h);
	if (stored == NULL || same != 0)
		return ERR_UNAUTHENTICATED;
	*stale = crypto_pwhash_str_needs_rehash(stored, h->limits.ops, (size_t)h->limits.kib * 1024) != 0;
	return ERR_OK;
}

enum err hash_new(const struct hash_limits *limits, struct hash **out)
{
	pthread_condattr_t attr;
	uint8_t secret[32];

	if (sodium_init() < 0)
		return ERR_INTERNAL;
	struct hash *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return ERR_NO_MEMORY;
	h->limits = *limits;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&h->turn, &attr);
	(void)pthread_condattr_destroy(&attr);
	randombytes_buf(secret, sizeof(secret));
	enum err e = hash_make(h, str_of(secret, sizeof(secret)), h->decoy);
	sodium_memzero(secret, sizeof(secret));
	if (e != ERR_OK) {
		hash_free(h);
		return e;
	}
	*out = h;
	return ERR_OK;
}

void hash_free(struct hash *h)
{
	if (h == NULL)
		return;
	(void)pthread_cond_destroy(&h->turn);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}
