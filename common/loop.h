/* One epoll loop with a timer wheel: the heart of a single-threaded process. The clock is read once per turn; everything that runs in a turn
 * sees the same `now`. A turn is: wait, read the clock, handle what is ready, run due timers, run what was deferred. */
#ifndef DUPLEX_COMMON_LOOP_H
#define DUPLEX_COMMON_LOOP_H

#include <sys/epoll.h>

#include "common/err.h"
#include "common/timer.h"

struct loop;

/* A descriptor in the loop, embedded in its owner. `fn` gets EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP as they come. */
struct loop_fd {
	int fd; /* owned by the embedding struct; -1 = none */
	uint32_t events;
	void (*fn)(struct loop_fd *lf, uint32_t events);
};

/* Work for the end of this turn, embedded in its owner: for what must not happen inside the caller's stack (closing, calling back). */
struct loop_job {
	struct list node;
	void (*fn)(struct loop_job *job);
};

/* How the loop spends its time. Written by its thread with plain 64-bit stores; others may read. */
struct loop_stats {
	uint64_t turns;
	uint64_t busy_us, idle_us;
	uint64_t turn_us_max;      /* longest turn since the start */
	uint64_t turn_started_us;  /* of the turn that is under way (monotonic); 0 while the loop waits */
};

enum err loop_new(struct loop **out);
void loop_free(struct loop *l);

/* `lf` must stay in place until loop_del. */
enum err loop_add(struct loop *l, struct loop_fd *lf, uint32_t events);
/* Changes what is waited for; costs nothing when nothing changes. */
void loop_want(struct loop *l, struct loop_fd *lf, uint32_t events);
/* Takes the descriptor out; does not close it. Safe inside any callback: an event of this turn that is still to come is dropped.
 * Safe when it is not in the loop. */
void loop_del(struct loop *l, struct loop_fd *lf);

void loop_job_init(struct loop_job *job, void (*fn)(struct loop_job *job));
/* Queues the job once for the end of the turn; does nothing when it is queued already. */
void loop_defer(struct loop *l, struct loop_job *job);
/* Safe when it is not queued. */
void loop_undefer(struct loop_job *job);

/* Milliseconds of the monotonic clock, as read at the start of this turn. */
uint64_t loop_now(const struct loop *l);
struct timers *loop_timers(struct loop *l);
/* Borrowed for the life of the loop. */
const struct loop_stats *loop_stats(const struct loop *l);
/* What the last turn took, in microseconds. */
uint64_t loop_last_turn_us(const struct loop *l);

/* One turn: waits at most `max_wait_ms`. ERR_IO if epoll itself fails. */
enum err loop_turn(struct loop *l, uint64_t max_wait_ms);
/* Turns until loop_stop. */
enum err loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
