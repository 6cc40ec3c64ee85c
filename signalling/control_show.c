#include "signalling/control_show.h"

#include <inttypes.h>

#include "common/clock.h"
#include "signalling/account.h"
#include "signalling/call.h"
#include "signalling/conn.h"
#include "signalling/conn_show.h"
#include "signalling/hep.h"
#include "signalling/outbox.h"
#include "signalling/overload.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/trace.h"
#include "signalling/worker.h"

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX 1000000u
#define TRACE_SECONDS 60u

static const char *const state_names[CALL_STATE_COUNT] = { [CALL_TRYING] = "trying", [CALL_RINGING] = "ringing", [CALL_ANSWERED] = "answered",
							   [CALL_ENDED] = "ending" };

void control_error(struct httpd_call *c, unsigned status, const char *text)
{
	c->status = status;
	buf_reset(&c->body);
	buf_printf(&c->body, "{\"error\":\"%s\"}\n", text);
}

void control_status(struct worker *w, struct httpd_call *c)
{
	const struct calls_stats *calls = calls_stats(proxy_calls(w->proxy));
	const struct loop_stats *loop = loop_stats(w->loop);
	const struct account *a = txn_layer_account(proxy_txns(w->proxy));
	struct buf *b = &c->body;

	buf_printf(b, "{\"worker\":\"%s\",\"version\":\"%s\",\"started_at\":%" PRIu64 ",\"draining\":%s,\"connections\":%zu,\"registrations\":%" PRIu64,
		   w->name, DUPLEX_VERSION, w->epoch, w->draining ? "true" : "false", conns_count(w->conns), w->count->registrations);
	buf_z(b, ",\"calls\":{");
	for (size_t i = 0; i < CALL_STATE_COUNT; i++)
		buf_printf(b, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", state_names[i], calls->now[i]);
	buf_printf(b, "},\"received\":%" PRIu64 ",\"open\":%" PRIu64 ",\"busy_us\":%" PRIu64 ",\"idle_us\":%" PRIu64 ",\"pressure\":%u,\"wait_us\":%" PRIu64,
		   a->received, a->open, loop->busy_us, loop->idle_us, overload_pressure(w->overload), overload_wait_us(w->overload));
	buf_printf(b, ",\"redis\":%s,\"outbox\":%zu,\"tracing\":%s}\n", rds_async_up(w->rds) ? "true" : "false", outbox_waiting(w->outbox),
		   w->tap->trace != NULL ? "true" : "false");
}

/* --- statistics --- */

static void group(struct buf *b, const char *name, const struct counter_name *names, const uint64_t *value, size_t count)
{
	const char *comma = "";

	buf_printf(b, "%s\"%s\":{", b->len > 1 ? "," : "", name);
	for (size_t i = 0; i < count; i++) {
		if (value[i] == 0)
			continue;
		buf_printf(b, "%s\"%s\":%" PRIu64, comma, names[i].name, value[i]);
		comma = ",";
	}
	buf_char(b, '}');
}

void control_stats(struct worker *w, struct httpd_call *c)
{
	const struct account *a = txn_layer_account(proxy_txns(w->proxy));
	struct buf *b = &c->body;

	buf_char(b, '{');
	group(b, "traffic", stat_names, w->count->stat, STAT_COUNT);
	group(b, "sip", fate_names, a->fate, FATE_COUNT);
	group(b, "refused", reject_names, w->count->reject, REJ_COUNT);
	group(b, "proxy", proxy_counter_names, proxy_counters(w->proxy), PROXY_C_COUNT);
	group(b, "transactions", txn_counter_names, txn_layer_counters(proxy_txns(w->proxy)), TXN_C_COUNT);
	group(b, "outbox", outbox_counter_names, outbox_counters(w->outbox), OUTBOX_C_COUNT);
	if (w->tap->hep != NULL)
		group(b, "capture", hep_counter_names, hep_counters(w->tap->hep), HEP_C_COUNT);
	buf_z(b, "}\n");
}

/* --- who is here --- */

struct listing {
	struct worker *w;
	struct buf *out;
	struct str user, id;
	const char *comma;
};

static void one_registration(struct str user, const struct stored *s, const struct flow *flow, bool lost, bool confirmed, void *arg)
{
	struct listing *l = arg;
	uint64_t now = clock_wall_ms();

	if (l->user.len > 0 && !str_eq(user, l->user))
		return;
	buf_printf(l->out, "%s{\"user\":", l->comma);
	buf_json(l->out, user);
	buf_z(l->out, ",\"device\":");
	buf_json(l->out, s->instance);
	buf_printf(l->out, ",\"slot\":%" PRIu32 ",\"generation\":%" PRIu32 ",", flow->slot, flow->generation);
	conn_show_where(conn_of(l->w->conns, flow), l->out);
	buf_printf(l->out, ",\"age_ms\":%" PRIu64 ",\"expires_ms\":%" PRIu64 ",\"lost\":%s,\"stored\":%s,\"contact\":",
		   now > s->updated_ms ? now - s->updated_ms : 0, s->expires_ms > now ? s->expires_ms - now : 0, lost ? "true" : "false",
		   confirmed ? "true" : "false");
	buf_json(l->out, s->contact);
	buf_char(l->out, '}');
	l->comma = ",";
}

void control_registrations(struct worker *w, struct httpd_call *c)
{
	struct listing l = { w, &c->body, httpd_query(c, "user"), STR_NONE, "" };

	buf_z(&c->body, "{\"items\":[");
	registrar_each(w, one_registration, &l);
	buf_z(&c->body, "]}\n");
}

static void one_call(struct call *call, void *arg)
{
	struct listing *l = arg;
	const struct call_party *p = call->party;

	if (l->user.len > 0 && !str_eq(str_from(p[0].user), l->user) && !str_eq(str_from(p[1].user), l->user))
		return;
	if (l->id.len > 0 && !str_eq(str_from(call->id), l->id))
		return;
	buf_printf(l->out, "%s{\"id\":\"%s\",\"caller\":\"%s\",\"callee\":\"%s\",\"state\":\"%s\",\"media\":\"%s\",\"started_at\":%" PRIu64
		   ",\"answered_at\":%" PRIu64 ",\"call_id\":", l->comma, call->id, p[CALL_CALLER].user, p[CALL_CALLEE].user, state_names[call->state],
		   call->video ? "video" : "audio", call->started_ms, call->answered_ms);
	buf_json(l->out, str_from(call->call_id));
	buf_printf(l->out, ",\"caller_lost\":%s,\"callee_lost\":%s}", p[CALL_CALLER].lost_since_ms > 0 ? "true" : "false",
		   p[CALL_CALLEE].lost_since_ms > 0 ? "true" : "false");
	l->comma = ",";
}

void control_calls(struct worker *w, struct httpd_call *c)
{
	struct listing l = { w, &c->body, httpd_query(c, "user"), httpd_query(c, "id"), "" };

	buf_z(&c->body, "{\"items\":[");
	calls_each(proxy_calls(w->proxy), one_call, &l);
	buf_z(&c->body, "]}\n");
}

void control_connections(struct worker *w, struct httpd_call *c)
{
	uint64_t limit = LIMIT_DEFAULT;

	if (!httpd_query_u64(c, "limit", LIMIT_MAX, &limit)) {
		control_error(c, 400, "limit is not a number up to 1000000");
		return;
	}
	conns_show(w->conns, httpd_query(c, "user"), (size_t)limit, &c->body);
}

/* --- traces --- */

void control_trace_start(struct worker *w, struct httpd_call *c)
{
	struct str user = httpd_query(c, "user"), call = httpd_query(c, "call");
	uint64_t seconds = TRACE_SECONDS;

	if ((user.len == 0) == (call.len == 0) || !httpd_query_u64(c, "seconds", TRACE_SECONDS_MAX, &seconds)) {
		control_error(c, 400, "a trace is of a user or of a call, for up to 3600 seconds");
		return;
	}
	if (w->tap->trace != NULL && !trace_over(w->tap->trace, worker_now(w))) {
		control_error(c, 409, "there is a trace already");
		return;
	}
	const struct call *known = call.len > 0 ? calls_by_id(proxy_calls(w->proxy), call) : NULL;
	struct trace *t;
	if (trace_new(user, known != NULL ? str_from(known->call_id) : call, worker_now(w), seconds, &t) != ERR_OK) {
		control_error(c, 400, "the name is too long");
		return;
	}
	tap_set_trace(w->tap, t, seconds);
	buf_z(&c->body, "{}\n");
}

void control_trace_get(struct worker *w, struct httpd_call *c)
{
	if (w->tap->trace == NULL)
		control_error(c, 404, "there is no trace");
	else
		trace_put(&c->body, w->tap->trace);
}

void control_trace_end(struct worker *w, struct httpd_call *c)
{
	tap_set_trace(w->tap, NULL, 0);
	buf_z(&c->body, "{}\n");
}
