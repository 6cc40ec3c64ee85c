/* The proxy's view of its worker: one line a function. See struct proxy_host. */
#include "common/clock.h"
#include "signalling/outbox.h"
#include "signalling/peer.h"
#include "signalling/peer_owed.h"
#include "signalling/presence.h"
#include "signalling/overload.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/tap.h"
#include "signalling/worker.h"

static enum err host_send(void *host, const struct flow *flow, struct str message)
{
	return flow_send(host, flow, message);
}

/* All are but a phone's on UDP, wherever it is: WebSockets (RFC 7118 §4), TCP, and the streams between workers. */
static bool host_reliable(UNUSED void *host, const struct flow *flow)
{
	return (flow->generation & FLOW_UNRELIABLE) == 0;
}

static enum err host_send_worker(void *host, struct str worker, const struct flow *from, struct str message)
{
	struct worker *w = host;

	return flow_send_worker(w, worker, flow_none(from) ? NULL : from, message);
}

static void host_answered(void *host, const struct flow *from, const struct sip_msg *response)
{
	struct worker *w = host;

	owed_paid(w->owed, from, response);
}

static bool host_alive(void *host, const struct flow *flow)
{
	return flow_alive(host, flow);
}

static bool host_local(void *host, const struct flow *flow)
{
	return flow_local(host, flow);
}

static void host_lookup(void *host, struct str user, struct str instance, location_fn done, void *arg)
{
	location_lookup(host, user, instance, done, arg);
}

static void host_lookup_soon(void *host, struct str user, struct str instance, location_fn done, void *arg)
{
	location_lookup_soon(host, user, instance, done, arg);
}

static size_t host_near(void *host, struct str user, struct str instance, struct binding *out, size_t max)
{
	return registrar_near(host, user, instance, out, max);
}

static void host_forget(void *host, const void *arg)
{
	location_forget(host, arg);
}

static void host_remove(void *host, struct str user, struct str instance, const struct flow *flow)
{
	location_remove(host, user, instance, flow);
}

static void host_busy(void *host, struct str user, bool busy)
{
	presence_set_busy(host, user, busy);
}

static void host_store(void *host, size_t argc, const struct str *argv)
{
	struct worker *w = host;

	/* Gone when the worker ends: what a call leaves behind then has a lease of its own. */
	if (w->rds != NULL)
		rds_async_soon(w->rds, NULL, NULL, argc, argv);
}

static void host_append(void *host, struct str key, struct str max, size_t count, const struct str *fields)
{
	outbox_put(((struct worker *)host)->outbox, key, max, count, fields);
}

static void host_seen(void *host, const struct origin *from, struct str message)
{
	struct worker *w = host;

	if (w->tap->on)
		tap_message(w->tap, &(struct tap_message){ .user = from->user, .address = from->address, .slot = from->flow.slot, .text = message });
}

static unsigned host_pressure(void *host)
{
	return overload_pressure(((struct worker *)host)->overload);
}

static bool host_registered(void *host, const struct origin *from)
{
	return registrar_knows(host, &from->flow, from->user);
}

static uint64_t host_wall_ms(UNUSED void *host)
{
	return clock_wall_ms();
}

const struct proxy_host proxy_worker_host = {
	.txn = { .send = host_send, .reliable = host_reliable },
	.send_worker = host_send_worker,
	.answered = host_answered,
	.alive = host_alive,
	.local = host_local,
	.lookup = host_lookup,
	.lookup_soon = host_lookup_soon,
	.near = host_near,
	.forget = host_forget,
	.remove = host_remove,
	.busy = host_busy,
	.store = host_store,
	.append = host_append,
	.seen = host_seen,
	.pressure = host_pressure,
	.registered = host_registered,
	.wall_ms = host_wall_ms,
};
