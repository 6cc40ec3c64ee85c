/* common/loop: what is ready, what is due and what was deferred, in this order, and owners that leave inside a turn. */
#include "common/loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/cm.h"

struct probe {
	struct loop_fd lf;
	struct loop *loop;
	struct probe *victim; /* taken out by this one's callback */
	int other;
	unsigned calls;
};

static char trace[64];
static size_t traced;

static void note(char c)
{
	if (traced + 1 < sizeof(trace))
		trace[traced++] = c;
	trace[traced] = '\0';
}

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct probe *p = CONTAINER_OF(lf, struct probe, lf);
	char byte;

	p->calls++;
	note('r');
	assert_true((events & EPOLLIN) != 0);
	assert_int_equal(read(lf->fd, &byte, 1), 1);
	if (p->victim != NULL)
		loop_del(p->loop, &p->victim->lf);
}

static void probe_open(struct probe *p, struct loop *l)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	*p = (struct probe){ .lf = { .fd = fd[0], .fn = on_ready }, .loop = l, .other = fd[1] };
	assert_ok(loop_add(l, &p->lf, EPOLLIN));
}

static void probe_close(struct probe *p)
{
	loop_del(p->loop, &p->lf);
	(void)close(p->lf.fd);
	(void)close(p->other);
}

static void poke(const struct probe *p)
{
	assert_int_equal(write(p->other, "x", 1), 1);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
	note('t');
}

static void on_job(struct loop_job *job)
{
	(void)job;
	note('j');
}

static void ready_then_due_then_deferred(void **state)
{
	struct loop *l;
	struct probe p;
	struct timer t;
	struct loop_job job;

	(void)state;
	traced = 0;
	assert_ok(loop_new(&l));
	probe_open(&p, l);
	timer_init(&t, on_timer);
	loop_job_init(&job, on_job);
	timer_arm(loop_timers(l), &t, 1);
	(void)usleep(3000);
	poke(&p);
	loop_defer(l, &job);
	loop_defer(l, &job); /* once is enough */
	assert_ok(loop_turn(l, 100));
	assert_string_equal(trace, "rtj");
	probe_close(&p);
	loop_free(l);
}

static void who_is_taken_out_in_a_turn_is_not_called(void **state)
{
	struct loop *l;
	struct probe a, b;

	(void)state;
	assert_ok(loop_new(&l));
	probe_open(&a, l);
	probe_open(&b, l);
	a.victim = &b;
	b.victim = &a;
	poke(&a);
	poke(&b);
	assert_ok(loop_turn(l, 100));
	assert_int_equal(a.calls + b.calls, 1);
	probe_close(&a);
	probe_close(&b);
	loop_free(l);
}

static void want_changes_what_is_waited_for(void **state)
{
	struct loop *l;
	struct probe p;

	(void)state;
	assert_ok(loop_new(&l));
	probe_open(&p, l);
	loop_want(l, &p.lf, 0);
	poke(&p);
	assert_ok(loop_turn(l, 1));
	assert_int_equal(p.calls, 0);
	loop_want(l, &p.lf, EPOLLIN);
	assert_ok(loop_turn(l, 100));
	assert_int_equal(p.calls, 1);
	probe_close(&p);
	loop_del(l, &p.lf); /* twice is harmless */
	loop_free(l);
}

struct again {
	struct loop_job job;
	struct loop *loop;
	unsigned runs;
};

static void on_again(struct loop_job *job)
{
	struct again *a = CONTAINER_OF(job, struct again, job);

	a->runs++;
	loop_defer(a->loop, job);
}

static void a_job_that_queues_itself_runs_once_a_turn(void **state)
{
	struct again a = { 0 };

	(void)state;
	assert_ok(loop_new(&a.loop));
	loop_job_init(&a.job, on_again);
	loop_defer(a.loop, &a.job);
	assert_ok(loop_turn(a.loop, 1000));
	assert_ok(loop_turn(a.loop, 1000)); /* does not wait: there is work */
	assert_int_equal(a.runs, 2);
	loop_undefer(&a.job);
	loop_undefer(&a.job);
	loop_free(a.loop);
}

static void on_stop(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
	note('s');
}

/* A timer armed while input is handled counts from this turn, not from the last time that timers ran. */
static void delays_count_from_the_turn(void **state)
{
	struct loop *l;
	struct timer t;

	(void)state;
	traced = 0;
	assert_ok(loop_new(&l));
	timer_init(&t, on_stop);
	(void)usleep(30000);
	timers_touch(loop_timers(l), loop_now(l) + 30);
	timer_arm(loop_timers(l), &t, 20);
	assert_int_equal(t.due_ms, loop_now(l) + 50);
	timer_stop(loop_timers(l), &t);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_then_due_then_deferred),
		cmocka_unit_test(who_is_taken_out_in_a_turn_is_not_called),
		cmocka_unit_test(want_changes_what_is_waited_for),
		cmocka_unit_test(a_job_that_queues_itself_runs_once_a_turn),
		cmocka_unit_test(delays_count_from_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
