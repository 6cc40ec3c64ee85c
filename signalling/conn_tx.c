/* To the client: what the socket does not take at once waits, up to a limit; a client that does not read is dropped rather than waited for. */
#include <errno.h>
#include <sys/socket.h>

#include "signalling/conn_int.h"
#include "signalling/tap.h"
#include "signalling/edge.h"

/* What one input leads to for one client, such as 180 and 200, goes out in one write, which wakes its reader once. */
#define GATHER_MAX 32768u

bool conn_tx_empty(const struct conn *c)
{
	return c->tx_done == c->tx.len;
}

void conn_want(struct conn *c)
{
	if (c->line != NULL)
		return;
	/* What a client sends meanwhile waits in its own socket. */
	bool read = !timer_armed(&c->resume) && (c->admitted || c->phase != PHASE_OPEN);
	bool write = !conn_tx_empty(c) && list_empty(&c->gathered);

	loop_want(c->w->loop, &c->lf, (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u));
}

void conns_flush(struct conns *cs)
{
	while (!list_empty(&cs->gathered))
		conn_flush(CONTAINER_OF(cs->gathered.next, struct conn, gathered));
}

void conn_flush(struct conn *c)
{
	list_remove(&c->gathered);
	while (!conn_tx_empty(c)) {
		ssize_t n = send(c->lf.fd, c->tx.p + c->tx_done, c->tx.len - c->tx_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			conn_abandon(c, WS_CODE_GOING_AWAY);
			return;
		}
		c->w->count->stat[STAT_BYTES_OUT] += (uint64_t)n;
		c->tx_done += (size_t)n;
	}
	if (conn_tx_empty(c)) {
		size_t max = c->tx.max;

		buf_fini(&c->tx);
		c->tx = buf_growing(max);
		c->tx_done = 0;
	}
	conn_want(c);
}

/* Behind what waits already. */
static enum err queue(struct conn *c, struct str head, struct str body)
{
	bool fits = c->tx.len - c->tx_done + head.len + body.len <= c->w->conf->send_queue_max || conn_tx_empty(c);

	if (fits && c->tx_done > 0 && c->tx.len + head.len + body.len > c->tx.max) {
		memmove(c->tx.p, c->tx.p + c->tx_done, c->tx.len - c->tx_done);
		c->tx.len -= c->tx_done;
		c->tx_done = 0;
	}
	if (fits) {
		buf_str(&c->tx, head);
		buf_str(&c->tx, body);
	}
	if (!fits || c->tx.overflow) {
		c->w->count->reject[REJ_SLOW_READER]++;
		conn_abandon(c, WS_CODE_POLICY);
		return ERR_FULL;
	}
	return ERR_OK;
}

enum err conn_send_two(struct conn *c, struct str head, struct str body)
{
	size_t done = 0;

	if (!list_empty(&c->gathered))
		conn_flush(c);
	if (c->gone)
		return ERR_CLOSED;
	if (conn_tx_empty(c)) {
		struct iovec iov[2] = { { (void *)(uintptr_t)head.p, head.len }, { (void *)(uintptr_t)body.p, body.len } };
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n = sendmsg(c->lf.fd, &m, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			conn_abandon(c, WS_CODE_GOING_AWAY);
			return ERR_CLOSED;
		}
		done = n > 0 ? (size_t)n : 0;
		c->w->count->stat[STAT_BYTES_OUT] += done;
		if (done == head.len + body.len)
			return ERR_OK;
	}
	enum err e = queue(c, str_sub(head, done, head.len), str_sub(body, done > head.len ? done - head.len : 0, body.len));
	if (e == ERR_OK)
		conn_want(c);
	return e;
}

enum err conn_send_frame(struct conn *c, enum ws_op op, struct str payload)
{
	uint8_t head[WS_HEAD_MAX];

	return conn_send_two(c, str_of(head, ws_head(head, op, payload.len)), payload);
}

enum err conn_send(struct conn *c, struct str message)
{
	uint8_t head[WS_HEAD_MAX];

	if (!list_empty(&c->gathered) && c->tx.len + message.len > GATHER_MAX)
		conn_flush(c);
	if (c->phase != PHASE_OPEN)
		return ERR_CLOSED;
	if (c->w->tap->on)
		tap_message(c->w->tap, &(struct tap_message){ .to_client = true, .user = c->user, .address = c->address, .slot = c->flow.slot,
							       .text = message });
	if (c->line != NULL)
		return edge_send(c, message);
	if (conn_tx_empty(c) && message.len <= GATHER_MAX) {
		list_append(&c->w->conns->gathered, &c->gathered);
		loop_defer(c->w->loop, &c->w->conns->flush);
	}
	/* A text frame that is not UTF-8 would make the browser drop the connection: nobody shall do that to another. */
	struct str start = str_of(head, ws_head(head, ws_utf8_valid(message) ? WS_TEXT : WS_BINARY, message.len));
	enum err e = list_empty(&c->gathered) ? conn_send_two(c, start, message) : queue(c, start, message);
	if (e == ERR_OK)
		c->w->count->stat[STAT_MSG_OUT]++;
	return e;
}
