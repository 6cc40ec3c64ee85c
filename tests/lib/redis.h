/* A real redis-server for one test program: own folder, unix socket only, ended by its process id. */
#ifndef DUPLEX_TESTS_REDIS_H
#define DUPLEX_TESTS_REDIS_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct test_redis {
	pid_t pid;
	char folder[64], socket[96];
};

/* One inline command on a connection of its own; its answer is read and thrown away. Returns 0 if there was one. */
static inline int test_redis_command(const struct test_redis *r, const char *line)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[256];

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->socket);
	int bad = connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || write(fd, line, strlen(line)) < 0 || read(fd, answer, sizeof(answer)) <= 0;
	(void)close(fd);
	return bad ? -1 : 0;
}

static inline int test_redis_answers(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	(void)close(fd);
	return ok;
}

/* Starts (again) on the socket; waits until it takes connections. Returns 0, or -1 if it does not come up within 5 s. */
static inline int test_redis_start(struct test_redis *r)
{
	r->pid = fork();
	if (r->pid < 0)
		return -1;
	if (r->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (freopen("/dev/null", "we", stdout) == NULL)
			_exit(127);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->socket, "--dir", r->folder, "--save", "",
		       "--appendonly", "no", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		if (test_redis_answers(r->socket))
			return 0;
		(void)usleep(10000);
	}
	return -1;
}

static inline int test_redis_new(struct test_redis *r)
{
	(void)snprintf(r->folder, sizeof(r->folder), "/tmp/duplex-redis-XXXXXX");
	if (mkdtemp(r->folder) == NULL)
		return -1;
	(void)snprintf(r->socket, sizeof(r->socket), "%s/redis.sock", r->folder);
	return test_redis_start(r);
}

/* Ends the process (SIGKILL, as a crash would) and waits for it; the folder stays. */
static inline void test_redis_stop(struct test_redis *r)
{
	if (r->pid > 0) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
	}
	r->pid = 0;
}

static inline void test_redis_free(struct test_redis *r)
{
	test_redis_stop(r);
	(void)unlink(r->socket);
	(void)rmdir(r->folder);
}

#endif
