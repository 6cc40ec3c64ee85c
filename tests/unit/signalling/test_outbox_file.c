/* signalling/outbox_file: records to bytes and back, the file between two processes, what a crash leaves. */
#include "signalling/outbox_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/cm.h"

static char path[64];
static char mem[OUTBOX_RECORD_MAX];

static int fresh(void **state)
{
	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/duplex-outbox-XXXXXX");
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int gone(void **state)
{
	(void)state;
	return unlink(path);
}

static const struct outbox_record one = { .made_ms = 1234, .count = 4, .word = { { "key", 3 }, { "10", 2 }, { "id", 2 }, { "a\n b", 4 } } };
static const struct outbox_record two = { .made_ms = 5, .count = 3, .word = { { "k2", 2 }, { "1", 1 }, { "", 0 } } };

static struct str bytes_of(struct buf *b, const struct outbox_record *r)
{
	*b = buf_growing(OUTBOX_RECORD_MAX);
	outbox_record_put(b, r);
	assert_false(b->overflow);
	return buf_view(b);
}

static void same(const struct outbox_record *a, const struct outbox_record *b)
{
	assert_int_equal(a->made_ms, b->made_ms);
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_true(str_eq(a->word[i], b->word[i]));
}

static void a_record_comes_back_and_every_shorter_one_is_cut(void **state)
{
	struct outbox_record r;
	struct buf b;
	struct str all = bytes_of(&b, &one), rest = all;

	(void)state;
	assert_ok(outbox_record_get(&rest, &r));
	same(&r, &one);
	assert_int_equal(rest.len, 0);
	for (size_t len = 0; len < all.len; len++) {
		rest = str_sub(all, 0, len);
		assert_int_equal(outbox_record_get(&rest, &r), ERR_TRUNCATED);
	}
	buf_fini(&b);
}

static void what_is_no_record_is_told_apart(void **state)
{
	static const char *const bad[] = { "x 3 1 1 1\nabc", "1 2 1 1\nab", "1 3 1 1\nab", "1 3 1 1 1 1\nabcd", "1 3 1 1 70000\nab", "1 99 1\na", "\n" };
	struct outbox_record r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct str s = str_from(bad[i]);

		assert_int_equal(outbox_record_get(&s, &r), ERR_INVALID);
	}
}

static void the_next_process_reads_what_was_left(void **state)
{
	struct outbox_file f;
	struct outbox_record r;
	struct buf b;

	(void)state;
	assert_ok(outbox_file_open(&f, path, 1000));
	assert_int_equal(outbox_file_read(&f, mem, &r), ERR_NOT_FOUND);
	assert_ok(outbox_file_append(&f, bytes_of(&b, &one)));
	buf_fini(&b);
	assert_ok(outbox_file_append(&f, bytes_of(&b, &two)));
	buf_fini(&b);
	outbox_file_close(&f);
	assert_ok(outbox_file_open(&f, path, 1000));
	assert_ok(outbox_file_read(&f, mem, &r));
	same(&r, &one);
	assert_ok(outbox_file_read(&f, mem, &r));
	same(&r, &two);
	assert_int_equal(outbox_file_read(&f, mem, &r), ERR_NOT_FOUND);
	outbox_file_clear(&f);
	assert_int_equal(f.len, 0);
	assert_int_equal(lseek(f.fd, 0, SEEK_END), 0);
	outbox_file_close(&f);
}

static void the_file_is_bounded(void **state)
{
	struct outbox_file f;
	struct buf b;
	struct str s = bytes_of(&b, &one);

	(void)state;
	assert_ok(outbox_file_open(&f, path, 2 * s.len + 1));
	assert_ok(outbox_file_append(&f, s));
	assert_ok(outbox_file_append(&f, s));
	assert_int_equal(outbox_file_append(&f, s), ERR_FULL);
	assert_int_equal(lseek(f.fd, 0, SEEK_END), (off_t)(2 * s.len));
	outbox_file_close(&f);
	/* And may be forbidden altogether. */
	assert_ok(outbox_file_open(&f, path, 0));
	assert_int_equal(outbox_file_append(&f, s), ERR_IO);
	buf_fini(&b);
}

/* A process that died while writing. */
static void a_torn_end_is_skipped(void **state)
{
	struct outbox_file f;
	struct outbox_record r;
	struct buf b;
	struct str s = bytes_of(&b, &one);

	(void)state;
	assert_ok(outbox_file_open(&f, path, 1000));
	assert_ok(outbox_file_append(&f, s));
	assert_ok(outbox_file_append(&f, s));
	assert_int_equal(ftruncate(f.fd, (off_t)(2 * s.len - 3)), 0);
	outbox_file_close(&f);
	assert_ok(outbox_file_open(&f, path, 1000));
	assert_ok(outbox_file_read(&f, mem, &r));
	assert_int_equal(outbox_file_read(&f, mem, &r), ERR_INVALID);
	assert_int_equal(outbox_file_read(&f, mem, &r), ERR_NOT_FOUND);
	buf_fini(&b);
	outbox_file_close(&f);
}

static void a_folder_is_no_file(void **state)
{
	struct outbox_file f;

	(void)state;
	assert_int_equal(outbox_file_open(&f, "/tmp", 1000), ERR_IO);
	assert_int_equal(f.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_back_and_every_shorter_one_is_cut),
		cmocka_unit_test(what_is_no_record_is_told_apart),
		cmocka_unit_test_setup_teardown(the_next_process_reads_what_was_left, fresh, gone),
		cmocka_unit_test_setup_teardown(the_file_is_bounded, fresh, gone),
		cmocka_unit_test_setup_teardown(a_torn_end_is_skipped, fresh, gone),
		cmocka_unit_test(a_folder_is_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
