#include "signalling/event.h"

#include <stdlib.h>

#include "common/events.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "signalling/conn.h"
#include "signalling/message.h"
#include "signalling/presence.h"
#include "signalling/proxy.h"
#include "signalling/registrar.h"
#include "signalling/session.h"
#include "signalling/worker.h"

struct events {
	struct worker *w;
	struct rds_stream *stream;
};

typedef void (*event_fn)(struct worker *w, const struct redisReply *fields);

static void on_session_end(struct worker *w, const struct redisReply *fields)
{
	struct str user = rds_field(fields, "user"), session = rds_field(fields, "session");

	/* Without a session it would mean all of them: that is another event. */
	if (user_name_valid(user) && session.len > 0)
		session_end(w, user, session);
}

static void on_user_disable(struct worker *w, const struct redisReply *fields)
{
	struct str user = rds_field(fields, "user");

	if (user_name_valid(user))
		session_end(w, user, STR_NONE);
}

static void on_contacts_changed(struct worker *w, const struct redisReply *fields)
{
	presence_on_contacts(w, rds_field(fields, "user"));
}

static void on_call_hangup(struct worker *w, const struct redisReply *fields)
{
	struct str by = rds_field(fields, "by");

	(void)proxy_hangup(w->proxy, rds_field(fields, "id"), str_eq(by, STR("server")) ? "server" : "admin");
}

static void on_flow_close(struct worker *w, const struct redisReply *fields)
{
	struct flow f;

	if (flow_token_get(rds_field(fields, "flow"), w->flow_key, &f) == ERR_OK && flow_local(w, &f)) {
		struct conn *c = conn_of(w->conns, &f);

		if (c != NULL)
			conn_close(c, WS_CLOSE_SUPERSEDED, "registered elsewhere");
	}
}

static void on_messages_waiting(struct worker *w, const struct redisReply *fields)
{
	uint64_t since_ms;

	if (str_to_u64(rds_field(fields, "since"), UINT64_MAX, &since_ms) == ERR_OK)
		message_on_waiting(w, rds_field(fields, "user"), since_ms);
}

static void on_device_new(struct worker *w, const struct redisReply *fields)
{
	proxy_device_came(w->proxy, rds_field(fields, "user"));
}

static void on_node_drain(struct worker *w, const struct redisReply *fields)
{
	if (str_eq(rds_field(fields, "node"), str_from(w->conf->node)))
		worker_set_serving(w, !str_eq(rds_field(fields, "state"), STR("draining")));
}

static void on_presence(struct worker *w, const struct redisReply *fields)
{
	struct str user = rds_field(fields, "user");

	struct str status = rds_field(fields, "status");

	presence_on_event(w, user);
	/* These two say what the user has chosen, not what the devices do (common/events.h). */
	if (str_eq(status, STR("dnd")) || str_eq(status, STR("available")))
		reg_local_dnd(w, user, str_eq(status, STR("dnd")));
	/* The first device of a user says it this way. */
	if (str_eq(status, str_from(presence_status_name(PRESENCE_ONLINE))))
		proxy_device_came(w->proxy, user);
	else if (str_eq(status, str_from(presence_status_name(PRESENCE_OFFLINE))))
		proxy_devices_left(w->proxy, user);
}

static const struct {
	const char *type;
	event_fn fn;
} table[] = {
	{ EV_PRESENCE, on_presence },
	{ EV_DEVICE_NEW, on_device_new },
	{ EV_SESSION_END, on_session_end },
	{ EV_USER_DISABLE, on_user_disable },
	{ EV_CONTACTS_CHANGED, on_contacts_changed },
	{ EV_CALL_HANGUP, on_call_hangup },
	{ EV_FLOW_CLOSE, on_flow_close },
	{ EV_MESSAGES_WAITING, on_messages_waiting },
	{ EV_NODE_DRAIN, on_node_drain },
};

static void on_entry(void *user, const char *stream, const struct redisReply *fields)
{
	struct events *ev = user;
	struct str type = rds_field(fields, "t");

	(void)stream;
	ev->w->count->stat[STAT_EVENTS]++;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_eq(type, str_from(table[i].type))) {
			table[i].fn(ev->w, fields);
			return;
		}
	}
	log_event(LOG_DEBUG, "event-unknown", "type=%s", log_value(type));
}

enum err events_new(struct worker *w, struct events **out)
{
	static const char *const streams[] = { RKEY_EV_SIGNAL, RKEY_EV_PRESENCE };
	struct events *ev = calloc(1, sizeof(*ev));
	struct rds_async_conf conf = { .address = w->conf->redis, .deadline_ms = w->conf->redis_deadline_ms, .retry_min_ms = 50,
				       .retry_max_ms = 1000 };

	if (ev == NULL)
		return ERR_NO_MEMORY;
	ev->w = w;
	enum err e = rds_stream_new(w->loop, &conf, streams, ARRAY_LEN(streams), on_entry, ev, &ev->stream);
	if (e != ERR_OK) {
		free(ev);
		return e;
	}
	*out = ev;
	return ERR_OK;
}

void events_free(struct events *ev)
{
	if (ev == NULL)
		return;
	rds_stream_free(ev->stream);
	free(ev);
}
