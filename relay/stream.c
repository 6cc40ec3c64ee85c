#include "relay/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/stream_conn.h"

#define ACCEPTS_MAX 64u      /* of one listener in a turn */
#define ACCEPT_PAUSE_MS 100u /* after descriptors have run out */
#define WAIT_MS 1000u
#define DELIVER_MAX 1024u    /* messages from workers in a turn, before sockets are looked at again */

struct listener {
	struct loop_fd lf;
	struct timer pause;
	struct stream *stream;
	struct stream_listen at;
};

struct stream {
	struct stream_core core;
	struct listener listener[STREAM_LISTEN_MAX];
	unsigned listeners;
	struct loop_fd wake;
	_Atomic(struct stream_settings *) fresh; /* owned: to be taken by the thread */
	atomic_bool stop;
	bool running;
	pthread_t thread;
};

static void free_settings(struct stream_settings *set)
{
	if (set != NULL)
		stream_tls_free(set->tls);
	free(set);
}

static enum err parse(const struct relay_conf *c, struct stream_listen at[STREAM_LISTEN_MAX], unsigned *count, char *why, size_t why_size)
{
	struct str bad = STR_NONE;
	enum err e = stream_listen_parse(c->stream_listen, at, count, &bad);

	if (e != ERR_OK)
		(void)snprintf(why, why_size,
			       "[relay] stream-listen: '%.*s' is not like tcp:*:3478, tls:192.0.2.1:5349 or tls-proxy:unix:/PATH (at most %u)",
			       STR_FMT(bad), STREAM_LISTEN_MAX);
	return e;
}

enum err stream_wanted(const struct relay_conf *conf, bool *out, char *why, size_t why_size)
{
	struct stream_listen at[STREAM_LISTEN_MAX];
	unsigned count = 0;
	enum err e = parse(conf, at, &count, why, why_size);

	if (e == ERR_OK)
		*out = count > 0;
	return e;
}

static enum err make_settings(const struct relay_conf *c, bool tls, struct stream_settings **out, char *why, size_t why_size)
{
	struct stream_settings *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return ERR_NO_MEMORY;
	set->queue = (struct stream_limits){ .bytes = (uint32_t)c->stream_queue_bytes, .media_ms = (uint32_t)c->stream_queue_ms,
					     .all_bytes = c->stream_memory_mb << 20 };
	set->address_max = (uint32_t)c->stream_address_connections;
	set->handshake_ms = (uint32_t)c->stream_handshake_s * MS_PER_S;
	set->idle_ms = (uint32_t)c->stream_idle_s * MS_PER_S;
	enum err e = tls ? stream_tls_new(c->tls_cert, c->tls_key, &set->tls, why, why_size) : ERR_OK;
	if (e != ERR_OK) {
		free_settings(set);
		return e;
	}
	*out = set;
	return ERR_OK;
}

static bool any_tls(const struct stream *s)
{
	bool tls = false;

	for (unsigned i = 0; i < s->listeners; i++)
		tls |= s->listener[i].at.tls;
	return tls;
}

static void wake(struct stream *s)
{
	const uint64_t one = 1;

	(void)!write(s->wake.fd, &one, sizeof(one));
}

static void on_wake(struct loop_fd *lf, uint32_t events)
{
	uint64_t count;

	(void)events;
	(void)!read(lf->fd, &count, sizeof(count));
}

static void on_pause_over(struct timer *t, uint64_t now_ms)
{
	struct listener *l = CONTAINER_OF(t, struct listener, pause);

	(void)now_ms;
	loop_want(l->stream->core.loop, &l->lf, EPOLLIN);
}

static void on_accept(struct loop_fd *lf, uint32_t events)
{
	struct listener *l = CONTAINER_OF(lf, struct listener, lf);
	struct stream_core *c = &l->stream->core;

	(void)events;
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		int fd = accept4(lf->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			stream_conn_open(c, fd, &l->at, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* Waiting clients would wake us again at once. */
			loop_want(c->loop, lf, 0);
			timer_arm(loop_timers(c->loop), &l->pause, ACCEPT_PAUSE_MS);
		}
		return;
	}
}

static void take_settings(struct stream *s)
{
	struct stream_settings *fresh = atomic_exchange(&s->fresh, NULL);

	if (fresh == NULL)
		return;
	free_settings(s->core.set);
	s->core.set = fresh;
}

static void deliver_all(struct stream *s)
{
	struct stream_core *c = &s->core;
	struct stream_meta meta;
	const uint8_t *p;
	uint32_t len;

	for (unsigned i = 0; i < DELIVER_MAX && stream_link_next(c->link, &meta, &p, &len); i++)
		stream_conn_deliver(c, &meta, p, len);
	stream_link_done(c->link);
}

static void *run(void *arg)
{
	struct stream *s = arg;
	struct stream_core *c = &s->core;
	bool more = false;

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		uint64_t wait_ms = more ? 1 : WAIT_MS;

		if (!stream_link_sleep(c->link))
			wait_ms = 0;
		if (loop_turn(c->loop, wait_ms) != ERR_OK) {
			log_event(LOG_ERROR, "stream-loop", "reason=%s", log_value(str_from(strerrordesc_np(errno))));
			break;
		}
		stream_link_awake(c->link);
		take_settings(s);
		deliver_all(s);
		more = stream_conn_settle(c);
	}
	return NULL;
}

static enum err open_listeners(struct stream *s, const struct relay_conf *conf, char *why, size_t why_size)
{
	struct stream_listen at[STREAM_LISTEN_MAX];
	unsigned count = 0;
	enum err e = parse(conf, at, &count, why, why_size);

	for (unsigned i = 0; e == ERR_OK && i < count; i++) {
		struct listener *l = &s->listener[i];

		l->at = at[i];
		l->stream = s;
		l->lf = (struct loop_fd){ .fd = -1, .fn = on_accept };
		timer_init(&l->pause, on_pause_over);
		e = stream_listen_open(&l->at, conf->stream_socket_group, &l->lf.fd, why, why_size);
		if (e != ERR_OK)
			break;
		s->listeners = i + 1;
		e = loop_add(s->core.loop, &l->lf, EPOLLIN);
	}
	return e;
}

static enum err set_up(struct stream *s, struct relay *relay, const struct relay_conf *conf, char *why, size_t why_size)
{
	struct stream_core *c = &s->core;
	enum err e = loop_new(&c->loop);

	c->link = relay->link;
	c->stats = &relay->stream;
	c->drops = &relay->stats[relay->workers];
	if (e == ERR_OK)
		e = stream_core_init(c, (uint32_t)conf->stream_connections);
	if (e == ERR_OK) {
		s->wake = (struct loop_fd){ .fd = stream_link_fd(relay->link), .fn = on_wake };
		e = loop_add(c->loop, &s->wake, EPOLLIN);
	}
	if (e != ERR_OK) {
		(void)snprintf(why, why_size, "the thread for TCP and TLS cannot be set up: %s", err_text(e));
		return e;
	}
	e = open_listeners(s, conf, why, why_size);
	if (e == ERR_OK)
		e = make_settings(conf, any_tls(s), &c->set, why, why_size);
	if (e == ERR_OK && pthread_create(&s->thread, NULL, run, s) != 0) {
		(void)snprintf(why, why_size, "the thread for TCP and TLS does not start");
		e = ERR_NO_MEMORY;
	}
	return e;
}

enum err stream_start(struct relay *relay, const struct relay_conf *conf, struct stream **out, char *why, size_t why_size)
{
	struct stream *s = aligned_alloc(CACHE_LINE, (sizeof(*s) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);

	(void)snprintf(why, why_size, "out of memory");
	if (s == NULL)
		return ERR_NO_MEMORY;
	memset(s, 0, sizeof(*s));
	enum err e = set_up(s, relay, conf, why, why_size);
	if (e != ERR_OK) {
		stream_stop(s);
		return e;
	}
	s->running = true;
	log_event(LOG_INFO, "stream-ready", "listeners=%u tls=%s", s->listeners, any_tls(s) ? "yes" : "no");
	*out = s;
	return ERR_OK;
}

void stream_stop(struct stream *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->stop, true);
	if (s->running) {
		wake(s);
		(void)pthread_join(s->thread, NULL);
	}
	for (unsigned i = 0; i < s->listeners; i++) {
		(void)close(s->listener[i].lf.fd);
		stream_listen_unlink(&s->listener[i].at);
	}
	stream_core_fini(&s->core);
	loop_free(s->core.loop);
	free_settings(s->core.set);
	free_settings(atomic_load(&s->fresh));
	free(s);
}

enum err stream_reload(struct stream *s, const struct relay_conf *conf, char *why, size_t why_size)
{
	struct stream_settings *fresh;

	if (s == NULL)
		return ERR_OK;
	enum err e = make_settings(conf, any_tls(s), &fresh, why, why_size);
	if (e != ERR_OK)
		return e;
	free_settings(atomic_exchange(&s->fresh, fresh));
	stats_add(&s->core.stats->reloads, 1);
	wake(s);
	return ERR_OK;
}
