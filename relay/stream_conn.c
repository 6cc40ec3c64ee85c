#include "relay/stream_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "relay/proxy.h"
#include "relay/stream_frame.h"

#define READS_MAX 8u            /* reads of one connection before the others have their turn */
#define WRITES_MAX 16u          /* parts of one write */
#define CONTROL_PAUSE 16384u    /* bytes of unread answers at which no more requests are read */
#define CONTROL_MAX (1u << 20)  /* at which the connection ends */

static_assert(sizeof(((struct stream_core *)NULL)->read) >= STREAM_READ + STREAM_MESSAGE_MAX + 4, "a part and a read");

static void on_event(struct loop_fd *lf, uint32_t events);
static void on_timer(struct timer *t, uint64_t now_ms);

static struct stream_settings *set_of(const struct stream_conn *n)
{
	return n->core->set;
}

static uint64_t now_of(const struct stream_conn *n)
{
	return loop_now(n->core->loop);
}

static uint32_t handle_of(const struct stream_conn *n)
{
	return (uint32_t)(n - n->core->at) | (uint32_t)n->generation << 16;
}

enum err stream_core_init(struct stream_core *c, uint32_t max)
{
	c->max = max;
	c->at = calloc(max, sizeof(*c->at));
	list_init(&c->free);
	list_init(&c->ending);
	list_init(&c->stalled);
	list_init(&c->again);
	list_init(&c->dirty);
	if (c->at == NULL)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < max; i++) {
		struct stream_conn *n = &c->at[i];

		n->core = c;
		n->lf.fd = -1;
		n->queue.all_bytes = &c->queued;
		timer_init(&n->timer, on_timer);
		list_init(&n->dirty);
		list_append(&c->free, &n->node);
	}
	return stream_peers_init(&c->peers, max);
}

static void move(struct stream_conn *n, struct list *to)
{
	list_remove(&n->node);
	list_append(to, &n->node);
}

/* The worker hears of the end behind everything that came before it. */
static bool say_end(struct stream_conn *n)
{
	if (n->known && !stream_link_send(n->core->link, &n->key, STREAM_END, NULL, 0))
		return false;
	n->state = STREAM_FREE;
	move(n, &n->core->free);
	return true;
}

static void close_conn(struct stream_conn *n, enum stream_close why)
{
	struct stream_core *c = n->core;

	if (n->state == STREAM_FREE || n->state == STREAM_ENDING)
		return;
	stats_add(&c->stats->closed[why], 1);
	loop_del(c->loop, &n->lf);
	timer_stop(loop_timers(c->loop), &n->timer);
	stream_tls_close(n->ssl, why == STREAM_CLOSED_CLIENT || why == STREAM_CLOSED_IDLE || why == STREAM_CLOSED_STOP);
	(void)close(n->lf.fd);
	n->lf.fd = -1;
	n->ssl = NULL;
	free(n->part);
	n->part = NULL;
	n->part_len = 0;
	stream_queue_clear(&n->queue);
	list_remove(&n->dirty);
	if (n->addressed)
		stream_peers_give(&c->peers, &n->counted);
	n->addressed = false;
	c->open--;
	n->state = STREAM_ENDING;
	if (!say_end(n))
		move(n, &c->ending);
}

void stream_core_fini(struct stream_core *c)
{
	for (uint32_t i = 0; c->at != NULL && i < c->max; i++)
		close_conn(&c->at[i], STREAM_CLOSED_STOP);
	free(c->at);
	c->at = NULL;
	stream_peers_fini(&c->peers);
}

/* When the timer has to look at this connection next. */
static void arm(struct stream_conn *n)
{
	const struct stream_settings *set = set_of(n);
	uint64_t now = now_of(n), due = n->since_ms + set->handshake_ms;

	if (n->state == STREAM_OPEN) {
		due = n->allocation_ms + set->idle_ms;
		if (n->part_ms != 0 && !n->stalled)
			due = MIN(due, n->part_ms + set->handshake_ms);
	}
	timer_arm(loop_timers(n->core->loop), &n->timer, due > now ? due - now : 1);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct stream_conn *n = CONTAINER_OF(t, struct stream_conn, timer);
	const struct stream_settings *set = set_of(n);

	if (n->state != STREAM_OPEN) {
		close_conn(n, STREAM_CLOSED_HANDSHAKE);
		return;
	}
	if (n->part_ms != 0 && !n->stalled && now_ms - n->part_ms >= set->handshake_ms) {
		close_conn(n, STREAM_CLOSED_PARTIAL);
		return;
	}
	if (now_ms - n->allocation_ms < set->idle_ms) {
		arm(n);
		return;
	}
	/* Whether it has an allocation is known to the worker only, whose answer comes soon. */
	n->known = true;
	(void)stream_link_send(n->core->link, &n->key, STREAM_PROBE, NULL, 0);
	timer_arm(loop_timers(n->core->loop), &n->timer, MS_PER_S);
}

static void want(struct stream_conn *n, bool write)
{
	uint32_t events = EPOLLRDHUP | (n->stalled ? 0u : (uint32_t)EPOLLIN) | (write ? (uint32_t)EPOLLOUT : 0u);

	loop_want(n->core->loop, &n->lf, events);
}

static bool wants_write(const struct stream_conn *n)
{
	return (n->lf.events & EPOLLOUT) != 0;
}

/* Reads no more for now: until there is room towards the worker, or until the client has read its answers. */
static void stall(struct stream_conn *n, bool for_room)
{
	n->stalled = true;
	stats_add(&n->core->stats->stalls, 1);
	list_remove(&n->node);
	if (for_room)
		list_append(&n->core->stalled, &n->node);
	want(n, wants_write(n));
}

/* The client's address is known: it may have so many connections, and from now on has a key. */
static bool take_address(struct stream_conn *n, const struct addr *client, uint16_t port)
{
	struct stream_core *c = n->core;
	uint16_t generation = n->generation;

	if (!stream_peers_take(&c->peers, client, c->set->address_max)) {
		close_conn(n, STREAM_CLOSED_ADDRESS);
		return false;
	}
	n->counted = *client;
	n->addressed = true;
	if (++generation == 0)
		generation = 1;
	n->generation = generation;
	n->key = stream_key(client, port, 0, handle_of(n));
	return true;
}

static enum stream_tls_result io_read(struct stream_conn *n, uint8_t *p, size_t size, size_t *done)
{
	if (n->ssl != NULL)
		return stream_tls_read(n->ssl, p, size, done);
	ssize_t r = recv(n->lf.fd, p, size, 0);
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? STREAM_TLS_READ : STREAM_TLS_FAILED;
	*done = (size_t)r;
	return r == 0 ? STREAM_TLS_CLOSED : STREAM_TLS_DONE;
}

static void foreign(struct stream_conn *n, const uint8_t *p, size_t len)
{
	static const enum stream_close why[] = {
		[STREAM_FOREIGN_HTTP] = STREAM_CLOSED_HTTP,
		[STREAM_FOREIGN_TLS] = STREAM_CLOSED_TLS_PLAIN,
		[STREAM_FOREIGN_OTHER] = STREAM_CLOSED_GARBAGE,
	};

	close_conn(n, why[stream_foreign(p, len)]);
}

/* Keeps what is not a whole message yet. */
static void keep(struct stream_conn *n, const uint8_t *p, size_t len)
{
	uint8_t *copy = len > 0 ? malloc(len) : NULL;

	if (len > 0 && copy == NULL) {
		close_conn(n, STREAM_CLOSED_QUEUE);
		return;
	}
	if (len > 0)
		memcpy(copy, p, len);
	free(n->part);
	n->part = copy;
	n->part_len = (uint32_t)len;
	if (len == 0 && n->skip == 0) {
		n->part_ms = 0;
	} else if (n->part_ms == 0) {
		/* A message begun has its time from its first byte on. */
		n->part_ms = now_of(n);
		arm(n);
	}
}

/* Hands on every whole message of [p, p + len). When there is no room, reading pauses and TCP holds the client back. */
static void cut_all(struct stream_conn *n, const uint8_t *p, size_t len)
{
	struct stream_core *c = n->core;
	size_t at = MIN((size_t)n->skip, len);

	n->skip -= (uint32_t)at;
	if (at > 0)
		n->part_ms = 0;
	for (;;) {
		struct stream_piece piece;
		enum stream_cut cut = stream_cut(p + at, len - at, &piece);

		/* Nobody has a channel before a request: what looks like one is text, HTTP perhaps. */
		if (!n->spoke && len > at && p[at] > 3)
			cut = STREAM_CUT_BAD;
		if (cut == STREAM_CUT_MORE)
			break;
		if (cut == STREAM_CUT_BAD) {
			foreign(n, p + at, len - at);
			return;
		}
		n->spoke = true;
		n->part_ms = 0;
		if (cut == STREAM_CUT_SKIP) {
			stats_add(&c->stats->messages_in, 1);
			stats_add(&c->drops->drops[DROP_TOO_BIG], 1);
			n->skip = (uint32_t)(piece.total - MIN((size_t)piece.total, len - at));
			at += piece.total - n->skip;
			continue;
		}
		n->known = true;
		if (!stream_link_send(c->link, &n->key, STREAM_MESSAGE, p + at, piece.len)) {
			stall(n, true);
			break;
		}
		stats_add(&c->stats->messages_in, 1);
		stats_add(&c->stats->bytes_in, piece.total);
		at += piece.total;
	}
	keep(n, p + at, len - at);
}

/* One read and what it gives. False when there is nothing more to read now. */
static bool read_once(struct stream_conn *n)
{
	uint8_t *buf = n->core->read;
	size_t got = 0;

	if (n->part_len > 0)
		memcpy(buf, n->part, n->part_len);
	switch (io_read(n, buf + n->part_len, STREAM_READ, &got)) {
	case STREAM_TLS_DONE:
		cut_all(n, buf, n->part_len + got);
		return n->state == STREAM_OPEN && !n->stalled && (got == STREAM_READ || n->ssl != NULL);
	case STREAM_TLS_READ:
	case STREAM_TLS_WRITE:
		return false;
	case STREAM_TLS_CLOSED:
		close_conn(n, STREAM_CLOSED_CLIENT);
		return false;
	case STREAM_TLS_FAILED:
	default:
		close_conn(n, n->ssl != NULL ? STREAM_CLOSED_TLS : STREAM_CLOSED_RESET);
		return false;
	}
}

static void read_all(struct stream_conn *n)
{
	unsigned reads = 0;

	while (reads < READS_MAX && read_once(n))
		reads++;
	if (reads == READS_MAX)
		move(n, &n->core->again);
}

static void resume(struct stream_conn *n)
{
	struct stream_core *c = n->core;
	uint32_t len = n->part_len;

	n->stalled = false;
	n->part_ms = 0;
	if (len > 0) {
		memcpy(c->read, n->part, len);
		cut_all(n, c->read, len);
	}
	if (n->state != STREAM_OPEN || n->stalled)
		return;
	want(n, wants_write(n));
	read_all(n);
}

static void count_dropped(struct stream_conn *n, const struct stream_dropped *d)
{
	if (d->late > 0)
		stats_add(&n->core->drops->drops[DROP_STREAM_LATE], d->late);
	if (d->full > 0)
		stats_add(&n->core->drops->drops[DROP_STREAM_FULL], d->full);
}

/* A record for each message: some clients (coturn's among them) look for no second one in a record. One that OpenSSL could
 * not get rid of must be offered again just as it was. */
static enum stream_tls_result write_tls(struct stream_conn *n, size_t *done)
{
	struct iovec v;

	(void)stream_queue_peek(&n->queue, &v, 1, UINT32_MAX);
	enum stream_tls_result r = stream_tls_write(n->ssl, v.iov_base, v.iov_len, done);
	n->promised = r == STREAM_TLS_DONE ? 0 : (uint32_t)v.iov_len;
	return r;
}

static enum stream_tls_result write_tcp(struct stream_conn *n, size_t *done)
{
	struct iovec v[WRITES_MAX];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = stream_queue_peek(&n->queue, v, ARRAY_LEN(v), UINT32_MAX) };
	ssize_t r = sendmsg(n->lf.fd, &m, MSG_NOSIGNAL);

	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? STREAM_TLS_WRITE : STREAM_TLS_FAILED;
	*done = (size_t)r;
	return STREAM_TLS_DONE;
}

static void flush(struct stream_conn *n)
{
	struct stream_core *c = n->core;
	struct stream_dropped dropped = { 0 };

	stream_queue_age(&n->queue, &c->set->queue, now_of(n), &dropped);
	count_dropped(n, &dropped);
	while (!stream_queue_empty(&n->queue)) {
		size_t done = 0;
		enum stream_tls_result r = n->ssl != NULL ? write_tls(n, &done) : write_tcp(n, &done);

		if (r == STREAM_TLS_CLOSED || r == STREAM_TLS_FAILED) {
			close_conn(n, STREAM_CLOSED_RESET);
			return;
		}
		stats_add(&c->stats->messages_out, stream_queue_written(&n->queue, (uint32_t)done, n->promised));
		stats_add(&c->stats->bytes_out, done);
		if (r != STREAM_TLS_DONE)
			break;
	}
	want(n, !stream_queue_empty(&n->queue));
	if (n->stalled && list_empty(&n->node) && n->queue.control_bytes <= CONTROL_PAUSE / 2)
		list_append(&c->stalled, &n->node);
}

static void open_up(struct stream_conn *n)
{
	n->state = STREAM_OPEN;
	n->since_ms = n->allocation_ms = now_of(n);
	arm(n);
}

static void handshake(struct stream_conn *n)
{
	switch (stream_tls_handshake(n->ssl)) {
	case STREAM_TLS_DONE:
		stats_add(&n->core->stats->accepted_tls, 1);
		open_up(n);
		want(n, false);
		read_all(n); /* what came with the end of the handshake */
		return;
	case STREAM_TLS_READ:
		want(n, false);
		return;
	case STREAM_TLS_WRITE:
		want(n, true);
		return;
	case STREAM_TLS_CLOSED:
	case STREAM_TLS_FAILED:
	default:
		close_conn(n, STREAM_CLOSED_TLS);
	}
}

/* The client's address is known. */
static void begin(struct stream_conn *n)
{
	if (!n->tls) {
		open_up(n);
		return;
	}
	n->ssl = stream_tls_accept(n->core->set->tls, n->lf.fd);
	if (n->ssl == NULL) {
		close_conn(n, STREAM_CLOSED_QUEUE);
		return;
	}
	n->state = STREAM_HANDSHAKE;
}

/* Looks at what has come and takes exactly the header: what follows it is another layer's. */
static void read_proxy(struct stream_conn *n)
{
	uint8_t *buf = n->core->read;
	struct proxy_header h;

	if (n->part_len > 0)
		memcpy(buf, n->part, n->part_len);
	ssize_t got = recv(n->lf.fd, buf + n->part_len, PROXY_HEADER_MAX, MSG_PEEK);
	if (got <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			close_conn(n, got == 0 ? STREAM_CLOSED_CLIENT : STREAM_CLOSED_RESET);
		return;
	}
	size_t have = n->part_len + (size_t)got;
	enum err e = proxy_parse(buf, have, &h);
	size_t take = e == ERR_OK ? h.len - n->part_len : (size_t)got;
	if ((e != ERR_OK && e != ERR_AGAIN) || recv(n->lf.fd, buf + n->part_len, take, 0) != (ssize_t)take || (e == ERR_OK && !h.known)) {
		close_conn(n, STREAM_CLOSED_PROXY);
		return;
	}
	if (e == ERR_AGAIN) {
		uint8_t *copy = realloc(n->part, have);

		if (copy == NULL) {
			close_conn(n, STREAM_CLOSED_QUEUE);
			return;
		}
		memcpy(copy, buf, have);
		n->part = copy;
		n->part_len = (uint32_t)have;
		return;
	}
	free(n->part);
	n->part = NULL;
	n->part_len = 0;
	if (take_address(n, &h.client, h.client_port))
		begin(n);
}

static void on_event(struct loop_fd *lf, uint32_t events)
{
	struct stream_conn *n = CONTAINER_OF(lf, struct stream_conn, lf);

	if (n->state == STREAM_PROXY)
		read_proxy(n);
	if (n->state == STREAM_HANDSHAKE) {
		handshake(n);
		return;
	}
	if (n->state != STREAM_OPEN)
		return;
	if ((events & EPOLLOUT) != 0)
		flush(n);
	/* A client that has ended its sending half has ended its allocation; what it said before still counts. */
	if (n->state == STREAM_OPEN && !n->stalled && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		read_all(n);
	if (n->state == STREAM_OPEN && n->stalled && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		close_conn(n, STREAM_CLOSED_CLIENT);
}

void stream_conn_open(struct stream_core *c, int fd, const struct stream_listen *from, const struct sockaddr_storage *peer)
{
	struct addr client = { 0 };
	uint16_t port = 0;

	stats_add(&c->stats->accepted, 1);
	if (list_empty(&c->free)) {
		stats_add(&c->stats->closed[STREAM_CLOSED_TOTAL], 1);
		(void)close(fd);
		return;
	}
	struct stream_conn *n = CONTAINER_OF(c->free.next, struct stream_conn, node);
	n->lf = (struct loop_fd){ .fd = fd, .fn = on_event };
	if (loop_add(c->loop, &n->lf, EPOLLIN | EPOLLRDHUP) != ERR_OK) {
		stats_add(&c->stats->closed[STREAM_CLOSED_TOTAL], 1);
		n->lf.fd = -1;
		(void)close(fd);
		return;
	}
	list_remove(&n->node);
	c->open++;
	n->state = STREAM_PROXY;
	n->tls = from->tls;
	n->known = n->spoke = n->stalled = false;
	n->skip = n->promised = 0;
	n->part_ms = 0;
	n->since_ms = loop_now(c->loop);
	arm(n);
	if (from->path[0] == '\0')
		stream_listen_tune(fd);
	if (!from->proxy && !stream_listen_peer(peer, &client, &port))
		close_conn(n, STREAM_CLOSED_PROXY);
	else if (!from->proxy && take_address(n, &client, port))
		begin(n);
}

static void probed(struct stream_conn *n, bool alive)
{
	uint64_t now = now_of(n);

	if (alive)
		n->allocation_ms = now;
	if (now - n->allocation_ms >= set_of(n)->idle_ms)
		close_conn(n, STREAM_CLOSED_IDLE);
	else
		arm(n);
}

void stream_conn_deliver(struct stream_core *c, const struct stream_meta *meta, const uint8_t *p, uint32_t len)
{
	struct stream_conn *n = &c->at[meta->handle & UINT16_MAX];
	struct stream_dropped dropped = { 0 };
	uint32_t padding = len > 0 && p[0] > 3 ? -len & 3 : 0; /* RFC 8656 §12.5: of channel data */

	if ((meta->handle & UINT16_MAX) >= c->max || n->state != STREAM_OPEN || handle_of(n) != meta->handle) {
		if (meta->what == STREAM_MESSAGE)
			stats_add(&c->drops->drops[DROP_STREAM_GONE], 1);
		return;
	}
	if (meta->what == STREAM_PROBE) {
		probed(n, meta->alive);
		return;
	}
	if (meta->kind != STREAM_CONTROL)
		n->allocation_ms = now_of(n);
	bool added = stream_queue_add(&n->queue, &c->set->queue, (enum stream_kind)meta->kind, p, len, padding, now_of(n), &dropped);
	count_dropped(n, &dropped);
	if ((!added && meta->kind == STREAM_CONTROL) || n->queue.control_bytes > CONTROL_MAX) {
		close_conn(n, STREAM_CLOSED_QUEUE);
		return;
	}
	if (n->queue.control_bytes > CONTROL_PAUSE && !n->stalled)
		stall(n, false);
	if (list_empty(&n->dirty) && !wants_write(n))
		list_append(&c->dirty, &n->dirty);
}

/* Calls `step` for everything in the list, once; what a step puts in anew is for the next turn. */
static void each(struct list *l, void (*step)(struct stream_conn *n))
{
	struct list now = { &now, &now };

	while (!list_empty(l))
		move(CONTAINER_OF(l->next, struct stream_conn, node), &now);
	while (!list_empty(&now)) {
		struct stream_conn *n = CONTAINER_OF(now.next, struct stream_conn, node);

		list_remove(&n->node);
		step(n);
	}
}

bool stream_conn_settle(struct stream_core *c)
{
	while (!list_empty(&c->dirty)) {
		struct stream_conn *n = CONTAINER_OF(c->dirty.next, struct stream_conn, dirty);

		list_remove(&n->dirty);
		flush(n);
	}
	each(&c->again, read_all);
	each(&c->stalled, resume);
	while (!list_empty(&c->ending) && say_end(CONTAINER_OF(c->ending.next, struct stream_conn, node)))
		;
	stream_link_flush(c->link);
	atomic_store_explicit(&c->stats->connections, c->open, memory_order_relaxed);
	atomic_store_explicit(&c->stats->queued_bytes, c->queued, memory_order_relaxed);
	return !list_empty(&c->stalled) || !list_empty(&c->ending) || !list_empty(&c->again);
}
