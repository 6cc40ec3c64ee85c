#include "signalling/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "signalling/listener.h"
#include "signalling/node.h"
#include "signalling/peer_owed.h"
#include "signalling/peer_stream.h"
#include "signalling/presence.h"
#include "signalling/proxy.h"
#include "signalling/worker.h"

#define RENEW_MS 2000u
#define SKEW_MS 3000u /* clocks of nodes may differ by this */
#define PEERS_MAX 256u
#define PEER_OUT_MAX (8u << 20)
#define RETRY_MIN_MS 250u
#define RETRY_MAX_MS 5000u
#define IN_MAX 1024u        /* streams of other nodes */
#define UNPROVEN_MAX 64u    /* of these, still in the handshake */
#define BACKLOG 128

/* Another worker, as far as we have heard. */
struct peer {
	struct peers *ps;
	char name[WORKER_NAME_MAX + 1];
	struct peer_address address;    /* for other nodes; len 0 = none known */
	uint64_t epoch;                 /* 0 = not known */
	bool leased;                    /* its lease was in force at the last look */
	struct peer_stream out;         /* ours to it; made when something is sent */
	uint64_t out_since_ms;          /* wall clock: one that began after a worker's boot is not to the worker before it */
	uint64_t retry_ms, backoff_ms;  /* no new attempt to connect before, monotonic; what was waited last */
	struct loop_job lost;           /* tells the proxy, at the end of the turn, that it does not answer any more */
};

struct peers {
	struct worker *w;
	struct listener listener;
	struct loop_fd tcp;             /* listens for other nodes; -1 = no */
	struct peer_tls *tls;           /* owned; NULL = alone */
	char address[PEER_ADDRESS_MAX + 1]; /* our own for other nodes, "" = none */
	struct timer renew;
	bool joined;
	bool late;                      /* the last look was the first after a time without Redis */
	uint64_t seen_ms, seen_wall_ms; /* last look at the leases, monotonic and wall clock; 0 = never */
	struct peer *peer[PEERS_MAX];   /* owned */
	size_t count;
	struct list in;                 /* accepted streams */
};

static void on_renew(struct timer *t, uint64_t now_ms);
static void on_accept(struct listener *l, int fd);
static void on_accept_tcp(struct loop_fd *lf, uint32_t events);

static struct peer *find(const struct peers *ps, struct str name)
{
	for (size_t i = 0; i < ps->count; i++) {
		if (str_eq(str_from(ps->peer[i]->name), name))
			return ps->peer[i];
	}
	return NULL;
}

/* Of another node. */
static bool foreign(const struct peers *ps, struct str name)
{
	return !str_eq(peer_node_of(name), str_from(ps->w->conf->node));
}

static void on_lost(struct loop_job *job)
{
	struct peer *p = CONTAINER_OF(job, struct peer, lost);
	struct peers *ps = p->ps;
	char name[WORKER_NAME_MAX + 1];

	/* Nodes that lose each other all at once shall not try all at once. */
	if (foreign(ps, str_from(p->name))) {
		uint32_t random;

		crypto_random(&random, sizeof(random));
		p->backoff_ms = MIN(MAX(2 * p->backoff_ms, RETRY_MIN_MS), RETRY_MAX_MS);
		p->retry_ms = worker_now(ps->w) + p->backoff_ms / 2 + random % p->backoff_ms;
	}

	/* What fails may send again, which may forget a peer that is nobody's. */
	memcpy(name, p->name, sizeof(name));
	if (p->out.used)
		proxy_worker_lost(ps->w->proxy, str_from(name), UINT64_MAX);
}

static struct peer *learn(struct peers *ps, struct str name)
{
	struct peer *p = find(ps, name);

	if (p != NULL)
		return p;
	if (ps->count == PEERS_MAX || (p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	if (name.len == 0 || str_copy(name, p->name, sizeof(p->name)) != ERR_OK) {
		free(p);
		return NULL;
	}
	p->ps = ps;
	loop_job_init(&p->lost, on_lost);
	peer_stream_init(&p->out, ps->w, PEER_OUT_MAX);
	p->out.broken = &p->lost;
	ps->peer[ps->count++] = p;
	return p;
}

static void unlearn(struct peers *ps, struct peer *p)
{
	for (size_t i = 0; i < ps->count; i++) {
		if (ps->peer[i] != p)
			continue;
		ps->peer[i] = ps->peer[--ps->count];
		rds_async_forget(ps->w->rds, p);
		loop_undefer(&p->lost);
		peer_stream_close(&p->out);
		free(p);
		return;
	}
}

static enum err listen_tcp(struct peers *ps, const struct peer_address *a)
{
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	ps->tcp = (struct loop_fd){ .fd = fd, .fn = on_accept_tcp };
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 || bind(fd, (const struct sockaddr *)&a->sa, a->len) != 0 ||
	    listen(fd, BACKLOG) != 0 || loop_add(ps->w->loop, &ps->tcp, EPOLLIN) != ERR_OK) {
		log_event(LOG_ERROR, "peer-listen-failed", "error=%s", log_value(str_from(strerrordesc_np(errno))));
		if (fd >= 0)
			(void)close(fd);
		ps->tcp.fd = -1;
		return ERR_IO;
	}
	return ERR_OK;
}

/* The side towards other nodes, if there is one. */
static enum err open_to_nodes(struct peers *ps, unsigned index)
{
	const struct signalling_conf *c = ps->w->conf;
	const struct peer_tls_files files = { c->peer_certificate, c->peer_key, c->peer_ca };
	struct buf own = buf_fixed(ps->address, sizeof(ps->address) - 1);
	struct peer_address listen_at, address;
	char why[512];

	if (c->peer_listen[0] == '\0')
		return ERR_OK;
	if (peer_address_parse(str_from(c->peer_listen), index, &listen_at) != ERR_OK ||
	    peer_address_parse(str_from(c->peer_address[0] != '\0' ? c->peer_address : c->peer_listen), index, &address) != ERR_OK ||
	    peer_address_any(&address)) {
		log_event(LOG_ERROR, "peer-listen-invalid", "value=%s help=\"an IP address and port; all addresses only with peer-address\"",
			  log_value(str_from(c->peer_listen)));
		return ERR_INVALID;
	}
	if (peer_tls_new(&files, c->node, &ps->tls, why, sizeof(why)) != ERR_OK) {
		log_event(LOG_ERROR, "peer-certificate-invalid", "error=%s", log_value(str_from(why)));
		return ERR_INVALID;
	}
	peer_address_put(&own, &address);
	ps->address[own.len] = '\0';
	return listen_tcp(ps, &listen_at);
}

enum err peers_new(struct worker *w, unsigned index, struct peers **out)
{
	struct peers *ps = calloc(1, sizeof(*ps));
	char path[108];

	if (ps == NULL)
		return ERR_NO_MEMORY;
	ps->w = w;
	ps->tcp.fd = -1;
	timer_init(&ps->renew, on_renew);
	list_init(&ps->in);
	int n = snprintf(path, sizeof(path), "%s/peer.%u.sock", w->conf->run_dir, index);
	enum err e = n > 0 && (size_t)n < sizeof(path) ? listener_open(&ps->listener, w->loop, path, "", on_accept) : ERR_TOO_LARGE;
	if (e == ERR_OK)
		e = open_to_nodes(ps, index);
	if (e != ERR_OK) {
		peers_free(ps);
		return e;
	}
	*out = ps;
	return ERR_OK;
}

/* Nobody connects any more, and who is connected sees at once that nothing is read any more. */
static void stop_hearing(struct peers *ps)
{
	listener_close(&ps->listener);
	if (ps->tcp.fd >= 0) {
		loop_del(ps->w->loop, &ps->tcp);
		(void)close(ps->tcp.fd);
		ps->tcp.fd = -1;
	}
	while (!list_empty(&ps->in))
		peer_stream_free(CONTAINER_OF(ps->in.next, struct peer_stream, node));
}

void peers_free(struct peers *ps)
{
	if (ps == NULL)
		return;
	timer_stop(loop_timers(ps->w->loop), &ps->renew);
	stop_hearing(ps);
	for (size_t i = 0; i < ps->count; i++) {
		loop_undefer(&ps->peer[i]->lost);
		peer_stream_close(&ps->peer[i]->out);
		free(ps->peer[i]);
	}
	peer_tls_free(ps->tls);
	free(ps);
}

size_t peers_count(const struct peers *ps)
{
	size_t n = 0;

	for (size_t i = 0; i < ps->count; i++)
		n += ps->peer[i]->leased;
	return n;
}

/* --- leases --- */

/* It is gone, or another process has its name now. */
static void leave(struct peer *p)
{
	peer_stream_close(&p->out);
	p->out.used = true; /* or one of its own */
	owed_worker_lost(p->ps->w->owed, str_from(p->name));
	loop_defer(p->ps->w->loop, &p->lost);
}

static enum err connect_to(struct peers *ps, struct peer *p);

static void on_peer(void *user_data, enum err e, const struct redisReply *reply)
{
	struct peer *p = user_data;
	struct str text = rds_text(reply);
	uint64_t epoch;

	if (e != ERR_OK || text.p == NULL || str_to_u64(str_cut(&text, ' '), UINT64_MAX, &epoch) != ERR_OK || text.p == NULL)
		return;
	if (peer_address_parse(text, 0, &p->address) != ERR_OK)
		p->address.len = 0;
	if (epoch != p->epoch) {
		bool restarted = p->epoch != 0;

		p->epoch = epoch;
		p->retry_ms = p->backoff_ms = 0;
		log_event(LOG_INFO, restarted ? "peer-restarted" : "peer-found", "peer=%s", p->name);
		if (restarted && p->out_since_ms < epoch)
			leave(p);
		else if (restarted) /* the stream of the one before broke with it */
			proxy_worker_lost(p->ps->w->proxy, str_from(p->name), epoch);
		presence_refresh(p->ps->w);
	}
	if (p->out.state == PEER_UP)
		p->backoff_ms = 0;
	/* Other nodes are reached before anything is to be sent, so that it is known who can be. */
	if (foreign(p->ps, str_from(p->name)) && p->leased && !peer_stream_open(&p->out) && list_empty(&p->lost.node))
		(void)!connect_to(p->ps, p);
}

static void ask_about(struct peer *p)
{
	struct rkey key = rkey_peer(str_from(p->name));

	RDS_ASYNC(p->ps->w->rds, on_peer, p, STR("GET"), rkey_str(&key));
}

void peers_heard(struct peers *ps, struct str name)
{
	struct peer *p = learn(ps, name);

	if (p == NULL)
		return;
	p->leased = true;
	ask_about(p);
}

static void on_leases(void *user_data, enum err e, const struct redisReply *reply)
{
	struct peers *ps = user_data;
	bool changed = false;

	if (e != ERR_OK)
		return;
	/* The first look after a time without Redis says little: the others could not renew their leases either, and do so now. */
	bool settled = ps->late;
	ps->late = ps->seen_ms == 0 || worker_now(ps->w) - ps->seen_ms > 2 * RENEW_MS;
	settled = settled && !ps->late;
	ps->seen_ms = worker_now(ps->w);
	ps->seen_wall_ms = clock_wall_ms();
	for (size_t i = 0; i < ps->count; i++) {
		struct peer *p = ps->peer[i];
		bool leased = false;

		for (size_t k = 0; k < rds_len(reply) && !leased; k++)
			leased = str_eq(rds_text(rds_at(reply, k)), str_from(p->name));
		if (ps->late && p->leased)
			continue;
		if (p->leased && !leased) {
			log_event(LOG_WARN, "peer-lost", "peer=%s", p->name);
			leave(p);
			changed = true;
		}
		p->leased = leased;
	}
	for (size_t k = 0; k < rds_len(reply); k++) {
		struct str name = rds_text(rds_at(reply, k));

		if (str_eq(name, str_from(ps->w->name)))
			continue;
		struct peer *p = learn(ps, name);
		if (p == NULL)
			continue;
		p->leased = true;
		ask_about(p);
	}
	if (changed || settled)
		presence_refresh(ps->w);
}

static void renew(struct peers *ps)
{
	struct worker *w = ps->w;
	struct rkey key = rkey_peer(str_from(w->name));
	char numbers[96], text[PEER_ADDRESS_MAX + 32];
	struct buf now = buf_fixed(numbers, 24), end = buf_fixed(numbers + 24, 24), lease = buf_fixed(numbers + 48, 24),
		   old = buf_fixed(numbers + 72, 24), value = buf_fixed(text, sizeof(text));
	uint64_t wall = clock_wall_ms();

	buf_u64(&now, wall);
	buf_u64(&end, wall + WORKER_LEASE_MS);
	buf_u64(&lease, WORKER_LEASE_MS);
	buf_u64(&old, wall - 60 * MS_PER_S);
	buf_u64(&value, w->epoch);
	buf_char(&value, ' ');
	buf_z(&value, ps->address[0] != '\0' ? ps->address : "-");
	RDS_ASYNC(w->rds, NULL, NULL, STR("SET"), rkey_str(&key), buf_view(&value), STR("PX"), buf_view(&lease));
	RDS_ASYNC(w->rds, NULL, NULL, STR("ZADD"), STR(RKEY_WORKERS), buf_view(&end), str_from(w->name));
	RDS_ASYNC(w->rds, NULL, NULL, STR("ZREMRANGEBYSCORE"), STR(RKEY_WORKERS), STR("-inf"), buf_view(&old));
	node_announce(w, str_from(ps->address));
	RDS_ASYNC(w->rds, on_leases, ps, STR("ZRANGEBYSCORE"), STR(RKEY_WORKERS), buf_view(&now), STR("+inf"));
}

static void on_renew(struct timer *t, uint64_t now_ms)
{
	struct peers *ps = CONTAINER_OF(t, struct peers, renew);

	(void)now_ms;
	if (ps->tls != NULL)
		peer_tls_refresh(ps->tls);
	if (rds_async_up(ps->w->rds))
		renew(ps);
	timer_arm(loop_timers(ps->w->loop), t, RENEW_MS);
}

void peers_redis_up(struct peers *ps)
{
	ps->joined = true;
	renew(ps);
	timer_arm(loop_timers(ps->w->loop), &ps->renew, RENEW_MS);
}

void peers_leave(struct peers *ps)
{
	struct rkey key = rkey_peer(str_from(ps->w->name));

	timer_stop(loop_timers(ps->w->loop), &ps->renew);
	stop_hearing(ps);
	if (!ps->joined)
		return;
	RDS_ASYNC(ps->w->rds, NULL, NULL, STR("ZREM"), STR(RKEY_WORKERS), str_from(ps->w->name));
	RDS_ASYNC(ps->w->rds, NULL, NULL, STR("DEL"), rkey_str(&key));
	node_leave(ps->w);
}

bool peers_alive(const struct peers *ps, struct str name, uint64_t epoch)
{
	const struct peer *p = find(ps, name);

	if (str_eq(name, str_from(ps->w->name)))
		return epoch == 0 || epoch == ps->w->epoch;
	/* Without Redis leases say nothing. */
	bool blind = ps->seen_ms == 0 || ps->late || worker_now(ps->w) - ps->seen_ms > WORKER_LEASE_MS;
	/* One that has started since our last look is not known yet: it is asked, and answers 430 if need be. */
	bool young = epoch == 0 || epoch + SKEW_MS >= ps->seen_wall_ms;
	if (p == NULL || p->epoch == 0)
		return blind || young;
	if (epoch != 0 && epoch < p->epoch)
		return false;
	return p->leased || blind || (epoch > p->epoch && young);
}

bool peers_certain(const struct peers *ps, struct str name, uint64_t epoch)
{
	const struct peer *p = find(ps, name);

	return p == NULL || !peers_alive(ps, name, epoch) || p->out.state == PEER_UP || !foreign(ps, name);
}

/* --- sending --- */

/* Workers of our node have their sockets beside ours, so that they find each other without Redis. */
static enum err connect_near(struct peers *ps, struct peer *p)
{
	struct str node = str_from(ps->w->conf->node), name = str_from(p->name);
	uint64_t index;
	char path[108];

	if (name.len < node.len + 2 || str_to_u64(str_sub(name, node.len + 1, name.len), 9999, &index) != ERR_OK)
		return ERR_CLOSED;
	int n = snprintf(path, sizeof(path), "%s/peer.%llu.sock", ps->w->conf->run_dir, (unsigned long long)index);
	return n > 0 && (size_t)n < sizeof(path) ? peer_stream_connect(&p->out, name, path) : ERR_TOO_LARGE;
}

static enum err connect_to(struct peers *ps, struct peer *p)
{
	/* One that has failed while it is read is closed when that is over. */
	if (p->out.state != PEER_CLOSED)
		return ERR_CLOSED;
	p->out_since_ms = clock_wall_ms();
	if (!foreign(ps, str_from(p->name)))
		return connect_near(ps, p);
	if (ps->tls == NULL || p->address.len == 0 || worker_now(ps->w) < p->retry_ms)
		return ERR_CLOSED;
	enum err e = peer_stream_connect_tls(&p->out, str_from(p->name), &p->address, ps->tls);
	if (e != ERR_OK)
		loop_defer(ps->w->loop, &p->lost);
	return e;
}

/* A stream on which messages for `p` go: ours to it, or while that is not up the one that it has opened to us. */
static struct peer_stream *stream_to(struct peers *ps, struct peer *p)
{
	struct list *it, *tmp;

	if (!peer_stream_open(&p->out) && connect_to(ps, p) == ERR_OK && p->out.state == PEER_UP)
		return &p->out;
	if (p->out.state == PEER_UP && peer_stream_open(&p->out))
		return &p->out;
	LIST_FOR_EACH (it, tmp, &ps->in) {
		struct peer_stream *s = CONTAINER_OF(it, struct peer_stream, node);

		if (s->ssl != NULL && s->state == PEER_UP && peer_stream_open(s) && strcmp(s->sender, p->name) == 0)
			return s;
	}
	return peer_stream_open(&p->out) ? &p->out : NULL;
}

enum err peers_send(struct peers *ps, struct str name, uint64_t epoch, enum peer_kind kind, const struct flow *flow, struct str message)
{
	if (str_eq(name, str_from(ps->w->name)) || !peers_alive(ps, name, epoch))
		return ERR_CLOSED;
	struct peer *p = learn(ps, name);
	if (p == NULL)
		return ERR_CLOSED;
	struct peer_stream *s = stream_to(ps, p);
	if (s == NULL) {
		/* The name may be a client's invention (a Via): only those that Redis told of stay in the table. */
		if (!p->leased && p->epoch == 0 && list_empty(&p->lost.node))
			unlearn(ps, p);
		return ERR_CLOSED;
	}
	/* What is handed on has no transaction here, and nobody would notice its loss with an attempt that fails, as the last one has: its sender knows what
	 * to do without that worker. */
	if (s->state != PEER_UP && p->backoff_ms > 0 && kind == PEER_FROM_FLOW)
		return ERR_CLOSED;

	struct buf b = buf_growing(message.len + 512);
	enum err e = peer_wrap(&b, message, str_from(ps->w->name), kind, flow, ps->w->flow_key);
	if (e == ERR_OK && b.len > SIP_MSG_MAX)
		e = ERR_TOO_LARGE;
	if (e == ERR_OK)
		e = peer_stream_send(s, buf_view(&b));
	s->used = true;
	buf_fini(&b);
	if (e == ERR_OK)
		ps->w->count->stat[STAT_PEER_OUT]++;
	return e;
}

/* --- receiving --- */

static void on_accept(struct listener *l, int fd)
{
	struct peers *ps = CONTAINER_OF(l, struct peers, listener);
	struct peer_stream *s = peer_stream_accept(ps->w, fd);

	if (s != NULL)
		list_append(&ps->in, &s->node);
}

static void on_accept_tcp(struct loop_fd *lf, uint32_t events)
{
	struct peers *ps = CONTAINER_OF(lf, struct peers, tcp);
	int fd = accept4(lf->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	size_t count = 0, unproven = 0;
	struct list *it, *tmp;

	(void)events;
	if (fd < 0)
		return;
	LIST_FOR_EACH (it, tmp, &ps->in) {
		count++;
		unproven += CONTAINER_OF(it, struct peer_stream, node)->state != PEER_UP;
	}
	if (count >= IN_MAX || unproven >= UNPROVEN_MAX) {
		ps->w->count->reject[REJ_PEER_LIMIT]++;
		(void)close(fd);
		return;
	}
	struct peer_stream *s = peer_stream_accept_tls(ps->w, fd, ps->tls, PEER_OUT_MAX);

	if (s != NULL)
		list_append(&ps->in, &s->node);
}
