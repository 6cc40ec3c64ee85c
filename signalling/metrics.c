#include "signalling/metrics.h"

#include "common/clock.h"
#include "common/metrics.h"
#include "signalling/account.h"
#include "signalling/hep.h"
#include "signalling/call.h"
#include "signalling/outbox.h"
#include "signalling/overload.h"
#include "signalling/peer.h"
#include "signalling/proxy.h"
#include "signalling/worker.h"

COUNTER_NAMES(reject_names, REJECT_LIST);
COUNTER_NAMES(stat_names, STAT_LIST);

static void family(struct buf *out, const char *name, const char *help, const char *label, const struct counter_name *names,
		   const uint64_t *value, size_t count)
{
	metrics_head(out, name, "counter", help);
	for (size_t i = 0; i < count; i++)
		metrics_line(out, name, label, names[i].name, value[i]);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	metrics_head(out, name, type, help);
	metrics_line(out, name, NULL, NULL, value);
}

static void redis(struct buf *out, const struct worker *w)
{
	struct rds_async_stats s = rds_async_stats(w->rds);

	one(out, "duplex_signal_redis_up", "gauge", "1 while Redis is connected", rds_async_up(w->rds));
	one(out, "duplex_signal_redis_commands_total", "counter", "commands sent", s.commands);
	one(out, "duplex_signal_redis_answers_total", "counter", "commands answered", s.answered);
	one(out, "duplex_signal_redis_errors_total", "counter", "commands refused or not sent", s.errors);
	one(out, "duplex_signal_redis_timeouts_total", "counter", "commands without an answer in time", s.timeouts);
	one(out, "duplex_signal_redis_losses_total", "counter", "connections lost", s.losses);
	one(out, "duplex_signal_redis_latency_microseconds_total", "counter", "sum over the commands answered", s.latency_us_sum);
	one(out, "duplex_signal_redis_latency_microseconds_max", "gauge", "slowest command since start", s.latency_us_max);
}

static void loop(struct buf *out, const struct loop_stats *s)
{
	uint64_t began = s->turn_started_us, now = clock_mono_us();

	one(out, "duplex_signal_busy_microseconds_total", "counter", "time that the worker spent working", s->busy_us);
	one(out, "duplex_signal_idle_microseconds_total", "counter", "time that it waited for something to do", s->idle_us);
	one(out, "duplex_signal_turns_total", "counter", "turns of its loop", s->turns);
	one(out, "duplex_signal_turn_microseconds_max", "gauge", "longest turn since the start", s->turn_us_max);
	one(out, "duplex_signal_turn_microseconds_now", "gauge", "how long the turn under way has taken so far",
	    began != 0 && now > began ? now - began : 0);
}

static void calls(struct buf *out, const struct calls_stats *s)
{
	static const char *const states[] = { [CALL_TRYING] = "trying", [CALL_RINGING] = "ringing", [CALL_ANSWERED] = "answered",
					      [CALL_ENDED] = "ending" };

	static_assert(ARRAY_LEN(states) == CALL_STATE_COUNT, "a name for each state");
	metrics_head(out, "duplex_signal_calls", "gauge", "calls by state");
	for (size_t i = 0; i < CALL_STATE_COUNT; i++)
		metrics_line(out, "duplex_signal_calls", "state", states[i], s->now[i]);
	metrics_head(out, "duplex_signal_calls_ended_total", "counter", "calls ended, by reason");
	for (size_t i = 0; i < CDR_REASON_COUNT; i++)
		metrics_line(out, "duplex_signal_calls_ended_total", "reason", cdr_reason_name((enum cdr_reason)i), s->ended[i]);
	one(out, "duplex_signal_calls_started_total", "counter", "calls begun", s->started);
	one(out, "duplex_signal_calls_answered_total", "counter", "calls answered", s->answered);
}

void worker_metrics_put(struct buf *out, void *user)
{
	const struct worker *w = user;
	const struct metrics_counters *c = w->count;
	char name[64];

	one(out, "duplex_signal_connections", "gauge", "WebSocket connections", c->connections);
	one(out, "duplex_signal_registrations", "gauge", "bindings of our own connections", c->registrations);
	one(out, "duplex_signal_links", "gauge", "links of phones: TCP and TLS connections, and UDP addresses with a login", c->links);
	one(out, "duplex_signal_watchers", "gauge", "presence subscriptions", c->watchers);
	for (size_t i = 0; i < STAT_COUNT; i++) {
		struct buf b = buf_fixed(name, sizeof(name) - 1);

		buf_printf(&b, "duplex_signal_%s", stat_names[i].name);
		name[b.len] = '\0';
		one(out, name, "counter", stat_names[i].help, c->stat[i]);
	}
	family(out, "duplex_signal_rejects_total", "connections, frames and requests refused", "reason", reject_names, c->reject,
	       REJ_COUNT);
	family(out, "duplex_signal_proxy_total", "what the SIP core did", "what", proxy_counter_names, proxy_counters(w->proxy),
	       PROXY_C_COUNT);
	family(out, "duplex_signal_transactions_total", "transactions", "what", txn_counter_names,
	       txn_layer_counters(proxy_txns(w->proxy)), TXN_C_COUNT);
	family(out, "duplex_signal_outbox_total", "call records and relay events on their way to Redis", "what", outbox_counter_names,
	       outbox_counters(w->outbox), OUTBOX_C_COUNT);
	one(out, "duplex_signal_outbox_waiting", "gauge", "of these in memory, not taken by Redis yet", outbox_waiting(w->outbox));
	one(out, "duplex_signal_outbox_file_bytes", "gauge", "of these in the file", outbox_file_bytes(w->outbox));
	account_metrics_put(out, txn_layer_account(proxy_txns(w->proxy)));
	loop(out, loop_stats(w->loop));
	one(out, "duplex_signal_pressure_percent", "gauge", "overload, as of the last request: 100 refuses new registrations, 80 new calls",
	    w->overload->pressure);
	one(out, "duplex_signal_wait_microseconds", "gauge", "how long what is ready to be read waits for its turn, as measured last", w->overload->wait_us);
	if (w->tap->hep != NULL)
		family(out, "duplex_signal_capture_total", "messages for the capture server", "what", hep_counter_names, hep_counters(w->tap->hep),
		       HEP_C_COUNT);
	calls(out, calls_stats(proxy_calls(w->proxy)));
	redis(out, w);
}
