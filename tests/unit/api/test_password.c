/* api/password: what is guessed first is refused, and nothing else. */
#include "api/password.h"

#include "tests/lib/cm.h"

static const char *judge(const char *password)
{
	return password_weak(str_from(password), STR("alice"), STR("Alice van Dyke"));
}

static void common_ones_are_refused(void **state)
{
	static const char *const weak[] = { "password12",  "PASSWORD!!",   "P@$$w0rd2024", "1234567890",    "0987654321",
					    "qwertyuiop",  "1q2w3e4r5t",   "aaaaaaaaaa",   "ababababab",    "abcdabcdabcd",
					    "Winter2026!", "!!letmein!!1", "iloveyou99",   "changeme123",   "12345!67890",
					    "alicealice",  "Alice12345",   "alicevandyke", "vanDykeAlice1", "11111111112",
					    "!@#$%^&*()" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(weak); i++) {
		if (judge(weak[i]) == NULL)
			fail_msg("%s was accepted", weak[i]);
	}
}

static void others_are_taken(void **state)
{
	static const char *const good[] = { "correct horse 7", "a stone in the rain", "alice likes tea", "k2x9-mmqv-0p4d",
					    "žluťoučký kůň",   "ohmygodpassword",     "pässwörter sind" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const char *why = judge(good[i]);

		if (why != NULL)
			fail_msg("%s: %s", good[i], why);
	}
}

static void short_names_do_not_count(void **state)
{
	(void)state;
	assert_null(password_weak(STR("al gone to sea"), STR("al"), STR("A B")));
	assert_null(password_weak(STR("al gone to sea"), STR(""), STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(common_ones_are_refused),
		cmocka_unit_test(others_are_taken),
		cmocka_unit_test(short_names_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
