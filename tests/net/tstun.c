#include "tests/net/tstun.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"

enum { HEADER = 20, MAC = 20 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] * 256 + p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) * 65536u + get16(p + 2);
}

static void set16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v / 256 % 256);
	p[1] = (uint8_t)(v % 256);
}

static void set32(uint8_t *p, uint32_t v)
{
	set16(p, v >> 16);
	set16(p + 2, v & 0xffff);
}

/* RFC 8489 §5: M11…M7 C1 M6…M4 C0 M3…M0. */
static unsigned type_of(unsigned method, unsigned class)
{
	return (method & 0xf80) << 2 | (method & 0x70) << 1 | (method & 0xf) | (class & 2) << 7 | (class & 1) << 4;
}

void ts_start(struct ts_msg *m, unsigned method, unsigned class, const uint8_t txid[TS_TXID])
{
	set16(m->b, type_of(method, class));
	set16(m->b + 2, 0);
	set32(m->b + 4, TS_COOKIE);
	memcpy(m->b + 8, txid, TS_TXID);
	m->len = HEADER;
	m->over = false;
}

void ts_put(struct ts_msg *m, uint16_t type, const void *value, size_t len)
{
	size_t padded = (len + 3) / 4 * 4;

	if (m->over || m->len + 4 + padded > sizeof(m->b)) {
		m->over = true;
		return;
	}
	set16(m->b + m->len, type);
	set16(m->b + m->len + 2, (unsigned)len);
	memset(m->b + m->len + 4, 0, padded);
	if (len > 0)
		memcpy(m->b + m->len + 4, value, len);
	m->len += 4 + padded;
	set16(m->b + 2, (unsigned)(m->len - HEADER));
}

void ts_put_u32(struct ts_msg *m, uint16_t type, uint32_t value)
{
	uint8_t v[4];

	set32(v, value);
	ts_put(m, type, v, sizeof(v));
}

void ts_put_xaddr(struct ts_msg *m, uint16_t type, const struct sockaddr *sa)
{
	uint8_t v[20] = { 0 };
	size_t alen = sa->sa_family == AF_INET6 ? 16 : 4;
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	v[1] = alen == 16 ? 2 : 1;
	/* The port lies at the same place in both. */
	set16(v + 2, ntohs(v4->sin_port) ^ TS_COOKIE >> 16);
	memcpy(v + 4, alen == 16 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, alen);
	for (size_t i = 0; i < alen; i++)
		v[4 + i] ^= m->b[4 + i]; /* cookie, then transaction id */
	ts_put(m, type, v, 4 + alen);
}

static void mac_over(const uint8_t *b, size_t len, size_t claimed, const uint8_t key[16], uint8_t out[MAC])
{
	uint8_t copy[65536];

	memcpy(copy, b, len);
	set16(copy + 2, (unsigned)claimed);
	crypto_hmac_sha1(str_of(key, 16), str_of(copy, len), out);
}

void ts_put_integrity(struct ts_msg *m, const uint8_t key[16])
{
	uint8_t mac[MAC];

	/* §14.5: the length counts up to the end of this attribute. */
	mac_over(m->b, m->len, m->len - HEADER + 4 + MAC, key, mac);
	ts_put(m, TS_INTEGRITY, mac, MAC);
}

static void mac256_over(const uint8_t *b, size_t len, size_t claimed, const uint8_t key[32], uint8_t out[32])
{
	uint8_t copy[65536];
	unsigned n = 32;

	memcpy(copy, b, len);
	set16(copy + 2, (unsigned)claimed);
	if (HMAC(EVP_sha256(), key, 32, copy, len, out, &n) == NULL)
		abort();
}

void ts_put_integrity256(struct ts_msg *m, const uint8_t key[32], size_t len)
{
	uint8_t mac[32];

	/* §14.6: as above, with what is left of it. */
	mac256_over(m->b, m->len, m->len - HEADER + 4 + len, key, mac);
	ts_put(m, TS_INTEGRITY256, mac, len);
}

static uint32_t crc32_of(const uint8_t *p, size_t len)
{
	uint32_t c = 0xffffffffu;

	for (size_t i = 0; i < len; i++) {
		c ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
	}
	return ~c;
}

void ts_put_fingerprint(struct ts_msg *m)
{
	uint8_t head[4];
	uint32_t crc;

	memcpy(head, m->b, sizeof(head));
	set16(m->b + 2, (unsigned)(m->len - HEADER + 8));
	crc = crc32_of(m->b, m->len) ^ 0x5354554eu;
	memcpy(m->b, head, sizeof(head));
	ts_put_u32(m, TS_FINGERPRINT, crc);
}

bool ts_is_stun(const uint8_t *b, size_t len)
{
	return len >= HEADER && b[0] < 64 && get32(b + 4) == TS_COOKIE && get16(b + 2) + (size_t)HEADER == len && len % 4 == 0;
}

unsigned ts_method(const uint8_t *b)
{
	unsigned t = get16(b);

	return (t & 0x3e00) >> 2 | (t & 0xe0) >> 1 | (t & 0xf);
}

unsigned ts_class(const uint8_t *b)
{
	unsigned t = get16(b);

	return (t & 0x100) >> 7 | (t & 0x10) >> 4;
}

const uint8_t *ts_find(const uint8_t *b, size_t len, uint16_t type, size_t *alen)
{
	for (size_t at = HEADER; at + 4 <= len;) {
		size_t n = get16(b + at + 2);

		if (at + 4 + n > len)
			return NULL;
		if (get16(b + at) == type) {
			*alen = n;
			return b + at + 4;
		}
		at += 4 + (n + 3) / 4 * 4;
	}
	return NULL;
}

bool ts_has(const uint8_t *b, size_t len, uint16_t type)
{
	size_t n;

	return ts_find(b, len, type, &n) != NULL;
}

int ts_error(const uint8_t *b, size_t len)
{
	size_t n = 0;
	const uint8_t *v = ts_find(b, len, TS_ERROR_CODE, &n);

	return v != NULL && n >= 4 ? (v[2] & 7) * 100 + v[3] : -1;
}

bool ts_u32(const uint8_t *b, size_t len, uint16_t type, uint32_t *out)
{
	size_t n = 0;
	const uint8_t *v = ts_find(b, len, type, &n);

	if (v == NULL || n != 4)
		return false;
	*out = get32(v);
	return true;
}

bool ts_xaddr(const uint8_t *b, size_t len, uint16_t type, struct sockaddr_in *out)
{
	size_t n = 0;
	const uint8_t *v = ts_find(b, len, type, &n);

	if (v == NULL || n != 8 || v[1] != 1)
		return false;
	*out = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)(get16(v + 2) ^ TS_COOKIE >> 16)),
				     .sin_addr.s_addr = htonl(get32(v + 4) ^ TS_COOKIE) };
	return true;
}

bool ts_integrity_ok(const uint8_t *b, size_t len, const uint8_t key[16])
{
	uint8_t mac[MAC];
	size_t n = 0;
	const uint8_t *v = ts_find(b, len, TS_INTEGRITY, &n);

	if (v == NULL || n != MAC)
		return false;
	size_t before = (size_t)(v - 4 - b);
	mac_over(b, before, before - HEADER + 4 + MAC, key, mac);
	return memcmp(mac, v, MAC) == 0;
}

bool ts_integrity256_ok(const uint8_t *b, size_t len, const uint8_t key[32])
{
	uint8_t mac[32];
	size_t n = 0;
	const uint8_t *v = ts_find(b, len, TS_INTEGRITY256, &n);

	if (v == NULL || n != 32)
		return false;
	size_t before = (size_t)(v - 4 - b);
	mac256_over(b, before, before - HEADER + 4 + 32, key, mac);
	return memcmp(mac, v, 32) == 0;
}

bool ts_fingerprint_ok(const uint8_t *b, size_t len)
{
	size_t n = 0;
	const uint8_t *v = ts_find(b, len, TS_FINGERPRINT, &n);

	if (v == NULL)
		return true;
	return n == 4 && v + 4 == b + len && (crc32_of(b, (size_t)(v - 4 - b)) ^ 0x5354554eu) == get32(v);
}

bool ts_well_formed(const uint8_t *b, size_t len)
{
	if (!ts_is_stun(b, len))
		return false;
	for (size_t at = HEADER; at < len;) {
		if (at + 4 > len)
			return false;
		size_t n = get16(b + at + 2), end = at + 4 + n, next = at + 4 + (n + 3) / 4 * 4;
		if (next > len)
			return false;
		for (; end < next; end++)
			if (b[end] != 0)
				return false;
		at = next;
	}
	return true;
}

static void password_of(const char *secret, const char *user, char password[4 * MAC])
{
	uint8_t mac[MAC];

	crypto_hmac_sha1(str_from(secret), str_from(user), mac);
	EVP_EncodeBlock((uint8_t *)password, mac, MAC);
}

void ts_credentials(const char *secret, const char *realm, long expiry, const char *name, const char *call, char *user, size_t size,
		    uint8_t key[16])
{
	char password[4 * MAC], text[1024];

	if (call != NULL && call[0] != '\0')
		snprintf(user, size, "%ld:%s:%s", expiry, name, call);
	else
		snprintf(user, size, "%ld:%s", expiry, name);
	password_of(secret, user, password);
	int len = snprintf(text, sizeof(text), "%s:%s:%s", user, realm, password);
	if (len < 0 || (size_t)len >= sizeof(text))
		abort();
	crypto_md5(str_of(text, (size_t)len), key);
}

void ts_credentials256(const char *secret, const char *realm, const char *user, uint8_t key[32], uint8_t userhash[32])
{
	char password[4 * MAC], text[1024];

	password_of(secret, user, password);
	int len = snprintf(text, sizeof(text), "%s:%s:%s", user, realm, password), name = snprintf(NULL, 0, "%s:%s", user, realm);
	if (len < 0 || (size_t)len >= sizeof(text) || EVP_Digest(text, (size_t)len, key, NULL, EVP_sha256(), NULL) != 1 ||
	    EVP_Digest(text, (size_t)name, userhash, NULL, EVP_sha256(), NULL) != 1)
		abort();
}

uint32_t ts_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i = 0;

	for (; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (i < len)
		sum += (uint32_t)p[i] << 8;
	return sum;
}

uint16_t ts_fold(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}
