/* common/wire: big-endian cursors. */
#include "common/wire.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static void reads_are_big_endian(void **state)
{
	static const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0xff, 0xfe, 0xfd, 0xfc, 'a', 'b' };
	struct rd r = rd_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0xfffefdfc);
	assert_int_equal(rd_left(&r), 2);
	assert_memory_equal(rd_bytes(&r, 2), "ab", 2);
	assert_false(r.bad);
	assert_int_equal(rd_u8(&r), 0);
	assert_true(r.bad);
}

static void a_short_read_is_sticky(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3 };
	struct rd r = rd_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(rd_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0); /* would have been there */
	assert_null(rd_bytes(&r, 1));
}

static void no_prefix_is_read_past_its_end(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	struct guard g = guard_new(sizeof(bytes));

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		struct rd r = rd_of(guard_put(&g, bytes, len), len);

		(void)rd_u32(&r);
		(void)rd_u16(&r);
		(void)rd_bytes(&r, 4);
		(void)rd_u8(&r);
		assert_int_equal(r.bad, len < sizeof(bytes));
	}
	guard_free(&g);
}

static void writes_round_trip(void **state)
{
	uint8_t mem[9];
	struct wr w = wr_of(mem, sizeof(mem));

	(void)state;
	wr_u8(&w, 0xab);
	wr_u16(&w, 0xcdef);
	wr_u32(&w, 0x12345678);
	wr_bytes(&w, "hi", 2);
	assert_false(w.bad);
	assert_int_equal(wr_len(&w), 9);
	assert_memory_equal(mem, "\xab\xcd\xef\x12\x34\x56\x78hi", 9);
	wr_bytes(&w, NULL, 0);
	assert_false(w.bad);
	wr_u8(&w, 1);
	assert_true(w.bad);
	assert_int_equal(wr_len(&w), 9);
}

static void no_write_goes_past_the_end(void **state)
{
	struct guard g = guard_new(16);

	(void)state;
	for (size_t size = 0; size < 9; size++) {
		struct wr w = wr_of(g.map + g.size - size, size);

		wr_u32(&w, 1);
		wr_bytes(&w, "abc", 3);
		wr_u16(&w, 2);
		assert_true(w.bad);
		assert_true(wr_len(&w) <= size);
		assert_null(wr_room(&w, 1)); /* sticky */
	}
	guard_free(&g);
}

static void unaligned_accessors(void **state)
{
	uint8_t mem[7] = { 0 };

	(void)state;
	be32_put(mem + 1, 0x80ff0001);
	assert_int_equal(be32_get(mem + 1), 0x80ff0001);
	be16_put(mem + 5, 0xfffe);
	assert_int_equal(be16_get(mem + 5), 0xfffe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_are_big_endian),   cmocka_unit_test(a_short_read_is_sticky),
		cmocka_unit_test(no_prefix_is_read_past_its_end), cmocka_unit_test(writes_round_trip),
		cmocka_unit_test(no_write_goes_past_the_end), cmocka_unit_test(unaligned_accessors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
