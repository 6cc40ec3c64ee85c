/* The proxy core (RFC 3261 §16) and the front door of the SIP layer: every SIP message that a worker receives goes
 * through proxy_receive, which parses, checks, matches transactions, binds requests to the identity of their
 * connection, and hands them on: INVITE and everything inside a dialog stay here, other methods go to the handlers that
 * the worker registered.
 *
 * The worker (connections, Redis, location, presence) is behind `struct proxy_host`, so that all of this runs on a
 * virtual clock in tests. */
#ifndef DUPLEX_SIGNALLING_PROXY_H
#define DUPLEX_SIGNALLING_PROXY_H

#include "signalling/location.h"
#include "signalling/fork.h"
#include "signalling/txn.h"

struct proxy;

/* What the core needs of its worker; `host` is the first argument of all. The real one is proxy_worker_host. */
struct proxy_host {
	struct txn_ops txn; /* flow_send */
	/* Hands a client's message (from the client on `from`) to another worker's proxy_receive. ERR_CLOSED: not
	 * alive. */
	enum err (*send_worker)(void *host, struct str worker, const struct flow *from, struct str message);
	/* A response of the client on `from` goes to another worker: owed_paid. */
	void (*answered)(void *host, const struct flow *from, const struct sip_msg *response);
	bool (*alive)(void *host, const struct flow *flow); /* flow_alive */
	bool (*local)(void *host, const struct flow *flow); /* flow_local */
	/* location_lookup, but the answer may come before it returns. */
	void (*lookup)(void *host, struct str user, struct str instance, location_fn done, void *arg);
	/* The same for what is not urgent; may be NULL. */
	void (*lookup_soon)(void *host, struct str user, struct str instance, location_fn done, void *arg);
	/* registrar_near: devices that may be rung before Redis is asked; may be NULL. */
	size_t (*near)(void *host, struct str user, struct str instance, struct binding *out, size_t max);
	void (*forget)(void *host, const void *arg);                                               /* location_forget */
	void (*remove)(void *host, struct str user, struct str instance, const struct flow *flow); /* location_remove */
	void (*busy)(void *host, struct str user, bool busy); /* presence_set_busy */
	/* A message has come from one of our own clients. May be NULL. */
	void (*seen)(void *host, const struct origin *from, struct str message);
	/* overload_pressure; NULL: there never is any. */
	unsigned (*pressure)(void *host);
	/* Whether the client has a binding. NULL with `pressure`. */
	bool (*registered)(void *host, const struct origin *from);
	/* A Redis command whose answer nobody waits for; the slices are copied. */
	void (*store)(void *host, size_t argc, const struct str *argv);
	/* outbox_put: an entry of a stream that must not be lost. */
	void (*append)(void *host, struct str key, struct str max, size_t count, const struct str *fields);
	uint64_t (*wall_ms)(void *host);
};
extern const struct proxy_host proxy_worker_host; /* host = struct worker * */

struct proxy_config {
	struct str domain;        /* borrowed, as all slices here, for the life of the proxy */
	struct str worker;        /* own name, "n1.0" */
	uint64_t epoch;           /* own boot, wall ms */
	struct str sent_by;       /* of our Via: WORKER ".invalid" */
	struct str secret;        /* MACs of our Record-Route; the same for all workers */
	uint32_t ring_timeout_ms; /* 45000 */
	uint32_t lost_grace_ms;   /* a call whose side's flow is gone ends after this, 30000 */
	uint32_t late_ms;         /* a device that has just lost its connection may come back so long while it is called */
	uint32_t session_min_s;   /* shortest session interval (RFC 4028); below: 422 */
	uint32_t calls_per_user;  /* INVITEs under way and calls at once; above: 403 to the caller, 486 for the callee */
	size_t calls_max;
	size_t txn_max;      /* transactions of the worker at once; above: 503, but never to CANCEL (txn.h) */
	size_t txn_per_flow; /* server transactions of one connection at once; likewise */
	struct txn_times times;
};

/* `ops`, `host` and `timers` are borrowed for the life of the proxy, as are the slices of `config`. ERR_NO_MEMORY. */
enum err proxy_new(const struct proxy_config *config, struct timers *timers, const struct proxy_host *ops, void *host,
		   struct proxy **out);
/* Ends all calls without sending anything. */
void proxy_free(struct proxy *p);

/* An ACK that the worker `peer`, which has checked it, put on a flow of ours that is gone: it goes to where its device is connected now. No answer could make
 * the sender try again, and without its ACK a device ends the call (RFC 3261 §13.3.1.4). */
void proxy_ack_astray(struct proxy *p, struct str peer, const struct sip_msg *m);
/* One message from a client, or handed on by another worker (origin.peer set; origin.flow = the client's flow, if it is
 * a client's). Never fails: errors are answered, logged or counted here. A client's message for another worker (a
 * response whose top Via, or an in-dialog request whose Route is that worker's) is checked here, too, and then handed
 * on with send_worker. Keep-alives (CRLF CRLF) are the connection's business. Returns false if it was garbage that
 * cannot even be answered: close that connection. */
bool proxy_receive(struct proxy *p, const struct origin *from, struct str message);
/* The same for the beginning of a message that is too large: a request is answered with 513, anything else is dropped
 * (RFC 3261 §21.5.7). False if its headers did not end in what there is, or it was garbage. */
bool proxy_receive_cut(struct proxy *p, const struct origin *from, struct str head);

/* Whether the topmost Route of `m` is ours, made for this dialog of these two (RFC 3261 §16.12): who shows it was there when the dialog was made. */
bool proxy_route_ours(struct proxy *p, const struct sip_msg *m);

/* A connection of ours is gone: transactions on it fail, ringing INVITEs of it are cancelled, its calls wait for the
 * user's return (lost_grace_ms). Called for every client connection that closes. */
void proxy_flow_lost(struct proxy *p, const struct flow *flow, struct str user);
/* Another worker is gone, or the stream to it broke: what it was asked is not answered any more. Requests of ours to its connections fail as with a
 * transport error (RFC 3261 §8.1.3.1); calls that are up are not touched. Connections of its boots from `before` on
 * (UINT64_MAX: none) are those of a worker that is there. */
void proxy_worker_lost(struct proxy *p, struct str worker, uint64_t before);
/* A device (re-)registered with this flow: calls that waited for it go on, and later requests to it take the new flow.
 */
void proxy_registered(struct proxy *p, struct str user, const struct binding *b);
/* A device of `user` has come, here or elsewhere: calls of ours that ring the user ring there as well. */
void proxy_device_came(struct proxy *p, struct str user);
/* No device of `user` is registered any more: nobody waits for one to come back. */
void proxy_devices_left(struct proxy *p, struct str user);

/* Methods that are not the proxy's. A handler gets a server transaction and must answer it sometime with txn_respond or
 * proxy_reply. Request and origin are valid for the call only (txn_request stays valid with the transaction). From,
 * P-Asserted-Identity have been checked against the connection. */
typedef void (*proxy_handler)(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from);
/* For REGISTER, SUBSCRIBE (outside dialogs, and inside those whose R-URI is ours), MESSAGE, PUBLISH, OPTIONS. Without a
 * handler: 405. */
void proxy_set_handler(struct proxy *p, enum sip_method method, proxy_handler fn, void *arg);

/* Answers a server transaction with a response of ours. `headers`: whole lines to add, or empty. A To tag is added but
 * to 100. */
void proxy_reply(struct proxy *p, struct txn *server, unsigned status, const char *phrase, struct str headers);

/* Sends `m` (outside a dialog, from `caller`, e.g. MESSAGE) to the given bindings as a fork: identity asserted,
 * client's routing headers stripped. On ERR_OK the user is called until ended(). `extra`: header lines to add. */
enum err proxy_fork(struct proxy *p, const struct sip_msg *m, struct str caller, const struct binding *b, size_t count,
		    struct str extra, const struct fork_user *user, void *ctx, uint64_t timeout_ms, struct fork **out);

/* Sends a request of ours (NOTIFY, MESSAGE from the store) on a flow as a client transaction. `r` without Via. */
struct sip_request;
enum err proxy_send(struct proxy *p, const struct flow *flow, const struct sip_request *r, const struct txn_user *user,
		    void *ctx, struct txn **out);

/* Ends calls from outside: one by id, or all of a user's session (empty session: all of the user). BYE or CANCEL to
 * both ends with Reason: SIP;cause=…;text="…". Returns how many ended. `by`: "admin" or "server". */
size_t proxy_hangup(struct proxy *p, struct str id, const char *by);
size_t proxy_hangup_user(struct proxy *p, struct str user, struct str session);

/* Owned by the proxy: for counters and tests. */
struct txn_layer *proxy_txns(struct proxy *p);

/* Every refusal and drop has a name. */
#define PROXY_COUNTERS(X)                                                                             \
	X(PROXY_C_REQUEST, "request", "requests received")                                            \
	X(PROXY_C_RESPONSE, "response", "responses received")                                         \
	X(PROXY_C_GARBAGE, "garbage", "messages that could not even be answered")                     \
	X(PROXY_C_MALFORMED, "malformed", "requests refused by the parser")                           \
	X(PROXY_C_CHECK, "check", "requests refused by a sanity rule")                                \
	X(PROXY_C_BAD_RESPONSE, "bad_response", "responses dropped by the parser")                    \
	X(PROXY_C_STRAY_RESPONSE, "stray_response", "responses that belong to no transaction")        \
	X(PROXY_C_STRAY_ACK, "stray_ack", "ACKs that belong to no dialog")                            \
	X(PROXY_C_FORGED_FROM, "forged_from", "requests whose From is not the connection's user")     \
	X(PROXY_C_FORGED_IDENTITY, "forged_identity",                                                 \
	  "requests whose P-Asserted-Identity or Contact is not the connection's user")               \
	X(PROXY_C_FORGED_ROUTE, "forged_route", "requests with a Route that we did not make")         \
	X(PROXY_C_NO_PERMISSION, "no_permission", "requests refused for want of a permission")        \
	X(PROXY_C_UNKNOWN_USER, "unknown_user", "requests to users that do not exist")                \
	X(PROXY_C_NEAR, "near", "INVITEs that rang devices of this worker before Redis was asked")           \
	X(PROXY_C_NOT_REGISTERED, "not_registered", "INVITEs to users without a device")              \
	X(PROXY_C_FOREIGN, "foreign_domain", "requests to other domains")                             \
	X(PROXY_C_STORE_AWAY, "store_away", "requests refused because the store did not answer")      \
	X(PROXY_C_TOO_MANY, "too_many", "requests refused by a budget")                               \
	X(PROXY_C_MERGED, "merged", "INVITEs that came twice by different ways (482)")                \
	X(PROXY_C_LOOP, "loop", "requests that we have sent ourselves before (482)")                  \
	X(PROXY_C_SESSION_SHORT, "session_short", "requests with too short a session interval (422)") \
	X(PROXY_C_BAD_REFER, "bad_refer", "REFERs to nobody here, or in another's name")               \
	X(PROXY_C_BAD_REPLACES, "bad_replaces", "INVITEs that may not replace the call they name")    \
	X(PROXY_C_LATE_DEVICE, "late_device", "devices that came while their user was being called")  \
	X(PROXY_C_DO_NOT_DISTURB, "do_not_disturb", "calls to users who do not want any")             \
	X(PROXY_C_OVERLOAD_DIALOG, "overload_dialog", "in-dialog requests refused under overload")   \
	X(PROXY_C_OVERLOAD_REFRESH, "overload_refresh", "refreshes of registrations refused under overload") \
	X(PROXY_C_OVERLOAD_REGISTER, "overload_register", "new registrations refused under overload") \
	X(PROXY_C_OVERLOAD_BEGINNING, "overload_beginning", "new calls, messages and the like refused under overload") \
	X(PROXY_C_OVERLOAD_SUBSCRIBE, "overload_subscribe", "subscriptions refused under overload")   \
	X(PROXY_C_NO_HANDLER, "no_handler", "requests with a method that nobody handles")             \
	X(PROXY_C_DEAD_BRANCH, "dead_branch", "branches to devices that turned out to be gone")       \
	X(PROXY_C_DEAD_FLOW, "dead_flow", "requests from a peer for a connection that is gone (430)") \
	X(PROXY_C_PHANTOM, "phantom", "late 2xx that were ended by ACK and BYE of our own")           \
	X(PROXY_C_NO_CALL, "no_call", "in-dialog requests to a call that is not known (481)")         \
	X(PROXY_C_OLD_ROUTE, "old_route", "in-dialog requests by a Route that is too old (481)")      \
	X(PROXY_C_GRUU_ROUTED, "gruu_routed", "in-dialog requests routed without their call's owner") \
	X(PROXY_C_MEDIA, "media", "INVITEs between a browser and a phone, whose media do not meet (488)") \
	X(PROXY_C_LARGE, "large", "INVITEs too large for the device's UDP (513)")                     \
	X(PROXY_C_NO_MEMORY, "no_memory", "requests refused for want of memory")
COUNTER_ENUM(proxy_counter, PROXY_COUNTERS, PROXY_C_COUNT);
extern const struct counter_name proxy_counter_names[];
/* PROXY_C_COUNT words, borrowed, written by the worker's thread only. */
const uint64_t *proxy_counters(const struct proxy *p);
struct calls;
/* Owned by the proxy: for counters and tests. */
struct calls *proxy_calls(struct proxy *p);

#endif
