/* All connections of a worker go elsewhere: spread over time, so that their return is no storm, and none in the middle of something. */
#include "signalling/conn_int.h"
#include "signalling/peer_owed.h"
#include "signalling/proxy.h"
#include "signalling/txn.h"

#define TICK_MS 50u
#define SETTLE_MS 2000u /* from the answer of a call to its ACK, which a browser sends when it has understood the answer */

/* A request of the client or to it, from this worker or through it, waits for its answer. */
static bool busy(const struct conns *cs, const struct flow *flow)
{
	return txn_layer_flow_busy(proxy_txns(cs->w->proxy), flow) || owed_flow_busy(cs->w->owed, flow);
}

void conn_drain_on_tick(struct timer *t, uint64_t now_ms)
{
	struct conns *cs = CONTAINER_OF(t, struct conns, drain.timer);
	size_t done = 0;

	for (; cs->drain.next < cs->size && done < cs->drain.batch; cs->drain.next++) {
		struct conn *c = cs->slots[cs->drain.next].conn;

		if (c == NULL || c->phase == PHASE_CLOSING)
			continue;
		if (busy(cs, &c->flow))
			c->settles_ms = now_ms + SETTLE_MS;
		if (now_ms < cs->drain.patience_ms && now_ms < c->settles_ms) {
			cs->drain.passed_over = true;
			continue;
		}
		conn_close(c, WS_CODE_RESTART, "restart");
		done++;
	}
	if (cs->drain.next >= cs->size && cs->drain.passed_over) {
		cs->drain.next = 0;
		cs->drain.passed_over = false;
	}
	if (cs->drain.next < cs->size)
		timer_arm(loop_timers(cs->w->loop), t, TICK_MS);
}

void conns_drain(struct conns *cs, uint64_t spread_ms, uint64_t patience_ms)
{
	cs->drain.next = 0;
	cs->drain.passed_over = false;
	cs->drain.batch = cs->open / MAX(spread_ms / TICK_MS, (uint64_t)1) + 1;
	cs->drain.patience_ms = worker_now(cs->w) + patience_ms;
	timer_arm(loop_timers(cs->w->loop), &cs->drain.timer, 1);
}

void conns_drain_stop(struct conns *cs)
{
	timer_stop(loop_timers(cs->w->loop), &cs->drain.timer);
}
