/* What the API tells the other programs (common/events.h), queued on the pipeline of the change it belongs to. */
#ifndef DUPLEX_API_EVENT_H
#define DUPLEX_API_EVENT_H

#include "common/rds.h"

/* Each adds 1 to *queued per command. */
enum err event_queue_session_end(struct rds *r, struct str user, struct str session, size_t *queued);
/* Closes the user's WebSockets. With forget_until_s, the end of the youngest TURN credential that the user may have (seconds since 1970), the
 * relays free the user's allocations too and take no such credential again; 0 = they do not. */
enum err event_queue_user_disable(struct rds *r, struct str user, uint64_t forget_until_s, size_t *queued);
/* `draining`, or serving again. */
enum err event_queue_relay_drain(struct rds *r, struct str relay, bool draining, size_t *queued);
/* `status`: as in common/events.h. */
enum err event_queue_presence(struct rds *r, struct str user, struct str status, size_t *queued);

struct event_media_ask {
	struct str ask; /* 32 hex digits: the answers come to rkey_answer of it */
	struct str caller, caller_session, callee, callee_session;
};
/* A question to all relays. */
enum err event_queue_media_ask(struct rds *r, const struct event_media_ask *m, size_t *queued);
enum err event_queue_node_drain(struct rds *r, struct str node, bool draining, size_t *queued);
enum err event_queue_contacts_changed(struct rds *r, struct str user, size_t *queued);
enum err event_queue_call_hangup(struct rds *r, struct str id, struct str by, size_t *queued);
/* Reads `queued` replies and drops them. */
enum err event_collect(struct rds *r, size_t queued);

#endif
