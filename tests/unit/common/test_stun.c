/* common/stun: the vectors of RFC 5769, byte for byte, and the rules of RFC 8489 §14. */
#include "common/stun.h"
#include "common/turn_cred.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define PASSWORD STR("VOkJxbRl1RmTxUk/WvJxBt")

/* RFC 5769 §2.1: request of a client with an ICE agent's short-term credential. Its padding is blanks. */
static const uint8_t request[] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x10, 'S', 'T', 'U', 'N', ' ', 't', 'e', 's', 't', ' ', 'c', 'l', 'i', 'e', 'n', 't',
	0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
	0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36,
	0x00, 0x06, 0x00, 0x09, 'e', 'v', 't', 'j', ':', 'h', '6', 'v', 'Y', 0x20, 0x20, 0x20,
	0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5,
	0x71, 0xa2,
	0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};

/* RFC 5769 §2.2: response with 192.0.2.1:32853. */
static const uint8_t response_v4[] = {
	0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x0b, 't', 'e', 's', 't', ' ', 'v', 'e', 'c', 't', 'o', 'r', 0x20,
	0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
	0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b,
	0xe7, 0xd7,
	0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};

/* RFC 5769 §2.3: response with [2001:db8:1234:5678:11:2233:4455:6677]:32853. */
static const uint8_t response_v6[] = {
	0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x0b, 't', 'e', 's', 't', ' ', 'v', 'e', 'c', 't', 'o', 'r', 0x20,
	0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2,
	0xb9, 0xd9,
	0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3,
	0xed, 0x41,
	0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};

/* RFC 5769 §2.4: request with a long-term credential; user name "マトリックス", realm example.org. */
static const uint8_t long_term[] = {
	0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e,
	0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88, 0xe3, 0x83, 0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9,
	0x00, 0x00,
	0x00, 0x15, 0x00, 0x1c, 'f', '/', '/', '4', '9', '9', 'k', '9', '5', '4', 'd', '6', 'O', 'L', '3', '4', 'o', 'L', '9', 'F', 'S', 'T',
	'v', 'y', '6', '4', 's', 'A',
	0x00, 0x14, 0x00, 0x0b, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'o', 'r', 'g', 0x00,
	0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8,
	0x96, 0x66,
};

/* RFC 8489 appendix B.1 as corrected by erratum 6268: USERHASH, PASSWORD-ALGORITHM SHA-256 and MESSAGE-INTEGRITY-SHA256. */
static const uint8_t sha256_request[] = {
	0x00, 0x01, 0x00, 0x90, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e,
	0x00, 0x1e, 0x00, 0x20, 0x4a, 0x3c, 0xf3, 0x8f, 0xef, 0x69, 0x92, 0xbd, 0xa9, 0x52, 0xc6, 0x78, 0x04, 0x17, 0xda, 0x0f, 0x24, 0x81,
	0x94, 0x15, 0x56, 0x9e, 0x60, 0xb2, 0x05, 0xc4, 0x6e, 0x41, 0x40, 0x7f, 0x17, 0x04,
	0x00, 0x15, 0x00, 0x29, 'o', 'b', 'M', 'a', 't', 'J', 'o', 's', '2', 'A', 'A', 'A', 'C', 'f', '/', '/', '4', '9', '9', 'k', '9', '5',
	'4', 'd', '6', 'O', 'L', '3', '4', 'o', 'L', '9', 'F', 'S', 'T', 'v', 'y', '6', '4', 's', 'A', 0x00, 0x00, 0x00,
	0x00, 0x14, 0x00, 0x0b, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'o', 'r', 'g', 0x00,
	0x00, 0x1d, 0x00, 0x04, 0x00, 0x02, 0x00, 0x00,
	0x00, 0x1c, 0x00, 0x20, 0xb5, 0xc7, 0xbf, 0x00, 0x5b, 0x6c, 0x52, 0xa2, 0x1c, 0x51, 0xc5, 0xe8, 0x92, 0xf8, 0x19, 0x24, 0x13, 0x62,
	0x96, 0xcb, 0x92, 0x7c, 0x43, 0x14, 0x93, 0x09, 0x27, 0x8c, 0xc6, 0x51, 0x8e, 0x65,
};
#define MATRIX STR("\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9")

static const struct vector {
	const uint8_t *p;
	size_t len;
} vectors[] = {
	{ request, sizeof(request) }, { response_v4, sizeof(response_v4) }, { response_v6, sizeof(response_v6) }, { long_term, sizeof(long_term) },
	{ sha256_request, sizeof(sha256_request) },
};

static void long_term_key(uint8_t key[MD5_LEN])
{
	crypto_md5(STR("\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9:example.org:TheMatrIX"), key);
}

static void rfc5769_request(void **state)
{
	struct stun_msg m;

	(void)state;
	assert_ok(stun_parse(request, sizeof(request), &m));
	assert_int_equal(m.class, STUN_REQUEST);
	assert_int_equal(m.method, STUN_BINDING);
	assert_str(stun_bytes(&m, STUN_SOFTWARE), "STUN test client");
	assert_str(stun_bytes(&m, STUN_USERNAME), "evtj:h6vY");
	assert_int_equal(stun_u32(&m, STUN_PRIORITY), 0x6e0001ff);
	assert_int_equal(m.fingerprint, STUN_FP_GOOD);
	assert_true(stun_integrity_ok(&m, PASSWORD));
	assert_false(stun_integrity_ok(&m, STR("VOkJxbRl1RmTxUk/WvJxBu")));
	assert_false(m.malformed);
	assert_int_equal(m.unknowns, 0);
}

static void rfc5769_responses(void **state)
{
	static const uint8_t v4[4] = { 192, 0, 2, 1 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77 };
	struct stun_msg m;
	struct stun_addr a;

	(void)state;
	assert_ok(stun_parse(response_v4, sizeof(response_v4), &m));
	assert_int_equal(m.class, STUN_SUCCESS);
	assert_ok(stun_address(&m, STUN_XOR_MAPPED_ADDRESS, &a));
	assert_int_equal(a.family, STUN_IPV4);
	assert_int_equal(a.port, 32853);
	assert_memory_equal(a.ip, v4, 4);
	assert_true(stun_integrity_ok(&m, PASSWORD));
	assert_int_equal(m.fingerprint, STUN_FP_GOOD);

	assert_ok(stun_parse(response_v6, sizeof(response_v6), &m));
	assert_ok(stun_address(&m, STUN_XOR_MAPPED_ADDRESS, &a));
	assert_int_equal(a.family, STUN_IPV6);
	assert_int_equal(a.port, 32853);
	assert_memory_equal(a.ip, v6, 16);
	assert_true(stun_integrity_ok(&m, PASSWORD));
	assert_int_equal(m.fingerprint, STUN_FP_GOOD);
}

/* Read, and written again to the same bytes. */
static void rfc5769_long_term(void **state)
{
	uint8_t key[MD5_LEN], out[sizeof(long_term)];
	struct stun_msg m;
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	long_term_key(key);
	assert_ok(stun_parse(long_term, sizeof(long_term), &m));
	assert_str(stun_bytes(&m, STUN_REALM), "example.org");
	assert_str(stun_bytes(&m, STUN_NONCE), "f//499k954d6OL34oL9FSTvy64sA");
	assert_true(stun_integrity_ok(&m, str_of(key, sizeof(key))));
	assert_int_equal(m.fingerprint, STUN_FP_NONE);

	stun_begin(&w, STUN_REQUEST, STUN_BINDING, stun_tid(&m));
	stun_put(&w, STUN_USERNAME, stun_bytes(&m, STUN_USERNAME));
	stun_put(&w, STUN_NONCE, stun_bytes(&m, STUN_NONCE));
	stun_put(&w, STUN_REALM, stun_bytes(&m, STUN_REALM));
	stun_put_integrity(&w, str_of(key, sizeof(key)));
	assert_int_equal(stun_end(&w), sizeof(long_term));
	assert_memory_equal(out, long_term, sizeof(long_term));
}

static void rfc8489_userhash_and_sha256(void **state)
{
	uint8_t hash[SHA256_LEN], out[sizeof(sha256_request)];
	struct stun_msg m;
	struct turn_key key;
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	assert_ok(stun_parse(sha256_request, sizeof(sha256_request), &m));
	assert_ok(turn_userhash(MATRIX, STR("example.org"), hash));
	assert_int_equal(stun_bytes(&m, STUN_USERHASH).len, sizeof(hash));
	assert_memory_equal(stun_bytes(&m, STUN_USERHASH).p, hash, sizeof(hash));
	assert_ok(turn_key_make(STUN_PASSWORD_SHA256, MATRIX, STR("example.org"), STR("TheMatrIX"), &key));
	assert_true(stun_integrity256_ok(&m, turn_key_view(&key), SHA256_LEN));
	assert_false(stun_integrity_ok(&m, turn_key_view(&key)));
	key.bytes[31] ^= 1;
	assert_false(stun_integrity256_ok(&m, turn_key_view(&key), 16));
	key.bytes[31] ^= 1;

	stun_begin(&w, STUN_REQUEST, STUN_BINDING, stun_tid(&m));
	stun_put(&w, STUN_USERHASH, str_of(hash, sizeof(hash)));
	stun_put(&w, STUN_NONCE, stun_bytes(&m, STUN_NONCE));
	stun_put(&w, STUN_REALM, STR("example.org"));
	stun_put_u32(&w, STUN_PASSWORD_ALGORITHM, STUN_PASSWORD_SHA256 << 16);
	stun_put_integrity256(&w, turn_key_view(&key));
	assert_int_equal(stun_end(&w), sizeof(sha256_request));
	assert_memory_equal(out, sha256_request, sizeof(sha256_request));
}

/* The vector with its MESSAGE-INTEGRITY-SHA256 cut: a value of 16 to 32 bytes in steps of four, and no other, can be right. */
static void cut_sha256(void **state)
{
	struct turn_key key;

	(void)state;
	assert_ok(turn_key_make(STUN_PASSWORD_SHA256, MATRIX, STR("example.org"), STR("TheMatrIX"), &key));
	for (size_t len = 0; len <= 36; len++) {
		uint8_t out[256];
		struct wr w = wr_of(out, sizeof(out));
		struct stun_msg m;
		uint8_t mac[36] = { 0 };

		wr_bytes(&w, sha256_request, sizeof(sha256_request) - STUN_INTEGRITY256_LEN);
		/* The length that is covered is the one with this value. */
		be16_put(out + 2, (uint16_t)(wr_len(&w) + 4 + len - STUN_HEADER_LEN));
		crypto_hmac_sha256(turn_key_view(&key), str_of(out, wr_len(&w)), mac);
		stun_put(&w, STUN_MESSAGE_INTEGRITY_SHA256, str_of(mac, len));
		assert_ok(stun_parse(out, stun_end(&w), &m));
		assert_int_equal(m.malformed, len < 16 || len > 32);
		bool good = len >= 16 && len <= 32 && len % 4 == 0;
		assert_int_equal(stun_integrity256_ok(&m, turn_key_view(&key), 16), good);
		assert_int_equal(stun_integrity256_ok(&m, turn_key_view(&key), 32), len == 32);
		assert_int_equal(stun_integrity256_ok(&m, turn_key_view(&key), 0), good);
	}
}

/* Both in one message, MESSAGE-INTEGRITY first (RFC 8489 §14.5): the second covers the first, nothing in between or behind counts. */
static void both_integrities(void **state)
{
	static const uint8_t id[STUN_TID_LEN] = { 9 };
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_msg m;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_ALLOCATE, id);
	stun_put(&w, STUN_USERNAME, STR("me"));
	stun_put_integrity(&w, PASSWORD);
	stun_put(&w, STUN_REALM, STR("between"));
	stun_put_integrity256(&w, PASSWORD);
	stun_put_u32(&w, STUN_LIFETIME, 5);
	stun_put_fingerprint(&w);
	size_t len = stun_end(&w);
	assert_ok(stun_parse(out, len, &m));
	assert_true(stun_integrity_ok(&m, PASSWORD));
	assert_true(stun_integrity256_ok(&m, PASSWORD, 32));
	assert_int_equal(m.fingerprint, STUN_FP_GOOD);
	assert_false(stun_has(&m, STUN_REALM));
	assert_false(stun_has(&m, STUN_LIFETIME));
	out[m.at[STUN_MESSAGE_INTEGRITY].off] ^= 1;
	assert_ok(stun_parse(out, len, &m));
	assert_false(stun_integrity_ok(&m, PASSWORD));
	assert_false(stun_integrity256_ok(&m, PASSWORD, 32));
}

static void written_addresses_are_those_of_the_rfc(void **state)
{
	struct stun_msg m, back;
	struct stun_addr a, b;
	uint8_t out[128];

	(void)state;
	for (size_t i = 1; i <= 2; i++) {
		struct wr w = wr_of(out, sizeof(out));

		assert_ok(stun_parse(vectors[i].p, vectors[i].len, &m));
		assert_ok(stun_address(&m, STUN_XOR_MAPPED_ADDRESS, &a));
		stun_begin(&w, STUN_SUCCESS, STUN_BINDING, stun_tid(&m));
		stun_put_address(&w, STUN_XOR_MAPPED_ADDRESS, &a);
		stun_put_fingerprint(&w);
		size_t len = stun_end(&w);
		assert_ok(stun_parse(out, len, &back));
		assert_int_equal(back.fingerprint, STUN_FP_GOOD);
		assert_memory_equal(out + back.at[STUN_XOR_MAPPED_ADDRESS].off, m.p + m.at[STUN_XOR_MAPPED_ADDRESS].off,
				    m.at[STUN_XOR_MAPPED_ADDRESS].len);
		assert_ok(stun_address(&back, STUN_XOR_MAPPED_ADDRESS, &b));
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void every_prefix_is_refused(void **state)
{
	struct guard g = guard_new(256);
	struct stun_msg m;

	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(vectors); v++) {
		for (size_t len = 0; len < vectors[v].len; len++)
			assert_int_not_equal(stun_parse(guard_put(&g, vectors[v].p, len), len, &m), ERR_OK);
		assert_ok(stun_parse(guard_put(&g, vectors[v].p, vectors[v].len), vectors[v].len, &m));
	}
	guard_free(&g);
}

/* A prefix whose length field is mended is a message: its attributes must be read within its bounds. */
static void every_mended_prefix_is_safe(void **state)
{
	struct guard g = guard_new(256);
	unsigned parsed = 0;

	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(vectors); v++) {
		for (size_t len = STUN_HEADER_LEN; len <= vectors[v].len; len += 4) {
			uint8_t *p = guard_put(&g, vectors[v].p, len);
			struct stun_msg m;
			struct stun_addr a;
			size_t cursor = 0;

			be16_put(p + 2, (uint16_t)(len - STUN_HEADER_LEN));
			if (stun_parse(p, len, &m) != ERR_OK)
				continue;
			parsed++;
			(void)stun_integrity_ok(&m, PASSWORD);
			(void)stun_error_code(&m);
			while (stun_next_peer(&m, &cursor, &a) == ERR_OK)
				;
		}
	}
	assert_true(parsed >= 16);
	guard_free(&g);
}

static void flipped_bits_break_integrity_or_fingerprint(void **state)
{
	uint8_t copy[sizeof(request)];
	struct stun_msg m;

	(void)state;
	for (size_t bit = 0; bit < 8 * (sizeof(request) - 8); bit++) {
		memcpy(copy, request, sizeof(request));
		copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
		if (stun_parse(copy, sizeof(copy), &m) == ERR_OK)
			assert_true(m.fingerprint != STUN_FP_GOOD);
	}
}

/* --- messages made here --- */

static const uint8_t tid[STUN_TID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

static void nothing_counts_after_integrity(void **state)
{
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_msg m;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_ALLOCATE, tid);
	stun_put(&w, STUN_USERNAME, STR("me"));
	stun_put_integrity(&w, PASSWORD);
	stun_put_u32(&w, STUN_LIFETIME, 5);
	stun_put(&w, STUN_USERNAME, STR("you"));
	wr_u32(&w, 0x7f770000);
	stun_put_fingerprint(&w);
	assert_ok(stun_parse(out, stun_end(&w), &m));
	assert_false(stun_has(&m, STUN_LIFETIME));
	assert_str(stun_bytes(&m, STUN_USERNAME), "me");
	assert_int_equal(m.unknowns, 0);
	assert_int_equal(m.fingerprint, STUN_FP_GOOD);
	assert_true(stun_integrity_ok(&m, PASSWORD));
}

static void fingerprint_must_be_last(void **state)
{
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_msg m;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_BINDING, tid);
	stun_put_fingerprint(&w);
	stun_put_u32(&w, STUN_LIFETIME, 5);
	assert_err(stun_parse(out, stun_end(&w), &m), ERR_INVALID);
}

static void first_of_a_type_counts(void **state)
{
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_msg m;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_REFRESH, tid);
	stun_put_u32(&w, STUN_LIFETIME, 1);
	stun_put_u32(&w, STUN_LIFETIME, 2);
	assert_ok(stun_parse(out, stun_end(&w), &m));
	assert_int_equal(stun_u32(&m, STUN_LIFETIME), 1);
}

static void unknown_attributes_are_told(void **state)
{
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof(out));
	uint16_t types[8];
	struct stun_msg m;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_ALLOCATE, tid);
	wr_u32(&w, 0x7f010000); /* comprehension required, unknown */
	wr_u32(&w, 0xff010000); /* may be ignored */
	stun_put_u32(&w, STUN_PRIORITY, 1);
	stun_put_u32(&w, STUN_LIFETIME, 1);
	assert_ok(stun_parse(out, stun_end(&w), &m));
	assert_int_equal(stun_not_understood(&m, STUN_BIT(STUN_LIFETIME), types, 8), 2);
	assert_int_equal(types[0], 0x0024);
	assert_int_equal(types[1], 0x7f01);
	assert_int_equal(stun_not_understood(&m, STUN_BIT(STUN_LIFETIME), types, 1), 1);
}

static void many_unknown_attributes_are_safe(void **state)
{
	uint8_t out[STUN_HEADER_LEN + 4 * 100];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_msg m;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_ALLOCATE, tid);
	for (uint32_t i = 0; i < 100; i++)
		wr_u32(&w, 0x70000000 + (i << 16));
	assert_ok(stun_parse(out, stun_end(&w), &m));
	assert_int_equal(m.unknowns, STUN_UNKNOWN_MAX);
}

static void wrong_sizes_are_malformed(void **state)
{
	(void)state;
	for (unsigned a = 0; a < STUN_ATTR_COUNT; a++) {
		uint8_t out[2048], zeros[1100] = { 0 };
		struct wr w = wr_of(out, sizeof(out));
		struct stun_msg m;

		if (a == STUN_DATA || a == STUN_FINGERPRINT)
			continue;
		stun_begin(&w, STUN_REQUEST, STUN_ALLOCATE, tid);
		stun_put(&w, (enum stun_attr)a, str_of(zeros, sizeof(zeros)));
		assert_ok(stun_parse(out, stun_end(&w), &m));
		assert_true(m.malformed);
	}
}

static void peers_in_turn(void **state)
{
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_addr a = { .family = STUN_IPV4, .ip = { 10, 0, 0, 1 } }, got;
	struct stun_msg m;
	size_t cursor = 0;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_CREATE_PERMISSION, tid);
	for (a.port = 1; a.port <= 3; a.port++) {
		stun_put(&w, STUN_SOFTWARE, STR("x"));
		stun_put_address(&w, STUN_XOR_PEER_ADDRESS, &a);
	}
	stun_put_integrity(&w, PASSWORD);
	stun_put_address(&w, STUN_XOR_PEER_ADDRESS, &a); /* not covered, not given out */
	assert_ok(stun_parse(out, stun_end(&w), &m));
	for (unsigned i = 1; i <= 3; i++) {
		assert_ok(stun_next_peer(&m, &cursor, &got));
		assert_int_equal(got.port, i);
	}
	assert_err(stun_next_peer(&m, &cursor, &got), ERR_NOT_FOUND);
}

static void no_peer_behind_sha256(void **state)
{
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_addr a = { .family = STUN_IPV4, .ip = { 10, 0, 0, 1 }, .port = 1 }, got;
	struct stun_msg m;
	size_t cursor = 0;

	(void)state;
	stun_begin(&w, STUN_REQUEST, STUN_CREATE_PERMISSION, tid);
	stun_put_address(&w, STUN_XOR_PEER_ADDRESS, &a);
	stun_put_integrity256(&w, PASSWORD);
	stun_put_address(&w, STUN_XOR_PEER_ADDRESS, &a);
	assert_ok(stun_parse(out, stun_end(&w), &m));
	assert_ok(stun_next_peer(&m, &cursor, &got));
	assert_err(stun_next_peer(&m, &cursor, &got), ERR_NOT_FOUND);
}

static void bad_families_are_refused(void **state)
{
	static const struct {
		uint8_t len, family;
	} bad[] = { { 8, 0 }, { 8, 2 }, { 8, 3 }, { 20, 1 }, { 20, 0 }, { 12, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t out[64], value[20] = { 0, bad[i].family };
		struct wr w = wr_of(out, sizeof(out));
		struct stun_msg m;
		struct stun_addr a;
		size_t cursor = 0;

		stun_begin(&w, STUN_REQUEST, STUN_CHANNEL_BIND, tid);
		stun_put(&w, STUN_XOR_PEER_ADDRESS, str_of(value, bad[i].len));
		assert_ok(stun_parse(out, stun_end(&w), &m));
		assert_err(stun_address(&m, STUN_XOR_PEER_ADDRESS, &a), ERR_INVALID);
		assert_err(stun_next_peer(&m, &cursor, &a), ERR_INVALID);
	}
}

static void padding_is_zero(void **state)
{
	uint8_t out[64];

	(void)state;
	for (size_t len = 0; len <= 8; len++) {
		struct wr w = wr_of(out, sizeof(out));

		memset(out, 0xaa, sizeof(out));
		stun_begin(&w, STUN_SUCCESS, STUN_BINDING, tid);
		stun_put(&w, STUN_SOFTWARE, str_of("abcdefgh", len));
		size_t size = stun_end(&w);
		assert_int_equal(size % 4, 0);
		for (size_t i = STUN_HEADER_LEN + 4 + len; i < size; i++)
			assert_int_equal(out[i], 0);
	}
}

static void what_does_not_fit_is_no_message(void **state)
{
	uint8_t out[64];

	(void)state;
	for (size_t room = 0; room < 48; room++) {
		struct wr w = wr_of(out, room);

		stun_begin(&w, STUN_ERROR, STUN_ALLOCATE, tid);
		stun_put_error(&w, 401, STR("no"));
		stun_put(&w, STUN_REALM, STR("r"));
		stun_put_fingerprint(&w);
		size_t need = 20 + 4 + 8 + 8 + 8;
		assert_int_equal(stun_end(&w), room >= need ? need : 0);
	}
}

static void error_codes(void **state)
{
	static const unsigned codes[] = { 300, 400, 401, 420, 437, 438, 440, 486, 500, 508 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		uint8_t out[64];
		struct wr w = wr_of(out, sizeof(out));
		struct stun_msg m;

		stun_begin(&w, STUN_ERROR, STUN_ALLOCATE, tid);
		stun_put_error(&w, codes[i], STR("x"));
		assert_ok(stun_parse(out, stun_end(&w), &m));
		assert_int_equal(m.class, STUN_ERROR);
		assert_int_equal(stun_error_code(&m), codes[i]);
	}
}

static void classes_and_methods_round_trip(void **state)
{
	(void)state;
	for (unsigned method = 0; method < 0x1000; method += 7) {
		for (unsigned class = 0; class < 4; class++) {
			uint8_t out[STUN_HEADER_LEN];
			struct wr w = wr_of(out, sizeof(out));
			struct stun_msg m;

			stun_begin(&w, (enum stun_class)class, method, tid);
			assert_ok(stun_parse(out, stun_end(&w), &m));
			assert_int_equal(m.class, class);
			assert_int_equal(m.method, method);
			assert_memory_equal(stun_tid(&m), tid, sizeof(tid));
		}
	}
}

static void what_is_no_stun_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} spoil[] = { { 0, 0x40 }, { 0, 0x80 }, { 4, 0x22 }, { 7, 0x43 }, { 3, 0x5b }, { 3, 0x54 }, { 3, 0x5c }, { 2, 0xff } };
	uint8_t copy[sizeof(request)];
	struct stun_msg m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spoil); i++) {
		memcpy(copy, request, sizeof(copy));
		copy[spoil[i].at] = spoil[i].value;
		assert_int_not_equal(stun_parse(copy, sizeof(copy), &m), ERR_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc5769_request),
		cmocka_unit_test(rfc5769_responses),
		cmocka_unit_test(rfc5769_long_term),
		cmocka_unit_test(rfc8489_userhash_and_sha256),
		cmocka_unit_test(cut_sha256),
		cmocka_unit_test(both_integrities),
		cmocka_unit_test(written_addresses_are_those_of_the_rfc),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(every_mended_prefix_is_safe),
		cmocka_unit_test(flipped_bits_break_integrity_or_fingerprint),
		cmocka_unit_test(nothing_counts_after_integrity),
		cmocka_unit_test(fingerprint_must_be_last),
		cmocka_unit_test(first_of_a_type_counts),
		cmocka_unit_test(unknown_attributes_are_told),
		cmocka_unit_test(many_unknown_attributes_are_safe),
		cmocka_unit_test(wrong_sizes_are_malformed),
		cmocka_unit_test(peers_in_turn),
		cmocka_unit_test(no_peer_behind_sha256),
		cmocka_unit_test(bad_families_are_refused),
		cmocka_unit_test(padding_is_zero),
		cmocka_unit_test(what_does_not_fit_is_no_message),
		cmocka_unit_test(error_codes),
		cmocka_unit_test(classes_and_methods_round_trip),
		cmocka_unit_test(what_is_no_stun_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
