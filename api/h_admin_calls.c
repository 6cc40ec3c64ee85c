/* /admin/calls: the calls under way, one of them with its media, and ending one. */
#include "api/call_media.h"
#include "api/event.h"
#include "api/handlers.h"
#include "api/live.h"
#include "api/reply.h"
#include "common/log.h"

enum err h_admin_calls(struct req *r)
{
	json_t *items = json_array();
	enum err e = live_list(r->rds, r->now_ms, items);

	if (e != ERR_OK) {
		json_decref(items);
		return e;
	}
	return reply_list(r, items, STR(""));
}

static json_t *side_json(const struct call_side *s)
{
	return json_pack("{s:o, s:I, s:o}", "session_id", s->session.len > 0 ? reply_str(s->session) : json_null(), "allocations",
			 (json_int_t)s->allocations, "quality", quality_json(&s->media));
}

enum err h_admin_call(struct req *r)
{
	struct live_call call;
	enum err e = live_get(r->rds, r->now_ms, r->param[0], &call);

	if (e != ERR_OK)
		return e;
	struct call_media m = { .caller = { .user = call.caller, .session = call.caller_session },
				.callee = { .user = call.callee, .session = call.callee_session } };
	e = call_media_ask(r->rds, r->set, r->now_ms, &m);
	if (e == ERR_OK) {
		json_t *relays = json_pack("{s:I, s:I}", "asked", (json_int_t)m.asked, "answered", (json_int_t)m.answered);

		(void)json_object_set_new(call.shown, "sides", json_pack("{s:o, s:o}", "caller", side_json(&m.caller), "callee", side_json(&m.callee)));
		(void)json_object_set_new(call.shown, "relays", relays);
		(void)json_object_set_new(call.shown, "measured_at", reply_time_json(m.measured_ms));
		e = reply_json(r, 200, json_incref(call.shown));
	}
	live_call_fini(&call);
	return e;
}

enum err h_admin_call_end(struct req *r)
{
	struct live_call call;
	size_t queued = 0;
	enum err e = live_get(r->rds, r->now_ms, r->param[0], &call);

	if (e != ERR_OK)
		return e;
	live_call_fini(&call);
	e = event_queue_call_hangup(r->rds, r->param[0], req_user(r), &queued);
	if (e == ERR_OK)
		e = event_collect(r->rds, queued);
	if (e != ERR_OK)
		return e;
	log_event(LOG_INFO, "call-hang-up", "id=%s by=%s", log_value(r->param[0]), r->who.user);
	return reply_empty(r, 202);
}
