/* common/buf: bounded output with a sticky error. */
#include "common/buf.h"

#include <stdio.h>

#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static void fixed_takes_exactly_its_size(void **state)
{
	struct guard g = guard_new(8);
	char *mem = guard_put(&g, "\0\0\0\0\0\0\0\0", 8);
	struct buf b = buf_fixed(mem, 8);

	(void)state;
	buf_z(&b, "12345");
	buf_str(&b, STR("678"));
	assert_err(buf_err(&b), ERR_OK);
	assert_str(buf_view(&b), "12345678");
	buf_char(&b, '9');
	assert_err(buf_err(&b), ERR_TOO_LARGE);
	assert_str(buf_view(&b), "12345678");
	guard_free(&g);
}

static void overflow_is_sticky_and_writes_nothing(void **state)
{
	char mem[4];
	struct buf b = buf_fixed(mem, sizeof(mem));

	(void)state;
	buf_z(&b, "ab");
	buf_z(&b, "cde");
	buf_z(&b, "f"); /* would fit */
	assert_true(b.overflow);
	assert_str(buf_view(&b), "ab");
	buf_reset(&b);
	buf_z(&b, "wxyz");
	assert_str(buf_view(&b), "wxyz");
	assert_false(b.overflow);
}

static void growing_stops_at_its_maximum(void **state)
{
	struct buf b = buf_growing(1000);

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_z(&b, "0123456789");
	assert_err(buf_err(&b), ERR_OK);
	assert_int_equal(b.len, 1000);
	buf_char(&b, 'x');
	assert_err(buf_err(&b), ERR_TOO_LARGE);
	assert_int_equal(b.len, 1000);
	assert_true(b.cap <= 1000);
	buf_fini(&b);
	assert_null(b.p);
}

static void numbers_and_formats(void **state)
{
	struct buf b = buf_growing(4096);

	(void)state;
	buf_u64(&b, 0);
	buf_char(&b, ' ');
	buf_u64(&b, UINT64_MAX);
	buf_printf(&b, " %s=%d", "n", -7);
	assert_str(buf_view(&b), "0 18446744073709551615 n=-7");
	buf_fini(&b);
}

/* The conversions that are made here and those left to the C library give the same. */
#define SAME(...)                                                     \
	do {                                                          \
		char want[256];                                       \
		struct buf b = buf_growing(4096);                     \
		int n = snprintf(want, sizeof(want), __VA_ARGS__);    \
		buf_printf(&b, __VA_ARGS__);                          \
		assert_int_equal(b.len, n);                           \
		assert_memory_equal(b.p, want, (size_t)n);            \
		buf_fini(&b);                                         \
	} while (0)

static void printf_is_the_c_library_s(void **state)
{
	(void)state;
	SAME("%s|%.*s|%.*s|%.*s", "all", 2, "abc", 9, "abc", 0, "abc");
	SAME("%.*s", -1, "x") ;
	SAME("%u %u %d %d %d", 0u, UINT32_MAX, INT32_MIN, INT32_MAX, -1);
	SAME("%lu %llu %zu %ld %lld", 18446744073709551615ul, 1ull, (size_t)77, -9223372036854775807l - 1, -5ll);
	SAME("%x %llx %08x %016llx %02x %04d %02u", 0xdeadu, 0xfedcba9876543210ull, 0x1fu, 5ull, 0x123u, 42, 7u);
	SAME("%04d %01d %05d", -42, -3, -12345);
	SAME("%c%% %5s|%-4d|%+d|%.3f|%p|%#x and %s", 'q', "r", 3, 4, 1.5, (void *)0, 12u, "after");
	SAME("100%% of %hhu %i %X", (unsigned char)200, -1, 0xabcu);
	SAME("no conversion");
}

static void printf_that_does_not_fit_leaves_the_text(void **state)
{
	char mem[8];
	struct buf b = buf_fixed(mem, sizeof(mem));

	(void)state;
	buf_printf(&b, "%s", "1234567");
	assert_str(buf_view(&b), "1234567");
	buf_printf(&b, "%s", "89");
	assert_true(b.overflow);
	assert_str(buf_view(&b), "1234567");
}

static void reserve_gives_room_behind_the_text(void **state)
{
	struct buf b = buf_growing(10);

	(void)state;
	buf_z(&b, "abc");
	char *at = buf_reserve(&b, 7);
	assert_non_null(at);
	memcpy(at, "defg", 4);
	b.len += 4;
	assert_str(buf_view(&b), "abcdefg");
	assert_null(buf_reserve(&b, 4));
	assert_null(buf_reserve(&b, 1)); /* sticky */
	buf_fini(&b);
}

static void huge_lengths_do_not_wrap(void **state)
{
	char mem[16];
	struct buf fixed = buf_fixed(mem, sizeof(mem)), growing = buf_growing(1024);

	(void)state;
	buf_z(&fixed, "x");
	buf_z(&growing, "x");
	assert_null(buf_reserve(&fixed, SIZE_MAX));
	assert_null(buf_reserve(&growing, SIZE_MAX));
	buf_fini(&growing);
}

static void empty_puts_are_nothing(void **state)
{
	struct buf b = buf_fixed(NULL, 0);

	(void)state;
	buf_put(&b, NULL, 0);
	buf_str(&b, STR_NONE);
	assert_err(buf_err(&b), ERR_OK);
}

static void json_strings(void **state)
{
	struct buf b = buf_growing(200);

	(void)state;
	buf_json(&b, STR("a \"b\" \\ \n\x7f\xc3\xa4"));
	buf_json(&b, STR_NONE);
	assert_str(buf_view(&b), "\"a \\\"b\\\" \\\\ \\u000a\\u007f\\u00c3\\u00a4\"\"\"");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_strings),
		cmocka_unit_test(fixed_takes_exactly_its_size),
		cmocka_unit_test(overflow_is_sticky_and_writes_nothing),
		cmocka_unit_test(growing_stops_at_its_maximum),
		cmocka_unit_test(numbers_and_formats),
		cmocka_unit_test(printf_is_the_c_library_s),
		cmocka_unit_test(printf_that_does_not_fit_leaves_the_text),
		cmocka_unit_test(reserve_gives_room_behind_the_text),
		cmocka_unit_test(huge_lengths_do_not_wrap),
		cmocka_unit_test(empty_puts_are_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
