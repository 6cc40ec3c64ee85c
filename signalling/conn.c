#include "signalling/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/log.h"
#include "signalling/budget.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/presence.h"
#include "signalling/usermap.h"
#include "signalling/worker.h"
#include "signalling/ws_frame.h"
#include "signalling/ws_handshake.h"

#define CLOSE_WAIT_MS 2000u
#define SCRATCH 65536u
#define DRAIN_TICK_MS 50u
#define PING_MISSES 2u

enum phase { PHASE_UPGRADE, PHASE_OPEN, PHASE_CLOSING };

struct conn {
	struct worker *w;
	struct loop_fd lf;
	enum phase phase;
	struct flow flow;
	char *identity;             /* owns the text of the three below */
	struct str user, session, address;
	perm_set perms;
	struct buf in;              /* the upgrade request while it is partial */
	struct ws_rx rx;
	struct buf tx;              /* what the socket did not take; released when empty */
	size_t tx_done;
	struct timer timer;         /* the upgrade's end, then pings, then the wait for the client's close */
	struct timer resume;        /* reading goes on when the budget is there again */
	struct budget bytes, messages;
	unsigned misses;
	bool heard;                 /* something came since the last ping */
	bool gone;                  /* the socket is of no use any more */
	uint16_t code;              /* it was closed with */
	struct list by_user;
	struct loop_job ended;
};

struct slot {
	struct conn *conn;          /* owned; NULL while free */
	uint32_t generation;
	uint32_t next_free;
};

struct conns {
	struct worker *w;
	struct slot *slots;
	size_t size, max, open;
	uint32_t free_head;         /* 1 + index, 0 = none */
	struct usermap users;
	struct timer drain;
	size_t drain_next, drain_batch;
	char scratch[SCRATCH];      /* what is read in a turn; one connection at a time */
};

static void on_ready(struct loop_fd *lf, uint32_t events);
static void on_timer(struct timer *t, uint64_t now_ms);
static void on_resume(struct timer *t, uint64_t now_ms);
static void on_ended(struct loop_job *job);
static void on_drain(struct timer *t, uint64_t now_ms);

enum err conns_new(struct worker *w, size_t max, struct conns **out)
{
	struct conns *cs = calloc(1, sizeof(*cs));

	if (cs == NULL)
		return ERR_NO_MEMORY;
	cs->w = w;
	cs->max = max;
	usermap_init(&cs->users);
	timer_init(&cs->drain, on_drain);
	*out = cs;
	return ERR_OK;
}

static void conn_free(struct conn *c)
{
	struct timers *wheel = loop_timers(c->w->loop);

	loop_del(c->w->loop, &c->lf);
	(void)close(c->lf.fd);
	timer_stop(wheel, &c->timer);
	timer_stop(wheel, &c->resume);
	loop_undefer(&c->ended);
	list_remove(&c->by_user);
	ws_rx_fini(&c->rx);
	buf_fini(&c->in);
	buf_fini(&c->tx);
	free(c->identity);
	free(c);
}

void conns_free(struct conns *cs)
{
	if (cs == NULL)
		return;
	timer_stop(loop_timers(cs->w->loop), &cs->drain);
	for (size_t i = 0; i < cs->size; i++) {
		if (cs->slots[i].conn != NULL)
			conn_free(cs->slots[i].conn);
	}
	free(cs->slots);
	free(cs);
}

size_t conns_count(const struct conns *cs)
{
	return cs->open;
}

/* --- the table --- */

static enum err slot_take(struct conns *cs, uint32_t *out)
{
	if (cs->free_head == 0) {
		size_t size = MIN(MAX(cs->size * 2, (size_t)64), cs->max);
		struct slot *slots = size > cs->size ? reallocarray(cs->slots, size, sizeof(*slots)) : NULL;

		if (slots == NULL)
			return ERR_FULL;
		cs->slots = slots;
		for (size_t i = size; i > cs->size; i--) {
			slots[i - 1] = (struct slot){ .next_free = cs->free_head };
			cs->free_head = (uint32_t)i;
		}
		cs->size = size;
	}
	*out = cs->free_head - 1;
	cs->free_head = cs->slots[*out].next_free;
	cs->slots[*out].generation++;
	return ERR_OK;
}

static void slot_give(struct conns *cs, uint32_t slot)
{
	cs->slots[slot].conn = NULL;
	cs->slots[slot].next_free = cs->free_head;
	cs->free_head = slot + 1;
}

struct conn *conn_of(struct conns *cs, const struct flow *f)
{
	if (cs == NULL || f->epoch != cs->w->epoch || f->slot >= cs->size || cs->slots[f->slot].generation != f->generation)
		return NULL;
	struct conn *c = cs->slots[f->slot].conn;
	return c != NULL && c->phase == PHASE_OPEN ? c : NULL;
}

const struct flow *conn_flow(const struct conn *c)
{
	return &c->flow;
}

struct origin conn_origin(const struct conn *c)
{
	return (struct origin){ .flow = c->flow, .user = c->user, .session = c->session, .address = c->address, .perms = c->perms };
}

void conns_each(struct conns *cs, struct str user, void (*fn)(struct conn *c, void *arg), void *arg)
{
	struct list *head = usermap_at(&cs->users, user), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct conn *c = CONTAINER_OF(it, struct conn, by_user);

		if (str_eq(c->user, user))
			fn(c, arg);
	}
}

struct close_some {
	struct str session;
	uint16_t code;
	const char *reason;
	size_t closed;
};

static void close_one(struct conn *c, void *arg)
{
	struct close_some *what = arg;

	if (what->session.len > 0 && !str_eq(what->session, c->session))
		return;
	conn_close(c, what->code, what->reason);
	what->closed++;
}

size_t conns_close_user(struct conns *cs, struct str user, struct str session, uint16_t code, const char *reason)
{
	struct close_some what = { session, code, reason, 0 };

	conns_each(cs, user, close_one, &what);
	return what.closed;
}

/* --- accepting --- */

enum err conns_accept(struct conns *cs, int fd)
{
	struct worker *w = cs->w;
	struct conn *c = calloc(1, sizeof(*c));
	uint32_t slot;

	if (c == NULL || slot_take(cs, &slot) != ERR_OK) {
		char text[256];
		struct buf b = buf_fixed(text, sizeof(text));

		ws_upgrade_reply(&b, 503, STR_NONE);
		(void)send(fd, b.p, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)close(fd);
		free(c);
		w->count->reject[REJ_CONN_LIMIT]++;
		return ERR_FULL;
	}
	c->w = w;
	c->lf = (struct loop_fd){ .fd = fd, .fn = on_ready };
	c->flow = (struct flow){ .epoch = w->epoch, .slot = slot, .generation = cs->slots[slot].generation };
	(void)str_copy(str_from(w->name), c->flow.worker, sizeof(c->flow.worker));
	c->in = buf_growing(WS_UPGRADE_MAX);
	c->tx = buf_growing(w->conf->send_queue_max + 4096);
	ws_rx_init(&c->rx, w->conf->message_max);
	budget_init(&c->bytes, w->conf->bytes_per_s, w->conf->bytes_burst, worker_now(w));
	budget_init(&c->messages, w->conf->messages_per_s, w->conf->messages_burst, worker_now(w));
	timer_init(&c->timer, on_timer);
	timer_init(&c->resume, on_resume);
	loop_job_init(&c->ended, on_ended);
	list_init(&c->by_user);
	if (loop_add(w->loop, &c->lf, EPOLLIN) != ERR_OK) {
		conn_free(c);
		slot_give(cs, slot);
		return ERR_IO;
	}
	cs->slots[slot].conn = c;
	cs->open++;
	w->count->connections = cs->open;
	w->count->stat[STAT_CONNS_OPENED]++;
	timer_arm(loop_timers(w->loop), &c->timer, w->conf->handshake_timeout_ms);
	return ERR_OK;
}

/* --- sending --- */

static bool tx_empty(const struct conn *c)
{
	return c->tx_done == c->tx.len;
}

static void want(struct conn *c)
{
	bool read = !timer_armed(&c->resume);

	loop_want(c->w->loop, &c->lf, (read ? EPOLLIN : 0u) | (tx_empty(c) ? 0u : EPOLLOUT));
}

/* The socket is of no use: what is left of the connection goes at the end of the turn. */
static void abandon(struct conn *c, uint16_t code)
{
	if (c->phase != PHASE_CLOSING)
		c->code = code;
	c->phase = PHASE_CLOSING;
	c->gone = true;
	loop_want(c->w->loop, &c->lf, 0);
	loop_defer(c->w->loop, &c->ended);
}

static void flush(struct conn *c)
{
	while (!tx_empty(c)) {
		ssize_t n = send(c->lf.fd, c->tx.p + c->tx_done, c->tx.len - c->tx_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			abandon(c, WS_CODE_GOING_AWAY);
			return;
		}
		c->w->count->stat[STAT_BYTES_OUT] += (uint64_t)n;
		c->tx_done += (size_t)n;
	}
	if (tx_empty(c)) {
		size_t max = c->tx.max;

		buf_fini(&c->tx);
		c->tx = buf_growing(max);
		c->tx_done = 0;
	}
	want(c);
}

/* Two slices in a row: at once if the socket takes them, the rest later. */
static enum err send_two(struct conn *c, struct str head, struct str body)
{
	size_t done = 0;

	if (tx_empty(c)) {
		struct iovec iov[2] = { { (void *)(uintptr_t)head.p, head.len }, { (void *)(uintptr_t)body.p, body.len } };
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n = sendmsg(c->lf.fd, &m, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			abandon(c, WS_CODE_GOING_AWAY);
			return ERR_CLOSED;
		}
		done = n > 0 ? (size_t)n : 0;
		c->w->count->stat[STAT_BYTES_OUT] += done;
		if (done == head.len + body.len)
			return ERR_OK;
	} else if (c->tx.len - c->tx_done + head.len + body.len > c->w->conf->send_queue_max) {
		c->w->count->reject[REJ_SLOW_READER]++;
		abandon(c, WS_CODE_POLICY);
		return ERR_FULL;
	}
	if (c->tx_done > 0 && c->tx.len + head.len + body.len > c->tx.max) {
		memmove(c->tx.p, c->tx.p + c->tx_done, c->tx.len - c->tx_done);
		c->tx.len -= c->tx_done;
		c->tx_done = 0;
	}
	buf_str(&c->tx, str_sub(head, done, head.len));
	buf_str(&c->tx, str_sub(body, done > head.len ? done - head.len : 0, body.len));
	if (c->tx.overflow) {
		c->w->count->reject[REJ_SLOW_READER]++;
		abandon(c, WS_CODE_POLICY);
		return ERR_FULL;
	}
	want(c);
	return ERR_OK;
}

static enum err send_frame(struct conn *c, enum ws_op op, struct str payload)
{
	uint8_t head[WS_HEAD_MAX];

	return send_two(c, str_of(head, ws_head(head, op, payload.len)), payload);
}

enum err conn_send(struct conn *c, struct str message)
{
	if (c->phase != PHASE_OPEN)
		return ERR_CLOSED;
	/* A text frame that is not UTF-8 would make the browser drop the connection: nobody shall do that to another. */
	enum err e = send_frame(c, ws_utf8_valid(message) ? WS_TEXT : WS_BINARY, message);
	if (e == ERR_OK)
		c->w->count->stat[STAT_MSG_OUT]++;
	return e;
}

/* --- closing --- */

void conn_close(struct conn *c, uint16_t code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];

	if (c->phase == PHASE_CLOSING)
		return;
	bool open = c->phase == PHASE_OPEN;
	log_event(LOG_DEBUG, "connection-closing", "slot=%u code=%u reason=%s", c->flow.slot, code, log_value(str_from(reason)));
	c->code = code;
	c->phase = PHASE_CLOSING;
	if (!open || send_frame(c, WS_CLOSE, str_of(payload, ws_close_payload(payload, code, reason))) != ERR_OK) {
		abandon(c, code);
		return;
	}
	timer_stop(loop_timers(c->w->loop), &c->resume);
	want(c);
	timer_arm(loop_timers(c->w->loop), &c->timer, CLOSE_WAIT_MS);
	loop_defer(c->w->loop, &c->ended);
}

/* Those who know the flow are told, once; a connection whose socket is done is freed. */
static void on_ended(struct loop_job *job)
{
	struct conn *c = CONTAINER_OF(job, struct conn, ended);
	struct worker *w = c->w;
	struct conns *cs = w->conns;

	if (c->user.len > 0) {
		struct str user = c->user;

		list_remove(&c->by_user);
		c->user = STR_NONE;
		proxy_flow_lost(w->proxy, &c->flow, user);
		presence_flow_lost(w, &c->flow);
		registrar_flow_lost(w, &c->flow, user, c->code);
		log_event(LOG_INFO, "connection-closed", "user=%s flow=%u.%u code=%u", log_value(user), c->flow.slot, c->flow.generation,
			  c->code);
	}
	if (!c->gone)
		return;
	slot_give(cs, c->flow.slot);
	cs->open--;
	w->count->connections = cs->open;
	w->count->stat[STAT_CONNS_CLOSED]++;
	conn_free(c);
}

static void on_drain(struct timer *t, uint64_t now_ms)
{
	struct conns *cs = CONTAINER_OF(t, struct conns, drain);
	size_t done = 0;

	(void)now_ms;
	for (; cs->drain_next < cs->size && done < cs->drain_batch; cs->drain_next++) {
		struct conn *c = cs->slots[cs->drain_next].conn;

		if (c == NULL || c->phase == PHASE_CLOSING)
			continue;
		conn_close(c, WS_CODE_RESTART, "restart");
		done++;
	}
	if (cs->drain_next < cs->size)
		timer_arm(loop_timers(cs->w->loop), &cs->drain, DRAIN_TICK_MS);
}

void conns_drain(struct conns *cs, uint64_t spread_ms)
{
	cs->drain_next = 0;
	cs->drain_batch = cs->open / MAX(spread_ms / DRAIN_TICK_MS, (uint64_t)1) + 1;
	timer_arm(loop_timers(cs->w->loop), &cs->drain, 1);
}

/* --- time --- */

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct conn *c = CONTAINER_OF(t, struct conn, timer);
	struct worker *w = c->w;

	(void)now_ms;
	if (c->phase == PHASE_UPGRADE)
		w->count->reject[REJ_UPGRADE]++;
	if (c->phase != PHASE_OPEN) {
		abandon(c, c->code);
		return;
	}
	c->misses = c->heard ? 0 : c->misses + 1;
	c->heard = false;
	if (c->misses >= PING_MISSES) {
		w->count->reject[REJ_PING_TIMEOUT]++;
		abandon(c, WS_CODE_GOING_AWAY);
		return;
	}
	if (send_frame(c, WS_PING, STR_NONE) == ERR_OK)
		timer_arm(loop_timers(w->loop), t, w->conf->ping_interval_ms);
}

static void on_resume(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	want(CONTAINER_OF(t, struct conn, resume));
}

/* A client beyond its budget is read again when the budget is there: its bytes wait in its own socket, so nothing is lost and nothing piles up. */
static void pace(struct conn *c)
{
	uint64_t now = worker_now(c->w);
	uint64_t wait_bytes = budget_wait_ms(&c->bytes, now), wait_messages = budget_wait_ms(&c->messages, now);

	if (c->phase != PHASE_OPEN || (wait_bytes == 0 && wait_messages == 0))
		return;
	c->w->count->reject[wait_bytes > 0 ? REJ_BUDGET_BYTES : REJ_BUDGET_MESSAGES]++;
	timer_arm(loop_timers(c->w->loop), &c->resume, MAX(wait_bytes, wait_messages));
	want(c);
}

/* --- receiving --- */

static void take_message(struct conn *c, struct str message)
{
	struct worker *w = c->w;

	budget_take(&c->messages, 1);
	w->count->stat[STAT_MSG_IN]++;
	if (str_eq(message, STR("\r\n\r\n"))) {
		/* RFC 5626 §4.4.1: a double CRLF is a ping, answered by a single one, which itself is no message. */
		w->count->stat[STAT_KEEPALIVE]++;
		(void)send_frame(c, WS_TEXT, STR("\r\n"));
		return;
	}
	if (str_eq(message, STR("\r\n")))
		return;
	struct origin from = conn_origin(c);
	if (!proxy_receive(w->proxy, &from, message)) {
		w->count->reject[REJ_PARSE]++;
		conn_close(c, WS_CODE_POLICY, "not SIP");
	}
}

static void take_event(struct conn *c, const struct ws_event *ev)
{
	switch (ev->op) {
	case WS_TEXT:
	case WS_BINARY:
		take_message(c, ev->payload);
		return;
	case WS_PING:
		/* Counted like a message: answering must not be free of charge. */
		budget_take(&c->messages, 1);
		(void)send_frame(c, WS_PONG, ev->payload);
		return;
	case WS_CLOSE:
		/* Echoed, and as the server we are the one to close the socket then (RFC 6455 §7.1.1). */
		conn_close(c, (uint16_t)(ev->code == WS_CODE_NONE ? WS_CODE_NORMAL : ev->code), "");
		if (tx_empty(c))
			abandon(c, c->code);
		return;
	case WS_PONG:
	case WS_CONT:
		return;
	}
}

static enum reject reject_of(unsigned code)
{
	return code == WS_CODE_TOO_BIG ? REJ_TOO_LARGE : code == WS_CODE_DATA ? REJ_WS_UTF8 : REJ_WS_PROTOCOL;
}

static void take_frames(struct conn *c, char *p, size_t len)
{
	struct ws_event ev;
	enum err e = ERR_OK;

	while (e == ERR_OK && c->phase == PHASE_OPEN) {
		e = ws_rx_next(&c->rx, &p, &len, &ev);
		if (e == ERR_OK)
			take_event(c, &ev);
	}
	if (e == ERR_OK || e == ERR_AGAIN || c->phase != PHASE_OPEN)
		return;
	c->w->count->reject[reject_of(ev.code)]++;
	conn_close(c, (uint16_t)ev.code, err_text(e));
}

/* While closing only the client's close frame counts (RFC 6455 §7.1.1); other frames are read past. */
static void await_close(struct conn *c, char *p, size_t len)
{
	struct ws_event ev;
	enum err e;

	while ((e = ws_rx_next(&c->rx, &p, &len, &ev)) == ERR_OK) {
		if (ev.op != WS_CLOSE)
			continue;
		abandon(c, c->code);
		return;
	}
	if (e != ERR_AGAIN)
		abandon(c, c->code);
}

struct count {
	size_t n;
};

static void count_one(struct conn *c, void *arg)
{
	(void)c;
	((struct count *)arg)->n++;
}

static enum err adopt_identity(struct conn *c, const struct ws_upgrade *up)
{
	struct buf b = buf_growing(4096);

	buf_str(&b, up->user);
	buf_str(&b, up->session);
	buf_str(&b, up->address);
	if (b.overflow) {
		buf_fini(&b);
		return ERR_NO_MEMORY;
	}
	c->identity = b.p;
	c->user = str_of(b.p, up->user.len);
	c->session = str_of(b.p + up->user.len, up->session.len);
	c->address = str_of(b.p + up->user.len + up->session.len, up->address.len);
	c->perms = perm_parse(up->permissions);
	return ERR_OK;
}

static void refuse_upgrade(struct conn *c, unsigned status)
{
	char text[256];
	struct buf b = buf_fixed(text, sizeof(text));

	c->w->count->reject[status == 403 ? REJ_IDENTITY_HEADERS : status == 503 ? REJ_CONN_LIMIT : REJ_UPGRADE]++;
	ws_upgrade_reply(&b, status, STR_NONE);
	(void)send_two(c, buf_view(&b), STR_NONE);
	abandon(c, 0);
}

static void upgrade(struct conn *c, const struct ws_upgrade *up)
{
	struct worker *w = c->w;
	struct conns *cs = w->conns;
	struct count mine = { 0 };
	char text[256];
	struct buf b = buf_fixed(text, sizeof(text));
	uint32_t jitter;

	conns_each(cs, up->user, count_one, &mine);
	if (w->draining || mine.n >= w->conf->connections_per_user || adopt_identity(c, up) != ERR_OK) {
		refuse_upgrade(c, 503);
		return;
	}
	ws_upgrade_reply(&b, 101, up->key);
	if (send_two(c, buf_view(&b), STR_NONE) != ERR_OK)
		return;
	c->phase = PHASE_OPEN;
	list_append(usermap_at(&cs->users, c->user), &c->by_user);
	/* The first ping comes somewhere in the interval, so that clients that came together are not pinged together. */
	crypto_random(&jitter, sizeof(jitter));
	timer_arm(loop_timers(w->loop), &c->timer, w->conf->ping_interval_ms / 2 + jitter % (w->conf->ping_interval_ms / 2 + 1));
	c->heard = true;
	log_event(LOG_INFO, "connection-open", "user=%s flow=%u.%u address=%s", log_value(c->user), c->flow.slot, c->flow.generation,
		  log_value(c->address));
}

static void take_upgrade(struct conn *c, const char *p, size_t len)
{
	struct ws_upgrade up;
	unsigned status = 431;

	buf_put(&c->in, p, MIN(len, WS_UPGRADE_MAX - c->in.len));
	enum err e = c->in.overflow ? ERR_INVALID : ws_upgrade_parse(buf_view(&c->in), &up, &status);
	if (e == ERR_AGAIN)
		return;
	if (e != ERR_OK) {
		refuse_upgrade(c, status);
		return;
	}
	upgrade(c, &up);
	/* Frames that came along with the request: a client may not send before our answer (RFC 6455 §4.1). */
	if (c->phase == PHASE_OPEN && c->in.len > up.len) {
		c->w->count->reject[REJ_WS_PROTOCOL]++;
		conn_close(c, WS_CODE_PROTOCOL, "frame before the upgrade was answered");
	}
	buf_fini(&c->in);
}

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct conn *c = CONTAINER_OF(lf, struct conn, lf);
	struct conns *cs = c->w->conns;

	if (c->gone)
		return;
	if ((events & EPOLLOUT) != 0)
		flush(c);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || c->gone)
		return;
	ssize_t n = recv(lf->fd, cs->scratch, sizeof(cs->scratch), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		abandon(c, WS_CODE_GOING_AWAY);
		return;
	}
	c->w->count->stat[STAT_BYTES_IN] += (uint64_t)n;
	c->heard = true;
	budget_take(&c->bytes, (uint64_t)n);
	if (c->phase == PHASE_UPGRADE)
		take_upgrade(c, cs->scratch, (size_t)n);
	else if (c->phase == PHASE_OPEN)
		take_frames(c, cs->scratch, (size_t)n);
	else
		await_close(c, cs->scratch, (size_t)n);
	pace(c);
}
