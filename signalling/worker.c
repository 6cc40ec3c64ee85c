#include "signalling/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/metrics.h"
#include "signalling/call.h"
#include "signalling/conn.h"
#include "signalling/control.h"
#include "signalling/edge.h"
#include "signalling/event.h"
#include "signalling/listener.h"
#include "signalling/message.h"
#include "signalling/node.h"
#include "signalling/outbox.h"
#include "signalling/overload.h"
#include "signalling/peer.h"
#include "signalling/peer_owed.h"
#include "signalling/presence.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/sip_uri.h"
#include "signalling/tap.h"
#include "signalling/watchdog.h"

#define CLOSE_MS 2500u    /* clients may take this long to answer a close */
#define EMPTY_MARGIN_MS 10000u
#define FAREWELL_MS 100u  /* for the last words to Redis */
#define DRAIN_CHECK_MS 50u

struct run {
	struct worker w;
	struct metrics_counters count;
	struct listener listener;
	struct events *events;
	struct metrics *metrics;
	struct watchdog *watchdog;
	struct control *control;
	struct overload overload;
	unsigned index;
	struct timer drain;
	uint64_t drain_end_ms;
	bool left;
};

static struct run *run_of(struct worker *w)
{
	return CONTAINER_OF(w, struct run, w);
}

static void on_redis(void *user, bool up)
{
	struct worker *w = user;

	if (!up)
		return;
	outbox_redis_up(w->outbox);
	calls_redis_up(proxy_calls(w->proxy));
	peers_redis_up(w->peers);
	node_ask(w);
	registrar_redis_up(w);
	presence_redis_up(w);
}

static void on_client(struct listener *l, int fd)
{
	overload_accepted(&CONTAINER_OF(l, struct run, listener)->overload);
	/* Refusals are counted there. */
	(void)!conns_accept(CONTAINER_OF(l, struct run, listener)->w.conns, fd);
}

/* One key a purpose, from the one secret that all nodes share (RFC 5869 in spirit: HMAC of a label). */
static void derive(const char *secret, const char *label, uint8_t key[SHA256_LEN])
{
	crypto_hmac_sha256(str_from(secret), str_from(label), key);
}

static void on_options(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from)
{
	struct worker *w = arg;
	struct sip_uri uri;

	(void)from;
	bool ours = sip_uri_parse(m->uri, &uri) == ERR_OK && str_ieq(uri.host, w->domain);
	proxy_reply(w->proxy, server, ours ? 200 : 404, NULL,
		    ours ? STR("Allow: INVITE, ACK, BYE, CANCEL, REGISTER, OPTIONS, SUBSCRIBE, NOTIFY, MESSAGE, INFO, UPDATE, REFER\r\n"
			       "Accept: application/sdp, text/plain, message/cpim\r\nSupported: path, outbound, gruu, eventlist\r\nAllow-Events: presence\r\n")
			 : STR_NONE);
}

static enum err start_proxy(struct run *r)
{
	struct worker *w = &r->w;
	const struct signalling_conf *conf = w->conf;
	struct proxy_config pc = {
		.domain = w->domain,
		.worker = str_from(w->name),
		.epoch = w->epoch,
		.sent_by = str_from(w->sent_by),
		.secret = str_of(w->route_key, sizeof(w->route_key)),
		.ring_timeout_ms = (uint32_t)(conf->ring_timeout_s * MS_PER_S),
		.late_ms = (uint32_t)conf->flow_grace_ms,
		.session_min_s = (uint32_t)conf->session_min_s,
		.lost_grace_ms = (uint32_t)conf->call_grace_ms,
		.calls_per_user = (uint32_t)conf->calls_max,
		.calls_max = conf->connections_max,
		.txn_max = conf->transactions_max,
		.txn_per_flow = conf->transactions_per_connection,
		.times = TXN_TIMES_DEFAULT,
	};
	enum err e = proxy_new(&pc, loop_timers(w->loop), &proxy_worker_host, w, &w->proxy);

	if (e != ERR_OK)
		return e;
	proxy_set_handler(w->proxy, SIP_REGISTER, registrar_on_register, w);
	proxy_set_handler(w->proxy, SIP_SUBSCRIBE, presence_on_subscribe, w);
	proxy_set_handler(w->proxy, SIP_MESSAGE, message_on_message, w);
	proxy_set_handler(w->proxy, SIP_OPTIONS, on_options, w);
	return ERR_OK;
}

static enum err start_loop(struct run *r)
{
	return loop_new(&r->w.loop);
}

static enum err start_redis(struct run *r)
{
	struct worker *w = &r->w;
	struct rds_async_conf conf = { .address = w->conf->redis, .deadline_ms = w->conf->redis_deadline_ms, .retry_min_ms = 50,
				       .retry_max_ms = 1000, .state = on_redis, .user = w };

	return rds_async_new(w->loop, &conf, &w->rds);
}

static enum err start_outbox(struct run *r)
{
	char path[256];
	int n = snprintf(path, sizeof(path), "%s/outbox.signal.%u", r->w.conf->run_dir, r->index);

	return n > 0 && (size_t)n < sizeof(path) ? outbox_new(&r->w, path, r->w.conf->outbox_max, &r->w.outbox) : ERR_TOO_LARGE;
}

static enum err start_connections(struct run *r)
{
	return conns_new(&r->w, r->w.conf->connections_max, &r->w.conns);
}

static enum err start_peers(struct run *r)
{
	enum err e = owed_new(&r->w, &r->w.owed);

	return e == ERR_OK ? peers_new(&r->w, r->index, &r->w.peers) : e;
}

static enum err start_registrar(struct run *r)
{
	return registrar_new(&r->w, &r->w.registrar);
}

static enum err start_presence(struct run *r)
{
	return presence_new(&r->w, &r->w.presence);
}

static enum err start_chat(struct run *r)
{
	return message_new(&r->w, &r->w.chat);
}

static enum err start_events(struct run *r)
{
	return events_new(&r->w, &r->events);
}

static enum err path_put(const struct run *r, char path[108], const char *name)
{
	int n = snprintf(path, 108, "%s/%s.%u.sock", r->w.conf->run_dir, name, r->index);

	return n > 0 && n < 108 ? ERR_OK : ERR_TOO_LARGE;
}

static enum err start_metrics(struct run *r)
{
	char path[108];
	enum err e = path_put(r, path, "metrics.signal");

	return e == ERR_OK ? metrics_start(path, worker_metrics_put, &r->w, &r->metrics) : e;
}

static enum err start_edge(struct run *r)
{
	return edge_new(&r->w, &r->w.edge);
}

static enum err start_overload(struct run *r)
{
	r->w.overload = &r->overload;
	return overload_init(&r->overload, &r->w);
}

static enum err start_tap(struct run *r)
{
	return tap_new(&r->w, &r->w.tap);
}

static enum err start_control(struct run *r)
{
	char path[108];
	enum err e = path_put(r, path, "control.signal");

	return e == ERR_OK ? control_start(&r->w, path, &r->control) : e;
}

static enum err start_watchdog(struct run *r)
{
	return watchdog_start(r->w.loop, r->w.name, &r->watchdog);
}

static unsigned room(struct listener *l, uint64_t *wait_ms)
{
	struct run *r = CONTAINER_OF(l, struct run, listener);

	return overload_accepts(&r->overload, conns_arriving(r->w.conns), wait_ms);
}

static enum err start_listening(struct run *r)
{
	char path[108];
	enum err e = path_put(r, path, "signal");

	if (e == ERR_OK)
		e = listener_open(&r->listener, r->w.loop, path, r->w.conf->socket_group, on_client);
	r->listener.room = room;
	return e;
}

/* In the order in which they lean on each other. worker_free goes the other way. */
static const struct step {
	const char *name;
	enum err (*start)(struct run *r);
} steps[] = {
	{ "loop", start_loop },
	{ "redis", start_redis },
	{ "outbox", start_outbox },
	{ "overload", start_overload },
	{ "tap", start_tap },
	{ "connections", start_connections },
	{ "peers", start_peers },
	{ "proxy", start_proxy },
	{ "registrar", start_registrar },
	{ "presence", start_presence },
	{ "chat", start_chat },
	{ "events", start_events },
	{ "phones", start_edge },
	{ "watchdog", start_watchdog },
	{ "control", start_control },
	{ "listener", start_listening },
	{ "metrics", start_metrics }, /* who looks after us takes this for the end of the start */
};

static void on_drain(struct timer *t, uint64_t now_ms)
{
	struct run *r = CONTAINER_OF(t, struct run, drain);

	if (r->left) {
		loop_stop(r->w.loop);
		return;
	}
	if (conns_count(r->w.conns) > 0 && now_ms < r->drain_end_ms) {
		timer_arm(loop_timers(r->w.loop), t, DRAIN_CHECK_MS);
		return;
	}
	peers_leave(r->w.peers);
	r->left = true;
	timer_arm(loop_timers(r->w.loop), t, FAREWELL_MS);
}

enum err worker_new(const struct signalling_conf *conf, unsigned index, struct worker **out)
{
	struct run *r = calloc(1, sizeof(*r));
	const char *what = "name";

	if (r == NULL)
		return ERR_NO_MEMORY;
	struct worker *w = &r->w;
	w->conf = conf;
	w->count = &r->count;
	w->domain = str_from(conf->domain);
	w->epoch = clock_wall_ms();
	timer_init(&r->drain, on_drain);
	derive(conf->turn_secret, "duplex flow token 1", w->flow_key);
	derive(conf->turn_secret, "duplex record-route 1", w->route_key);
	derive(conf->turn_secret, "duplex sip nonce 1", w->nonce_key);
	int n = snprintf(w->name, sizeof(w->name), "%s.%u", conf->node, index);
	(void)snprintf(w->sent_by, sizeof(w->sent_by), "%s.invalid", w->name);
	r->index = index;
	enum err e = n > 0 && (size_t)n < sizeof(w->name) ? ERR_OK : ERR_INVALID;
	for (size_t i = 0; i < ARRAY_LEN(steps) && e == ERR_OK; i++) {
		what = steps[i].name;
		e = steps[i].start(r);
	}
	if (e != ERR_OK) {
		log_event(LOG_ERROR, "start-failed", "worker=%s step=%s error=%s", w->name, what, log_value(str_from(err_text(e))));
		worker_free(w);
		return e;
	}
	log_event(LOG_INFO, "worker-started", "worker=%s domain=%s epoch=%llu", w->name, log_value(w->domain),
		  (unsigned long long)w->epoch);
	*out = w;
	return ERR_OK;
}

void worker_free(struct worker *w)
{
	struct run *r = run_of(w);

	/* Whoever waits for Redis is told before the proxy goes, through which they answer. */
	control_stop(r->control);
	watchdog_stop(r->watchdog);
	metrics_stop(r->metrics);
	listener_close(&r->listener);
	edge_stop(w->edge);
	events_free(r->events);
	if (w->loop != NULL)
		timer_stop(loop_timers(w->loop), &r->drain);
	message_free(w->chat);
	presence_free(w->presence);
	w->presence = NULL;
	rds_async_free(w->rds);
	w->rds = NULL;
	proxy_free(w->proxy);
	outbox_free(w->outbox);
	tap_free(w->tap);
	overload_fini(&r->overload);
	registrar_free(w->registrar);
	peers_free(w->peers);
	owed_free(w->owed);
	conns_free(w->conns);
	edge_free(w->edge);
	loop_free(w->loop);
	free(r);
}

enum err worker_run(struct worker *w)
{
	return loop_run(w->loop);
}

void worker_drain(struct worker *w)
{
	struct run *r = run_of(w);

	if (w->draining) {
		loop_stop(w->loop);
		return;
	}
	log_event(LOG_INFO, "draining", "worker=%s connections=%zu", w->name, conns_count(w->conns));
	w->draining = true;
	listener_close(&r->listener);
	edge_stop(w->edge);
	conns_drain(w->conns, w->conf->drain_ms, w->conf->drain_ms + w->conf->drain_wait_ms);
	r->drain_end_ms = clock_mono_ms() + w->conf->drain_ms + w->conf->drain_wait_ms + CLOSE_MS;
	timer_arm(loop_timers(w->loop), &r->drain, DRAIN_CHECK_MS);
}

void worker_set_serving(struct worker *w, bool serving)
{
	struct run *r = run_of(w);

	if (w->draining || w->emptied == !serving)
		return;
	log_event(LOG_INFO, serving ? "node-serving" : "node-draining", "worker=%s connections=%zu", w->name, conns_count(w->conns));
	w->emptied = !serving;
	if (!serving) {
		listener_close(&r->listener);
		edge_stop(w->edge);
		conns_drain(w->conns, w->conf->drain_ms, w->conf->ring_timeout_s * MS_PER_S + EMPTY_MARGIN_MS);
		return;
	}
	conns_drain_stop(w->conns);
	/* A worker that cannot listen is of no use: its supervisor starts it again. */
	if (start_listening(r) != ERR_OK || edge_serve(w->edge) != ERR_OK)
		loop_stop(w->loop);
}

void worker_reload(struct worker *w)
{
	edge_reload(w->edge);
}
