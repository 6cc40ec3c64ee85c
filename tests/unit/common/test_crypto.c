/* common/crypto against the vectors of the RFCs. */
#include "common/crypto.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/cm.h"

static void assert_hex(const uint8_t *p, size_t len, const char *want)
{
	char text[2 * SHA256_LEN];
	struct buf b = buf_fixed(text, sizeof(text));

	hex_put(&b, p, len);
	assert_str(buf_view(&b), want);
}

/* RFC 1321 A.5, FIPS 180-4 (via RFC 6234 §8.5). */
static void digests(void **state)
{
	uint8_t out[SHA256_LEN];

	(void)state;
	crypto_md5(STR(""), out);
	assert_hex(out, MD5_LEN, "d41d8cd98f00b204e9800998ecf8427e");
	crypto_md5(STR("message digest"), out);
	assert_hex(out, MD5_LEN, "f96b697d7cb7938d525a2f31aaf161d0");
	crypto_sha1(STR("abc"), out);
	assert_hex(out, SHA1_LEN, "a9993e364706816aba3e25717850c26c9cd0d89d");
	crypto_sha256(STR("abc"), out);
	assert_hex(out, SHA256_LEN, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_sha256(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), out);
	assert_hex(out, SHA256_LEN, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 2202 §3 (SHA-1), RFC 4231 §4 (SHA-256). */
static void macs(void **state)
{
	uint8_t out[SHA256_LEN];
	char key[131];

	(void)state;
	memset(key, 0x0b, 20);
	crypto_hmac_sha1(str_of(key, 20), STR("Hi There"), out);
	assert_hex(out, SHA1_LEN, "b617318655057264e28bc0b6fb378c8ef146be00");
	crypto_hmac_sha1(STR("Jefe"), STR("what do ya want for nothing?"), out);
	assert_hex(out, SHA1_LEN, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	crypto_hmac_sha256(str_of(key, 20), STR("Hi There"), out);
	assert_hex(out, SHA256_LEN, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	crypto_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
	assert_hex(out, SHA256_LEN, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	crypto_hmac_sha256(str_of(key, sizeof(key)), STR("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	assert_hex(out, SHA256_LEN, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 4648 §10. */
static void base64_vectors(void **state)
{
	static const struct {
		const char *plain, *text;
	} cases[] = { { "", "" },           { "f", "Zg==" },       { "fo", "Zm8=" },        { "foo", "Zm9v" },
		      { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	char mem[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = buf_fixed(mem, sizeof(mem));

		base64_put(&b, cases[i].plain, strlen(cases[i].plain));
		assert_str(buf_view(&b), cases[i].text);
	}
}

static void base64url_round_trip_of_every_length(void **state)
{
	uint8_t in[64], out[64];
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 37 + 250);
	for (size_t len = 0; len <= sizeof(in); len++) {
		struct buf b = buf_fixed(text, sizeof(text));
		size_t got = 999;

		base64url_put(&b, in, len);
		assert_err(buf_err(&b), ERR_OK);
		assert_ok(base64url_get(buf_view(&b), out, len, &got));
		assert_int_equal(got, len);
		assert_memory_equal(in, out, len);
		if (len > 0)
			assert_err(base64url_get(buf_view(&b), out, len - 1, &got), ERR_TOO_LARGE);
	}
}

static void base64url_is_strict(void **state)
{
	static const char *const bad[] = {
		"A",     /* one character is no byte */
		"AAAAA", /* five neither */
		"AB",    /* left-over bits: a second spelling of AA */
		"AAB",   /* the same with three */
		"AA==",  "AA=",  "A A",  " AA", "AA ", "AA\n", "A+",  "A/", "A.AA", "\xc3\xa4\xc3\xa4",
	};
	uint8_t out[16];
	size_t len = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_err(base64url_get(str_from(bad[i]), out, sizeof(out), &len), ERR_INVALID);
	assert_int_equal(len, 7);
	assert_ok(base64url_get(STR("_-8"), out, sizeof(out), &len));
	assert_memory_equal(out, "\xff\xef", 2);
}

static void hex_both_ways(void **state)
{
	uint8_t out[4];
	size_t len = 9;

	(void)state;
	assert_ok(hex_get(STR("00ffAb"), out, sizeof(out), &len));
	assert_int_equal(len, 3);
	assert_memory_equal(out, "\x00\xff\xab", 3);
	assert_err(hex_get(STR("0"), out, sizeof(out), &len), ERR_INVALID);
	assert_err(hex_get(STR("0g"), out, sizeof(out), &len), ERR_INVALID);
	assert_err(hex_get(STR("0011223344"), out, sizeof(out), &len), ERR_TOO_LARGE);
	assert_ok(hex_get(STR(""), out, sizeof(out), &len));
	assert_int_equal(len, 0);
}

static void equality(void **state)
{
	(void)state;
	assert_true(crypto_equal("abcd", "abcd", 4));
	assert_false(crypto_equal("abcd", "abce", 4));
	assert_true(crypto_equal("abcd", "abce", 3));
	assert_true(crypto_equal("", "x", 0));
}

static void random_bytes_differ(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

/* Small ones come from a store: no value twice, whatever the mix of sizes, and a child has other bytes than its parent. */
static void small_random_values_differ(void **state)
{
	static uint64_t seen[4096];
	uint64_t from_child;
	int ends[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		uint8_t odd[7];

		crypto_random(&seen[i], sizeof(seen[i]));
		crypto_random(odd, i % 8);
		for (size_t k = 0; k < i; k++)
			assert_true(seen[k] != seen[i]);
	}
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		crypto_random(&from_child, sizeof(from_child));
		_exit(write(ends[1], &from_child, sizeof(from_child)) == sizeof(from_child) ? 0 : 1);
	}
	crypto_random(&seen[0], sizeof(seen[0]));
	assert_int_equal(read(ends[0], &from_child, sizeof(from_child)), sizeof(from_child));
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(from_child != seen[0]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests),
		cmocka_unit_test(macs),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64url_round_trip_of_every_length),
		cmocka_unit_test(base64url_is_strict),
		cmocka_unit_test(hex_both_ways),
		cmocka_unit_test(equality),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(small_random_values_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
