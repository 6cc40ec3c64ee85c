/* common/device: logins that name exactly one device, and the hashes of RFC 7616 §3.9.1. */
#include "common/device.h"

#include "tests/lib/cm.h"

static void the_hashes_of_rfc_7616(void **state)
{
	char mem[DEVICE_HA1_MAX + 1] = "";
	struct buf b = buf_fixed(mem, DEVICE_HA1_MAX);

	(void)state;
	/* MD5("Mufasa:http-auth@example.org:Circle of Life"), as the example's response follows from it: test_digest. */
	device_ha1_md5_put(&b, STR("Mufasa"), STR("http-auth@example.org"), STR("Circle of Life"));
	assert_false(b.overflow);
	assert_int_equal(b.len, 32);
	assert_memory_equal(mem, "3d78807defe7de2157e2b0b6573a855f", 32);
	buf_reset(&b);
	device_ha1_sha256_put(&b, STR("Mufasa"), STR("http-auth@example.org"), STR("Circle of Life"));
	assert_false(b.overflow);
	assert_int_equal(b.len, 64);
	assert_memory_equal(mem, "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232", 64);
}

static void a_login_names_user_and_device(void **state)
{
	char mem[DEVICE_LOGIN_MAX];
	struct buf b = buf_fixed(mem, sizeof(mem));
	struct str user, id;

	(void)state;
	device_login_put(&b, STR("al.ice-9"), STR("0123456789abcdef"));
	assert_ok(device_login_get(buf_view(&b), &user, &id));
	assert_true(str_eq(user, STR("al.ice-9")));
	assert_true(str_eq(id, STR("0123456789abcdef")));
}

static void other_logins_are_refused(void **state)
{
	static const char *const bad[] = { "", "+", "alice", "alice+", "alice+0123", "+0123456789abcdef", "alice+0123456789abcdeF", "alice+0123456789abcdef0",
					   "alice++123456789abcdef", "a}ice+0123456789abcdef", "Alice+0123456789abcdef" };
	struct str user, id;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(device_login_get(str_from(bad[i]), &user, &id), ERR_INVALID);
}

static void a_session_of_a_device_is_told_from_a_login(void **state)
{
	struct str id;

	(void)state;
	assert_true(device_of_session(STR("d-0123456789abcdef"), &id));
	assert_true(str_eq(id, STR("0123456789abcdef")));
	assert_false(device_of_session(STR("00000000000000000000000000000001"), &id));
	assert_false(device_of_session(STR("d-0123"), &id));
	assert_false(device_of_session(STR(""), &id));
}

static void ids_and_secrets_are_random(void **state)
{
	char id[DEVICE_ID_LEN + 1], other_id[DEVICE_ID_LEN + 1], secret[DEVICE_SECRET_LEN + 1], other[DEVICE_SECRET_LEN + 1];

	(void)state;
	device_id_make(id);
	device_id_make(other_id);
	assert_true(device_id_valid(str_from(id)));
	assert_string_not_equal(id, other_id);
	device_secret_make(secret);
	device_secret_make(other);
	assert_int_equal(strlen(secret), DEVICE_SECRET_LEN);
	assert_string_not_equal(secret, other);
	assert_int_equal(strspn(secret, "0123456789abcdefghjkmnpqrstvwxyz"), DEVICE_SECRET_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hashes_of_rfc_7616),
		cmocka_unit_test(a_login_names_user_and_device),
		cmocka_unit_test(other_logins_are_refused),
		cmocka_unit_test(a_session_of_a_device_is_told_from_a_login),
		cmocka_unit_test(ids_and_secrets_are_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
