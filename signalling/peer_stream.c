#include "signalling/peer_stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "signalling/conn.h"
#include "signalling/peer_owed.h"
#include "signalling/proxy.h"
#include "signalling/sip_build.h"
#include "signalling/worker.h"

#define IN_MAX (2u * SIP_MSG_MAX)
#define READS_A_TURN 8u
#define SETUP_MS 3000u        /* for connection and handshake */
#define PING_MS 1500u
#define PINGS_UNHEARD 3u
#define USER_TIMEOUT_MS 4000u /* what was sent is acknowledged by then, or the connection is dead */

static void on_ready(struct loop_fd *lf, uint32_t events);
static void on_due(struct timer *t, uint64_t now_ms);
static void on_gone(struct loop_job *job);

struct str peer_node_of(struct str worker)
{
	return str_sub(worker, 0, str_find(worker, '.'));
}

void peer_stream_init(struct peer_stream *s, struct worker *w, size_t out_max)
{
	*s = (struct peer_stream){ .w = w, .lf = { .fd = -1, .fn = on_ready }, .out_max = out_max };
	list_init(&s->node);
	timer_init(&s->due, on_due);
	loop_job_init(&s->gone, on_gone);
	s->in = buf_growing(IN_MAX);
	s->out = buf_growing(out_max);
}

bool peer_stream_open(const struct peer_stream *s)
{
	return s->state != PEER_CLOSED && s->failed == NULL;
}

static bool accepted(const struct peer_stream *s)
{
	return s->broken == &s->gone;
}

void peer_stream_close(struct peer_stream *s)
{
	timer_stop(loop_timers(s->w->loop), &s->due);
	if (s->lf.fd >= 0) {
		peer_tls_end(s->ssl);
		loop_del(s->w->loop, &s->lf);
		(void)close(s->lf.fd);
	}
	s->ssl = NULL;
	s->lf.fd = -1;
	s->state = PEER_CLOSED;
	buf_fini(&s->in);
	buf_fini(&s->out);
	s->in = buf_growing(IN_MAX);
	s->out = buf_growing(s->out_max);
	s->out_done = 0;
	s->unheard = s->crlfs = 0;
	s->failed = NULL;
}

void peer_stream_free(struct peer_stream *s)
{
	peer_stream_close(s);
	loop_undefer(&s->gone);
	list_remove(&s->node);
	free(s);
}

static void on_gone(struct loop_job *job)
{
	struct peer_stream *s = CONTAINER_OF(job, struct peer_stream, gone);

	owed_worker_lost(s->w->owed, str_from(s->sender));
	if (s->used)
		proxy_worker_lost(s->w->proxy, str_from(s->sender), UINT64_MAX);
	peer_stream_free(s);
}

/* Not closed by us. Whoever must know is told at the end of the turn: this may be inside a send of theirs. */
static void broke(struct peer_stream *s, const char *why)
{
	/* The message that is being handled lies in its buffer. */
	s->failed = why;
	if (s->reading)
		return;
	if (s->ssl != NULL)
		log_event(LOG_WARN, "peer-stream-lost", "peer=%s direction=%s reason=%s", s->sender[0] != '\0' ? s->sender : "-",
			  accepted(s) ? "in" : "out", log_value(str_from(why)));
	peer_stream_close(s);
	if (s->broken != NULL)
		loop_defer(s->w->loop, s->broken);
}

/* --- beginning --- */

enum err peer_stream_connect(struct peer_stream *s, struct str name, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (str_copy(str_from(path), a.sun_path, sizeof(a.sun_path)) != ERR_OK || str_copy(name, s->sender, sizeof(s->sender)) != ERR_OK)
		return ERR_CLOSED;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_CLOSED;
	/* On a unix socket this succeeds or fails at once. */
	s->lf.fd = fd;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || loop_add(s->w->loop, &s->lf, EPOLLIN) != ERR_OK) {
		(void)close(fd);
		s->lf.fd = -1;
		return ERR_CLOSED;
	}
	s->state = PEER_UP;
	s->used = false;
	return ERR_OK;
}

static void tune(int fd)
{
	int on = 1;
	unsigned user_timeout = USER_TIMEOUT_MS;

	/* Without them the stream is slower to notice things, but works. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
}

/* `fd` becomes the stream's, or is closed. */
static enum err begin_tls(struct peer_stream *s, int fd, struct peer_tls *tls, const char *node, enum peer_stream_state state, uint32_t events)
{
	tune(fd);
	s->lf.fd = fd;
	s->ssl = peer_tls_start(tls, fd, node);
	if (s->ssl == NULL || loop_add(s->w->loop, &s->lf, events) != ERR_OK) {
		peer_tls_end(s->ssl);
		s->ssl = NULL;
		(void)close(fd);
		s->lf.fd = -1;
		return ERR_NO_MEMORY;
	}
	s->state = state;
	s->used = false;
	timer_arm(loop_timers(s->w->loop), &s->due, SETUP_MS);
	return ERR_OK;
}

enum err peer_stream_connect_tls(struct peer_stream *s, struct str name, const struct peer_address *a, struct peer_tls *tls)
{
	char node[WORKER_NAME_MAX + 1];

	if (str_copy(peer_node_of(name), node, sizeof(node)) != ERR_OK || str_copy(name, s->sender, sizeof(s->sender)) != ERR_OK)
		return ERR_CLOSED;
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_CLOSED;
	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) != 0 && errno != EINPROGRESS) {
		(void)close(fd);
		return ERR_CLOSED;
	}
	return begin_tls(s, fd, tls, node, PEER_CONNECTING, EPOLLOUT);
}

/* Only processes of our own user may speak as a worker: the socket's mode says so, and this makes sure. */
static bool peer_trusted(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == geteuid() || who.uid == 0);
}

static struct peer_stream *new_accepted(struct worker *w, size_t out_max)
{
	struct peer_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	peer_stream_init(s, w, out_max);
	s->broken = &s->gone;
	return s;
}

struct peer_stream *peer_stream_accept(struct worker *w, int fd)
{
	struct peer_stream *s = peer_trusted(fd) ? new_accepted(w, 0) : NULL;

	if (s == NULL) {
		(void)close(fd);
		return NULL;
	}
	s->lf.fd = fd;
	if (loop_add(w->loop, &s->lf, EPOLLIN) != ERR_OK) {
		peer_stream_free(s);
		return NULL;
	}
	s->state = PEER_UP;
	return s;
}

struct peer_stream *peer_stream_accept_tls(struct worker *w, int fd, struct peer_tls *tls, size_t out_max)
{
	struct peer_stream *s = new_accepted(w, out_max);

	if (s == NULL) {
		(void)close(fd);
		return NULL;
	}
	if (begin_tls(s, fd, tls, NULL, PEER_HANDSHAKE, EPOLLIN) != ERR_OK) {
		peer_stream_free(s);
		return NULL;
	}
	return s;
}

/* --- writing --- */

/* What the socket takes of `p`: 0 if it must be waited for, and *wait says for what; -1 if the stream is dead. */
static ssize_t put(struct peer_stream *s, const char *p, size_t len, uint32_t *wait)
{
	size_t done = 0;

	*wait = EPOLLIN | EPOLLOUT;
	if (s->ssl == NULL) {
		ssize_t n;

		do {
			n = send(s->lf.fd, p, len, MSG_NOSIGNAL);
		} while (n < 0 && errno == EINTR);
		return n < 0 && errno == EAGAIN ? 0 : n;
	}
	switch (peer_tls_write(s->ssl, p, len, &done)) {
	case PEER_TLS_DONE:
		return (ssize_t)done;
	case PEER_TLS_READ:
		*wait = EPOLLIN;
		return 0;
	case PEER_TLS_WRITE:
		return 0;
	case PEER_TLS_CLOSED:
	default:
		return -1;
	}
}

static void flush(struct peer_stream *s)
{
	if (s->state != PEER_UP)
		return;
	while (s->out_done < s->out.len) {
		uint32_t wait;
		ssize_t n = put(s, s->out.p + s->out_done, s->out.len - s->out_done, &wait);

		if (n == 0) {
			loop_want(s->w->loop, &s->lf, wait);
			return;
		}
		if (n < 0) {
			broke(s, "write failed");
			return;
		}
		s->out_done += (size_t)n;
	}
	buf_reset(&s->out);
	s->out_done = 0;
	loop_want(s->w->loop, &s->lf, EPOLLIN);
}

enum err peer_stream_send(struct peer_stream *s, struct str bytes)
{
	if (!peer_stream_open(s))
		return ERR_CLOSED;
	if (s->out.len + bytes.len > s->out_max)
		return ERR_FULL;
	buf_str(&s->out, bytes);
	if (s->out.overflow) {
		broke(s, "out of memory");
		return ERR_NO_MEMORY;
	}
	flush(s);
	return peer_stream_open(s) ? ERR_OK : ERR_CLOSED;
}

/* --- reading --- */

/* The flow is gone here: the sender shall try another (RFC 5626 §5.3.1: 430); or the phone is there, but its transport cannot carry that much (513).
 * Responses to nobody are dropped. */
static void answer_not_sent(struct worker *w, struct str sender, const struct sip_msg *m, enum err why)
{
	struct buf b = buf_growing(SIP_MSG_MAX);
	struct sip_reply r = { .status = 430, .phrase = "Flow Failed", .to_tag = STR("gone") };

	if (why == ERR_TOO_LARGE)
		r = (struct sip_reply){ .status = 513, .to_tag = STR("edge") };
	w->count->reject[REJ_FLOW_GONE]++;
	if (m->method == SIP_ACK)
		proxy_ack_astray(w->proxy, sender, m);
	else if (m->request && sip_reply_put(&b, m, &r) == ERR_OK)
		(void)flow_send_worker(w, sender, NULL, buf_view(&b));
	buf_fini(&b);
}

/* The first message says who speaks here, and must be right about the node. */
static bool proven(struct peer_stream *s, struct str sender)
{
	struct str node = peer_node_of(sender);

	if (s->sender[0] != '\0')
		return str_eq(sender, str_from(s->sender));
	if (s->ssl != NULL ? !peer_tls_names(s->ssl, node) : !str_eq(node, str_from(s->w->conf->node)))
		return false;
	if (str_copy(sender, s->sender, sizeof(s->sender)) != ERR_OK)
		return false;
	peers_heard(s->w->peers, sender);
	return true;
}

static void take_message(struct peer_stream *s, char *p, size_t len)
{
	struct worker *w = s->w;
	struct peer_envelope env;
	struct str message;
	struct sip_msg m;
	struct sip_refusal why;

	if (peer_unwrap(p, len, w->flow_key, &env, &message) != ERR_OK) {
		w->count->reject[REJ_PEER_FRAME]++;
		return;
	}
	if (!proven(s, env.sender)) {
		w->count->reject[REJ_PEER_SENDER]++;
		broke(s, "speaks as another worker");
		return;
	}
	if (env.kind == PEER_HELLO)
		return;
	w->count->stat[STAT_PEER_IN]++;
	if (env.kind != PEER_TO_FLOW) {
		struct origin from = { .flow = env.flow, .peer = env.sender };

		(void)proxy_receive(w->proxy, &from, message);
		return;
	}
	struct conn *c = flow_local(w, &env.flow) ? conn_of(w->conns, &env.flow) : NULL;
	enum err sent = c != NULL ? conn_send(c, message) : ERR_CLOSED;
	bool response = str_starts(message, STR("SIP/2.0 "));
	if (response || sip_msg_parse(message, &m, &why) != ERR_OK)
		return;
	if (sent == ERR_OK)
		owed_note(w->owed, &env.flow, env.sender, &m);
	else
		answer_not_sent(w, env.sender, &m, sent);
}

/* CRLF CRLF is a ping; the CRLF that answers one needs no answer. */
static void take_crlfs(struct peer_stream *s, size_t bytes)
{
	for (s->crlfs += (unsigned)(bytes / 2); s->crlfs >= 2; s->crlfs -= 2) {
		if (accepted(s) && s->ssl != NULL)
			(void)!peer_stream_send(s, STR("\r\n"));
	}
}

static void take_messages(struct peer_stream *s)
{
	size_t at = 0;

	while (at < s->in.len && peer_stream_open(s)) {
		size_t skip = 0, len = 0;
		enum err e = sip_msg_measure(str_of(s->in.p + at, s->in.len - at), &skip, &len);

		if (e != ERR_OK) {
			s->w->count->reject[REJ_PEER_FRAME]++;
			broke(s, err_text(e));
			return;
		}
		at += skip;
		take_crlfs(s, skip);
		if (len == 0 || !peer_stream_open(s))
			break;
		s->crlfs = 0;
		take_message(s, s->in.p + at, len);
		at += len;
	}
	if (!peer_stream_open(s))
		return;
	if (at == s->in.len) {
		buf_reset(&s->in);
	} else if (at > 0) {
		memmove(s->in.p, s->in.p + at, s->in.len - at);
		s->in.len -= at;
	}
}

/* Bytes read into `room`: 0 if there are none now, -1 at the end. */
static ssize_t get(struct peer_stream *s, char *room, size_t size)
{
	size_t done = 0;

	if (s->ssl == NULL) {
		ssize_t n = recv(s->lf.fd, room, size, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		return n > 0 ? n : -1;
	}
	switch (peer_tls_read(s->ssl, room, size, &done)) {
	case PEER_TLS_DONE:
		return (ssize_t)done;
	case PEER_TLS_WRITE:
		loop_want(s->w->loop, &s->lf, EPOLLIN | EPOLLOUT);
		return 0;
	case PEER_TLS_READ:
		return 0;
	case PEER_TLS_CLOSED:
	default:
		return -1;
	}
}

/* One read takes a TLS record whole, so nothing is left inside OpenSSL that no event would tell of. */
static void take(struct peer_stream *s)
{
	for (unsigned i = 0; i < READS_A_TURN && peer_stream_open(s); i++) {
		char *room = buf_reserve(&s->in, SIP_MSG_MAX);
		ssize_t n = room != NULL ? get(s, room, SIP_MSG_MAX) : -1;

		if (n == 0)
			return;
		if (n < 0) {
			broke(s, room != NULL ? "closed" : "out of memory");
			return;
		}
		s->unheard = 0;
		s->in.len += (size_t)n;
		s->reading = true;
		take_messages(s);
		s->reading = false;
		if (s->failed != NULL)
			broke(s, s->failed);
	}
}

/* --- TLS --- */

static void say_hello(struct peer_stream *s)
{
	char mem[256];
	struct buf b = buf_fixed(mem, sizeof(mem));

	if (peer_wrap(&b, STR("OPTIONS sip:hello SIP/2.0\r\nContent-Length: 0\r\n\r\n"), str_from(s->w->name), PEER_HELLO, NULL, s->w->flow_key) == ERR_OK)
		(void)!peer_stream_send(s, buf_view(&b));
}

static void greet(struct peer_stream *s)
{
	const char *why = "closed";

	switch (peer_tls_handshake(s->ssl, &why)) {
	case PEER_TLS_DONE:
		s->state = PEER_UP;
		timer_arm(loop_timers(s->w->loop), &s->due, PING_MS);
		log_event(LOG_INFO, "peer-stream-up", "peer=%s direction=%s", s->sender[0] != '\0' ? s->sender : "-",
			  accepted(s) ? "in" : "out");
		if (!accepted(s))
			say_hello(s);
		flush(s);
		break;
	case PEER_TLS_READ:
		loop_want(s->w->loop, &s->lf, EPOLLIN);
		break;
	case PEER_TLS_WRITE:
		loop_want(s->w->loop, &s->lf, EPOLLIN | EPOLLOUT);
		break;
	case PEER_TLS_CLOSED:
	default:
		s->w->count->reject[REJ_PEER_TLS]++;
		broke(s, why);
		break;
	}
}

static void connected(struct peer_stream *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(s->lf.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
		broke(s, strerrordesc_np(error));
		return;
	}
	s->state = PEER_HANDSHAKE;
	greet(s);
}

static void on_due(struct timer *t, uint64_t now_ms)
{
	struct peer_stream *s = CONTAINER_OF(t, struct peer_stream, due);

	(void)now_ms;
	if (s->state != PEER_UP) {
		broke(s, "no connection in time");
		return;
	}
	if (s->unheard++ >= PINGS_UNHEARD) {
		broke(s, "no sign of life");
		return;
	}
	timer_arm(loop_timers(s->w->loop), t, PING_MS);
	if (!accepted(s))
		(void)!peer_stream_send(s, STR("\r\n\r\n"));
}

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct peer_stream *s = CONTAINER_OF(lf, struct peer_stream, lf);

	if (s->state == PEER_CONNECTING) {
		connected(s);
		return;
	}
	if (s->state == PEER_HANDSHAKE) {
		greet(s);
		/* The other side may have spoken in the same breath; what it says is inside OpenSSL by now. */
		if (s->state != PEER_UP)
			return;
		events |= EPOLLIN;
	}
	if ((events & EPOLLOUT) != 0)
		flush(s);
	if (peer_stream_open(s) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		take(s);
}
