/* common/turn_cred: credentials that the API makes and the relay checks. */
#include "common/turn_cred.h"
#include "tests/lib/cm.h"

static void usernames_round_trip(void **state)
{
	char mem[TURN_USERNAME_MAX];
	struct buf b = buf_fixed(mem, sizeof(mem));
	struct turn_cred c;

	(void)state;
	turn_cred_username(&b, 1790000000, STR("alice"), STR("00112233445566778899aabbccddeeff"));
	assert_str(buf_view(&b), "1790000000:alice:00112233445566778899aabbccddeeff");
	assert_ok(turn_cred_parse(buf_view(&b), 1789999999, &c));
	assert_int_equal(c.expires_s, 1790000000);
	assert_str(c.user, "alice");
	assert_str(c.call, "00112233445566778899aabbccddeeff");

	buf_reset(&b);
	turn_cred_username(&b, 5, STR("bob"), STR_NONE);
	assert_str(buf_view(&b), "5:bob");
	assert_ok(turn_cred_parse(buf_view(&b), 4, &c));
	assert_str(c.call, "");
}

static void expiry_is_exact(void **state)
{
	struct turn_cred c = { .expires_s = 42 };

	(void)state;
	assert_ok(turn_cred_parse(STR("100:x"), 99, &c));
	c.expires_s = 42;
	assert_err(turn_cred_parse(STR("100:x"), 100, &c), ERR_EXPIRED);
	assert_err(turn_cred_parse(STR("100:x"), 101, &c), ERR_EXPIRED);
	assert_int_equal(c.expires_s, 42);
}

static void malformed_usernames(void **state)
{
	static const char *const bad[] = { "", ":", "alice", ":alice", "-5:alice", "5x:alice", " 5:alice", "99999999999999999999999:a" };
	char big[TURN_USERNAME_MAX + 1];
	struct turn_cred c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_err(turn_cred_parse(str_from(bad[i]), 0, &c), ERR_INVALID);
	memset(big, '9', sizeof(big));
	memcpy(big, "5:", 2);
	assert_err(turn_cred_parse(str_of(big, sizeof(big)), 0, &c), ERR_INVALID);
	assert_ok(turn_cred_parse(str_of(big, sizeof(big) - 1), 0, &c));
}

/* Checked against: printf %s USERNAME | openssl dgst -sha1 -hmac SECRET -binary | base64. */
static void password_is_hmac_sha1_in_base64(void **state)
{
	char password[TURN_PASSWORD_LEN + 1];

	(void)state;
	turn_cred_password(STR("north"), STR("1433895918:alice"), password);
	assert_int_equal(strlen(password), TURN_PASSWORD_LEN);
	assert_string_equal(password, "RqMvcGPYTJMGThVLSi4amT4zFtI=");
}

/* RFC 8489 §9.2.2: MD5 of username ":" realm ":" password. */
static void key_is_md5_of_the_three(void **state)
{
	char text[256], password[TURN_PASSWORD_LEN + 1];
	uint8_t want[MD5_LEN], key[MD5_LEN];
	struct buf b = buf_fixed(text, sizeof(text));

	(void)state;
	turn_cred_password(STR("secret"), STR("9:u"), password);
	buf_printf(&b, "9:u:example.org:%s", password);
	crypto_md5(buf_view(&b), want);
	assert_ok(turn_cred_key(STR("secret"), STR("9:u"), STR("example.org"), key));
	assert_memory_equal(key, want, MD5_LEN);
	assert_ok(turn_cred_key(STR("secreT"), STR("9:u"), STR("example.org"), key));
	assert_memory_not_equal(key, want, MD5_LEN);
}

/* RFC 8489 §9.2.2 gives this key in full; §18.5.1.2 the one of SHA-256, checked against: printf user:realm:pass | sha256sum. */
static void keys_are_those_of_the_rfc(void **state)
{
	static const uint8_t md5[MD5_LEN] = { 0x84, 0x93, 0xfb, 0xc5, 0x3b, 0xa5, 0x82, 0xfb, 0x4c, 0x04, 0x4c, 0x45, 0x6b, 0xdc, 0x40, 0xeb };
	uint8_t want[SHA256_LEN];
	struct turn_key k;

	(void)state;
	assert_ok(turn_key_make(STUN_PASSWORD_MD5, STR("user"), STR("realm"), STR("pass"), &k));
	assert_int_equal(k.len, MD5_LEN);
	assert_memory_equal(k.bytes, md5, MD5_LEN);
	crypto_sha256(STR("user:realm:pass"), want);
	assert_ok(turn_key_make(STUN_PASSWORD_SHA256, STR("user"), STR("realm"), STR("pass"), &k));
	assert_int_equal(k.len, SHA256_LEN);
	assert_memory_equal(k.bytes, want, SHA256_LEN);
}

static void a_huge_realm_is_refused(void **state)
{
	char realm[1000];
	uint8_t key[MD5_LEN], hash[SHA256_LEN];

	(void)state;
	memset(realm, 'r', sizeof(realm));
	assert_err(turn_cred_key(STR("s"), STR("9:u"), str_of(realm, sizeof(realm)), key), ERR_TOO_LARGE);
	assert_err(turn_userhash(STR("9:u"), str_of(realm, sizeof(realm)), hash), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usernames_round_trip),
		cmocka_unit_test(expiry_is_exact),
		cmocka_unit_test(malformed_usernames),
		cmocka_unit_test(password_is_hmac_sha1_in_base64),
		cmocka_unit_test(key_is_md5_of_the_three),
		cmocka_unit_test(keys_are_those_of_the_rfc),
		cmocka_unit_test(a_huge_realm_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
