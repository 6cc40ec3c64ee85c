/* common/conf: the INI loader. Files are made in a folder of this test's own. */
#include "common/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cm.h"

struct opts {
	char *name, *words, *secret, *shared;
	uint64_t count;
	bool on;
};

static const struct conf_option table[] = {
	{ "common", "shared", CONF_STRING, offsetof(struct opts, shared), "s", 0, 0, "", false, "shared by programs" },
	{ "part", "name", CONF_STRING, offsetof(struct opts, name), NULL, 0, 0, "", false, "a name" },
	{ "part", "words", CONF_LIST, offsetof(struct opts, words), "a b", 0, 0, "", false, "some words" },
	{ "part", "count", CONF_UINT, offsetof(struct opts, count), "5", 1, 10, "ms", true, "a number" },
	{ "part", "on", CONF_BOOL, offsetof(struct opts, on), "yes", 0, 0, "", false, "a switch" },
	{ "part", "secret", CONF_SECRET, offsetof(struct opts, secret), "", 0, 0, "", false, "a secret" },
};

static char folder[64], path[96], secret[96], why[256];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/duplex-conf-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/duplex.conf", folder);
	(void)snprintf(secret, sizeof(secret), "%s/secret", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(secret);
	return rmdir(folder);
}

static void write_to(const char *file, const char *text, mode_t mode)
{
	(void)unlink(file);
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(file, mode), 0);
}

static enum err load(const char *text, struct opts *o)
{
	write_to(path, text, 0644);
	*o = (struct opts){ 0 };
	return conf_load(path, table, ARRAY_LEN(table), o, why, sizeof(why));
}

static void all_types_and_presets(void **state)
{
	struct opts o;

	(void)state;
	assert_ok(load("; comment\n[other]\nname = not mine\n[part]\nname = x y\ncount = 10\non = off\n", &o));
	assert_string_equal(o.name, "x y");
	assert_int_equal(o.count, 10);
	assert_false(o.on);
	assert_string_equal(o.words, "a b");
	assert_string_equal(o.shared, "s");
	assert_null(o.secret);
	conf_free(table, ARRAY_LEN(table), &o);
	assert_null(o.name);
}

static void the_last_value_wins(void **state)
{
	struct opts o;

	(void)state;
	assert_ok(load("[part]\nname = a\nname = b\n", &o));
	assert_string_equal(o.name, "b");
	conf_free(table, ARRAY_LEN(table), &o);
}

static void keys_of_others_in_common_are_no_error(void **state)
{
	struct opts o;

	(void)state;
	assert_ok(load("[common]\nelse = 1\nshared = t\n[part]\nname = a\n", &o));
	assert_string_equal(o.shared, "t");
	conf_free(table, ARRAY_LEN(table), &o);
}

/* Every failure says in one sentence what is wrong. */
static void errors_name_their_cause(void **state)
{
	static const struct {
		const char *text;
		enum err err;
		const char *says;
	} cases[] = {
		{ "[part]\nnmae = x\n", ERR_INVALID, "[part] nmae is not a known option" },
		{ "[part]\ncount = 3\n", ERR_NOT_FOUND, "[part] name is missing" },
		{ "[part]\nname = x\ncount = 0\n", ERR_INVALID, "[part] count must be a number from 1 to 10, not '0'" },
		{ "[part]\nname = x\ncount = 11\n", ERR_INVALID, "from 1 to 10" },
		{ "[part]\nname = x\ncount = -1\n", ERR_INVALID, "from 1 to 10" },
		{ "[part]\nname = x\ncount = 1x\n", ERR_INVALID, "from 1 to 10" },
		{ "[part]\nname = x\non = maybe\n", ERR_INVALID, "[part] on must be yes or no, not 'maybe'" },
		{ "[part]\nname = x\nnonsense\n", ERR_INVALID, "line 3" },
		{ "[part]\nname = x\nsecret = /does/not/exist\n", ERR_NOT_FOUND, "/does/not/exist cannot be opened" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct opts o;

		assert_err(load(cases[i].text, &o), cases[i].err);
		if (strstr(why, cases[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", why, cases[i].says);
		conf_free(table, ARRAY_LEN(table), &o);
	}
}

static void a_missing_file_is_said_so(void **state)
{
	struct opts o = { 0 };

	(void)state;
	assert_err(conf_load("/does/not/exist", table, ARRAY_LEN(table), &o, why, sizeof(why)), ERR_NOT_FOUND);
	assert_non_null(strstr(why, "/does/not/exist cannot be read"));
	conf_free(table, ARRAY_LEN(table), &o);
}

static void secrets_come_from_files_that_others_cannot_read(void **state)
{
	char text[200];
	struct opts o;

	(void)state;
	(void)snprintf(text, sizeof(text), "[part]\nname = x\nsecret = %s\n", secret);
	write_to(secret, "0123456789abcdef\nsecond line\n", 0640);
	assert_ok(load(text, &o));
	assert_string_equal(o.secret, "0123456789abcdef");
	conf_free(table, ARRAY_LEN(table), &o);

	write_to(secret, "0123456789abcdef\n", 0644);
	assert_err(load(text, &o), ERR_INVALID);
	assert_non_null(strstr(why, "must not be readable by others"));
	conf_free(table, ARRAY_LEN(table), &o);

	write_to(secret, "tooshort\n", 0600);
	assert_err(load(text, &o), ERR_INVALID);
	assert_non_null(strstr(why, "16 to 500 characters"));
	conf_free(table, ARRAY_LEN(table), &o);

	write_to(secret, "", 0600);
	assert_err(load(text, &o), ERR_INVALID);
	conf_free(table, ARRAY_LEN(table), &o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_and_presets),
		cmocka_unit_test(the_last_value_wins),
		cmocka_unit_test(keys_of_others_in_common_are_no_error),
		cmocka_unit_test(errors_name_their_cause),
		cmocka_unit_test(a_missing_file_is_said_so),
		cmocka_unit_test(secrets_come_from_files_that_others_cannot_read),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
