/* relay/revoked: by the end of the credential; what is over makes room. */
#include "relay/revoked.h"

#include <stdio.h>

#include "tests/lib/cm.h"

#define NOW UINT64_C(1790000000)

static struct revoked all;

static void by_the_end_of_the_credential(UNUSED void **state)
{
	revoked_init(&all);
	assert_false(revoked_is(&all, STR("alice"), NOW + 10));
	revoked_note(&all, STR("alice"), NOW + 100, NOW);
	assert_true(revoked_is(&all, STR("alice"), NOW + 10));
	assert_true(revoked_is(&all, STR("alice"), NOW + 100));
	assert_false(revoked_is(&all, STR("alice"), NOW + 101));
	assert_false(revoked_is(&all, STR("bob"), NOW + 10));
	/* Seen out of order, the later one stays. */
	revoked_note(&all, STR("alice"), NOW + 50, NOW);
	assert_true(revoked_is(&all, STR("alice"), NOW + 100));
	revoked_note(&all, STR("alice"), NOW + 200, NOW);
	assert_true(revoked_is(&all, STR("alice"), NOW + 200));
	/* What is over already is not kept. */
	revoked_note(&all, STR("carol"), NOW, NOW);
	assert_false(revoked_is(&all, STR("carol"), NOW));
}

static void many_users(UNUSED void **state)
{
	char name[16];
	unsigned found = 0;

	revoked_init(&all);
	for (unsigned i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		revoked_note(&all, str_from(name), NOW + 1000, NOW);
	}
	for (unsigned i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		found += revoked_is(&all, str_from(name), NOW + 1000);
	}
	assert_int_equal(found, 500);
}

/* More than there is room for: those that are over give way first. */
static void what_is_over_gives_way(UNUSED void **state)
{
	char name[16];
	unsigned found = 0;

	revoked_init(&all);
	for (unsigned i = 0; i < 60000; i++) {
		(void)snprintf(name, sizeof(name), "old%u", i);
		revoked_note(&all, str_from(name), NOW + 10, NOW);
	}
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "new%u", i);
		revoked_note(&all, str_from(name), NOW + 1000, NOW + 20);
		found += revoked_is(&all, str_from(name), NOW + 1000);
	}
	assert_int_equal(found, 1000);
	assert_true(all.forgotten > 60000 - REVOKED_SETS * REVOKED_WAYS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_end_of_the_credential),
		cmocka_unit_test(many_users),
		cmocka_unit_test(what_is_over_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
