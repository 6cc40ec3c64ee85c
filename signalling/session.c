#include "signalling/session.h"

#include "common/device.h"
#include "common/events.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "signalling/conn.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/worker.h"

#define NO_END (-1)  /* what PTTL says of a key without an end */
#define GONE (-2)    /* … and of no key */
#define CHANGED (-3)

/* KEYS session, user; ARGV revision or "". -> milliseconds left, NO_END, GONE or CHANGED */
static struct rds_script ask_script = {
	.source = "if redis.call('HGET', KEYS[2], 'state') ~= 'active' then return -2 end\n"
		  "local left = redis.call('PTTL', KEYS[1])\n"
		  "if left ~= -2 and ARGV[1] ~= '' and redis.call('HGET', KEYS[2], 'rev') ~= ARGV[1] then return -3 end\n"
		  "return left\n",
};

struct rkey session_key(struct str user, struct str session)
{
	struct str device;

	return device_of_session(session, &device) ? rkey_device(user, device) : rkey_session(user, session);
}

void session_ask(struct worker *w, struct str user, struct str session, struct str revision, rds_async_fn fn, void *user_data)
{
	struct rkey key = session_key(user, session), account = rkey_user(user);

	RDS_ASYNC_EVAL_SOON(w->rds, &ask_script, fn, user_data, 2, rkey_str(&key), rkey_str(&account), revision);
}

enum session_state session_answer(const struct redisReply *reply, uint64_t *left_ms)
{
	int64_t left = rds_int(reply);

	if (left == CHANGED)
		return SESSION_CHANGED;
	if (left < 0 && left != NO_END)
		return SESSION_GONE;
	*left_ms = left == NO_END ? UINT64_MAX : (uint64_t)left;
	return SESSION_VALID;
}

void session_end(struct worker *w, struct str user, struct str session)
{
	size_t calls = proxy_hangup_user(w->proxy, user, session);
	size_t sockets = conns_close_user(w->conns, user, session, WS_CLOSE_SESSION_ENDED, "session ended");

	registrar_drop_session(w, user, session);
	if (sockets > 0 || calls > 0)
		log_event(LOG_INFO, "session-ended", "user=%s sockets=%zu calls=%zu", log_value(user), sockets, calls);
}
