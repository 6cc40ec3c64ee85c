#include "signalling/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define LOOK_MS 250
#define STUCK_US 1000000u

struct watchdog {
	const struct loop *loop; /* borrowed, as is name */
	const char *name;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

static void look(const struct watchdog *d, bool *said)
{
	uint64_t began = loop_stats(d->loop)->turn_started_us, now = clock_mono_us();
	bool stuck = began != 0 && now > began + STUCK_US;

	if (stuck && !*said)
		log_event(LOG_ERROR, "worker-stuck", "worker=%s ms=%llu", d->name, (unsigned long long)((now - began) / 1000));
	*said = stuck;
}

static void *run(void *arg)
{
	struct watchdog *d = arg;
	struct timespec at;
	bool said = false;

	(void)pthread_mutex_lock(&d->lock);
	while (!d->stop) {
		(void)clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_nsec += LOOK_MS * 1000000L;
		at.tv_sec += at.tv_nsec / 1000000000L;
		at.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&d->wake, &d->lock, &at);
		look(d, &said);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

enum err watchdog_start(const struct loop *l, const char *name, struct watchdog **out)
{
	struct watchdog *d = calloc(1, sizeof(*d));
	pthread_condattr_t attr;

	if (d == NULL)
		return ERR_NO_MEMORY;
	d->loop = l;
	d->name = name;
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&d->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (pthread_create(&d->thread, NULL, run, d) != 0) {
		free(d);
		return ERR_IO;
	}
	*out = d;
	return ERR_OK;
}

void watchdog_stop(struct watchdog *d)
{
	if (d == NULL)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->stop = true;
	(void)pthread_cond_signal(&d->wake);
	(void)pthread_mutex_unlock(&d->lock);
	(void)pthread_join(d->thread, NULL);
	(void)pthread_cond_destroy(&d->wake);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}
