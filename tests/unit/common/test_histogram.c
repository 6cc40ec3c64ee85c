/* common/histogram: which bucket, the sum, and the text for Prometheus. */
#include "common/histogram.h"

#include "tests/lib/cm.h"

static void a_time_falls_into_the_first_bucket_that_holds_it(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	histogram_add(&h, 0);
	histogram_add(&h, 50);
	histogram_add(&h, 51);
	histogram_add(&h, 5000001);
	assert_int_equal(h.bucket[0], 2);
	assert_int_equal(h.bucket[1], 1);
	assert_int_equal(h.bucket[HISTOGRAM_BUCKETS], 1);
	assert_int_equal(histogram_count(&h), 4);
	assert_int_equal(h.sum_us, 5000102);
}

static void buckets_are_cumulated_in_the_text(void **state)
{
	struct histogram h = { 0 };
	struct buf b = buf_growing(65536);

	(void)state;
	histogram_add(&h, 60);
	histogram_add(&h, 200000);
	histogram_put(&b, "x_seconds", "method", "INVITE", &h);
	buf_char(&b, '\0');
	assert_false(b.overflow);
	assert_non_null(strstr(b.p, "x_seconds_bucket{method=\"INVITE\",le=\"0.00005\"} 0\n"));
	assert_non_null(strstr(b.p, "x_seconds_bucket{method=\"INVITE\",le=\"0.0001\"} 1\n"));
	assert_non_null(strstr(b.p, "x_seconds_bucket{method=\"INVITE\",le=\"0.25\"} 2\n"));
	assert_non_null(strstr(b.p, "x_seconds_bucket{method=\"INVITE\",le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(b.p, "x_seconds_sum{method=\"INVITE\"} 0.200060\nx_seconds_count{method=\"INVITE\"} 2\n"));
	buf_fini(&b);
	b = buf_growing(65536);
	histogram_put(&b, "y", NULL, NULL, &h);
	buf_char(&b, '\0');
	assert_non_null(strstr(b.p, "y_bucket{le=\"5\"} 2\n"));
	assert_non_null(strstr(b.p, "y_count 2\n"));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_falls_into_the_first_bucket_that_holds_it),
		cmocka_unit_test(buckets_are_cumulated_in_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
