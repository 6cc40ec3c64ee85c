/* TCP and TLS connections of phones. What a phone sends too fast waits in its own socket; what it does not read waits here, up to a limit. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/log.h"
#include "signalling/conn_int.h"
#include "signalling/edge_int.h"
#include "signalling/stream_frame.h"

#define BACKLOG 1024
#define ACCEPTS_A_TURN 64
#define STREAMS_PER_SOURCE 256u
#define FINISH_MS 2000u  /* for the last words */
#define PARTIAL_MS 20000u /* for the rest of a message */
#define STRANGER_MAX 16384u /* bytes of a message before the login */

struct stream {
	struct link link; /* first */
	struct loop_fd lf;
	struct list node;          /* edge.streams */
	struct tls *tls;           /* owned; NULL on TCP */
	bool handshake;            /* not over yet */
	bool tls_wants_room;       /* OpenSSL must write before it can read on */
	bool stranger, finishing;
	struct buf in, out;
	size_t out_done;
	struct timer deadline;     /* of the login, then of a message that has begun, then of the end */
	struct timer resume;       /* reading goes on when the budget is there again */
	struct budget bytes, messages;
};

static struct stream *stream_of(struct link *l)
{
	return CONTAINER_OF(l, struct stream, link);
}

static struct worker *worker_of(const struct stream *s)
{
	return s->link.edge->w;
}

static bool nothing_waits(const struct stream *s)
{
	return s->out_done == s->out.len;
}

static void want(struct stream *s)
{
	bool room = !nothing_waits(s) || s->tls_wants_room;

	if (!s->link.dead)
		loop_want(worker_of(s)->loop, &s->lf, (timer_armed(&s->resume) && !s->finishing ? 0u : EPOLLIN) | (room ? EPOLLOUT : 0u));
}

static void broken(struct stream *s)
{
	if (s->link.dead)
		return;
	loop_want(worker_of(s)->loop, &s->lf, 0);
	link_dead(&s->link);
}

/* --- writing --- */

/* *n bytes were taken. ERR_AGAIN: no more for now. ERR_CLOSED. */
static enum err put(struct stream *s, struct str bytes, size_t *n)
{
	*n = 0;
	if (s->tls != NULL) {
		enum tls_io io = s->handshake ? TLS_WANT_READ : tls_write(s->tls, bytes.p, bytes.len, n);

		return io == TLS_OK ? ERR_OK : io == TLS_ENDED ? ERR_CLOSED : ERR_AGAIN;
	}
	ssize_t sent = send(s->lf.fd, bytes.p, bytes.len, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
	*n = (size_t)sent;
	return ERR_OK;
}

static void flush(struct stream *s)
{
	enum err e = ERR_OK;

	while (!nothing_waits(s) && e == ERR_OK) {
		size_t n;

		e = put(s, str_sub(buf_view(&s->out), s->out_done, s->out.len), &n);
		s->out_done += n;
		worker_of(s)->count->stat[STAT_BYTES_OUT] += n;
	}
	if (e == ERR_CLOSED) {
		broken(s);
		return;
	}
	if (nothing_waits(s)) {
		size_t max = s->out.max;

		buf_fini(&s->out);
		s->out = buf_growing(max);
		s->out_done = 0;
		if (s->finishing) {
			/* The phone closes when it has read that; a close of ours might take the last words back if more of its own are on the way. */
			if (s->tls != NULL && !s->handshake)
				tls_bye(s->tls);
			(void)shutdown(s->lf.fd, SHUT_WR);
		}
	}
	want(s);
}

enum err stream_write(struct link *l, struct str bytes)
{
	struct stream *s = stream_of(l);
	struct worker *w = worker_of(s);

	if (l->dead)
		return ERR_CLOSED;
	if (s->out.len - s->out_done + bytes.len > w->conf->send_queue_max) {
		w->count->reject[REJ_SLOW_READER]++;
		broken(s);
		return ERR_FULL;
	}
	if (s->out_done > 0 && s->out.len + bytes.len > s->out.max) {
		memmove(s->out.p, s->out.p + s->out_done, s->out.len - s->out_done);
		s->out.len -= s->out_done;
		s->out_done = 0;
	}
	buf_str(&s->out, bytes);
	if (s->out.overflow) {
		broken(s);
		return ERR_NO_MEMORY;
	}
	flush(s);
	return l->dead ? ERR_CLOSED : ERR_OK;
}

/* --- reading --- */

/* A message whose head came but which is too long: told so, if it can be (RFC 3261 §21.5.7), and the end. */
static void too_long(struct stream *s)
{
	struct sip_msg m;
	struct sip_refusal why;
	struct str in = buf_view(&s->in);
	const char *end = memmem(in.p, in.len, "\r\n\r\n", 4);

	worker_of(s)->count->reject[REJ_TOO_LARGE]++;
	if (end != NULL && (sip_msg_parse(str_sub(in, 0, (size_t)(end - in.p) + 4), &m, &why) == ERR_OK || sip_msg_answerable(&m)) && m.request)
		gate_refuse(&s->link, &m, 513, NULL, STR_NONE);
	stream_finish(&s->link);
}

static void take_frames(struct stream *s)
{
	struct worker *w = worker_of(s);
	size_t at = 0;
	bool pinged = false;

	/* What is beyond the budget waits where it is. */
	while (at < s->in.len && !s->link.dead && !s->finishing && budget_wait_ms(&s->messages, worker_now(w)) == 0) {
		struct frame f;
		enum err e = stream_frame(str_sub(buf_view(&s->in), at, s->in.len), s->stranger ? STRANGER_MAX : w->conf->message_max, &f);

		if (e == ERR_TOO_LARGE && at == 0) {
			too_long(s);
			return;
		}
		if (e == ERR_INVALID) {
			w->count->reject[REJ_STREAM]++;
			stream_finish(&s->link);
			return;
		}
		if (e != ERR_OK || f.kind == FRAME_MORE)
			break;
		budget_take(&s->messages, 1);
		if (f.kind == FRAME_PING) {
			w->count->stat[STAT_KEEPALIVE]++;
			pinged = true; /* one answer says as much as many */
		} else if (f.kind == FRAME_MESSAGE) {
			(void)gate_receive(&s->link, str_of(s->in.p + at, f.len));
		}
		at += f.len;
	}
	if (pinged)
		(void)!stream_write(&s->link, STR("\r\n"));
	if (at == s->in.len) {
		size_t max = s->in.max;

		buf_fini(&s->in);
		s->in = buf_growing(max);
	} else if (at > 0) {
		memmove(s->in.p, s->in.p + at, s->in.len - at);
		s->in.len -= at;
	}
}

static void pace(struct stream *s)
{
	struct worker *w = worker_of(s);
	uint64_t now = worker_now(w), bytes = budget_wait_ms(&s->bytes, now), messages = budget_wait_ms(&s->messages, now);

	if (s->link.dead || (bytes == 0 && messages == 0))
		return;
	w->count->reject[bytes > 0 ? REJ_BUDGET_BYTES : REJ_BUDGET_MESSAGES]++;
	timer_arm(loop_timers(w->loop), &s->resume, MAX(bytes, messages));
}

/* ERR_AGAIN: nothing there. ERR_CLOSED. */
static enum err get(struct stream *s, char *p, size_t size, size_t *n)
{
	if (s->tls != NULL) {
		enum tls_io io = tls_read(s->tls, p, size, n);

		s->tls_wants_room = io == TLS_WANT_WRITE;
		return io == TLS_OK ? ERR_OK : io == TLS_ENDED ? ERR_CLOSED : ERR_AGAIN;
	}
	ssize_t got = recv(s->lf.fd, p, size, 0);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR) ? ERR_AGAIN : ERR_CLOSED;
	*n = (size_t)got;
	return ERR_OK;
}

/* A message that has begun must be complete in time; not one that waits for its turn. */
static void watch_rest(struct stream *s)
{
	struct timers *timers = loop_timers(worker_of(s)->loop);

	if (s->stranger)
		return;
	if (s->in.len == 0 || timer_armed(&s->resume))
		timer_stop(timers, &s->deadline);
	else if (!timer_armed(&s->deadline))
		timer_arm(timers, &s->deadline, PARTIAL_MS);
}

static void read_some(struct stream *s)
{
	struct edge *e = s->link.edge;
	enum err err = ERR_OK;

	/* TLS holds records that the socket does not show any more: until there is nothing. */
	for (unsigned i = 0; i < 4 && err == ERR_OK && !s->link.dead && !s->finishing && !timer_armed(&s->resume); i++) {
		size_t n = 0;

		err = get(s, e->scratch, sizeof(e->scratch), &n);
		if (err == ERR_CLOSED) {
			broken(s);
			return;
		}
		if (err != ERR_OK)
			break;
		e->w->count->stat[STAT_BYTES_IN] += n;
		budget_take(&s->bytes, n);
		buf_put(&s->in, e->scratch, n);
		if (s->in.overflow) {
			broken(s);
			return;
		}
		take_frames(s);
		pace(s);
		if (s->tls == NULL)
			break;
	}
	if (s->link.dead || s->finishing)
		return;
	watch_rest(s);
	/* More may wait inside OpenSSL than the loop can see. */
	if (err == ERR_OK && s->tls != NULL && !timer_armed(&s->resume))
		timer_arm(loop_timers(e->w->loop), &s->resume, 1);
	want(s);
}

static void shake(struct stream *s)
{
	enum tls_io io = tls_handshake(s->tls);

	if (io == TLS_ENDED) {
		worker_of(s)->count->reject[REJ_TLS]++;
		broken(s);
		return;
	}
	s->tls_wants_room = io == TLS_WANT_WRITE;
	s->handshake = io != TLS_OK;
	want(s);
}

/* What still comes is not listened to. */
static void read_past(struct stream *s, uint32_t events)
{
	ssize_t n = (events & EPOLLIN) != 0 ? recv(s->lf.fd, s->link.edge->scratch, EDGE_SCRATCH, 0) : 0;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		broken(s);
}

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct stream *s = CONTAINER_OF(lf, struct stream, lf);

	if (s->link.dead)
		return;
	if (s->handshake && !s->finishing) {
		shake(s);
		if (s->handshake || s->link.dead)
			return;
	}
	if ((events & EPOLLOUT) != 0 || s->tls_wants_room)
		flush(s);
	if (s->link.dead)
		return;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return;
	/* Nothing is read while its budget is used up, and what is not read would be told again and again. */
	if ((events & (EPOLLHUP | EPOLLERR)) != 0 && timer_armed(&s->resume) && !s->finishing) {
		broken(s);
		return;
	}
	if (s->finishing)
		read_past(s, events);
	else
		read_some(s);
}

/* --- life --- */

static void on_deadline(struct timer *t, uint64_t now_ms)
{
	struct stream *s = CONTAINER_OF(t, struct stream, deadline);

	(void)now_ms;
	if (s->stranger && !s->finishing)
		worker_of(s)->count->reject[s->handshake ? REJ_TLS : REJ_AUTH_LATE]++;
	broken(s);
}

static void on_resume(struct timer *t, uint64_t now_ms)
{
	struct stream *s = CONTAINER_OF(t, struct stream, resume);

	(void)now_ms;
	if (s->link.dead || s->finishing)
		return;
	if (s->in.len > 0) {
		take_frames(s);
		pace(s);
	}
	if (s->link.dead || s->finishing)
		return;
	watch_rest(s);
	want(s);
	if (s->tls != NULL && !s->handshake)
		read_some(s);
}

static void known(struct stream *s)
{
	if (!s->stranger)
		return;
	s->stranger = false;
	s->link.edge->strangers--;
	timer_stop(loop_timers(worker_of(s)->loop), &s->deadline);
}

void stream_known(struct link *l)
{
	known(stream_of(l));
}

void stream_finish(struct link *l)
{
	struct stream *s = stream_of(l);

	if (l->dead || s->finishing)
		return;
	s->finishing = true;
	gate_forget(l); /* nobody will read their answers */
	timer_arm(loop_timers(worker_of(s)->loop), &s->deadline, FINISH_MS);
	flush(s);
}

void stream_free(struct link *l)
{
	struct stream *s = stream_of(l);
	struct edge *e = l->edge;

	known(s);
	gate_forget(l);
	loop_undefer(&l->ended);
	timer_stop(loop_timers(e->w->loop), &s->deadline);
	timer_stop(loop_timers(e->w->loop), &s->resume);
	list_remove(&s->node);
	if (s->tls != NULL)
		tls_free(s->tls);
	loop_del(e->w->loop, &s->lf);
	(void)close(s->lf.fd);
	buf_fini(&s->in);
	buf_fini(&s->out);
	(void)sources_streams(e->sources, &l->remote, -1);
	e->w->count->links--;
	free(s);
}

/* A connection that says nothing for long is asked by the kernel whether it is there: a phone behind a NAT that has forgotten it is noticed. */
static void keep_alive(int fd)
{
	int one = 1, idle = 60, interval = 10, count = 3;
	unsigned timeout = 40000;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

static struct stream *make(struct edge_socket *from, int fd, const struct sockaddr_storage *remote)
{
	struct edge *e = from->edge;
	const struct signalling_conf *conf = e->w->conf;
	struct stream *s = calloc(1, sizeof(*s));
	struct sockaddr_storage local = { 0 };
	socklen_t len = sizeof(local);

	if (s == NULL || getsockname(fd, (struct sockaddr *)&local, &len) != 0) {
		free(s);
		return NULL;
	}
	link_init(&s->link, e, from->kind, remote, &local);
	crypto_random(&s->link.salt, sizeof(s->link.salt));
	s->lf = (struct loop_fd){ .fd = fd, .fn = on_ready };
	if (from->kind == LINK_TLS && (s->tls = tls_new(e, fd)) == NULL) {
		free(s);
		return NULL;
	}
	s->handshake = s->tls != NULL;
	s->stranger = true;
	s->in = buf_growing(conf->message_max + 2 * EDGE_SCRATCH);
	s->out = buf_growing(conf->send_queue_max + 4096);
	timer_init(&s->deadline, on_deadline);
	timer_init(&s->resume, on_resume);
	budget_init(&s->bytes, conf->bytes_per_s, conf->bytes_burst, worker_now(e->w));
	budget_init(&s->messages, conf->messages_per_s, conf->messages_burst, worker_now(e->w));
	if (loop_add(e->w->loop, &s->lf, EPOLLIN) != ERR_OK) {
		tls_free(s->tls);
		free(s);
		return NULL;
	}
	return s;
}

static void take(struct edge_socket *from, int fd, const struct sockaddr_storage *remote)
{
	struct edge *e = from->edge;
	struct worker *w = e->w;
	struct stream *s = NULL;

	if (sources_streams(e->sources, remote, 1) > STREAMS_PER_SOURCE || e->strangers >= w->conf->sip_strangers_max ||
	    (s = make(from, fd, remote)) == NULL) {
		(void)sources_streams(e->sources, remote, -1);
		w->count->reject[REJ_SOURCE]++;
		(void)close(fd);
		return;
	}
	keep_alive(fd);
	list_append(&e->streams, &s->node);
	e->strangers++;
	w->count->links++;
	timer_arm(loop_timers(w->loop), &s->deadline, w->conf->sip_login_ms);
}

static void on_accept(struct loop_fd *lf, uint32_t events)
{
	struct edge_socket *s = CONTAINER_OF(lf, struct edge_socket, lf);

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN && lf->fd >= 0; i++) {
		struct sockaddr_storage remote = { 0 };
		socklen_t len = sizeof(remote);
		int fd = accept4(lf->fd, (struct sockaddr *)&remote, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				log_event(LOG_ERROR, "accept-failed", "socket=phones error=%s", log_value(str_from(strerrordesc_np(errno))));
			return;
		}
		take(s, fd, &remote);
	}
}

enum err stream_open(struct edge_socket *s)
{
	const struct sockaddr_storage *a = &s->address;
	int one = 1;

	s->lf.fn = on_accept;
	s->lf.fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->lf.fd < 0)
		return ERR_IO;
	if (setsockopt(s->lf.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    setsockopt(s->lf.fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0 &&
	    (a->ss_family != AF_INET6 || setsockopt(s->lf.fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0) &&
	    bind(s->lf.fd, (const struct sockaddr *)a, address_len(a)) == 0 && listen(s->lf.fd, BACKLOG) == 0 &&
	    loop_add(s->edge->w->loop, &s->lf, EPOLLIN) == ERR_OK)
		return ERR_OK;
	int why = errno;
	(void)close(s->lf.fd);
	s->lf.fd = -1;
	errno = why;
	return ERR_IO;
}

void stream_close_strangers(struct edge *e)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &e->streams) {
		struct stream *s = CONTAINER_OF(it, struct stream, node);

		if (s->stranger)
			stream_finish(&s->link);
	}
}

void stream_free_all(struct edge *e)
{
	while (!list_empty(&e->streams))
		stream_free(&CONTAINER_OF(e->streams.next, struct stream, node)->link);
}
