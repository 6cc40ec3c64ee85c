#include "relay/stream_peers.h"

#include "tests/lib/cm.h"

/* Any numbers, the same each time. */
static int next_random(void)
{
	static uint32_t x = 3;

	x = x * 1664525 + 1013904223;
	return (int)(x >> 8);
}

static void limit_of_an_address(void **state)
{
	struct addr a = addr_v4(1), b = addr_v4(2), c6 = { { 0x20010db8, 7, 1, 2 } }, same = { { 0x20010db8, 7, 3, 4 } };
	struct stream_peers s;

	(void)state;
	assert_ok(stream_peers_init(&s, 8));
	assert_true(stream_peers_take(&s, &a, 2));
	assert_true(stream_peers_take(&s, &a, 2));
	assert_false(stream_peers_take(&s, &a, 2));
	assert_true(stream_peers_take(&s, &b, 2));
	assert_true(stream_peers_take(&s, &c6, 1));
	assert_false(stream_peers_take(&s, &same, 1)); /* one /64 */
	stream_peers_give(&s, &same);
	assert_true(stream_peers_take(&s, &same, 1));
	stream_peers_give(&s, &a);
	assert_true(stream_peers_take(&s, &a, 2));
	assert_int_equal(stream_peers_count(&s, &a), 2);
	stream_peers_fini(&s);
}

static void churn(void **state)
{
	static uint32_t model[200];
	struct stream_peers s;
	uint32_t all = 0;

	(void)state;
	assert_ok(stream_peers_init(&s, 100));
	for (unsigned i = 0; i < 100000; i++) {
		uint32_t n = (uint32_t)next_random() % ARRAY_LEN(model);
		struct addr a = addr_v4(n * 0x01000000u);

		if (model[n] > 0 && (next_random() % 2 != 0 || all == 100)) {
			stream_peers_give(&s, &a);
			model[n]--;
			all--;
		} else if (all < 100) {
			assert_true(stream_peers_take(&s, &a, UINT32_MAX));
			model[n]++;
			all++;
		}
	}
	for (uint32_t n = 0; n < ARRAY_LEN(model); n++) {
		struct addr a = addr_v4(n * 0x01000000u);

		assert_int_equal(stream_peers_count(&s, &a), model[n]);
	}
	stream_peers_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_of_an_address),
		cmocka_unit_test(churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
