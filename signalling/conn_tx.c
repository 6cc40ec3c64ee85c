/* To the client: what the socket does not take at once waits, up to a limit; a client that does not read is dropped rather than waited for. */
#include <errno.h>
#include <sys/socket.h>

#include "signalling/conn_int.h"
#include "signalling/edge.h"

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

	loop_want(c->w->loop, &c->lf, (read ? EPOLLIN : 0u) | (conn_tx_empty(c) ? 0u : EPOLLOUT));
}

void conn_flush(struct conn *c)
{
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

enum err conn_send_two(struct conn *c, struct str head, struct str body)
{
	size_t done = 0;

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
	} else if (c->tx.len - c->tx_done + head.len + body.len > c->w->conf->send_queue_max) {
		c->w->count->reject[REJ_SLOW_READER]++;
		conn_abandon(c, WS_CODE_POLICY);
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
		conn_abandon(c, WS_CODE_POLICY);
		return ERR_FULL;
	}
	conn_want(c);
	return ERR_OK;
}

enum err conn_send_frame(struct conn *c, enum ws_op op, struct str payload)
{
	uint8_t head[WS_HEAD_MAX];

	return conn_send_two(c, str_of(head, ws_head(head, op, payload.len)), payload);
}

enum err conn_send(struct conn *c, struct str message)
{
	if (c->phase != PHASE_OPEN)
		return ERR_CLOSED;
	if (c->line != NULL)
		return edge_send(c, message);
	/* A text frame that is not UTF-8 would make the browser drop the connection: nobody shall do that to another. */
	enum err e = conn_send_frame(c, ws_utf8_valid(message) ? WS_TEXT : WS_BINARY, message);
	if (e == ERR_OK)
		c->w->count->stat[STAT_MSG_OUT]++;
	return e;
}
