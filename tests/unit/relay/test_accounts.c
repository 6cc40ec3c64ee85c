/* relay/accounts: the file of users. */
#include "relay/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cm.h"

#define REALM STR("example.org")

static void passwords_and_keys(void **state)
{
	static const char text[] = "# people\n"
				   "alice:secret with blanks and : colons\r\n"
				   "\n"
				   "bob:md5=000102030405060708090a0b0c0d0e0f\n"
				   "carol:sha256=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
				   "dave:md5=ffffffffffffffffffffffffffffffff "
				   "sha256=eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n"
				   "\xe3\x83\x9e:x"; /* no newline at the end */
	struct turn_key md5, sha256;
	struct accounts *all;
	uint8_t hash[SHA256_LEN];
	char why[256];

	(void)state;
	assert_ok(accounts_parse(str_from(text), REALM, &all, why, sizeof(why)));
	assert_int_equal(accounts_count(all), 5);
	const struct account *a = accounts_by_name(all, STR("alice"));
	assert_non_null(a);
	assert_ok(turn_key_make(STUN_PASSWORD_MD5, STR("alice"), REALM, STR("secret with blanks and : colons"), &md5));
	assert_ok(turn_key_make(STUN_PASSWORD_SHA256, STR("alice"), REALM, STR("secret with blanks and : colons"), &sha256));
	assert_memory_equal(&a->md5, &md5, sizeof(md5.len) + MD5_LEN);
	assert_memory_equal(&a->sha256, &sha256, sizeof(sha256));
	assert_ok(turn_userhash(STR("alice"), REALM, hash));
	assert_ptr_equal(accounts_by_hash(all, hash), a);
	a = accounts_by_name(all, STR("bob"));
	assert_non_null(a);
	assert_int_equal(a->md5.len, MD5_LEN);
	assert_int_equal(a->md5.bytes[15], 15);
	assert_int_equal(a->sha256.len, 0);
	a = accounts_by_name(all, STR("carol"));
	assert_non_null(a);
	assert_int_equal(a->md5.len, 0);
	assert_int_equal(a->sha256.bytes[31], 31);
	a = accounts_by_name(all, STR("dave"));
	assert_non_null(a);
	assert_true(a->md5.len == MD5_LEN && a->sha256.len == SHA256_LEN);
	assert_non_null(accounts_by_name(all, STR("\xe3\x83\x9e")));
	assert_null(accounts_by_name(all, STR("")));
	assert_null(accounts_by_name(all, STR("alic")));
	assert_null(accounts_by_name(all, STR("mallory")));
	hash[0] ^= 1;
	assert_null(accounts_by_hash(all, hash));
	accounts_free(all);
}

static void nobody(void **state)
{
	static const uint8_t hash[SHA256_LEN];
	struct accounts *all;
	char why[256];

	(void)state;
	assert_ok(accounts_parse(STR("# nobody yet\n"), REALM, &all, why, sizeof(why)));
	assert_int_equal(accounts_count(all), 0);
	assert_null(accounts_by_name(all, STR("alice")));
	assert_null(accounts_by_hash(all, hash));
	accounts_free(all);
	assert_null(accounts_by_name(NULL, STR("alice")));
	assert_null(accounts_by_hash(NULL, hash));
	accounts_free(NULL);
}

/* The line is named, what stands in it is not: it may be a password. */
static void wrong_lines(void **state)
{
	static const char *const lines[] = {
		"alice", "\r:x", "al\tice:x", "\x7f:x", ":password", "alice:", "alice:md5=", "alice:md5=zz0102030405060708090a0b0c0d0e0f", "alice:md5=00010203",
		"alice:sha256=000102030405060708090a0b0c0d0e0f", "alice:md5=000102030405060708090a0b0c0d0e0f hunter2",
		"alice:md5=000102030405060708090a0b0c0d0e0f md5=000102030405060708090a0b0c0d0e0f",
		"alice:md5=000102030405060708090a0b0c0d0e0f ",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct accounts *all;
		char text[512], why[256];

		(void)snprintf(text, sizeof(text), "bob:fine\n\n%s\n", lines[i]);
		if (accounts_parse(str_from(text), REALM, &all, why, sizeof(why)) == ERR_OK)
			fail_msg("'%s' was taken", lines[i]);
		assert_non_null(strstr(why, "line 3 "));
		assert_null(strstr(why, "hunter2"));
	}
}

static void names_are_unique(void **state)
{
	struct accounts *all;
	char why[256];

	(void)state;
	assert_err(accounts_parse(STR("a:1\nbob:2\nc:3\nbob:4\n"), REALM, &all, why, sizeof(why)), ERR_EXISTS);
	assert_non_null(strstr(why, "bob"));
}

static void thousands_are_found(void **state)
{
	struct buf text = buf_growing(1 << 20);
	struct accounts *all;
	char why[256], name[16];

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		buf_printf(&text, "user%u:password%u\n", i, i);
	assert_ok(accounts_parse(buf_view(&text), REALM, &all, why, sizeof(why)));
	assert_int_equal(accounts_count(all), 5000);
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		const struct account *a = accounts_by_name(all, str_from(name));
		assert_non_null(a);
		assert_true(str_eq(account_name(a), str_from(name)));
	}
	accounts_free(all);
	buf_fini(&text);
}

static void files_must_be_private(void **state)
{
	char path[] = "/tmp/duplex-test-users-XXXXXX", why[256];
	struct accounts *all;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "alice:secret\n", 13), 13);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_err(accounts_load(path, REALM, &all, why, sizeof(why)), ERR_FORBIDDEN);
	assert_non_null(strstr(why, path));
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_ok(accounts_load(path, REALM, &all, why, sizeof(why)));
	assert_non_null(accounts_by_name(all, STR("alice")));
	accounts_free(all);
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	assert_err(accounts_load(path, REALM, &all, why, sizeof(why)), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_and_keys), cmocka_unit_test(nobody), cmocka_unit_test(wrong_lines), cmocka_unit_test(names_are_unique),
		cmocka_unit_test(thousands_are_found), cmocka_unit_test(files_must_be_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
