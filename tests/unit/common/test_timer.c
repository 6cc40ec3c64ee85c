/* common/timer: the wheel against a plain list, and the promises of its header. */
#include "common/timer.h"

#include <stdlib.h>

#include "tests/lib/cm.h"

struct item {
	struct timer t;
	uint64_t fired_at;
	unsigned count;
	struct item *stops, *frees;
	uint64_t again_ms;
};

static struct timers wheel;

static void on_item(struct timer *t, uint64_t now)
{
	struct item *i = CONTAINER_OF(t, struct item, t);

	i->fired_at = now;
	i->count++;
	if (i->stops != NULL)
		timer_stop(&wheel, &i->stops->t);
	if (i->again_ms > 0)
		timer_arm(&wheel, t, i->again_ms);
	free(i->frees);
}

static void item_init(struct item *i)
{
	*i = (struct item){ 0 };
	timer_init(&i->t, on_item);
}

static void fires_at_its_time_and_not_before(void **state)
{
	struct item a;

	(void)state;
	timers_init(&wheel, 1000);
	item_init(&a);
	timer_arm(&wheel, &a.t, 10);
	assert_true(timer_armed(&a.t));
	assert_int_equal(timers_run(&wheel, 1009), 0);
	assert_int_equal(timers_run(&wheel, 1010), 1);
	assert_int_equal(a.fired_at, 1010);
	assert_false(timer_armed(&a.t));
	assert_int_equal(timers_run(&wheel, 9000), 0);
	assert_int_equal(wheel.armed, 0);
}

static void delay_zero_fires_in_the_next_run(void **state)
{
	struct item a;

	(void)state;
	timers_init(&wheel, 0);
	item_init(&a);
	timer_arm(&wheel, &a.t, 0);
	assert_int_equal(timers_run(&wheel, 0), 0);
	assert_int_equal(timers_run(&wheel, 1), 1);
}

static void long_delays_outlast_rounds_of_the_wheel(void **state)
{
	static const uint64_t delays[] = { TIMER_SLOTS - 1, TIMER_SLOTS, TIMER_SLOTS + 1, 3 * TIMER_SLOTS, 180000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		struct item a;

		timers_init(&wheel, 77);
		item_init(&a);
		timer_arm(&wheel, &a.t, delays[i]);
		for (uint64_t now = 77; a.count == 0; now += 250)
			(void)timers_run(&wheel, now);
		assert_in_range(a.fired_at, 77 + delays[i], 77 + delays[i] + 249);
	}
}

static void a_long_pause_fires_everything_once(void **state)
{
	struct item a[100];

	(void)state;
	timers_init(&wheel, 0);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		item_init(&a[i]);
		timer_arm(&wheel, &a[i].t, i * 997 + 1);
	}
	assert_int_equal(timers_run(&wheel, 10 * 1000 * 1000), ARRAY_LEN(a));
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(a[i].count, 1);
}

static void arming_again_moves(void **state)
{
	struct item a;

	(void)state;
	timers_init(&wheel, 0);
	item_init(&a);
	timer_arm(&wheel, &a.t, 5);
	timer_arm(&wheel, &a.t, 50);
	assert_int_equal(wheel.armed, 1);
	assert_int_equal(timers_run(&wheel, 49), 0);
	assert_int_equal(timers_run(&wheel, 50), 1);
	timer_stop(&wheel, &a.t);
	timer_stop(&wheel, &a.t);
	assert_int_equal(wheel.armed, 0);
}

static void a_callback_may_stop_one_that_is_due_too(void **state)
{
	struct item a, b;

	(void)state;
	timers_init(&wheel, 0);
	item_init(&a);
	item_init(&b);
	a.stops = &b;
	b.stops = &a;
	timer_arm(&wheel, &a.t, 5);
	timer_arm(&wheel, &b.t, 5);
	assert_int_equal(timers_run(&wheel, 5), 1);
	assert_int_equal(a.count + b.count, 1);
	assert_int_equal(wheel.armed, 0);
}

static void a_callback_may_arm_itself_and_does_not_fire_twice_in_a_run(void **state)
{
	struct item a;

	(void)state;
	timers_init(&wheel, 0);
	item_init(&a);
	a.again_ms = 20;
	timer_arm(&wheel, &a.t, 20);
	assert_int_equal(timers_run(&wheel, 100), 1); /* late: once, next from now */
	assert_int_equal(timers_run(&wheel, 119), 0);
	assert_int_equal(timers_run(&wheel, 120), 1);
	timer_stop(&wheel, &a.t);
}

static void a_callback_may_free_its_own(void **state)
{
	struct item *a = malloc(sizeof(*a));

	(void)state;
	timers_init(&wheel, 0);
	item_init(a);
	a->frees = a;
	timer_arm(&wheel, &a->t, 1);
	assert_int_equal(timers_run(&wheel, 1), 1);
}

static void next_is_never_later_than_the_first_due(void **state)
{
	struct item a;

	(void)state;
	timers_init(&wheel, 1000);
	assert_int_equal(timers_next_ms(&wheel, 1000, 500), 500);
	item_init(&a);
	timer_arm(&wheel, &a.t, 30);
	assert_int_equal(timers_next_ms(&wheel, 1000, 500), 30);
	assert_int_equal(timers_next_ms(&wheel, 1020, 500), 10);
	assert_int_equal(timers_next_ms(&wheel, 1040, 500), 0);
	assert_int_equal(timers_next_ms(&wheel, 1000, 7), 7);
	timer_stop(&wheel, &a.t);
}

static void at_the_end_of_a_turn_the_next_one_is_looked_at(void **state)
{
	struct item a;

	(void)state;
	timers_init(&wheel, TIMER_SLOTS - 1);
	item_init(&a);
	timer_arm(&wheel, &a.t, TIMER_SLOTS); /* the last millisecond of the turn that begins next */
	assert_true(timers_next_ms(&wheel, TIMER_SLOTS - 1, 100000) <= TIMER_SLOTS);
	assert_int_equal(timers_run(&wheel, 2 * TIMER_SLOTS - 2), 0);
	assert_int_equal(timers_next_ms(&wheel, 2 * TIMER_SLOTS - 2, 100000), 1);
	assert_int_equal(timers_run(&wheel, 2 * TIMER_SLOTS - 1), 1);
}

/* 200 timers, random arming, stopping and steps: each fires in the first run at or after its time, exactly once. */
static void agrees_with_a_plain_list(void **state)
{
	static struct item items[200];
	uint64_t due[200] = { 0 }, now = 5;
	unsigned seed = 20250101;

	(void)state;
	timers_init(&wheel, now);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		item_init(&items[i]);
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)rand_r(&seed) % ARRAY_LEN(items);
		unsigned action = (unsigned)rand_r(&seed) % 4;

		if (action == 0) {
			timer_stop(&wheel, &items[i].t);
			due[i] = 0;
		} else if (action < 3) {
			uint64_t delay = (uint64_t)rand_r(&seed) % (step % 50 == 0 ? 3000000 : 9000);

			timer_arm(&wheel, &items[i].t, delay);
			due[i] = now + MAX(delay, (uint64_t)1);
		} else {
			now += (uint64_t)rand_r(&seed) % (step % 97 == 0 ? 20000 : 300);
			size_t want = 0;
			for (size_t k = 0; k < ARRAY_LEN(items); k++) {
				if (due[k] != 0 && due[k] <= now) {
					want++;
					due[k] = 0;
				}
			}
			assert_int_equal(timers_run(&wheel, now), want);
		}
		/* And the wait is never longer than to the first, and no shorter than to that or to the end of the turn. */
		uint64_t first = 100000;
		for (size_t k = 0; k < ARRAY_LEN(items); k++) {
			if (due[k] != 0)
				first = MIN(first, due[k] - now);
		}
		uint64_t next = timers_next_ms(&wheel, now, 100000);
		assert_true(next <= first);
		if (first != 100000)
			assert_true(next >= MIN(first, TIMER_SLOTS - now % TIMER_SLOTS - 1));
		for (size_t k = 0; k < ARRAY_LEN(items); k++)
			assert_int_equal(timer_armed(&items[k].t), due[k] != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_at_its_time_and_not_before),
		cmocka_unit_test(delay_zero_fires_in_the_next_run),
		cmocka_unit_test(long_delays_outlast_rounds_of_the_wheel),
		cmocka_unit_test(a_long_pause_fires_everything_once),
		cmocka_unit_test(arming_again_moves),
		cmocka_unit_test(a_callback_may_stop_one_that_is_due_too),
		cmocka_unit_test(a_callback_may_arm_itself_and_does_not_fire_twice_in_a_run),
		cmocka_unit_test(a_callback_may_free_its_own),
		cmocka_unit_test(next_is_never_later_than_the_first_due),
		cmocka_unit_test(at_the_end_of_a_turn_the_next_one_is_looked_at),
		cmocka_unit_test(agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
