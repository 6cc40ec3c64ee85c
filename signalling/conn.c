#include "signalling/conn.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "signalling/conn_int.h"
#include "signalling/conn_line.h"
#include "signalling/peer_owed.h"
#include "signalling/presence.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/ws_handshake.h"

#define CLOSE_WAIT_MS 2000u
#define PING_MISSES 2u

static void on_timer(struct timer *t, uint64_t now_ms);
static void on_resume(struct timer *t, uint64_t now_ms);
static void on_ended(struct loop_job *job);

static void on_flush(struct loop_job *job)
{
	conns_flush(CONTAINER_OF(job, struct conns, flush));
}

enum err conns_new(struct worker *w, size_t max, struct conns **out)
{
	struct conns *cs = calloc(1, sizeof(*cs));

	if (cs == NULL)
		return ERR_NO_MEMORY;
	cs->w = w;
	cs->max = max;
	usermap_init(&cs->users);
	timer_init(&cs->drain.timer, conn_drain_on_tick);
	list_init(&cs->gathered);
	loop_job_init(&cs->flush, on_flush);
	*out = cs;
	return ERR_OK;
}

size_t conns_arriving(const struct conns *cs)
{
	return cs->arriving;
}

void conn_arrived(struct conn *c)
{
	if (c->arriving)
		c->w->conns->arriving--;
	c->arriving = false;
}

static void conn_free(struct conn *c)
{
	struct timers *wheel = loop_timers(c->w->loop);

	conn_arrived(c);
	if (c->lf.fd >= 0) {
		loop_del(c->w->loop, &c->lf);
		(void)close(c->lf.fd);
	}
	timer_stop(wheel, &c->timer);
	timer_stop(wheel, &c->resume);
	timer_stop(wheel, &c->session_due);
	conn_session_forget(c);
	loop_undefer(&c->ended);
	list_remove(&c->by_user);
	list_remove(&c->gathered);
	ws_rx_fini(&c->rx);
	buf_fini(&c->in);
	buf_fini(&c->tx);
	free(c->identity);
	conn_line_free(c->line);
	free(c);
}

void conns_free(struct conns *cs)
{
	if (cs == NULL)
		return;
	timer_stop(loop_timers(cs->w->loop), &cs->drain.timer);
	loop_undefer(&cs->flush);
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

static enum err slot_take(struct conns *cs, uint32_t mark, uint32_t *out)
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
	cs->slots[*out].generation = ((cs->slots[*out].generation + 1) & ~FLOW_UNRELIABLE) | mark;
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
	return (struct origin){ .flow = c->flow, .user = c->user, .session = c->session, .address = c->address, .perms = c->perms,
				.instance = c->line != NULL ? str_from(c->line->instance) : STR_NONE, .phone = c->line != NULL };
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

struct conn *conn_make(struct conns *cs, int fd, uint32_t mark)
{
	struct worker *w = cs->w;
	struct conn *c = calloc(1, sizeof(*c));
	uint32_t slot;

	if (c == NULL || slot_take(cs, mark, &slot) != ERR_OK) {
		free(c);
		w->count->reject[REJ_CONN_LIMIT]++;
		return NULL;
	}
	c->w = w;
	c->lf = (struct loop_fd){ .fd = fd, .fn = conn_on_ready };
	c->flow = (struct flow){ .epoch = w->epoch, .slot = slot, .generation = cs->slots[slot].generation };
	(void)str_copy(str_from(w->name), c->flow.worker, sizeof(c->flow.worker));
	c->in = buf_growing(WS_UPGRADE_MAX);
	c->tx = buf_growing(w->conf->send_queue_max + 4096);
	ws_rx_init(&c->rx, w->conf->message_max);
	budget_init(&c->bytes, w->conf->bytes_per_s, w->conf->bytes_burst, worker_now(w));
	budget_init(&c->messages, w->conf->messages_per_s, w->conf->messages_burst, worker_now(w));
	timer_init(&c->timer, on_timer);
	timer_init(&c->resume, on_resume);
	timer_init(&c->session_due, conn_session_on_due);
	loop_job_init(&c->ended, on_ended);
	list_init(&c->by_user);
	list_init(&c->gathered);
	cs->slots[slot].conn = c;
	cs->open++;
	w->count->connections = cs->open;
	w->count->stat[STAT_CONNS_OPENED]++;
	return c;
}

static void unmake(struct conn *c)
{
	struct conns *cs = c->w->conns;

	slot_give(cs, c->flow.slot);
	cs->open--;
	c->w->count->connections = cs->open;
	c->w->count->stat[STAT_CONNS_CLOSED]++;
	conn_free(c);
}

enum err conns_accept(struct conns *cs, int fd)
{
	struct worker *w = cs->w;
	struct conn *c = conn_make(cs, fd, 0);

	if (c == NULL) {
		char text[256];
		struct buf b = buf_fixed(text, sizeof(text));

		ws_upgrade_reply(&b, 503, STR_NONE);
		(void)send(fd, b.p, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)close(fd);
		return ERR_FULL;
	}
	if (loop_add(w->loop, &c->lf, EPOLLIN) != ERR_OK) {
		unmake(c);
		return ERR_IO;
	}
	timer_arm(loop_timers(w->loop), &c->timer, w->conf->handshake_timeout_ms);
	return ERR_OK;
}

struct count {
	size_t n;
};

static void count_one(struct conn *c, void *arg)
{
	(void)c;
	((struct count *)arg)->n++;
}

size_t conn_count_user(struct conns *cs, struct str user)
{
	struct count mine = { 0 };

	conns_each(cs, user, count_one, &mine);
	return mine.n;
}

enum err conn_adopt(struct conn *c, struct str user, struct str session, struct str address, struct str revision, perm_set perms)
{
	char *text = malloc(user.len + session.len + address.len + revision.len + 1);

	if (text == NULL)
		return ERR_NO_MEMORY;
	c->identity = text;
	c->user = str_keep(&text, user);
	c->session = str_keep(&text, session);
	c->address = str_keep(&text, address);
	c->revision = str_keep(&text, revision);
	c->perms = perms;
	return ERR_OK;
}

void conn_opened(struct conn *c)
{
	c->phase = PHASE_OPEN;
	c->heard = true;
	list_append(usermap_at(&c->w->conns->users, c->user), &c->by_user);
	/* An event may have come before it was on that list, and the client may have taken its time. */
	conn_session_ask(c);
	log_event(LOG_INFO, "connection-open", "user=%s flow=%u.%u address=%s", log_value(c->user), c->flow.slot, c->flow.generation,
		  log_value(c->address));
}

/* --- closing --- */

void conn_abandon(struct conn *c, uint16_t code)
{
	/* What was said before it came to this is still said, as far as the socket takes it. */
	if (!list_empty(&c->gathered)) {
		list_remove(&c->gathered);
		(void)send(c->lf.fd, c->tx.p + c->tx_done, c->tx.len - c->tx_done, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (c->phase != PHASE_CLOSING)
		c->code = code;
	c->phase = PHASE_CLOSING;
	c->gone = true;
	if (c->lf.fd >= 0)
		loop_want(c->w->loop, &c->lf, 0);
	loop_defer(c->w->loop, &c->ended);
}

void conn_close(struct conn *c, uint16_t code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];

	if (c->phase == PHASE_CLOSING)
		return;
	bool open = c->phase == PHASE_OPEN;
	log_event(LOG_DEBUG, "connection-closing", "slot=%u code=%u reason=%s", c->flow.slot, code, log_value(str_from(reason)));
	c->code = code;
	c->phase = PHASE_CLOSING;
	if (!open || c->line != NULL || conn_send_frame(c, WS_CLOSE, str_of(payload, ws_close_payload(payload, code, reason))) != ERR_OK) {
		conn_abandon(c, code);
		return;
	}
	timer_stop(loop_timers(c->w->loop), &c->resume);
	conn_want(c);
	timer_arm(loop_timers(c->w->loop), &c->timer, CLOSE_WAIT_MS);
	loop_defer(c->w->loop, &c->ended);
}

/* Those who know the flow are told, once; a connection whose socket is done is freed. */
static void on_ended(struct loop_job *job)
{
	struct conn *c = CONTAINER_OF(job, struct conn, ended);
	struct worker *w = c->w;

	conn_arrived(c);
	if (c->user.len > 0) {
		struct str user = c->user;

		list_remove(&c->by_user);
		c->user = STR_NONE;
		owed_flow_lost(w->owed, &c->flow);
		proxy_flow_lost(w->proxy, &c->flow, user);
		presence_flow_lost(w, &c->flow);
		registrar_flow_lost(w, &c->flow, user, c->code);
		log_event(LOG_INFO, "connection-closed", "user=%s flow=%u.%u code=%u", log_value(user), c->flow.slot, c->flow.generation,
			  c->code);
	}
	if (c->gone)
		unmake(c);
}

/* --- time --- */

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct conn *c = CONTAINER_OF(t, struct conn, timer);
	struct worker *w = c->w;

	(void)now_ms;
	if (c->phase == PHASE_UPGRADE)
		w->count->reject[REJ_UPGRADE]++;
	if (c->phase != PHASE_OPEN || c->line != NULL) {
		conn_abandon(c, c->phase == PHASE_OPEN ? WS_CODE_GOING_AWAY : c->code);
		return;
	}
	c->misses = c->heard ? 0 : c->misses + 1;
	c->heard = false;
	if (c->misses >= PING_MISSES) {
		w->count->reject[REJ_PING_TIMEOUT]++;
		conn_abandon(c, WS_CODE_GOING_AWAY);
		return;
	}
	if (conn_send_frame(c, WS_PING, STR_NONE) == ERR_OK)
		timer_arm(loop_timers(w->loop), t, w->conf->ping_interval_ms);
}

static void on_resume(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	conn_want(CONTAINER_OF(t, struct conn, resume));
}

