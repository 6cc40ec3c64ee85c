#include "relay/users.h"

#include <stdio.h>

#include "tests/lib/cm.h"

#define MANY 500u

static uint32_t index_of[MANY]; /* as told by users_get and the moves */

static struct str name(unsigned i, char out[16])
{
	(void)snprintf(out, 16, "user%u", i);
	return str_from(out);
}

static void moved(void *ctx, uint32_t from, uint32_t to)
{
	(void)ctx;
	for (unsigned i = 0; i < MANY; i++) {
		if (index_of[i] == from)
			index_of[i] = to;
	}
}

/* Adds and removes in a scrambled order; who is in is found, who is not is not. */
static void churn(void **state)
{
	struct users u;
	bool in[MANY] = { false };
	uint32_t seed = 7;
	char z[16];

	(void)state;
	assert_ok(users_init(&u, MANY));
	for (unsigned round = 0; round < 20000; round++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned i = (seed >> 8) % MANY;

		if (in[i]) {
			assert_int_equal(users_find(&u, name(i, z)), index_of[i]);
			u.at[index_of[i]].count--;
			uint32_t at = index_of[i];
			index_of[i] = USERS_NONE;
			users_put(&u, at, moved, NULL);
			assert_int_equal(users_find(&u, name(i, z)), USERS_NONE);
		} else {
			assert_int_equal(users_find(&u, name(i, z)), USERS_NONE);
			index_of[i] = users_get(&u, name(i, z));
			assert_int_equal(u.at[index_of[i]].count, 0);
			assert_int_equal(u.at[index_of[i]].first, USERS_NONE);
			u.at[index_of[i]].count++;
		}
		in[i] = !in[i];
	}
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(users_find(&u, name(i, z)), in[i] ? index_of[i] : USERS_NONE);
	users_fini(&u);
}

static void in_use_is_kept(void **state)
{
	struct users u;

	(void)state;
	assert_ok(users_init(&u, 4));
	uint32_t i = users_get(&u, STR("a"));
	u.at[i].count = 2;
	users_put(&u, i, moved, NULL);
	assert_int_equal(users_find(&u, STR("a")), i);
	assert_int_equal(users_get(&u, STR("a")), i);
	users_fini(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(churn), cmocka_unit_test(in_use_is_kept) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
