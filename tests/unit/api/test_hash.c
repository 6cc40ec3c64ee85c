/* api/hash: Argon2id with a bound on how many run at once. */
#include "api/hash.h"

#include <pthread.h>

#include "tests/lib/cm.h"

static struct hash *make(uint64_t ops, uint64_t kib, unsigned parallel, unsigned waiting, uint64_t wait_ms)
{
	const struct hash_limits limits = { .ops = ops, .kib = kib, .parallel = parallel, .waiting = waiting, .wait_ms = wait_ms };
	struct hash *h = NULL;

	assert_ok(hash_new(&limits, &h));
	return h;
}

static void a_hash_is_verified(void **state)
{
	struct hash *h = make(1, 8, 1, 1, 1000);
	char text[HASH_SIZE], other[HASH_SIZE];
	bool stale = true;

	(void)state;
	assert_ok(hash_make(h, STR("secret"), text));
	assert_ok(hash_make(h, STR("secret"), other));
	assert_string_not_equal(text, other);
	assert_int_equal(strncmp(text, "$argon2id$v=19$m=8,t=1,p=1$", 27), 0);
	assert_ok(hash_verify(h, text, STR("secret"), &stale));
	assert_false(stale);
	assert_err(hash_verify(h, text, STR("Secret"), &stale), ERR_UNAUTHENTICATED);
	assert_err(hash_verify(h, "", STR("secret"), &stale), ERR_UNAUTHENTICATED);
	assert_err(hash_verify(h, "rubbish", STR("secret"), &stale), ERR_UNAUTHENTICATED);
	assert_err(hash_verify(h, NULL, STR("secret"), &stale), ERR_UNAUTHENTICATED);
	hash_free(h);
}

static void other_costs_are_stale(void **state)
{
	struct hash *old = make(1, 8, 1, 1, 1000), *h = make(2, 16, 1, 1, 1000);
	char text[HASH_SIZE];
	bool stale = false;

	(void)state;
	assert_ok(hash_make(old, STR("secret"), text));
	assert_ok(hash_verify(h, text, STR("secret"), &stale));
	assert_true(stale);
	hash_free(old);
	hash_free(h);
}

struct job {
	struct hash *h;
	enum err result;
};

static void *run(void *arg)
{
	struct job *j = arg;
	char text[HASH_SIZE];

	j->result = hash_make(j->h, STR("secret"), text);
	return NULL;
}

static void too_many_are_told_to_come_back(void **state)
{
	/* One runs, one may wait; of eight that come at once, six are refused. */
	struct hash *h = make(3, 65536, 1, 1, 60000);
	struct job jobs[8];
	pthread_t ids[8];
	size_t busy = 0, done = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct job){ .h = h };
		assert_int_equal(pthread_create(&ids[i], NULL, run, &jobs[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		(void)pthread_join(ids[i], NULL);
		busy += jobs[i].result == ERR_BUSY;
		done += jobs[i].result == ERR_OK;
	}
	assert_int_equal(busy + done, 8);
	assert_true(done >= 2);
	assert_true(busy >= 1);
	hash_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hash_is_verified),
		cmocka_unit_test(other_costs_are_stale),
		cmocka_unit_test(too_many_are_told_to_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
