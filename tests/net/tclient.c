#include "tests/net/tclient.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { RTO_MS = 400, TRIES = 3 };

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerrordesc_np(errno));
	exit(2);
}

static int bound_socket(struct in_addr ip, int type, struct sockaddr_in *out)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = ip };
	socklen_t size = sizeof(sa);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || getsockname(fd, (struct sockaddr *)&sa, &size) != 0)
		die("binding a client socket");
	*out = sa;
	return fd;
}

void tc_open_until(struct tc *c, const struct tc_env *env, const char *name, const char *call, long expiry)
{
	memset(c, 0, sizeof(*c));
	c->env = env;
	c->fd = bound_socket(env->local, env->tcp ? SOCK_STREAM : SOCK_DGRAM, &c->self);
	if (env->tcp && connect(c->fd, (const struct sockaddr *)&env->server, sizeof(env->server)) != 0)
		die("connecting");
	snprintf(c->realm, sizeof(c->realm), "%s", env->realm);
	ts_credentials(env->secret, env->realm, expiry, name, call, c->user, sizeof(c->user), c->key);
}

void tc_open(struct tc *c, const struct tc_env *env, const char *name, const char *call)
{
	tc_open_until(c, env, name, call, (long)(clock_wall_ms() / MS_PER_S) + 3600);
}

void tc_close(struct tc *c)
{
	close(c->fd);
	c->fd = -1;
}

void tc_txid(uint8_t out[TS_TXID])
{
	if (getrandom(out, TS_TXID, 0) != TS_TXID)
		die("randomness");
}

void tc_request(struct ts_msg *m, unsigned method)
{
	uint8_t txid[TS_TXID];

	tc_txid(txid);
	ts_start(m, method, TS_REQUEST, txid);
}

void tc_sign(const struct tc *c, struct ts_msg *m)
{
	ts_put(m, TS_USERNAME, c->user, strlen(c->user));
	ts_put(m, TS_REALM, c->realm, strlen(c->realm));
	ts_put(m, TS_NONCE, c->nonce, strlen(c->nonce));
	ts_put_integrity(m, c->key);
}

bool tc_send_raw(struct tc *c, const void *data, size_t len)
{
	const struct sockaddr_in *to = &c->env->server;

	if (c->env->tcp)
		return send(c->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
	return sendto(c->fd, data, len, 0, (const struct sockaddr *)to, sizeof(*to)) == (ssize_t)len;
}

static long recv_within(int fd, void *buf, size_t size, struct sockaddr_in *from, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	socklen_t fromlen = sizeof(*from);

	if (poll(&p, 1, ms) != 1)
		return -1;
	return recvfrom(fd, buf, size, 0, (struct sockaddr *)from, &fromlen);
}

/* The length of the message that begins in the stream (RFC 8656 §12.5: channel data is padded to four), 0 = not known yet. */
static size_t whole(const struct tc *c)
{
	if (c->stream_len < 4)
		return 0;
	size_t len = (size_t)c->stream[2] << 8 | c->stream[3];

	return c->stream[0] < 0x40 ? 20 + len : 4 + (len + 3) / 4 * 4;
}

/* False, too, when the server has closed. */
static bool recv_message(struct tc *c, int ms)
{
	for (int64_t end = (int64_t)clock_mono_ms() + ms;;) {
		size_t len = whole(c);
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		int64_t left = end - (int64_t)clock_mono_ms();

		if (len > 0 && len <= c->stream_len) {
			memcpy(c->in, c->stream, len);
			c->in_len = len;
			c->stream_len -= len;
			memmove(c->stream, c->stream + len, c->stream_len);
			return true;
		}
		if (left <= 0 || poll(&p, 1, (int)left) != 1)
			return false;
		ssize_t n = recv(c->fd, c->stream + c->stream_len, sizeof(c->stream) - c->stream_len, 0);
		if (n <= 0)
			return false;
		c->stream_len += (size_t)n;
	}
}

bool tc_recv(struct tc *c, int ms)
{
	if (c->env->tcp)
		return recv_message(c, ms);
	long n = recv_within(c->fd, c->in, sizeof(c->in), &c->from, ms);

	if (n < 0)
		return false;
	c->in_len = (size_t)n;
	if (c->from.sin_addr.s_addr == c->env->server.sin_addr.s_addr && c->from.sin_port == c->env->server.sin_port)
		return true;
	printf("Bail out! a datagram came from %s:%u instead of the server\n", inet_ntoa(c->from.sin_addr), ntohs(c->from.sin_port));
	exit(2);
}

bool tc_transact(struct tc *c, const struct ts_msg *m)
{
	for (int try = 0; try < TRIES; try++) {
		int64_t end = (int64_t)clock_mono_ms() + RTO_MS;
		if (!tc_send_raw(c, m->b, m->len)) {
			if (c->env->tcp)
				return false; /* the server has closed */
			die("sending");
		}
		for (int64_t left; (left = end - (int64_t)clock_mono_ms()) > 0 && tc_recv(c, (int)left);)
			if (ts_is_stun(c->in, c->in_len) && ts_class(c->in) >= TS_SUCCESS && memcmp(c->in + 8, m->b + 8, TS_TXID) == 0)
				return true;
	}
	return false;
}

static bool take(struct tc *c, uint16_t type, char *out, size_t size)
{
	size_t n = 0;
	const uint8_t *v = ts_find(c->in, c->in_len, type, &n);

	if (v == NULL || n >= size)
		return false;
	memcpy(out, v, n);
	out[n] = '\0';
	return true;
}

static int outcome(const struct tc *c)
{
	return ts_class(c->in) == TS_SUCCESS ? 0 : ts_error(c->in, c->in_len);
}

int tc_call(struct tc *c, struct ts_msg *unsigned_m)
{
	int code = -1;

	for (int try = 0; try < 2; try++) {
		struct ts_msg m = *unsigned_m;
		/* A changed request is a new transaction. */
		tc_txid(m.b + 8);
		tc_sign(c, &m);
		if (!tc_transact(c, &m))
			return -1;
		code = outcome(c);
		if ((code != 401 && code != 438) || !take(c, TS_NONCE, c->nonce, sizeof(c->nonce)))
			break;
	}
	return code;
}

int tc_challenge(struct tc *c)
{
	struct ts_msg m;

	tc_request(&m, TS_ALLOCATE);
	ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
	if (!tc_transact(c, &m))
		return -1;
	take(c, TS_NONCE, c->nonce, sizeof(c->nonce));
	take(c, TS_REALM, c->realm, sizeof(c->realm));
	const uint8_t *offer = ts_find(c->in, c->in_len, TS_ALGORITHMS, &c->algorithms_len);
	if (offer == NULL || c->algorithms_len > sizeof(c->algorithms))
		c->algorithms_len = 0;
	else
		memcpy(c->algorithms, offer, c->algorithms_len);
	return outcome(c);
}

int tc_allocate(struct tc *c)
{
	struct ts_msg m;

	tc_challenge(c);
	tc_request(&m, TS_ALLOCATE);
	ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
	int code = tc_call(c, &m);
	if (code == 0 && !ts_xaddr(c->in, c->in_len, TS_XOR_RELAYED, &c->relayed))
		return -1;
	return code;
}

int tc_refresh(struct tc *c, uint32_t lifetime)
{
	struct ts_msg m;

	tc_request(&m, TS_REFRESH);
	ts_put_u32(&m, TS_LIFETIME, lifetime);
	return tc_call(c, &m);
}

int tc_permit(struct tc *c, struct sockaddr_in peer)
{
	struct ts_msg m;

	tc_request(&m, TS_PERMISSION);
	ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&peer);
	return tc_call(c, &m);
}

int tc_bind(struct tc *c, uint16_t channel, struct sockaddr_in peer)
{
	struct ts_msg m;

	tc_request(&m, TS_CHANNEL);
	ts_put_u32(&m, TS_CHANNEL_NUMBER, (uint32_t)channel << 16);
	/* The transaction id enters the XOR only for IPv6, so signing under a new one is right. */
	ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&peer);
	return tc_call(c, &m);
}

void tc_send_indication(struct tc *c, struct sockaddr_in peer, const void *data, size_t len)
{
	struct ts_msg m;
	uint8_t txid[TS_TXID];

	tc_txid(txid);
	ts_start(&m, TS_SEND, TS_INDICATION, txid);
	ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&peer);
	ts_put(&m, TS_DATA_ATTR, data, len);
	tc_send_raw(c, m.b, m.len);
}

void tc_send_channel(struct tc *c, uint16_t channel, const void *data, size_t len)
{
	uint8_t b[TS_MAX] = { (uint8_t)(channel >> 8), (uint8_t)channel, (uint8_t)(len >> 8), (uint8_t)len };

	memcpy(b + 4, data, len);
	tc_send_raw(c, b, 4 + (c->env->tcp ? (len + 3) / 4 * 4 : len));
}

int tc_peer_open(struct in_addr ip, struct sockaddr_in *bound)
{
	return bound_socket(ip, SOCK_DGRAM, bound);
}

long tc_peer_recv(int fd, void *buf, size_t size, struct sockaddr_in *from, int ms)
{
	struct sockaddr_in any;

	return recv_within(fd, buf, size, from != NULL ? from : &any, ms);
}

void tc_peer_send(int fd, struct sockaddr_in to, const void *data, size_t len)
{
	if (sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len)
		die("sending as a peer");
}
