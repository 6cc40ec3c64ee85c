/* From the client: the upgrade, then frames, then SIP for the proxy; each within the client's budget. */
#include <errno.h>
#include <sys/socket.h>

#include "common/crypto.h"
#include "common/log.h"
#include "signalling/conn_int.h"
#include "signalling/proxy.h"
#include "signalling/ws_handshake.h"

/* A client beyond its budget is read again when the budget is there: its bytes wait in its own socket, so nothing is lost and nothing piles up. */
static void pace(struct conn *c)
{
	uint64_t now = worker_now(c->w);
	uint64_t wait_bytes = budget_wait_ms(&c->bytes, now), wait_messages = budget_wait_ms(&c->messages, now);

	if (c->phase != PHASE_OPEN || (wait_bytes == 0 && wait_messages == 0))
		return;
	c->w->count->reject[wait_bytes > 0 ? REJ_BUDGET_BYTES : REJ_BUDGET_MESSAGES]++;
	timer_arm(loop_timers(c->w->loop), &c->resume, MAX(wait_bytes, wait_messages));
	conn_want(c);
}

/* Beyond message-max, of which only the beginning is there. What can be answered is answered; the connection stays. */
static void take_cut(struct conn *c, struct str head)
{
	struct origin from = conn_origin(c);

	c->w->count->reject[REJ_TOO_LARGE]++;
	if (!proxy_receive_cut(c->w->proxy, &from, head))
		conn_close(c, WS_CODE_TOO_BIG, "message too large");
}

static void take_message(struct conn *c, struct str message)
{
	struct worker *w = c->w;

	budget_take(&c->messages, 1);
	w->count->stat[STAT_MSG_IN]++;
	if (str_eq(message, STR("\r\n\r\n"))) {
		/* RFC 5626 §4.4.1: a double CRLF is a ping, answered by a single one, which itself is no message. */
		w->count->stat[STAT_KEEPALIVE]++;
		(void)conn_send_frame(c, WS_TEXT, STR("\r\n"));
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
		if (ev->cut)
			take_cut(c, ev->payload);
		else
			take_message(c, ev->payload);
		return;
	case WS_PING:
		/* Counted like a message: answering must not be free of charge. */
		budget_take(&c->messages, 1);
		(void)conn_send_frame(c, WS_PONG, ev->payload);
		return;
	case WS_CLOSE:
		/* Echoed, and as the server we are the one to close the socket then (RFC 6455 §7.1.1). */
		conn_close(c, (uint16_t)(ev->code == WS_CODE_NONE ? WS_CODE_NORMAL : ev->code), "");
		if (conn_tx_empty(c))
			conn_abandon(c, c->code);
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
		conn_abandon(c, c->code);
		return;
	}
	if (e != ERR_AGAIN)
		conn_abandon(c, c->code);
}

static void refuse_upgrade(struct conn *c, unsigned status)
{
	char text[256];
	struct buf b = buf_fixed(text, sizeof(text));

	c->w->count->reject[status == 403 ? REJ_IDENTITY_HEADERS : status == 503 ? REJ_CONN_LIMIT : REJ_UPGRADE]++;
	ws_upgrade_reply(&b, status, STR_NONE);
	(void)conn_send_two(c, buf_view(&b), STR_NONE);
	conn_abandon(c, 0);
}

static void upgrade(struct conn *c, const struct ws_upgrade *up)
{
	struct worker *w = c->w;
	char text[256];
	struct buf b = buf_fixed(text, sizeof(text));
	uint32_t jitter;

	if (w->draining || w->emptied || conn_count_user(w->conns, up->user) >= w->conf->connections_per_user ||
	    conn_adopt(c, up->user, up->session, up->address, up->revision, perm_parse(up->permissions)) != ERR_OK) {
		refuse_upgrade(c, 503);
		return;
	}
	ws_upgrade_reply(&b, 101, up->key);
	if (conn_send_two(c, buf_view(&b), STR_NONE) != ERR_OK)
		return;
	/* The first ping comes somewhere in the interval, so that clients that came together are not pinged together. */
	crypto_random(&jitter, sizeof(jitter));
	timer_arm(loop_timers(w->loop), &c->timer, w->conf->ping_interval_ms / 2 + jitter % (w->conf->ping_interval_ms / 2 + 1));
	conn_opened(c);
	conn_want(c);
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

void conn_on_ready(struct loop_fd *lf, uint32_t events)
{
	struct conn *c = CONTAINER_OF(lf, struct conn, lf);
	struct conns *cs = c->w->conns;

	if (c->gone)
		return;
	if ((events & EPOLLOUT) != 0)
		conn_flush(c);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || c->gone)
		return;
	/* It has hung up before it was admitted: what it said in between is not listened to. */
	if (c->phase == PHASE_OPEN && !c->admitted) {
		conn_abandon(c, WS_CODE_GOING_AWAY);
		return;
	}
	ssize_t n = recv(lf->fd, cs->scratch, sizeof(cs->scratch), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_abandon(c, WS_CODE_GOING_AWAY);
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
	conns_flush(cs);
}
