#include "bench/sipload_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/sipload_sip.h"
#include "common/crypto.h"

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

/* --- frames --- */

char *frame_put(char *payload, size_t len, uint8_t op, uint32_t key)
{
	uint64_t wide = (uint64_t)key << 32 | key;
	uint8_t head[LINK_HEAD_MAX];
	size_t n = 0, i = 0;

	head[n++] = 0x80 | op;
	if (len < 126) {
		head[n++] = (uint8_t)(0x80 | len);
	} else if (len < 65536) {
		head[n++] = 0x80 | 126;
		head[n++] = (uint8_t)(len >> 8);
		head[n++] = (uint8_t)len;
	} else {
		head[n++] = 0x80 | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			head[n++] = (uint8_t)((uint64_t)len >> shift);
	}
	memcpy(head + n, &key, 4);
	n += 4;
	for (; i + 8 <= len; i += 8) {
		uint64_t v;

		memcpy(&v, payload + i, 8);
		v ^= wide;
		memcpy(payload + i, &v, 8);
	}
	for (; i < len; i++)
		payload[i] = (char)((uint8_t)payload[i] ^ (uint8_t)(key >> 8 * (i & 3)));
	memcpy(payload - n, head, n);
	return payload - n;
}

enum err frame_get(struct str in, uint8_t *op, struct str *payload, size_t *used)
{
	const uint8_t *p = (const uint8_t *)in.p;
	uint64_t len;
	size_t head = 2;

	if (in.len < 2)
		return ERR_AGAIN;
	if ((p[0] & 0x70) != 0 || (p[0] & 0x80) == 0 || (p[0] & 0x0f) == 0 || (p[1] & 0x80) != 0)
		return ERR_INVALID;
	len = p[1];
	if (len >= 126) {
		size_t bytes = len == 126 ? 2 : 8;

		if (in.len < 2 + bytes)
			return ERR_AGAIN;
		len = 0;
		for (size_t i = 0; i < bytes; i++)
			len = len << 8 | p[2 + i];
		head += bytes;
	}
	if (len > LINK_IN_MAX)
		return ERR_INVALID;
	if (in.len < head + len)
		return ERR_AGAIN;
	*op = p[0] & 0x0f;
	*payload = str_sub(in, head, (size_t)len);
	*used = head + (size_t)len;
	return ERR_OK;
}

/* --- target --- */

static enum err read_address(struct link_target *t, struct str text)
{
	struct str host = str_cut(&text, ':');
	char ip[INET_ADDRSTRLEN];
	struct in_addr a;
	uint64_t port;

	if (text.p == NULL || str_to_u64(text, 65535, &port) != ERR_OK || str_copy(host, ip, sizeof(ip)) != ERR_OK ||
	    inet_pton(AF_INET, ip, &a) != 1)
		return ERR_INVALID;
	t->ip = ntohl(a.s_addr);
	t->port = (uint16_t)port;
	return ERR_OK;
}

enum err link_target_init(struct link_target *t, const char *text, bool websocket, struct str host)
{
	struct str s = str_from(text), scheme = str_cut(&s, ':');

	t->websocket = websocket;
	t->host = host;
	t->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (t->epfd < 0)
		return ERR_IO;
	if (str_eq(scheme, STR("unix")) && s.p != NULL) {
		t->scheme = LINK_UNIX;
		return str_copy(s, t->path, sizeof(t->path));
	}
	if (!str_eq(scheme, STR("tcp")) && !str_eq(scheme, STR("tls")))
		return ERR_INVALID;
	t->scheme = str_eq(scheme, STR("tls")) ? LINK_TLS : LINK_TCP;
	if (s.p == NULL || read_address(t, s) != ERR_OK)
		return ERR_INVALID;
	if (t->scheme == LINK_TLS) {
		/* The peer is our own server on this machine; what is measured is not whether we trust it. */
		t->tls = SSL_CTX_new(TLS_client_method());
		if (t->tls == NULL)
			return ERR_NO_MEMORY;
		SSL_CTX_set_verify(t->tls, SSL_VERIFY_NONE, NULL);
		(void)SSL_CTX_set_mode(t->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	}
	return ERR_OK;
}

void link_target_fini(struct link_target *t)
{
	if (t->tls != NULL)
		SSL_CTX_free(t->tls);
	if (t->epfd >= 0)
		(void)close(t->epfd);
}

/* --- life --- */

void link_init(struct link *l, struct link_target *t, const struct link_ops *ops, uint32_t index)
{
	*l = (struct link){ .target = t, .ops = ops, .fd = -1, .index = index };
	l->rx = buf_growing(2 * LINK_IN_MAX);
	l->tx = buf_growing(1u << 20);
}

void link_cut(struct link *l)
{
	if (l->ssl != NULL)
		SSL_free(l->ssl);
	l->ssl = NULL;
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
	l->state = LINK_DOWN;
	l->doomed = true;
	l->tx_done = 0;
	buf_fini(&l->rx);
	buf_fini(&l->tx);
	l->rx = buf_growing(2 * LINK_IN_MAX);
	l->tx = buf_growing(1u << 20);
}

static void lost(struct link *l, const char *why)
{
	link_cut(l);
	l->ops->closed(l, why);
}

static void want(struct link *l, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = l };

	if (l->events == events || l->fd < 0)
		return;
	(void)epoll_ctl(l->target->epfd, EPOLL_CTL_MOD, l->fd, &ev);
	l->events = events;
}

static int dial(struct link *l)
{
	const struct link_target *t = l->target;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
	} a = { 0 };
	int fd = socket(t->scheme == LINK_UNIX ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a.in);

	if (fd < 0)
		return -1;
	if (t->scheme == LINK_UNIX) {
		a.un.sun_family = AF_UNIX;
		(void)str_copy(str_from(t->path), a.un.sun_path, sizeof(a.un.sun_path));
		len = sizeof(a.un);
	} else {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		if (t->sources > 0) {
			a.in.sin_family = AF_INET;
			a.in.sin_addr.s_addr = htonl(t->source + (l->index / t->per_source) % t->sources);
			/* Without this the kernel would keep each port for one connection, whatever its other end. */
			(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
			(void)bind(fd, &a.any, len);
		}
		a.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(t->port), .sin_addr.s_addr = htonl(t->ip) };
	}
	if (connect(fd, &a.any, len) != 0 && errno != EINPROGRESS) {
		int why = errno;

		(void)close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

enum err link_connect(struct link *l)
{
	struct epoll_event ev = { .events = EPOLLOUT, .data.ptr = l };

	l->fd = dial(l);
	if (l->fd < 0)
		return errno == EAGAIN ? ERR_AGAIN : ERR_IO;
	l->doomed = false;
	l->state = LINK_CONNECTING;
	l->events = EPOLLOUT;
	if (epoll_ctl(l->target->epfd, EPOLL_CTL_ADD, l->fd, &ev) != 0) {
		link_cut(l);
		return ERR_IO;
	}
	return ERR_OK;
}

/* --- bytes --- */

static ssize_t put_bytes(struct link *l, const char *p, size_t len)
{
	ssize_t n;

	if (l->ssl == NULL) {
		n = send(l->fd, p, len, MSG_NOSIGNAL);
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
	}
	n = SSL_write(l->ssl, p, (int)len);
	if (n > 0)
		return n;
	int why = SSL_get_error(l->ssl, (int)n);
	ERR_clear_error();
	return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* 0: nothing now; -1: over. */
static ssize_t get_bytes(struct link *l, char *p, size_t len)
{
	ssize_t n;

	if (l->ssl == NULL) {
		n = recv(l->fd, p, len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		return n == 0 ? -1 : n;
	}
	n = SSL_read(l->ssl, p, (int)len);
	if (n > 0)
		return n;
	int why = SSL_get_error(l->ssl, (int)n);
	ERR_clear_error();
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void flush(struct link *l)
{
	while (l->tx_done < l->tx.len) {
		ssize_t n = put_bytes(l, l->tx.p + l->tx_done, l->tx.len - l->tx_done);

		if (n < 0) {
			lost(l, "write");
			return;
		}
		if (n == 0)
			break;
		l->tx_done += (size_t)n;
		l->target->bytes_out += (uint64_t)n;
	}
	if (l->tx_done == l->tx.len) {
		buf_reset(&l->tx);
		l->tx_done = 0;
	}
	want(l, EPOLLIN | (l->tx.len > 0 ? (uint32_t)EPOLLOUT : 0u));
}

static enum err send_bytes(struct link *l, const char *p, size_t len)
{
	size_t done = 0;

	if (l->fd < 0)
		return ERR_CLOSED;
	if (l->tx.len == 0) {
		ssize_t n = put_bytes(l, p, len);

		if (n < 0)
			return ERR_CLOSED; /* the loop sees it as well */
		done = (size_t)n;
		l->target->bytes_out += done;
		if (done == len)
			return ERR_OK;
	}
	buf_put(&l->tx, p + done, len - done);
	want(l, EPOLLIN | EPOLLOUT);
	return l->tx.overflow ? ERR_FULL : ERR_OK;
}

/* Not secret: it only has to differ (RFC 6455 §5.3 asks for more of browsers, whose pages may be hostile). */
static uint32_t next_key(void)
{
	static uint32_t key = 0x9e3779b9u;

	key ^= key << 13;
	key ^= key >> 17;
	key ^= key << 5;
	return key;
}

struct buf link_out(struct link_target *t)
{
	return buf_fixed(t->out + LINK_HEAD_MAX, LINK_OUT_MAX);
}

enum err link_send(struct link *l, const struct buf *message)
{
	if (message->overflow)
		return ERR_TOO_LARGE;
	if (l->state != LINK_OPEN)
		return ERR_CLOSED;
	if (!l->target->websocket)
		return send_bytes(l, message->p, message->len);
	char *at = frame_put(message->p, message->len, OP_TEXT, next_key());
	return send_bytes(l, at, message->len + (size_t)(message->p - at));
}

/* --- opening --- */

static void upgrade(struct link *l)
{
	char mem[2048];
	uint8_t key[16];
	struct buf b = buf_fixed(mem, sizeof(mem));

	if (!l->target->websocket) {
		l->state = LINK_OPEN;
		want(l, EPOLLIN);
		l->ops->open(l);
		return;
	}
	crypto_random(key, sizeof(key));
	buf_z(&b, "GET /sip HTTP/1.1\r\nHost: ");
	buf_str(&b, l->target->host);
	buf_z(&b, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: ");
	base64_put(&b, key, sizeof(key));
	buf_z(&b, "\r\nOrigin: https://");
	buf_str(&b, l->target->host);
	buf_z(&b, "\r\n");
	l->ops->upgrade_headers(l, &b);
	buf_z(&b, "\r\n");
	l->state = LINK_UPGRADING;
	want(l, EPOLLIN);
	if (b.overflow || send_bytes(l, b.p, b.len) != ERR_OK)
		lost(l, "upgrade");
}

static void shake(struct link *l)
{
	int n = SSL_connect(l->ssl);

	if (n == 1) {
		upgrade(l);
		return;
	}
	int why = SSL_get_error(l->ssl, n);
	ERR_clear_error();
	if (why == SSL_ERROR_WANT_READ)
		want(l, EPOLLIN);
	else if (why == SSL_ERROR_WANT_WRITE)
		want(l, EPOLLOUT);
	else
		lost(l, "tls");
}

static void connected(struct link *l)
{
	char host[256];
	int fault = 0;
	socklen_t len = sizeof(fault);

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &fault, &len) != 0 || fault != 0) {
		lost(l, "connect");
		return;
	}
	if (l->target->tls == NULL) {
		upgrade(l);
		return;
	}
	l->ssl = SSL_new(l->target->tls);
	if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1) {
		lost(l, "tls");
		return;
	}
	struct str name = str_sub(l->target->host, 0, str_find(l->target->host, ':'));
	if (str_copy(name, host, sizeof(host)) == ERR_OK)
		(void)SSL_set_tlsext_host_name(l->ssl, host);
	l->state = LINK_SHAKING;
	shake(l);
}

/* --- input --- */

/* Bytes used up; the rest is kept. A link that is cut from inside gives up all. */
static size_t take_upgrade_reply(struct link *l, struct str in)
{
	const char *end = memmem(in.p, in.len, "\r\n\r\n", 4);

	if (end == NULL)
		return 0;
	if (!str_starts(in, STR("HTTP/1.1 101 "))) {
		lost(l, "upgrade refused");
		return in.len;
	}
	l->state = LINK_OPEN;
	l->ops->open(l);
	return (size_t)(end - in.p) + 4;
}

static void take_frame(struct link *l, uint8_t op, struct str payload)
{
	char mem[LINK_HEAD_MAX + 128];

	if (op == OP_TEXT || op == OP_BINARY) {
		if (payload.len > 4) /* shorter: keep-alives of RFC 5626 */
			l->ops->message(l, payload);
	} else if (op == OP_PING && payload.len <= 125) {
		if (payload.len > 0)
			memcpy(mem + LINK_HEAD_MAX, payload.p, payload.len);
		char *at = frame_put(mem + LINK_HEAD_MAX, payload.len, OP_PONG, next_key());

		l->target->pings++;
		(void)send_bytes(l, at, payload.len + (size_t)(mem + LINK_HEAD_MAX - at));
	} else if (op == OP_CLOSE) {
		lost(l, "closed by the server");
	}
}

static size_t take_some(struct link *l, struct str in)
{
	struct str payload;
	size_t used = 0, skip, len;
	uint8_t op;
	enum err e;

	if (l->state == LINK_UPGRADING)
		return take_upgrade_reply(l, in);
	if (!l->target->websocket) {
		e = view_measure(in, &skip, &len);
		if (e != ERR_OK) {
			lost(l, "not SIP");
			return in.len;
		}
		if (len > 0)
			l->ops->message(l, str_sub(in, skip, len));
		return skip + len;
	}
	e = frame_get(in, &op, &payload, &used);
	if (e == ERR_INVALID) {
		lost(l, "bad frame");
		return in.len;
	}
	if (e == ERR_OK)
		take_frame(l, op, payload);
	return used;
}

static void take_input(struct link *l, char *p, size_t len)
{
	struct str in = { p, len };
	bool kept = l->rx.len > 0;

	if (kept) {
		buf_put(&l->rx, p, len);
		if (l->rx.overflow) {
			lost(l, "too much");
			return;
		}
		in = buf_view(&l->rx);
	}
	while (in.len > 0 && !l->doomed) {
		size_t used = take_some(l, in);

		if (used == 0)
			break;
		in = str_sub(in, used, in.len);
	}
	if (l->doomed)
		return;
	if (!kept) {
		buf_put(&l->rx, in.p, in.len);
		return;
	}
	if (in.len > 0)
		memmove(l->rx.p, in.p, in.len);
	l->rx.len = in.len;
}

void link_on_ready(struct link *l, uint32_t events)
{
	if (l->fd < 0)
		return;
	if (l->state == LINK_CONNECTING) {
		connected(l);
		return;
	}
	if (l->state == LINK_SHAKING) {
		shake(l);
		return;
	}
	if ((events & EPOLLOUT) != 0)
		flush(l);
	if (l->doomed || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return;
	ssize_t n;
	do {
		n = get_bytes(l, l->target->in, sizeof(l->target->in));
		if (n < 0)
			lost(l, "hung up");
		if (n <= 0)
			return;
		l->target->bytes_in += (uint64_t)n;
		take_input(l, l->target->in, (size_t)n);
		/* TLS may hold bytes that the descriptor does not tell of. */
	} while (!l->doomed && l->ssl != NULL && SSL_pending(l->ssl) > 0);
}
