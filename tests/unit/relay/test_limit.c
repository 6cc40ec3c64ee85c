#include "relay/limit.h"
#include "tests/lib/cm.h"

static struct limit l;

static struct addr v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return addr_v4(__builtin_bswap32(a << 24 | b << 16 | c << 8 | d));
}

static unsigned take(const struct addr *a, unsigned tries, uint32_t rate, uint32_t burst, uint32_t now_ms)
{
	unsigned n = 0;

	while (tries-- > 0)
		n += limit_take(&l, a, rate, burst, now_ms);
	return n;
}

static void burst_then_rate(void **state)
{
	struct addr a = v4(1, 2, 3, 4), same = v4(1, 2, 3, 200), other = v4(1, 2, 4, 4);

	(void)state;
	limit_init(&l);
	assert_int_equal(take(&a, 100, 10, 20, 1000), 20);
	assert_int_equal(take(&same, 100, 10, 20, 1000), 0); /* one budget for a /24 */
	assert_int_equal(take(&other, 100, 10, 20, 1000), 20);
	assert_int_equal(take(&a, 100, 10, 20, 1099), 0);
	assert_int_equal(take(&a, 100, 10, 20, 1100), 1);
	assert_int_equal(take(&a, 100, 10, 20, 2100), 10);
	assert_int_equal(take(&a, 100, 10, 20, 100000), 20); /* never more than the burst */
}

/* Asked all the time, a bucket still fills at its rate. */
static void steady(void **state)
{
	struct addr a = v4(5, 5, 5, 5);
	unsigned n = 0;

	(void)state;
	limit_init(&l);
	for (uint32_t ms = 1; ms <= 10000; ms++)
		n += limit_take(&l, &a, 50, 10, ms);
	assert_in_range(n, 10 + 490, 10 + 510);
}

/* Workers read their clocks on their own: one may be a little behind the one that took the last token. */
static void a_clock_behind_gives_nothing(void **state)
{
	struct addr a = v4(6, 6, 6, 6);

	(void)state;
	limit_init(&l);
	assert_int_equal(take(&a, 100, 10, 20, 5000), 20);
	assert_int_equal(take(&a, 100, 10, 20, 4999), 0);
	assert_int_equal(take(&a, 100, 10, 20, 5000), 0);
	assert_int_equal(take(&a, 100, 10, 20, 5100), 1); /* and what comes back comes back once */
	/* The clock's 32 bits end: that is later, not earlier. */
	assert_int_equal(take(&a, 100, 10, 20, UINT32_MAX - 10), 20);
	assert_int_equal(take(&a, 100, 10, 20, 89), 1);
}

static void no_limit(void **state)
{
	struct addr a = v4(5, 5, 5, 5);

	(void)state;
	limit_init(&l);
	assert_int_equal(take(&a, 1000, 0, 1, 1), 1000);
}

static void v6_goes_by_64(void **state)
{
	struct addr a = { { 0x20010db8, 7, 1, 2 } }, same = { { 0x20010db8, 7, 3, 4 } }, other = { { 0x20010db8, 8, 1, 2 } };

	(void)state;
	limit_init(&l);
	assert_int_equal(take(&a, 10, 1, 5, 1), 5);
	assert_int_equal(take(&same, 10, 1, 5, 1), 0);
	assert_int_equal(take(&other, 10, 1, 5, 1), 5);
}

/* A flood from every prefix at once leaves the sum bounded by the table, not by the number of prefixes. */
static void flood_is_bounded(void **state)
{
	unsigned n = 0;

	(void)state;
	limit_init(&l);
	for (unsigned i = 0; i < 400000; i++) {
		struct addr a = v4(i >> 16 & 255, i >> 8 & 255, i & 255, 1);

		n += limit_take(&l, &a, 1, 2, 1000);
	}
	assert_true(n <= 2 * LIMIT_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_then_rate), cmocka_unit_test(steady), cmocka_unit_test(a_clock_behind_gives_nothing),
		cmocka_unit_test(no_limit), cmocka_unit_test(v6_goes_by_64), cmocka_unit_test(flood_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
