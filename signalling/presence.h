/* Who is online, and telling those who watch: SUBSCRIBE to one's own contact list, NOTIFY with RLMI and PIDF.
 * RFC 6665 (events), RFC 4662 (lists), RFC 3856/3863 (presence).
 *   presence.c      subscriptions and what they watch
 *   presence_state.c who is what: location and calls in Redis, and changes of them
 *   presence_doc.c  the documents */
#ifndef DUPLEX_SIGNALLING_PRESENCE_H
#define DUPLEX_SIGNALLING_PRESENCE_H

#include "common/buf.h"
#include "signalling/flow.h"

struct presence;
struct sip_msg;
struct txn;

enum presence_status { PRESENCE_OFFLINE, PRESENCE_ONLINE, PRESENCE_BUSY, PRESENCE_DND };
/* "offline", "online", "busy" or "dnd" (do not disturb): the word of events and notes. */
const char *presence_status_name(enum presence_status s);

/* Owned by the worker. ERR_NO_MEMORY. */
enum err presence_new(struct worker *w, struct presence **out);
/* Ends all subscriptions without a last NOTIFY. NULL is fine. */
void presence_free(struct presence *p);

/* proxy_handler for SUBSCRIBE; arg = struct worker *. */
void presence_on_subscribe(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from);
/* Subscriptions of a flow end with it. */
void presence_flow_lost(struct worker *w, const struct flow *flow);

/* The user of one of our calls is (not) in an answered or ringing-out call. Calls are counted: each true needs its false. Watchers on every
 * worker are told. */
void presence_set_busy(struct worker *w, struct str user, bool busy);

/* Tells every worker that the user's state may have changed. */
void presence_publish(struct worker *w, struct str user, enum presence_status status);
/* Such an event came: whoever watches the user is told if the state is another one now. */
void presence_on_event(struct worker *w, struct str user);
/* The user's contact list is another one now. */
void presence_on_contacts(struct worker *w, struct str user);
/* A worker is gone or has come (its users with it), or events may have been missed: everything watched is looked at again. */
void presence_refresh(struct worker *w);
/* Redis is (back) there: what it does not know of our calls is written again. */
void presence_redis_up(struct worker *w);

#endif
