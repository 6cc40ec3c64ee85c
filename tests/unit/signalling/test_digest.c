/* signalling/digest: the examples of RFC 7616 §3.9.1, credentials that are not whole, nonces that are of no use elsewhere. */
#include "signalling/digest.h"

#include "common/device.h"
#include "tests/lib/cm.h"

#define COMMON                                                                                                             \
	"username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", "                                  \
	"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, "                                            \
	"cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
#define MD5_RESPONSE "8ca523f5e9506fed4657c9700eebdbec"
#define SHA_RESPONSE "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"

static const uint8_t key[DIGEST_KEY_LEN] = { 1, 2, 3 }, other_key[DIGEST_KEY_LEN] = { 1, 2, 4 };
static const struct str user = { "Mufasa", 6 }, realm = { "http-auth@example.org", 21 }, password = { "Circle of Life", 14 };

static struct digest parsed(const char *text)
{
	struct digest d;

	assert_ok(digest_parse(str_from(text), &d));
	return d;
}

static void md5_of_the_rfc(void **state)
{
	struct digest d = parsed("Digest " COMMON ", algorithm=MD5, response=\"" MD5_RESPONSE "\"");
	char mem[DEVICE_HA1_MAX];
	struct buf ha1 = buf_fixed(mem, sizeof(mem));

	(void)state;
	device_ha1_md5_put(&ha1, user, realm, password);
	assert_int_equal(d.algorithm, DIGEST_MD5);
	assert_int_equal(d.nc, 1);
	assert_true(digest_ok(&d, buf_view(&ha1), STR("GET")));
	assert_false(digest_ok(&d, buf_view(&ha1), STR("PUT")));
	d.nc_text = STR("00000002");
	assert_false(digest_ok(&d, buf_view(&ha1), STR("GET")));
}

static void sha256_of_the_rfc(void **state)
{
	struct digest d = parsed("digest  " COMMON ", algorithm=SHA-256, response=\"" SHA_RESPONSE "\"");
	char mem[DEVICE_HA1_MAX];
	struct buf ha1 = buf_fixed(mem, sizeof(mem));

	(void)state;
	device_ha1_sha256_put(&ha1, user, realm, password);
	assert_int_equal(d.algorithm, DIGEST_SHA256);
	assert_true(digest_ok(&d, buf_view(&ha1), STR("GET")));
	/* The response of one algorithm is none of the other. */
	d.algorithm = DIGEST_MD5;
	assert_false(digest_ok(&d, buf_view(&ha1), STR("GET")));
	d = parsed("Digest " COMMON ", algorithm=SHA-256, response=\"" MD5_RESPONSE "\"");
	assert_false(digest_ok(&d, buf_view(&ha1), STR("GET")));
}

static void capital_hex_is_hex(void **state)
{
	struct digest d = parsed("Digest " COMMON ", response=\"8CA523F5E9506FED4657C9700EEBDBEC\"");
	char mem[DEVICE_HA1_MAX];
	struct buf ha1 = buf_fixed(mem, sizeof(mem));

	(void)state;
	device_ha1_md5_put(&ha1, user, realm, password);
	assert_true(digest_ok(&d, buf_view(&ha1), STR("GET")));
}

static void what_is_not_whole_is_refused(void **state)
{
	static const char *const bad[] = {
		"Digest username=\"a\"",
		"Digest " COMMON,                                              /* no response */
		"Digest " COMMON ", response=\"a\", response=\"a\"",           /* twice */
		"Digest " COMMON ", response=\"a\\\"b\"",                      /* quoted-pair */
		"Digest " COMMON ", response=\"a",                             /* open quote */
		"Digest " COMMON ", response=",
		"Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"d\", response=\"e\", qop=auth, nc=1, cnonce=\"f\"",
		"Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"d\", response=\"e\", qop=auth, nc=0000000g, cnonce=\"f\"",
		"Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"d\", response=\"e\", qop=auth, nc=00000001",
	};
	static const char *const unknown[] = {
		"", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Bearer abc", "Digest ", "Digest" COMMON,
		"Digest " COMMON ", response=\"a\", algorithm=SHA-512-256",
		"Digest " COMMON ", response=\"a\", algorithm=MD5-sess",
		"Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"d\", response=\"e\"", /* RFC 2069: without qop */
		"Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"d\", response=\"e\", qop=auth-int, nc=00000001, cnonce=\"f\"",
	};
	struct digest d;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(digest_parse(str_from(bad[i]), &d), ERR_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		assert_int_equal(digest_parse(str_from(unknown[i]), &d), ERR_UNSUPPORTED);
}

static struct str nonce_of(char mem[DIGEST_NONCE_LEN], struct str where, uint64_t now_ms)
{
	struct buf b = buf_fixed(mem, DIGEST_NONCE_LEN);

	digest_nonce_put(&b, key, where, now_ms);
	assert_false(b.overflow);
	assert_int_equal(b.len, DIGEST_NONCE_LEN);
	return buf_view(&b);
}

static void a_nonce_is_good_for_a_while_and_one_place(void **state)
{
	char mem[DIGEST_NONCE_LEN], later_mem[DIGEST_NONCE_LEN];
	const uint64_t now = 1790000000000;
	struct str here = STR("UDP 192.0.2.1:5060"), nonce = nonce_of(mem, here, now), later = nonce_of(later_mem, here, now + 1);
	uint64_t made, made_later;

	(void)state;
	assert_ok(digest_nonce_get(nonce, key, here, now, &made));
	assert_ok(digest_nonce_get(nonce, key, here, now + DIGEST_NONCE_MS, &made));
	assert_int_equal(digest_nonce_get(nonce, key, here, now + DIGEST_NONCE_MS + 1, &made), ERR_EXPIRED);
	assert_int_equal(digest_nonce_get(nonce, key, here, now - 60000, &made), ERR_EXPIRED);
	assert_int_equal(digest_nonce_get(nonce, key, STR("UDP 192.0.2.1:5061"), now, &made), ERR_INVALID);
	assert_int_equal(digest_nonce_get(nonce, other_key, here, now, &made), ERR_INVALID);
	assert_ok(digest_nonce_get(later, key, here, now + 1, &made_later));
	assert_true(made_later > made);
}

static void every_changed_character_spoils_a_nonce(void **state)
{
	char mem[DIGEST_NONCE_LEN];
	struct str here = STR("x"), nonce = nonce_of(mem, here, 1790000000000);
	uint64_t made;

	(void)state;
	for (size_t i = 0; i < DIGEST_NONCE_LEN; i++) {
		char was = mem[i];

		mem[i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(digest_nonce_get(nonce, key, here, 1790000000000, &made), ERR_OK);
		mem[i] = was;
		assert_int_not_equal(digest_nonce_get(str_sub(nonce, 0, i), key, here, 1790000000000, &made), ERR_OK);
	}
}

static void a_challenge_reads_as_it_should(void **state)
{
	char mem[256];
	struct buf b = buf_fixed(mem, sizeof(mem));

	(void)state;
	digest_challenge_put(&b, DIGEST_SHA256, STR("example.com"), STR("abc"), true);
	assert_true(str_eq(buf_view(&b), STR("Digest realm=\"example.com\", nonce=\"abc\", algorithm=SHA-256, qop=\"auth\", stale=true")));
}

static void a_counter_is_used_once(void **state)
{
	struct nonces n = { 0 };

	(void)state;
	assert_true(nonces_use(&n, 100, 1));
	assert_false(nonces_use(&n, 100, 1));
	assert_true(nonces_use(&n, 100, 3));
	assert_false(nonces_use(&n, 100, 2));
	/* Another of the client's dialogs, with an older nonce of its own. */
	assert_true(nonces_use(&n, 90, 1));
	assert_false(nonces_use(&n, 90, 1));
	assert_true(nonces_use(&n, 100, 4));
}

static void what_is_forgotten_is_not_taken_again(void **state)
{
	struct nonces n = { 0 };

	(void)state;
	for (uint64_t made = 1; made <= 3 * NONCES_MAX; made++)
		assert_true(nonces_use(&n, made, 1));
	for (uint64_t made = 1; made <= 3 * NONCES_MAX; made++)
		assert_false(nonces_use(&n, made, 1));
	assert_true(nonces_use(&n, 3 * NONCES_MAX, 2));
	assert_false(nonces_use(&n, NONCES_MAX, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(md5_of_the_rfc),
		cmocka_unit_test(sha256_of_the_rfc),
		cmocka_unit_test(capital_hex_is_hex),
		cmocka_unit_test(what_is_not_whole_is_refused),
		cmocka_unit_test(a_nonce_is_good_for_a_while_and_one_place),
		cmocka_unit_test(every_changed_character_spoils_a_nonce),
		cmocka_unit_test(a_counter_is_used_once),
		cmocka_unit_test(what_is_forgotten_is_not_taken_again),
		cmocka_unit_test(a_challenge_reads_as_it_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
