#include "common/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

/* A call of RAND_bytes costs some microseconds whatever its length, and tags and ids are a few bytes each: they are taken from a store a thread.
 * What has been given out is wiped at once; a child process does not inherit what is left. */
#define POOL_SIZE 512u
#define POOL_SHARE 32u /* more than this comes from the source itself */

struct pool {
	uint8_t byte[POOL_SIZE];
	size_t left;
	unsigned generation;
};

static void from_source(void *out, size_t len)
{
	if (RAND_bytes(out, (int)len) != 1)
		abort();
}

static unsigned forks; /* between the first process and this one */

static void after_fork(void)
{
	forks++;
}

static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, after_fork) != 0)
		abort();
}

void crypto_random(void *out, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static _Thread_local struct pool pool;

	if (len > POOL_SHARE) {
		from_source(out, len);
		return;
	}
	if (pool.left < len || pool.generation != forks) {
		(void)pthread_once(&once, watch_forks);
		from_source(pool.byte, sizeof(pool.byte));
		pool.left = sizeof(pool.byte);
		pool.generation = forks;
	}
	pool.left -= len;
	memcpy(out, pool.byte + pool.left, len);
	explicit_bzero(pool.byte + pool.left, len);
}

/* Looking an algorithm up by name, with its locks and copies, costs several times what hashing a message of ours does;
 * so it is done once, and each thread keeps a context a kind. */
enum kind { MD5, SHA1, SHA256, KINDS };

static const struct {
	const char *name;
	size_t len;
} kinds[KINDS] = { [MD5] = { "MD5", MD5_LEN }, [SHA1] = { "SHA1", SHA1_LEN }, [SHA256] = { "SHA256", SHA256_LEN } };

#define BLOCK 64u /* of all of them */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static EVP_MD *algorithm[KINDS];
static _Thread_local EVP_MD_CTX *contexts[KINDS];

static void thread_ends(void *at)
{
	EVP_MD_CTX **c = at;

	for (unsigned k = 0; k < KINDS; k++) {
		EVP_MD_CTX_free(c[k]);
		c[k] = NULL;
	}
}

static void fetch_all(void)
{
	for (unsigned k = 0; k < KINDS; k++) {
		algorithm[k] = EVP_MD_fetch(NULL, kinds[k].name, NULL);
		if (algorithm[k] == NULL)
			abort();
	}
	if (pthread_key_create(&contexts_key, thread_ends) != 0)
		abort();
}

/* This thread's context, ready for a new message. */
static EVP_MD_CTX *start(enum kind kind)
{
	if (contexts[kind] == NULL) {
		(void)pthread_once(&once, fetch_all);
		contexts[kind] = EVP_MD_CTX_new();
		if (contexts[kind] == NULL || pthread_setspecific(contexts_key, contexts) != 0)
			abort();
	}
	if (EVP_DigestInit_ex2(contexts[kind], algorithm[kind], NULL) != 1)
		abort();
	return contexts[kind];
}

static void add(EVP_MD_CTX *c, const void *p, size_t len)
{
	if (EVP_DigestUpdate(c, p, len) != 1)
		abort();
}

static void finish(EVP_MD_CTX *c, uint8_t *out)
{
	if (EVP_DigestFinal_ex(c, out, NULL) != 1)
		abort();
}

static void digest(enum kind kind, struct str data, uint8_t *out)
{
	EVP_MD_CTX *c = start(kind);

	add(c, data.p, data.len);
	finish(c, out);
}

void crypto_md5(struct str data, uint8_t out[MD5_LEN])
{
	digest(MD5, data, out);
}

void crypto_sha1(struct str data, uint8_t out[SHA1_LEN])
{
	digest(SHA1, data, out);
}

void crypto_sha256(struct str data, uint8_t out[SHA256_LEN])
{
	digest(SHA256, data, out);
}

/* RFC 2104. */
static void hmac(enum kind kind, struct str key, struct str data, uint8_t *out)
{
	uint8_t short_key[SHA256_LEN], pad[BLOCK];

	if (key.len > BLOCK) {
		digest(kind, key, short_key);
		key = str_of(short_key, kinds[kind].len);
	}
	memset(pad, 0x36, sizeof(pad));
	for (size_t i = 0; i < key.len; i++)
		pad[i] ^= (uint8_t)key.p[i];
	EVP_MD_CTX *c = start(kind);
	add(c, pad, sizeof(pad));
	add(c, data.p, data.len);
	finish(c, out);

	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	c = start(kind);
	add(c, pad, sizeof(pad));
	add(c, out, kinds[kind].len);
	finish(c, out);
	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(short_key, sizeof(short_key));
}

void crypto_hmac_sha1(struct str key, struct str data, uint8_t out[SHA1_LEN])
{
	hmac(SHA1, key, data, out);
}

void crypto_hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_LEN])
{
	hmac(SHA256, key, data, out);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void hex_put(struct buf *to, const void *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *in = p;

	for (size_t i = 0; i < len; i++) {
		buf_char(to, digits[in[i] >> 4]);
		buf_char(to, digits[in[i] & 15]);
	}
}

static void base64(struct buf *to, const void *p, size_t len, const char *alphabet, bool pad)
{
	const uint8_t *in = p;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = MIN(len - i, (size_t)3);
		uint32_t v = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (n > 2 ? in[i + 2] : 0);

		for (size_t k = 0; k < n + 1; k++)
			buf_char(to, alphabet[v >> (18 - 6 * k) & 63]);
		for (size_t k = n; pad && k < 3; k++)
			buf_char(to, '=');
	}
}

void base64_put(struct buf *to, const void *p, size_t len)
{
	base64(to, p, len, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true);
}

void base64url_put(struct buf *to, const void *p, size_t len)
{
	base64(to, p, len, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}

static int base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

enum err base64url_get(struct str s, void *out, size_t size, size_t *len)
{
	uint8_t *to = out;
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	if (s.len % 4 == 1)
		return ERR_INVALID;
	if (s.len / 4 * 3 + s.len % 4 * 3 / 4 > size)
		return ERR_TOO_LARGE;
	for (size_t i = 0; i < s.len; i++) {
		int v = base64url_value(s.p[i]);

		if (v < 0)
			return ERR_INVALID;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[n++] = (uint8_t)(bits >> have);
		}
	}
	/* Left-over bits must be zero: one value, one spelling. */
	if ((bits & ((1u << have) - 1)) != 0)
		return ERR_INVALID;
	*len = n;
	return ERR_OK;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err hex_get(struct str s, void *out, size_t size, size_t *len)
{
	uint8_t *to = out;

	if (s.len % 2 != 0)
		return ERR_INVALID;
	if (s.len / 2 > size)
		return ERR_TOO_LARGE;
	for (size_t i = 0; i < s.len; i += 2) {
		int high = hex_value(s.p[i]), low = hex_value(s.p[i + 1]);

		if (high < 0 || low < 0)
			return ERR_INVALID;
		to[i / 2] = (uint8_t)(high << 4 | low);
	}
	*len = s.len / 2;
	return ERR_OK;
}
