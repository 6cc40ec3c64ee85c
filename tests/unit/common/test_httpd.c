/* common/httpd: routes, queries, long answers, clients that leave. */
#include "common/httpd.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/cm.h"

static char folder[64], path[96];
static struct httpd *server;
static atomic_uint produced, ended;

static void hello(struct httpd_call *c, void *user)
{
	uint64_t n = 1;

	if (!httpd_query_u64(c, "n", 9, &n)) {
		c->status = 400;
		buf_z(&c->body, "n is a digit");
		return;
	}
	buf_printf(&c->body, "%s %llu '%.*s'", (const char *)user, (unsigned long long)n, STR_FMT(httpd_query(c, "name")));
}

static void item(struct httpd_call *c, UNUSED void *user)
{
	c->type = HTTPD_JSON;
	buf_printf(&c->body, "[%.*s]", STR_FMT(c->rest));
}

/* Five times ten bytes with pauses, or for ever. */
static long more(void *source, char *to, size_t max)
{
	unsigned n = atomic_fetch_add(&produced, 1);

	if (max < 10)
		return -1;
	if (source == NULL && n >= 10)
		return -1;
	if (n % 2 == 1)
		return 0;
	memset(to, 'x', 10);
	return 10;
}

static void done(UNUSED void *source)
{
	atomic_fetch_add(&ended, 1);
}

static void stream(struct httpd_call *c, UNUSED void *user)
{
	c->more = more;
	c->done = done;
	c->source = httpd_query(c, "endless").len > 0 ? &produced : NULL;
}

static const struct httpd_route routes[] = {
	{ "GET", "/hello", hello }, { "POST", "/hello", hello }, { "GET", "/items/", item }, { "GET", "/stream", stream },
};

static int start(UNUSED void **state)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/duplex-httpd-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/sock", folder);
	return httpd_start(path, routes, ARRAY_LEN(routes), (void *)(uintptr_t) "hi", true, &server) == ERR_OK ? 0 : -1;
}

static int stop(UNUSED void **state)
{
	httpd_stop(server);
	httpd_stop(NULL);
	(void)unlink(path);
	return rmdir(folder);
}

static int connect_to_it(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void assert_answer(const char *line, const char *status, const char *body)
{
	char text[256], reply[2048];
	int fd = connect_to_it();
	size_t len = 0;
	ssize_t n;

	(void)snprintf(text, sizeof(text), "%s HTTP/1.0\r\n\r\n", line);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	while ((n = read(fd, reply + len, sizeof(reply) - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	reply[len] = '\0';
	assert_non_null(strstr(reply, status));
	assert_string_equal(strstr(reply, "\r\n\r\n") + 4, body);
}

static void routes_and_queries(UNUSED void **state)
{
	assert_answer("GET /hello", " 200 ", "hi 1 ''");
	assert_answer("POST /hello?n=7&name=a%20b", " 200 ", "hi 7 'a b'");
	assert_answer("GET /hello?n=10", " 400 ", "n is a digit");
	assert_answer("GET /hello?n=x", " 400 ", "n is a digit");
	assert_answer("GET /items/42", " 200 ", "[42]");
	assert_answer("GET /items/", " 404 ", "there is no such path\n");
	assert_answer("GET /hello/", " 404 ", "there is no such path\n");
	assert_answer("DELETE /hello", " 405 ", "this path does not take that method\n");
	assert_answer("GET /", " 404 ", "there is no such path\n");
}

static void long_answers(UNUSED void **state)
{
	atomic_store(&produced, 0);
	atomic_store(&ended, 0);
	assert_answer("GET /stream", " 200 ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	assert_int_equal(atomic_load(&ended), 1);
}

static void a_client_that_leaves_ends_its_answer(UNUSED void **state)
{
	const char *request = "GET /stream?endless=1 HTTP/1.0\r\n\r\n";
	const struct timespec pause = { .tv_nsec = 10000000 };
	char some[64];
	int fd = connect_to_it();

	atomic_store(&ended, 0);
	assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	assert_true(read(fd, some, sizeof(some)) > 0);
	assert_int_equal(atomic_load(&ended), 0);
	(void)close(fd);
	for (unsigned i = 0; i < 500 && atomic_load(&ended) == 0; i++)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(atomic_load(&ended), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_and_queries),
		cmocka_unit_test(long_answers),
		cmocka_unit_test(a_client_that_leaves_ends_its_answer),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
