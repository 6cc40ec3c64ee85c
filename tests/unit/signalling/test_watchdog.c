/* signalling/watchdog: a turn that hangs is logged while it hangs, once; one that is quick is not. */
#include "signalling/watchdog.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "tests/lib/cm.h"

static int log_fd, stderr_fd;
static struct loop *loop;

/* What has been logged, as text. */
static const char *logged(void)
{
	static char text[4096];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	text[MAX(n, (ssize_t)0)] = '\0';
	return text;
}

static int start(void **state)
{
	char path[] = "/tmp/duplex-watchdog-XXXXXX";

	(void)state;
	log_fd = mkstemp(path);
	stderr_fd = dup(STDERR_FILENO);
	if (log_fd < 0 || stderr_fd < 0 || unlink(path) != 0 || dup2(log_fd, STDERR_FILENO) < 0)
		return -1;
	log_init("test", LOG_ERROR);
	return loop_new(&loop) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	loop_free(loop);
	(void)dup2(stderr_fd, STDERR_FILENO);
	return write(STDERR_FILENO, logged(), strlen(logged())) < 0 ? -1 : 0;
}

static void hang(struct loop_job *job)
{
	uint64_t end = clock_mono_ms() + 5000;

	(void)job;
	while (strstr(logged(), "worker-stuck") == NULL && clock_mono_ms() < end)
		(void)usleep(20000);
	/* It is still hanging when it is said. */
	assert_non_null(strstr(logged(), "worker-stuck worker=n1.0 ms=1"));
	(void)usleep(600000);
}

static void a_turn_that_hangs_is_told_once(void **state)
{
	struct watchdog *d;
	struct loop_job job;

	(void)state;
	assert_ok(watchdog_start(loop, "n1.0", &d));
	assert_ok(loop_turn(loop, 300));
	assert_null(strstr(logged(), "worker-stuck"));
	loop_job_init(&job, hang);
	loop_defer(loop, &job);
	assert_ok(loop_turn(loop, 0));
	const char *first = strstr(logged(), "worker-stuck");
	assert_non_null(first);
	assert_null(strstr(first + 1, "worker-stuck"));
	assert_true(loop_stats(loop)->turn_us_max > 1500000);
	assert_true(loop_stats(loop)->idle_us > 250000);
	assert_int_equal(loop_stats(loop)->turns, 2);
	assert_int_equal(loop_stats(loop)->turn_started_us, 0);
	watchdog_stop(d);
	watchdog_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_turn_that_hangs_is_told_once) };

	return cmocka_run_group_tests(tests, start, stop);
}
