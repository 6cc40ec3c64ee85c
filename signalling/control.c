/* The threads' side: a request goes into a queue, the loop is woken, answers it, and wakes the thread. What is answered is control_show.c. */
#include "signalling/control.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/httpd.h"
#include "signalling/control_show.h"
#include "signalling/worker.h"

#define WAIT_S 3

struct control {
	struct worker *w;
	struct httpd *httpd; /* owned */
	struct loop_fd wake; /* an eventfd */
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct list jobs; /* under the lock, as is stopping */
	bool stopping;
};

/* On the stack of the thread that waits for it. */
struct job {
	struct list node;
	control_fn fn;
	struct httpd_call *call;
	bool taken, done;
};

static void on_wake(struct loop_fd *lf, UNUSED uint32_t events)
{
	struct control *c = CONTAINER_OF(lf, struct control, wake);
	uint64_t n;

	(void)!read(lf->fd, &n, sizeof(n));
	(void)pthread_mutex_lock(&c->lock);
	while (!list_empty(&c->jobs)) {
		struct job *j = CONTAINER_OF(c->jobs.next, struct job, node);

		list_remove(&j->node);
		j->taken = true;
		(void)pthread_mutex_unlock(&c->lock);
		j->fn(c->w, j->call);
		(void)pthread_mutex_lock(&c->lock);
		j->done = true;
		(void)pthread_cond_broadcast(&c->done);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

static void ask(struct httpd_call *call, struct control *c, control_fn fn)
{
	struct job j = { .fn = fn, .call = call };
	struct timespec until;
	uint64_t one = 1;
	int e = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	call->type = HTTPD_JSON;
	list_init(&j.node);
	(void)pthread_mutex_lock(&c->lock);
	if (!c->stopping) {
		list_append(&c->jobs, &j.node);
		(void)!write(c->wake.fd, &one, sizeof(one));
	}
	/* A job that the loop has taken is waited for: it writes into our answer. */
	while (!j.done && (j.taken || (!c->stopping && e != ETIMEDOUT)))
		e = j.taken ? pthread_cond_wait(&c->done, &c->lock) : pthread_cond_timedwait(&c->done, &c->lock, &until);
	list_remove(&j.node);
	(void)pthread_mutex_unlock(&c->lock);
	if (!j.done)
		control_error(call, 503, "the worker is too busy to answer, or stops");
}

#define ROUTE(name) static void on_##name(struct httpd_call *call, void *user) { ask(call, user, control_##name); }
ROUTE(status)
ROUTE(stats)
ROUTE(registrations)
ROUTE(calls)
ROUTE(connections)
ROUTE(trace_start)
ROUTE(trace_get)
ROUTE(trace_end)

static const struct httpd_route routes[] = {
	{ "GET", "/status", on_status },           { "GET", "/stats", on_stats },       { "GET", "/registrations", on_registrations },
	{ "GET", "/calls", on_calls },             { "GET", "/connections", on_connections }, { "POST", "/trace", on_trace_start },
	{ "GET", "/trace", on_trace_get },         { "DELETE", "/trace", on_trace_end },
};

enum err control_start(struct worker *w, const char *path, struct control **out)
{
	struct control *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (c == NULL)
		return ERR_NO_MEMORY;
	c->w = w;
	c->wake = (struct loop_fd){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .fn = on_wake };
	list_init(&c->jobs);
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c->done, &attr);
	(void)pthread_condattr_destroy(&attr);
	enum err e = c->wake.fd < 0 ? ERR_IO : loop_add(w->loop, &c->wake, EPOLLIN);
	if (e == ERR_OK)
		e = httpd_start(path, routes, ARRAY_LEN(routes), c, true, &c->httpd);
	if (e != ERR_OK) {
		control_stop(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void control_stop(struct control *c)
{
	if (c == NULL)
		return;
	(void)pthread_mutex_lock(&c->lock);
	c->stopping = true;
	(void)pthread_cond_broadcast(&c->done);
	(void)pthread_mutex_unlock(&c->lock);
	httpd_stop(c->httpd);
	loop_del(c->w->loop, &c->wake);
	if (c->wake.fd >= 0)
		(void)close(c->wake.fd);
	(void)pthread_cond_destroy(&c->done);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}
