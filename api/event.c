#include "api/event.h"

#include <stdio.h>

#include "common/events.h"
#include "common/rkeys.h"

#define EVENT_ARGS_MAX 18u
#define COLLECT_MAX 128u

/* XADD stream MAXLEN ~ max * t type name value … */
static enum err queue_up_to(struct rds *r, const char *stream, struct str max, const char *type, const struct str *fields, size_t count, size_t *queued)
{
	struct str argv[EVENT_ARGS_MAX] = { STR("XADD"), str_from(stream), STR("MAXLEN"), STR("~"), max, STR("*"), STR("t"), str_from(type) };

	memcpy(argv + 8, fields, count * sizeof(*fields));
	enum err e = rds_queue(r, 8 + count, argv);
	*queued += e == ERR_OK;
	return e;
}

static enum err queue(struct rds *r, const char *stream, const char *type, const struct str *fields, size_t count, size_t *queued)
{
	return queue_up_to(r, stream, STR(EVENTS_MAX), type, fields, count, queued);
}

enum err event_queue_session_end(struct rds *r, struct str user, struct str session, size_t *queued)
{
	const struct str fields[] = { STR("user"), user, STR("session"), session };

	return queue(r, RKEY_EV_SIGNAL, EV_SESSION_END, fields, ARRAY_LEN(fields), queued);
}

enum err event_queue_user_disable(struct rds *r, struct str user, uint64_t forget_until_s, size_t *queued)
{
	char until[24];
	int len = snprintf(until, sizeof(until), "%llu", (unsigned long long)forget_until_s);
	const struct str fields[] = { STR("user"), user, STR("until"), str_of(until, (size_t)MAX(len, 0)) };
	enum err e = queue(r, RKEY_EV_SIGNAL, EV_USER_DISABLE, fields, 2, queued);
	if (e == ERR_OK && forget_until_s != 0)
		e = queue(r, RKEY_EV_RELAY, EV_USER_REVOKE, fields, ARRAY_LEN(fields), queued);
	return e;
}

enum err event_queue_contacts_changed(struct rds *r, struct str user, size_t *queued)
{
	const struct str fields[] = { STR("user"), user };

	return queue(r, RKEY_EV_SIGNAL, EV_CONTACTS_CHANGED, fields, ARRAY_LEN(fields), queued);
}

enum err event_queue_presence(struct rds *r, struct str user, struct str status, size_t *queued)
{
	const struct str fields[] = { STR("user"), user, STR("status"), status };

	return queue(r, RKEY_EV_PRESENCE, EV_PRESENCE, fields, ARRAY_LEN(fields), queued);
}

enum err event_queue_call_hangup(struct rds *r, struct str id, struct str by, size_t *queued)
{
	const struct str fields[] = { STR("id"), id, STR("by"), by };

	return queue(r, RKEY_EV_SIGNAL, EV_CALL_HANGUP, fields, ARRAY_LEN(fields), queued);
}

enum err event_queue_relay_drain(struct rds *r, struct str relay, bool draining, size_t *queued)
{
	const struct str fields[] = { STR("relay"), relay, STR("state"), draining ? STR("draining") : STR("serving") };

	return queue(r, RKEY_EV_RELAY, EV_RELAY_DRAIN, fields, ARRAY_LEN(fields), queued);
}

enum err event_queue_media_ask(struct rds *r, const struct event_media_ask *m, size_t *queued)
{
	const struct str fields[] = { STR("ask"),         m->ask,    STR("caller"),      m->caller,        STR("caller_call"), m->caller_session,
				      STR("callee"),      m->callee, STR("callee_call"), m->callee_session };

	static_assert(8 + ARRAY_LEN(fields) <= EVENT_ARGS_MAX, "room for a question");
	return queue_up_to(r, RKEY_EV_ASKED, STR(ASKED_MAX), EV_MEDIA_ASK, fields, ARRAY_LEN(fields), queued);
}

enum err event_queue_node_drain(struct rds *r, struct str node, bool draining, size_t *queued)
{
	const struct str fields[] = { STR("node"), node, STR("state"), draining ? STR("draining") : STR("serving") };

	return queue(r, RKEY_EV_SIGNAL, EV_NODE_DRAIN, fields, ARRAY_LEN(fields), queued);
}

enum err event_collect(struct rds *r, size_t queued)
{
	struct redisReply *replies[COLLECT_MAX];

	if (queued == 0)
		return ERR_OK;
	if (queued > COLLECT_MAX)
		return ERR_TOO_LARGE;
	enum err e = rds_collect(r, replies, queued);
	for (size_t i = 0; i < queued && e == ERR_OK; i++)
		rds_reply_free(replies[i]);
	return e;
}
