#include "signalling/peer_stream.h"

#include <errno.h>
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

static void on_ready(struct loop_fd *lf, uint32_t events);

void peer_stream_init(struct peer_stream *s, struct worker *w, size_t out_max)
{
	*s = (struct peer_stream){ .w = w, .lf = { .fd = -1, .fn = on_ready }, .out_max = out_max };
	list_init(&s->node);
	s->in = buf_growing(IN_MAX);
	s->out = buf_growing(out_max);
}

bool peer_stream_open(const struct peer_stream *s)
{
	return s->lf.fd >= 0;
}

void peer_stream_close(struct peer_stream *s)
{
	if (s->lf.fd >= 0) {
		loop_del(s->w->loop, &s->lf);
		(void)close(s->lf.fd);
		s->lf.fd = -1;
	}
	buf_fini(&s->in);
	buf_fini(&s->out);
	s->in = buf_growing(IN_MAX);
	s->out = buf_growing(s->out_max);
	s->out_done = 0;
}

void peer_stream_free(struct peer_stream *s)
{
	peer_stream_close(s);
	list_remove(&s->node);
	free(s);
}

enum err peer_stream_connect(struct peer_stream *s, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (str_copy(str_from(path), a.sun_path, sizeof(a.sun_path)) != ERR_OK)
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
	return ERR_OK;
}

/* Only processes of our own user may speak as a worker: the socket's mode says so, and this makes sure. */
static bool peer_trusted(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == geteuid() || who.uid == 0);
}

struct peer_stream *peer_stream_accept(struct worker *w, int fd)
{
	struct peer_stream *s = peer_trusted(fd) ? calloc(1, sizeof(*s)) : NULL;

	if (s == NULL) {
		(void)close(fd);
		return NULL;
	}
	peer_stream_init(s, w, 0);
	s->lf.fd = fd;
	if (loop_add(w->loop, &s->lf, EPOLLIN) != ERR_OK) {
		peer_stream_free(s);
		return NULL;
	}
	return s;
}

/* Not closed by us. Whoever must know is told at the end of the turn: this may be inside a send of theirs. */
static void broke(struct peer_stream *s)
{
	peer_stream_close(s);
	if (s->broken != NULL)
		loop_defer(s->w->loop, s->broken);
}

/* --- writing --- */

static void flush(struct peer_stream *s)
{
	while (s->out_done < s->out.len) {
		ssize_t n = send(s->lf.fd, s->out.p + s->out_done, s->out.len - s->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_want(s->w->loop, &s->lf, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			broke(s);
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
	if (s->out.len + bytes.len > s->out_max)
		return ERR_FULL;
	buf_str(&s->out, bytes);
	if (s->out.overflow) {
		broke(s);
		return ERR_NO_MEMORY;
	}
	flush(s);
	return peer_stream_open(s) ? ERR_OK : ERR_CLOSED;
}

/* --- reading --- */

/* The flow is gone here: the sender shall try another (RFC 5626 §5.3.1: 430). Responses and ACKs to nobody are dropped. */
static void answer_flow_failed(struct worker *w, struct str sender, const struct sip_msg *m)
{
	struct buf b = buf_growing(SIP_MSG_MAX);
	struct sip_reply r = { .status = 430, .phrase = "Flow Failed", .to_tag = STR("gone") };

	w->count->reject[REJ_FLOW_GONE]++;
	if (m->request && m->method != SIP_ACK && sip_reply_put(&b, m, &r) == ERR_OK)
		(void)flow_send_worker(w, sender, NULL, buf_view(&b));
	buf_fini(&b);
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
	w->count->stat[STAT_PEER_IN]++;
	if (env.kind != PEER_TO_FLOW) {
		struct origin from = { .flow = env.flow, .peer = env.sender };

		(void)proxy_receive(w->proxy, &from, message);
		return;
	}
	struct conn *c = flow_local(w, &env.flow) ? conn_of(w->conns, &env.flow) : NULL;
	bool sent = c != NULL && conn_send(c, message) == ERR_OK;
	bool response = str_starts(message, STR("SIP/2.0 "));
	if (response || sip_msg_parse(message, &m, &why) != ERR_OK)
		return;
	if (sent)
		owed_note(w->owed, &env.flow, env.sender, &m);
	else
		answer_flow_failed(w, env.sender, &m);
}

static void take_messages(struct peer_stream *s)
{
	size_t at = 0;

	while (at < s->in.len && peer_stream_open(s)) {
		size_t skip = 0, len = 0;
		enum err e = sip_msg_measure(str_of(s->in.p + at, s->in.len - at), &skip, &len);

		if (e != ERR_OK) {
			s->w->count->reject[REJ_PEER_FRAME]++;
			log_event(LOG_WARN, "peer-stream-broken", "error=%s", log_value(str_from(err_text(e))));
			peer_stream_close(s);
			return;
		}
		at += skip;
		if (len == 0)
			break;
		take_message(s, s->in.p + at, len);
		at += len;
	}
	if (at == s->in.len) {
		buf_reset(&s->in);
	} else if (at > 0) {
		memmove(s->in.p, s->in.p + at, s->in.len - at);
		s->in.len -= at;
	}
}

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct peer_stream *s = CONTAINER_OF(lf, struct peer_stream, lf);
	bool accepted = !list_empty(&s->node);

	if ((events & EPOLLOUT) != 0)
		flush(s);
	if (peer_stream_open(s) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
		char *room = buf_reserve(&s->in, SIP_MSG_MAX);
		ssize_t n = room != NULL ? recv(lf->fd, room, SIP_MSG_MAX, 0) : 0;

		if (n > 0) {
			s->in.len += (size_t)n;
			take_messages(s);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			broke(s);
		}
	}
	if (accepted && !peer_stream_open(s))
		peer_stream_free(s);
}
