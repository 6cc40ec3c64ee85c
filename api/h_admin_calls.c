/* /admin/calls: the calls under way, and ending one. */
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

enum err h_admin_call_end(struct req *r)
{
	size_t queued = 0;
	enum err e = live_find(r->rds, r->now_ms, r->param[0]);

	if (e == ERR_OK)
		e = event_queue_call_hangup(r->rds, r->param[0], req_user(r), &queued);
	if (e == ERR_OK)
		e = event_collect(r->rds, queued);
	if (e != ERR_OK)
		return e;
	log_event(LOG_INFO, "call-hang-up", "id=%s by=%s", log_value(r->param[0]), r->who.user);
	return reply_empty(r, 202);
}
