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
#include "signalling/peer_stream.h"
#include "signalling/presence.h"
#include "signalling/proxy.h"
#include "signalling/worker.h"

#define RENEW_MS 2000u
#define SKEW_MS 3000u /* clocks of nodes may differ by this */
#define PEERS_MAX 256u
#define ADDRESS_MAX 128u
#define PEER_OUT_MAX (8u << 20)

/* Another worker, as far as we have heard. */
struct peer {
	struct peers *ps;
	char name[WORKER_NAME_MAX + 1];
	char address[ADDRESS_MAX + 1];  /* "unix:PATH", "" = not known */
	uint64_t epoch;                 /* 0 = not known */
	bool leased;                    /* its lease was in force at the last look */
	struct peer_stream out;         /* ours to it; made when something is sent */
	struct loop_job lost;           /* tells the proxy, at the end of the turn, that it does not answer any more */
};

struct peers {
	struct worker *w;
	struct listener listener;
	char address[ADDRESS_MAX + 1];  /* our own */
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

static struct peer *find(const struct peers *ps, struct str name)
{
	for (size_t i = 0; i < ps->count; i++) {
		if (str_eq(str_from(ps->peer[i]->name), name))
			return ps->peer[i];
	}
	return NULL;
}

static void on_lost(struct loop_job *job)
{
	struct peer *p = CONTAINER_OF(job, struct peer, lost);
	char name[WORKER_NAME_MAX + 1];

	/* What fails may send again, which may forget a peer that is nobody's. */
	memcpy(name, p->name, sizeof(name));
	proxy_worker_lost(p->ps->w->proxy, str_from(name));
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

enum err peers_new(struct worker *w, unsigned index, struct peers **out)
{
	struct peers *ps = calloc(1, sizeof(*ps));
	char path[108];

	if (ps == NULL)
		return ERR_NO_MEMORY;
	ps->w = w;
	timer_init(&ps->renew, on_renew);
	list_init(&ps->in);
	int n = snprintf(path, sizeof(path), "%s/peer.%u.sock", w->conf->run_dir, index);
	enum err e = n > 0 && (size_t)n < sizeof(path) ? listener_open(&ps->listener, w->loop, path, "", on_accept) : ERR_TOO_LARGE;
	if (e != ERR_OK) {
		free(ps);
		return e;
	}
	(void)snprintf(ps->address, sizeof(ps->address), "unix:%s", path);
	*out = ps;
	return ERR_OK;
}

void peers_free(struct peers *ps)
{
	if (ps == NULL)
		return;
	timer_stop(loop_timers(ps->w->loop), &ps->renew);
	listener_close(&ps->listener);
	while (!list_empty(&ps->in))
		peer_stream_free(CONTAINER_OF(ps->in.next, struct peer_stream, node));
	for (size_t i = 0; i < ps->count; i++) {
		loop_undefer(&ps->peer[i]->lost);
		peer_stream_close(&ps->peer[i]->out);
		free(ps->peer[i]);
	}
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
	loop_defer(p->ps->w->loop, &p->lost);
}

static void on_peer(void *user_data, enum err e, const struct redisReply *reply)
{
	struct peer *p = user_data;
	struct str text = rds_text(reply);
	uint64_t epoch;

	if (e != ERR_OK || text.p == NULL || str_to_u64(str_cut(&text, ' '), UINT64_MAX, &epoch) != ERR_OK || text.p == NULL ||
	    str_copy(text, p->address, sizeof(p->address)) != ERR_OK)
		return;
	if (epoch == p->epoch)
		return;
	bool restarted = p->epoch != 0;
	p->epoch = epoch;
	log_event(LOG_INFO, restarted ? "peer-restarted" : "peer-found", "peer=%s", p->name);
	if (restarted)
		leave(p);
	presence_refresh(p->ps->w);
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
		struct rkey key = rkey_peer(name);
		RDS_ASYNC(ps->w->rds, on_peer, p, STR("GET"), rkey_str(&key));
	}
	if (changed || settled)
		presence_refresh(ps->w);
}

static void renew(struct peers *ps)
{
	struct worker *w = ps->w;
	struct rkey key = rkey_peer(str_from(w->name));
	char numbers[96], text[ADDRESS_MAX + 32];
	struct buf now = buf_fixed(numbers, 24), end = buf_fixed(numbers + 24, 24), lease = buf_fixed(numbers + 48, 24),
		   old = buf_fixed(numbers + 72, 24), value = buf_fixed(text, sizeof(text));
	uint64_t wall = clock_wall_ms();

	buf_u64(&now, wall);
	buf_u64(&end, wall + WORKER_LEASE_MS);
	buf_u64(&lease, WORKER_LEASE_MS);
	buf_u64(&old, wall - 60 * MS_PER_S);
	buf_u64(&value, w->epoch);
	buf_char(&value, ' ');
	buf_z(&value, ps->address);
	RDS_ASYNC(w->rds, NULL, NULL, STR("SET"), rkey_str(&key), buf_view(&value), STR("PX"), buf_view(&lease));
	RDS_ASYNC(w->rds, NULL, NULL, STR("ZADD"), STR(RKEY_WORKERS), buf_view(&end), str_from(w->name));
	RDS_ASYNC(w->rds, NULL, NULL, STR("ZREMRANGEBYSCORE"), STR(RKEY_WORKERS), STR("-inf"), buf_view(&old));
	RDS_ASYNC(w->rds, on_leases, ps, STR("ZRANGEBYSCORE"), STR(RKEY_WORKERS), buf_view(&now), STR("+inf"));
}

static void on_renew(struct timer *t, uint64_t now_ms)
{
	struct peers *ps = CONTAINER_OF(t, struct peers, renew);

	(void)now_ms;
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
	if (!ps->joined)
		return;
	RDS_ASYNC(ps->w->rds, NULL, NULL, STR("ZREM"), STR(RKEY_WORKERS), str_from(ps->w->name));
	RDS_ASYNC(ps->w->rds, NULL, NULL, STR("DEL"), rkey_str(&key));
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

/* --- sending --- */

/* Workers of our node have their sockets beside ours, so that they find each other without Redis. */
static enum err path_of(const struct peers *ps, const struct peer *p, char *path, size_t size)
{
	if (str_starts(str_from(p->address), STR("unix:")))
		return str_copy(str_from(p->address + 5), path, size);
	struct str node = str_from(ps->w->conf->node), name = str_from(p->name);
	uint64_t index;

	if (!str_starts(name, node) || name.len < node.len + 2 || name.p[node.len] != '.' ||
	    str_to_u64(str_sub(name, node.len + 1, name.len), 9999, &index) != ERR_OK)
		return ERR_CLOSED;
	int n = snprintf(path, size, "%s/peer.%llu.sock", ps->w->conf->run_dir, (unsigned long long)index);
	return n > 0 && (size_t)n < size ? ERR_OK : ERR_TOO_LARGE;
}

enum err peers_send(struct peers *ps, struct str name, uint64_t epoch, enum peer_kind kind, const struct flow *flow, struct str message)
{
	char path[108];

	if (str_eq(name, str_from(ps->w->name)) || !peers_alive(ps, name, epoch))
		return ERR_CLOSED;
	struct peer *p = learn(ps, name);
	if (p == NULL)
		return ERR_CLOSED;
	enum err e = path_of(ps, p, path, sizeof(path));
	if (e == ERR_OK && !peer_stream_open(&p->out))
		e = peer_stream_connect(&p->out, path);
	if (e != ERR_OK) {
		/* The name may be a client's invention (a Via): only those that Redis told of stay in the table. */
		if (!p->leased && p->epoch == 0 && list_empty(&p->lost.node))
			unlearn(ps, p);
		return ERR_CLOSED;
	}

	struct buf b = buf_growing(message.len + 512);
	e = peer_wrap(&b, message, str_from(ps->w->name), kind, flow, ps->w->flow_key);
	if (e == ERR_OK && b.len > SIP_MSG_MAX)
		e = ERR_TOO_LARGE;
	if (e == ERR_OK)
		e = peer_stream_send(&p->out, buf_view(&b));
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
