/* /me/presence: whether the user wants calls. Kept with the account, so that it holds on every device and while none is there. */
#include "api/check.h"
#include "api/event.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/reply.h"
#include "common/rkeys.h"

#define AVAILABLE "available"
#define DO_NOT_DISTURB "do_not_disturb"

static json_t *presence_json(bool dnd)
{
	return json_pack("{s:s}", "status", dnd ? DO_NOT_DISTURB : AVAILABLE);
}

enum err h_presence(struct req *r)
{
	struct rkey key = rkey_user(req_user(r));
	struct redisReply *reply;
	enum err e = rds_do(r->rds, &reply, 3, (struct str[]){ STR("HGET"), rkey_str(&key), STR("dnd") });

	if (e != ERR_OK)
		return e;
	bool dnd = str_eq(rds_text(reply), STR("1"));
	rds_reply_free(reply);
	return reply_json(r, 200, presence_json(dnd));
}

struct presence_put {
	struct str status;
};

static const struct field put_fields[] = {
	{ "status", INPUT_TEXT, true, check_availability, offsetof(struct presence_put, status) },
};

enum err h_presence_put(struct req *r)
{
	struct presence_put in = { 0 };
	struct rkey key = rkey_user(req_user(r));
	size_t queued = 0;

	if (!INPUT_READ(r, put_fields, &in))
		return ERR_OK;
	bool dnd = str_eq(in.status, STR(DO_NOT_DISTURB));
	enum err e = rds_queue(r->rds, dnd ? 4 : 3, (struct str[]){ dnd ? STR("HSET") : STR("HDEL"), rkey_str(&key), STR("dnd"), STR("1") });

	queued += e == ERR_OK;
	/* Watchers ask for the state themselves when they read this. */
	if (e == ERR_OK)
		e = event_queue_presence(r->rds, req_user(r), dnd ? STR("dnd") : STR(AVAILABLE), &queued);
	if (e == ERR_OK)
		e = event_collect(r->rds, queued);
	return e == ERR_OK ? reply_json(r, 200, presence_json(dnd)) : e;
}
