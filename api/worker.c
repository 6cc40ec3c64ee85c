#include "api/worker.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/app.h"
#include "api/dispatch.h"
#include "api/fcgi.h"
#include "common/metrics.h"

struct thread {
	pthread_t id;
	struct app *app;      /* borrows */
	struct rds *rds;      /* owned */
	struct fcgi *fcgi;    /* owned */
	int epoll;            /* owned: the shared socket and the stop signal */
};

static void serve_one(struct thread *t)
{
	struct http_request in;
	struct http_response out;

	if (fcgi_accept(t->fcgi, &in) != ERR_OK)
		return;
	http_response_init(&out);
	dispatch(t->app, t->rds, &in, &out);
	fcgi_reply(t->fcgi, &out, in.method == HTTP_HEAD);
	http_response_fini(&out);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	for (;;) {
		struct epoll_event ev;
		int n = epoll_wait(t->epoll, &ev, 1, -1);

		if (n < 0 && errno != EINTR)
			break;
		if (n == 1 && ev.data.u32 == 1)
			break;
		if (n == 1)
			serve_one(t);
	}
	return NULL;
}

static enum err thread_init(struct thread *t, struct app *app, int listen_fd, int stop_fd)
{
	/* Exclusive: a new connection wakes one thread of all processes, not all of them. */
	struct epoll_event on_listen = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = 0 };
	struct epoll_event on_stop = { .events = EPOLLIN, .data.u32 = 1 };

	t->app = app;
	enum err e = rds_new(app->set->redis, app->set->redis_timeout_ms, &t->rds);
	if (e == ERR_OK)
		e = fcgi_new(listen_fd, (size_t)app->set->max_body, &t->fcgi);
	if (e != ERR_OK)
		return e;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll < 0 || epoll_ctl(t->epoll, EPOLL_CTL_ADD, stop_fd, &on_stop) != 0 ||
	    epoll_ctl(t->epoll, EPOLL_CTL_ADD, listen_fd, &on_listen) != 0 ||
	    pthread_create(&t->id, NULL, thread_main, t) != 0)
		return ERR_IO;
	return ERR_OK;
}

static void thread_fini(struct thread *t)
{
	rds_free(t->rds);
	fcgi_free(t->fcgi);
	if (t->epoll > 0)
		(void)close(t->epoll);
}

static enum err app_init(struct app *app, const struct settings *set, struct stats *stats)
{
	char why[256] = "out of memory";
	const struct hash_limits limits = {
		.ops = set->argon2_ops,
		.kib = set->argon2_kib,
		.parallel = (unsigned)set->argon2_parallel,
		/* Half of the threads always stay free for requests that hash nothing. */
		.waiting = (unsigned)(set->threads / 2),
		.wait_ms = set->argon2_wait_ms,
	};

	*app = (struct app){ .set = set, .stats = stats };
	enum err e = hash_new(&limits, &app->hash);
	if (e == ERR_OK && set->certificates)
		e = ca_new(set->users_ca_cert, set->users_ca_key, &app->ca, why, sizeof(why));
	if (e != ERR_OK)
		log_event(LOG_ERROR, "worker-cannot-start", "reason=%s", log_value(str_from(why)));
	return e;
}

static void wait_for_stop(void)
{
	sigset_t stop;
	int which;

	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTERM);
	(void)sigwait(&stop, &which);
}

int worker_run(const struct settings *set, struct stats *stats, int listen_fd)
{
	size_t count = (size_t)set->threads, started = 0;
	struct thread *threads = calloc(count, sizeof(*threads));
	int stop_fd = eventfd(0, EFD_CLOEXEC);
	struct app app;

	enum err e = app_init(&app, set, stats);
	if (threads == NULL || stop_fd < 0 || fcgi_init() != ERR_OK)
		e = ERR_NO_MEMORY;
	while (e == ERR_OK && started < count) {
		e = thread_init(&threads[started], &app, listen_fd, stop_fd);
		if (e == ERR_OK)
			started++;
		else
			thread_fini(&threads[started]);
	}
	if (e == ERR_OK)
		wait_for_stop();
	else
		log_event(LOG_ERROR, "worker-cannot-start", "error=%s", err_text(e));
	(void)!write(stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	for (size_t i = 0; i < started; i++) {
		(void)pthread_join(threads[i].id, NULL);
		thread_fini(&threads[i]);
	}
	ca_free(app.ca);
	hash_free(app.hash);
	free(threads);
	(void)close(stop_fd);
	return e == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int worker_run_metrics(const struct settings *set, struct stats *stats)
{
	struct metrics *m;

	if (metrics_start(set->metrics_path, stats_write, stats, &m) != ERR_OK) {
		log_event(LOG_ERROR, "metrics-cannot-start", "socket=%s", log_value(str_from(set->metrics_path)));
		return EXIT_FAILURE;
	}
	wait_for_stop();
	metrics_stop(m);
	(void)unlink(set->metrics_path);
	return EXIT_SUCCESS;
}
