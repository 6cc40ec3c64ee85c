/* A second STUN/TURN codec, for the programs that test and load the relay from outside. It shares no line with common/stun on purpose: a
 * mistake made in one of the two shows as a disagreement between them. Only the primitives (HMAC-SHA1, MD5) are OpenSSL's for both.
 * RFC 8489 §5, §14; RFC 8656 §18. */
#ifndef DUPLEX_TESTS_NET_TSTUN_H
#define DUPLEX_TESTS_NET_TSTUN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_COOKIE 0x2112A442u
#define TS_TXID 12u
#define TS_MAX 1500u

enum ts_method { TS_BINDING = 1, TS_ALLOCATE = 3, TS_REFRESH = 4, TS_SEND = 6, TS_DATA = 7, TS_PERMISSION = 8, TS_CHANNEL = 9 };
enum ts_class { TS_REQUEST = 0, TS_INDICATION = 1, TS_SUCCESS = 2, TS_ERROR = 3 };
enum ts_attr {
	TS_MAPPED = 0x0001, TS_USERNAME = 0x0006, TS_INTEGRITY = 0x0008, TS_ERROR_CODE = 0x0009, TS_UNKNOWN = 0x000A,
	TS_CHANNEL_NUMBER = 0x000C, TS_LIFETIME = 0x000D, TS_XOR_PEER = 0x0012, TS_DATA_ATTR = 0x0013, TS_REALM = 0x0014,
	TS_NONCE = 0x0015, TS_XOR_RELAYED = 0x0016, TS_FAMILY = 0x0017, TS_EVEN_PORT = 0x0018, TS_TRANSPORT = 0x0019,
	TS_DONT_FRAGMENT = 0x001A, TS_INTEGRITY256 = 0x001C, TS_ALGORITHM = 0x001D, TS_USERHASH = 0x001E, TS_XOR_MAPPED = 0x0020,
	TS_RESERVATION = 0x0022, TS_ALGORITHMS = 0x8002, TS_FINGERPRINT = 0x8028, TS_TICKET = 0x8030,
};

/* A message being written; `over` is set when it would not fit. */
struct ts_msg {
	uint8_t b[TS_MAX];
	size_t len;
	bool over;
};

void ts_start(struct ts_msg *m, unsigned method, unsigned class, const uint8_t txid[TS_TXID]);
void ts_put(struct ts_msg *m, uint16_t type, const void *value, size_t len);
void ts_put_u32(struct ts_msg *m, uint16_t type, uint32_t value);
/* XOR form (RFC 8489 §14.2); `sa` is a sockaddr_in or sockaddr_in6. */
void ts_put_xaddr(struct ts_msg *m, uint16_t type, const struct sockaddr *sa);
/* MESSAGE-INTEGRITY over all so far; `key` is MD5(user:realm:password). */
void ts_put_integrity(struct ts_msg *m, const uint8_t key[16]);
/* MESSAGE-INTEGRITY-SHA256, of which the first `len` bytes are written; `key` is SHA-256(user:realm:password). */
void ts_put_integrity256(struct ts_msg *m, const uint8_t key[32], size_t len);
void ts_put_fingerprint(struct ts_msg *m);

/* Reading: all accept any bytes. */
bool ts_is_stun(const uint8_t *b, size_t len);
unsigned ts_method(const uint8_t *b);
unsigned ts_class(const uint8_t *b);
/* First attribute of that type, or NULL; *alen gets its length. */
const uint8_t *ts_find(const uint8_t *b, size_t len, uint16_t type, size_t *alen);
bool ts_has(const uint8_t *b, size_t len, uint16_t type);
/* -1 if there is none. */
int ts_error(const uint8_t *b, size_t len);
bool ts_u32(const uint8_t *b, size_t len, uint16_t type, uint32_t *out);
bool ts_xaddr(const uint8_t *b, size_t len, uint16_t type, struct sockaddr_in *out);
bool ts_integrity_ok(const uint8_t *b, size_t len, const uint8_t key[16]);
bool ts_integrity256_ok(const uint8_t *b, size_t len, const uint8_t key[32]);
/* True also when there is none; false only for a wrong one or one that is not last. */
bool ts_fingerprint_ok(const uint8_t *b, size_t len);
/* True when every attribute lies inside the message, the lengths add up, and all padding is zero. */
bool ts_well_formed(const uint8_t *b, size_t len);

/* TURN-REST credentials: `user` gets "<expiry>:<name>[:<call>]", `key` the long-term key for it. */
void ts_credentials(const char *secret, const char *realm, long expiry, const char *name, const char *call, char *user, size_t size,
		    uint8_t key[16]);

/* RFC 8489 for the same user: the SHA-256 key, and USERHASH. */
void ts_credentials256(const char *secret, const char *realm, const char *user, uint8_t key[32], uint8_t userhash[32]);

/* Internet checksum of `len` bytes, added to `sum` (32-bit, not folded); ts_fold gives the 16 bits to compare with 0xffff. */
uint32_t ts_sum(const uint8_t *p, size_t len, uint32_t sum);
uint16_t ts_fold(uint32_t sum);

#endif
