/* The few primitives that more than one program needs, over OpenSSL. */
#ifndef DUPLEX_COMMON_CRYPTO_H
#define DUPLEX_COMMON_CRYPTO_H

#include "common/buf.h"

#define SHA1_LEN 20u
#define SHA256_LEN 32u
#define MD5_LEN 16u

/* Cryptographically secure; aborts the process when the system has no randomness (nothing sane can go on). */
void crypto_random(void *out, size_t len);
void crypto_md5(struct str data, uint8_t out[MD5_LEN]);
void crypto_sha1(struct str data, uint8_t out[SHA1_LEN]);
void crypto_sha256(struct str data, uint8_t out[SHA256_LEN]);
void crypto_hmac_sha1(struct str key, struct str data, uint8_t out[SHA1_LEN]);
void crypto_hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_LEN]);
/* Constant time over `len`. */
bool crypto_equal(const void *a, const void *b, size_t len);

/* Lower-case hex, base64 (RFC 4648 §4, padded), base64url (§5, no padding), appended to `to`. */
void hex_put(struct buf *to, const void *p, size_t len);
void base64_put(struct buf *to, const void *p, size_t len);
void base64url_put(struct buf *to, const void *p, size_t len);
/* Strict: no blanks, no padding. ERR_TOO_LARGE if more than `size` bytes come out. */
enum err base64url_get(struct str s, void *out, size_t size, size_t *len);
enum err hex_get(struct str s, void *out, size_t size, size_t *len);

#endif
