/* The proxy core (RFC 3261 §16) and the front door of the SIP layer: every SIP message that a worker receives goes through proxy_receive, which parses, checks,
 * matches transactions, binds requests to the identity of their connection, and hands them on: INVITE and everything inside a dialog stay here,
 * other methods go to the handlers that the worker registered.
 *
 * The worker (connections, Redis, location, presence) is behind `struct proxy_host`, so that all of this runs on a virtual clock in tests. */
#ifndef DUPLEX_SIGNALLING_PROXY_H
#define DUPLEX_SIGNALLING_PROXY_H

#include "common/perm.h"
#include "signalling/fork.h"
#include "signalling/txn.h"

struct proxy;

/* Where a message came from. Slices are borrowed for the call only. */
struct sip_origin {
	flow_id flow;
	bool peer;           /* from another worker: the edge has already checked who it is */
	struct str user;     /* the connection's user; of a peer: empty */
	struct str session;  /* session id */
	struct str token;    /* flow token of this connection */
	struct str worker;   /* of a peer: its name, empty until known */
	perm_set permissions;
};

/* A device of a user, as location knows it. */
struct proxy_binding {
	struct str instance; /* value of +sip.instance, without <> and quotes: "urn:uuid:…" */
	struct str contact;  /* Contact URI: the Request-URI of requests to it */
	struct str token;    /* flow token: names worker and connection */
};

enum proxy_lookup { LOOKUP_OK, LOOKUP_UNKNOWN_USER, LOOKUP_UNAVAILABLE /* store is away: 503 */ };
/* `b` is borrowed for the call. LOOKUP_OK with count 0: the user exists and has no device. */
typedef void (*proxy_lookup_fn)(void *arg, enum proxy_lookup result, const struct proxy_binding *b, size_t count);

/* What the core needs of its worker. `host` is the first argument of all. */
struct proxy_host {
	struct txn_ops txn;
	/* The flow to reach a binding by its token. Own worker's: the connection. Another worker's: the stream to it (opened if need be, messages queue), and
	 * *remote = true: the token then goes into a Route for the other end. ERR_CLOSED: dead for certain (other epoch, slot reused, worker's lease over). */
	enum err (*resolve)(void *host, struct str token, flow_id *flow, bool *remote);
	/* The stream to a worker by name. ERR_CLOSED: that worker is not alive. */
	enum err (*peer)(void *host, struct str worker, flow_id *flow);
	/* All live bindings of a user. The answer may come before this returns. Always exactly one answer. */
	void (*lookup)(void *host, struct str user, proxy_lookup_fn done, void *arg);
	/* Compare-and-delete: only if the instance still has this token. */
	void (*drop_binding)(void *host, struct str user, struct str instance, struct str token);
	/* In-call presence: how many calls the user has on this worker changed. */
	void (*busy)(void *host, struct str user, unsigned calls);
	/* A Redis command whose answer nobody waits for; the slices are copied. */
	void (*store)(void *host, size_t argc, const struct str *argv);
};

struct proxy_config {
	struct str domain;         /* borrowed, as all slices here, for the life of the proxy */
	struct str worker;         /* own name, "n1.0" */
	struct str secret;         /* MACs of our Record-Route; the same for all workers */
	uint32_t ring_timeout_ms;  /* 45000 */
	uint32_t lost_grace_ms;    /* a call whose side's flow is gone ends after this, 30000 */
	uint32_t calls_per_user;   /* INVITEs under way and calls at once; above: 503 with Retry-After */
	size_t calls_max;
	size_t txn_max;
	struct txn_times times;
};

enum err proxy_new(const struct proxy_config *config, struct timers *timers, const struct proxy_host *ops, void *host, struct proxy **out);
/* Ends all calls without sending anything. */
void proxy_free(struct proxy *p);

/* One message from a connection (the whole text of a WebSocket message, or one message of a stream). Never fails: errors are answered, logged or counted here.
 * Keep-alives (CRLF CRLF) are the connection's business. The return value asks to close the connection when it sent garbage that cannot be answered:
 * true = go on. */
bool proxy_receive(struct proxy *p, const struct sip_origin *from, struct str message);

/* The connection is gone: transactions on it fail, ringing INVITEs of it are cancelled, its calls wait for the user's return (lost_grace_ms). `from` as in
 * proxy_receive. */
void proxy_flow_lost(struct proxy *p, const struct sip_origin *from);
/* A device (re-)registered with this flow: calls that waited for it go on, and later requests to it take the new flow. */
void proxy_registered(struct proxy *p, struct str user, const struct proxy_binding *b);

/* Requests that are not ours. A handler gets a server transaction and must answer it sometime with txn_respond or proxy_reply. Request and origin are valid for
 * the call only (txn_request stays valid with the transaction). From, P-Asserted-Identity have been checked against the connection. */
typedef void (*proxy_handler)(void *arg, struct txn *server, const struct sip_msg *m, const struct sip_origin *from);
/* For REGISTER, SUBSCRIBE (outside dialogs, and inside those whose R-URI is ours), MESSAGE, PUBLISH, OPTIONS. Without a handler: 405. */
void proxy_set_handler(struct proxy *p, enum sip_method method, proxy_handler fn, void *arg);

/* Answers a server transaction with a response of ours. `headers`: whole lines to add, or empty. A To tag is added but to 100. */
void proxy_reply(struct proxy *p, struct txn *server, unsigned status, const char *phrase, struct str headers);

/* Sends `m` (outside a dialog, from `caller`, e.g. MESSAGE) to the given bindings as a fork: identity asserted, client's routing headers stripped. On ERR_OK the
 * user is called until ended(). `extra`: header lines to add. */
enum err proxy_fork(struct proxy *p, const struct sip_msg *m, struct str caller, const struct proxy_binding *b, size_t count, struct str extra,
		    const struct fork_user *user, void *ctx, uint64_t timeout_ms, struct fork **out);

/* Sends a request of ours (NOTIFY, MESSAGE from the store) to one binding, by its flow or through the owning worker. `r` without Via. */
struct sip_request;
enum err proxy_send(struct proxy *p, const struct proxy_binding *b, struct sip_request *r, const struct txn_user *user, void *ctx, struct txn **out);

/* Ends calls from outside: one by id, or all of a user's session (empty session: all of the user). BYE or CANCEL to both ends with
 * Reason: SIP;cause=…;text="…". Returns how many ended. `by`: "admin" or "server". */
size_t proxy_hangup(struct proxy *p, struct str id, const char *by);
size_t proxy_hangup_user(struct proxy *p, struct str user, struct str session);

struct timers *proxy_timers(struct proxy *p);
struct txn_layer *proxy_txns(struct proxy *p);
void *proxy_host_ctx(struct proxy *p);

/* Every refusal and drop has a name. */
#define PROXY_COUNTERS(X)                                                                                     \
	X(PROXY_C_REQUEST, "request", "requests received")                                                    \
	X(PROXY_C_RESPONSE, "response", "responses received")                                                 \
	X(PROXY_C_GARBAGE, "garbage", "messages that could not even be answered")                             \
	X(PROXY_C_MALFORMED, "malformed", "requests refused by the parser")                                   \
	X(PROXY_C_CHECK, "check", "requests refused by a sanity rule")                                        \
	X(PROXY_C_BAD_RESPONSE, "bad_response", "responses dropped by the parser")                            \
	X(PROXY_C_STRAY_RESPONSE, "stray_response", "responses that belong to no transaction")                \
	X(PROXY_C_STRAY_ACK, "stray_ack", "ACKs that belong to no dialog")                                    \
	X(PROXY_C_FORGED_FROM, "forged_from", "requests whose From is not the connection's user")             \
	X(PROXY_C_FORGED_IDENTITY, "forged_identity", "requests whose P-Asserted-Identity or Contact is not the connection's user") \
	X(PROXY_C_FORGED_ROUTE, "forged_route", "requests with a Route that we did not make")                 \
	X(PROXY_C_NO_PERMISSION, "no_permission", "INVITEs refused for want of a permission")                 \
	X(PROXY_C_UNKNOWN_USER, "unknown_user", "requests to users that do not exist")                        \
	X(PROXY_C_NOT_REGISTERED, "not_registered", "INVITEs to users without a device")                      \
	X(PROXY_C_FOREIGN, "foreign_domain", "requests to other domains")                                     \
	X(PROXY_C_STORE_AWAY, "store_away", "requests refused because the store did not answer")              \
	X(PROXY_C_TOO_MANY, "too_many", "requests refused by a budget")                                       \
	X(PROXY_C_NO_HANDLER, "no_handler", "requests with a method that nobody handles")                     \
	X(PROXY_C_DEAD_BRANCH, "dead_branch", "branches to devices that turned out to be gone")               \
	X(PROXY_C_DEAD_FLOW, "dead_flow", "requests from a peer for a connection that is gone (430)")         \
	X(PROXY_C_PHANTOM, "phantom", "late 2xx that were ended by ACK and BYE of our own")                   \
	X(PROXY_C_NO_CALL, "no_call", "in-dialog requests to a call that is not known (481)")                 \
	X(PROXY_C_GRUU_ROUTED, "gruu_routed", "in-dialog requests routed without their call's owner")         \
	X(PROXY_C_NO_MEMORY, "no_memory", "requests refused for want of memory")
COUNTER_ENUM(proxy_counter, PROXY_COUNTERS, PROXY_C_COUNT);
extern const struct counter_name proxy_counter_names[];
const uint64_t *proxy_counters(const struct proxy *p);

#endif
