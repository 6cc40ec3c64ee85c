#include "common/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"

#define BATCH 64

struct loop {
	int epfd;
	uint64_t now_ms;
	bool stop;
	struct epoll_event ready[BATCH]; /* of this turn; data.ptr = NULL for one whose owner has left */
	int ready_count;
	struct list jobs;
	struct timers timers;
	struct loop_stats stats;
	uint64_t ended_us; /* the last turn, or the making of the loop */
	uint64_t last_turn_us;
};

enum err loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return ERR_NO_MEMORY;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		free(l);
		return ERR_IO;
	}
	l->now_ms = clock_mono_ms();
	l->ended_us = clock_mono_us();
	timers_init(&l->timers, l->now_ms);
	list_init(&l->jobs);
	*out = l;
	return ERR_OK;
}

void loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	(void)close(l->epfd);
	free(l);
}

enum err loop_add(struct loop *l, struct loop_fd *lf, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = lf };

	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, lf->fd, &ev) != 0)
		return ERR_IO;
	lf->events = events;
	return ERR_OK;
}

void loop_want(struct loop *l, struct loop_fd *lf, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = lf };

	if (lf->fd < 0 || lf->events == events)
		return;
	/* Fails only for a descriptor that is not in the set: a broken invariant. */
	int done = epoll_ctl(l->epfd, EPOLL_CTL_MOD, lf->fd, &ev);
	assert(done == 0);
	(void)done;
	lf->events = events;
}

void loop_del(struct loop *l, struct loop_fd *lf)
{
	if (lf->fd < 0)
		return;
	(void)epoll_ctl(l->epfd, EPOLL_CTL_DEL, lf->fd, NULL);
	lf->events = 0;
	for (int i = 0; i < l->ready_count; i++) {
		if (l->ready[i].data.ptr == lf)
			l->ready[i].data.ptr = NULL;
	}
}

void loop_job_init(struct loop_job *job, void (*fn)(struct loop_job *job))
{
	list_init(&job->node);
	job->fn = fn;
}

void loop_defer(struct loop *l, struct loop_job *job)
{
	if (list_empty(&job->node))
		list_append(&l->jobs, &job->node);
}

void loop_undefer(struct loop_job *job)
{
	list_remove(&job->node);
}

uint64_t loop_now(const struct loop *l)
{
	return l->now_ms;
}

const struct loop_stats *loop_stats(const struct loop *l)
{
	return &l->stats;
}

uint64_t loop_last_turn_us(const struct loop *l)
{
	return l->last_turn_us;
}

struct timers *loop_timers(struct loop *l)
{
	return &l->timers;
}

/* Only what was queued before is run: a job that queues itself again cannot hold the loop. */
static void run_jobs(struct loop *l)
{
	struct list batch;

	list_init(&batch);
	while (!list_empty(&l->jobs)) {
		struct list *node = l->jobs.next;

		list_remove(node);
		list_append(&batch, node);
	}
	while (!list_empty(&batch)) {
		struct loop_job *job = CONTAINER_OF(batch.next, struct loop_job, node);

		list_remove(&job->node);
		job->fn(job);
	}
}

enum err loop_turn(struct loop *l, uint64_t max_wait_ms)
{
	uint64_t wait = list_empty(&l->jobs) ? timers_next_ms(&l->timers, clock_mono_ms(), max_wait_ms) : 0;
	int n = epoll_wait(l->epfd, l->ready, BATCH, (int)MIN(wait, (uint64_t)60000));

	if (n < 0 && errno != EINTR)
		return ERR_IO;
	uint64_t began_us = clock_mono_us();
	l->stats.idle_us += began_us - l->ended_us;
	l->stats.turn_started_us = began_us;
	/* What is ready comes before what is overdue: an answer that waits in its socket has not missed its deadline. */
	l->now_ms = clock_mono_ms();
	timers_touch(&l->timers, l->now_ms);
	l->ready_count = MAX(n, 0);
	for (int i = 0; i < l->ready_count; i++) {
		struct loop_fd *lf = l->ready[i].data.ptr;

		if (lf != NULL)
			lf->fn(lf, l->ready[i].events);
	}
	l->ready_count = 0;
	(void)timers_run(&l->timers, l->now_ms);
	run_jobs(l);
	l->ended_us = clock_mono_us();
	l->last_turn_us = l->ended_us - began_us;
	l->stats.turn_started_us = 0;
	l->stats.turns++;
	l->stats.busy_us += l->last_turn_us;
	l->stats.turn_us_max = MAX(l->stats.turn_us_max, l->last_turn_us);
	return ERR_OK;
}

enum err loop_run(struct loop *l)
{
	enum err e = ERR_OK;

	while (!l->stop && e == ERR_OK)
		e = loop_turn(l, 1000);
	return e;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
