/* common/metrics: the text form, and the socket as a scraper sees it. */
#include "common/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/cm.h"

static char folder[64], path[96];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/duplex-metrics-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/metrics.sock", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

static void text_form(void **state)
{
	struct buf b = buf_growing(4096);

	(void)state;
	metrics_head(&b, "duplex_calls", "gauge", "calls under way");
	metrics_line(&b, "duplex_calls", NULL, NULL, 7);
	metrics_line(&b, "duplex_drops", "reason", "short", 18446744073709551615u);
	assert_str(buf_view(&b), "# HELP duplex_calls calls under way\n# TYPE duplex_calls gauge\nduplex_calls 7\n"
				 "duplex_drops{reason=\"short\"} 18446744073709551615\n");
	buf_fini(&b);
}

static void write_one(struct buf *out, void *user)
{
	metrics_line(out, "x", NULL, NULL, *(uint64_t *)user);
}

/* One exchange; the reply is NUL-terminated in `into`. */
static void ask(const char *request, char *into, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n;

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	while ((n = read(fd, into + len, size - 1 - len)) > 0)
		len += (size_t)n;
	into[len] = '\0';
	(void)close(fd);
}

static void serves_metrics_and_health(void **state)
{
	uint64_t value = 42;
	struct metrics *m;
	char reply[4096];
	struct stat st;

	(void)state;
	assert_ok(metrics_start(path, write_one, &value, &m));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	ask("GET /metrics HTTP/1.0\r\n\r\n", reply, sizeof(reply));
	assert_non_null(strstr(reply, " 200 "));
	assert_non_null(strstr(reply, "\r\n\r\nx 42\n"));
	ask("GET /health HTTP/1.0\r\n\r\n", reply, sizeof(reply));
	assert_non_null(strstr(reply, "ok\n"));
	ask("GET /other HTTP/1.0\r\n\r\n", reply, sizeof(reply));
	assert_non_null(strstr(reply, " 404 "));
	ask("DELETE /metrics HTTP/1.0\r\n\r\n", reply, sizeof(reply));
	assert_non_null(strstr(reply, " 405 "));
	metrics_stop(m);
	metrics_stop(NULL);
}

static void replaces_a_stale_socket(void **state)
{
	uint64_t value = 1;
	struct metrics *m;

	(void)state;
	assert_ok(metrics_start(path, write_one, &value, &m));
	metrics_stop(m);
	assert_ok(metrics_start(path, write_one, &value, &m));
	metrics_stop(m);
}

static void a_path_that_cannot_be_is_an_error(void **state)
{
	char longer[300];
	struct metrics *m = NULL;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_err(metrics_start(longer, write_one, NULL, &m), ERR_IO);
	assert_err(metrics_start("/does/not/exist/m.sock", write_one, NULL, &m), ERR_IO);
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_form),
		cmocka_unit_test(serves_metrics_and_health),
		cmocka_unit_test(replaces_a_stale_socket),
		cmocka_unit_test(a_path_that_cannot_be_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
