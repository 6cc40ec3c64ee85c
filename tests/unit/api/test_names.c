/* api/names: the entries of the directory. */
#include "api/names.h"

#include "tests/lib/cm.h"

static void every_word_begins_an_entry(void **state)
{
	struct names_words w;

	(void)state;
	names_words_of(STR("Alice VAN-Dyke (Ops)"), STR("alice"), &w);
	assert_int_equal(w.count, 4);
	assert_str(w.word[0], "alice van-dyke (ops)\nalice");
	assert_str(w.word[1], "van-dyke (ops)\nalice");
	assert_str(w.word[2], "dyke (ops)\nalice");
	assert_str(w.word[3], "ops)\nalice");
	assert_str(names_user(w.word[3]), "alice");
}

static void odd_names_stay_bounded(void **state)
{
	struct names_words w;
	char big[256];

	(void)state;
	names_words_of(STR(""), STR("alice"), &w);
	assert_int_equal(w.count, 0);
	names_words_of(STR("- - -"), STR("alice"), &w);
	assert_int_equal(w.count, 0);
	names_words_of(STR("a b c d e f g h i j k"), STR("alice"), &w);
	assert_int_equal(w.count, NAMES_WORDS_MAX);
	memset(big, 'x', sizeof(big));
	names_words_of(str_of(big, sizeof(big)), STR("a-user-name-that-is-32-bytes-long"), &w);
	assert_int_equal(w.count, 1);
}

static void one_entry_stands_for_a_person(void **state)
{
	struct names_words w;

	(void)state;
	names_words_of(STR("Anna Annabel Annis"), STR("twice"), &w);
	assert_str(names_first_match(&w, STR("ann")), "anna annabel annis\ntwice");
	assert_str(names_first_match(&w, STR("annab")), "annabel annis\ntwice");
	assert_null(names_first_match(&w, STR("bob")).p);
	assert_null(names_user(STR("no newline")).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_begins_an_entry),
		cmocka_unit_test(odd_names_stay_bounded),
		cmocka_unit_test(one_entry_stands_for_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
