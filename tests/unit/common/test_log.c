/* common/log: a line can never be forged by what it reports. */
#include "common/log.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/cm.h"

static void plain_values_stay(void **state)
{
	(void)state;
	assert_string_equal(log_value(STR("alice@example.org:5060")), "alice@example.org:5060");
	assert_string_equal(log_value(STR("")), "\"\"");
	assert_string_equal(log_value(STR_NONE), "\"\"");
}

static void others_are_quoted_and_escaped(void **state)
{
	(void)state;
	assert_string_equal(log_value(STR("a b")), "\"a b\"");
	assert_string_equal(log_value(STR("a=b")), "\"a=b\"");
	assert_string_equal(log_value(STR("say \"x\" \\")), "\"say \\\"x\\\" \\\\\"");
	assert_string_equal(log_value(STR("x\r\n2026 error")), "\"x\\x0d\\x0a2026 error\"");
	assert_string_equal(log_value(str_of("\0\x1b\xff", 3)), "\"\\x00\\x1b\\xff\"");
}

static void any_bytes_give_one_short_printable_line(void **state)
{
	char in[1000];
	unsigned seed = 4711;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(in);

		for (size_t i = 0; i < len; i++)
			in[i] = (char)(round % 2 == 0 ? rand_r(&seed) : 1);
		const char *out = log_value(str_of(in, len));
		assert_true(strlen(out) < 256);
		for (const char *p = out; *p != '\0'; p++)
			assert_in_range((unsigned char)*p, ' ', '~');
		if (out[0] == '"')
			assert_int_equal(out[strlen(out) - 1], '"');
	}
}

static void eight_values_may_stand_in_one_line(void **state)
{
	const char *v[8];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		v[i] = log_value(str_of("abcdefgh" + i, 1));
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(v[i][0], "abcdefgh"[i]);
}

static void level_names(void **state)
{
	enum log_level l = LOG_DEBUG;

	(void)state;
	assert_ok(log_level_from(STR("error"), &l));
	assert_int_equal(l, LOG_ERROR);
	assert_err(log_level_from(STR("loud"), &l), ERR_INVALID);
	assert_int_equal(l, LOG_ERROR);
}

/* The written line, read back through a pipe in place of stderr. */
static void lines_have_time_level_program_event(void **state)
{
	int pipe_fd[2], saved = dup(STDERR_FILENO);
	char line[4096] = "";

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	assert_true(dup2(pipe_fd[1], STDERR_FILENO) >= 0);
	log_init("duplex-test", LOG_INFO);
	log_event(LOG_DEBUG, "quiet", "x=1");
	log_event(LOG_WARN, "call-ended", "id=%s reason=%s", "7", log_value(STR("a b")));
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(pipe_fd[1]);
	ssize_t n = read(pipe_fd[0], line, sizeof(line) - 1);
	(void)close(pipe_fd[0]);
	assert_true(n > 25);
	line[n] = '\0';
	assert_int_equal(line[4], '-');
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[23], 'Z');
	assert_string_equal(line + 24, " warn  duplex-test call-ended id=7 reason=\"a b\"\n");
	assert_false(log_enabled(LOG_DEBUG));
	assert_true(log_enabled(LOG_INFO));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_values_stay),
		cmocka_unit_test(others_are_quoted_and_escaped),
		cmocka_unit_test(any_bytes_give_one_short_printable_line),
		cmocka_unit_test(eight_values_may_stand_in_one_line),
		cmocka_unit_test(level_names),
		cmocka_unit_test(lines_have_time_level_program_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
