/* Transactions (RFC 3261 §17, RFC 6026): four machines as state × event tables, timers A to K as events. One layer a
 * worker, single-threaded. The layer knows nothing of routing: it sends through `struct txn_ops`, and tells the user of
 * a transaction through `struct txn_user`.
 *
 * Matching (§17.1.3, §17.2.3): branch + sent-by + method (ACK counts as INVITE) + flow, never the branch alone: browser
 * stacks have few branches. A request whose branch lacks the magic cookie is refused by sip_check. Our own branches
 * cannot be guessed, so a response is matched by branch + method, and may come back by another flow than the request
 * went (the device reconnected, or a peer worker answered 430 for it). */
#ifndef DUPLEX_SIGNALLING_TXN_H
#define DUPLEX_SIGNALLING_TXN_H

#include "common/counter.h"
#include "common/timer.h"
#include "signalling/flow.h"
#include "signalling/sip_msg.h"

struct txn;
struct txn_layer;

enum txn_kind { TXN_INVITE_CLIENT, TXN_CLIENT, TXN_INVITE_SERVER, TXN_SERVER };

enum txn_failure {
	TXN_TIMEOUT,   /* B or F: no final response in time; H: no ACK */
	TXN_TRANSPORT, /* the flow is gone or refused the message */
};

/* How transactions send. Implemented by the worker (flow.h) and by tests. */
struct txn_ops {
	/* One whole message; the bytes are copied or written before it returns. ERR_CLOSED: no such flow. ERR_FULL: its
	 * queue is full. Must not call back into the layer. */
	enum err (*send)(void *host, const struct flow *flow, struct str message);
	/* Reliable transports (all but UDP) have no retransmissions and timers D, I, J, K of zero. */
	bool (*reliable)(void *host, const struct flow *flow);
};

/* Who is told; one static table a module. Any may be NULL. A callback may start and answer other transactions. */
struct txn_user {
	/* Client: a response, retransmissions of final ones left out. In the INVITE client machine also every further
	 * 2xx (RFC 6026 §8.4). */
	void (*response)(struct txn *t, const struct sip_msg *m);
	/* Client: there will be no final response. Server: no ACK came, or the response could not be sent. */
	void (*failed)(struct txn *t, enum txn_failure why);
	/* INVITE server: the ACK of a final response other than 2xx came. */
	void (*acked)(struct txn *t);
	/* The transaction is about to be freed: forget the pointer. Comes once for each transaction, always last. */
	void (*ended)(struct txn *t);
};

/* T1, T2, T4 of §17.1.1.1 in ms. The rest derive from them. */
struct txn_times {
	uint32_t t1, t2, t4;
};
#define TXN_TIMES_DEFAULT ((struct txn_times){ 500, 4000, 5000 })

/* `sent_by`: what our Via says, borrowed for the life of the layer, as is `ops`. `max`: transactions at once;
 * `per_flow`: server transactions at once of one flow. Above either a new one is refused with ERR_BUSY; but CANCEL never,
 * and BYE only when there are a quarter more. */
enum err txn_layer_new(struct timers *timers, const struct txn_ops *ops, void *host, struct str sent_by,
		       const struct txn_times *times, size_t max, size_t per_flow, struct txn_layer **out);
/* Ends every transaction (ended() is called) and frees the layer. */
void txn_layer_free(struct txn_layer *l);

/* "SIP/2.0/WSS SENT-BY;branch=z9hG4bK…" with a branch that was never used before by any worker. */
void txn_via_put(struct txn_layer *l, struct buf *out);

/* Sends `request` (with our Via on top) on `flow` as a new client transaction; the kind follows from the method (never
 * ACK). The bytes are copied. `user` and `ctx` are borrowed until ended(). If the transport refuses at once: the error
 * is returned and no callback comes. */
enum err txn_client_new(struct txn_layer *l, const struct flow *flow, struct str request, const struct txn_user *user,
			void *ctx, struct txn **out);

/* A new server transaction for `request`, which is copied. ERR_EXISTS if there is one (cannot happen after
 * TXN_NEW_REQUEST). */
enum err txn_server_new(struct txn_layer *l, const struct flow *flow, const struct sip_msg *request,
			const struct txn_user *user, void *ctx, struct txn **out);

/* Sends a response (whole message) on a server transaction. After a final one other than INVITE's 2xx further calls are
 * ignored (ERR_CONFLICT). ended() may have been called when this returns; the memory itself is good until the next run
 * of the timers. */
enum err txn_respond(struct txn *t, struct str response);

/* Where a received message belongs. */
enum txn_match {
	TXN_NEW_REQUEST,   /* no transaction: the caller makes one (or not, for ACK) */
	TXN_ABSORBED,      /* handled: retransmission, ACK of a failure, response delivered to its user */
	TXN_STRAY_RESPONSE /* a response to nothing: drop and count it */
};
/* `flow`: by which it came. Whoever the message belongs to is called from inside. */
enum txn_match txn_layer_receive(struct txn_layer *l, const struct flow *flow, const struct sip_msg *m);

/* Whether a request belongs to a server transaction that there is: sent again, or the ACK of a failure. */
bool txn_layer_knows(const struct txn_layer *l, const struct flow *flow, const struct sip_msg *request);

/* The INVITE server transaction that a CANCEL is for (§9.2), or NULL. */
struct txn *txn_find_invite(struct txn_layer *l, const struct flow *flow, const struct sip_msg *cancel);

/* The flow is gone: its transactions fail at once (TXN_TRANSPORT), instead of waiting for a timer. */
void txn_layer_flow_lost(struct txn_layer *l, const struct flow *flow);
/* The same for client transactions of all flows of another worker of epochs before `before`, from which no answer will come. Looks at every transaction. */
void txn_layer_worker_lost(struct txn_layer *l, struct str worker, uint64_t before);
/* Whether a request from or to the client on `flow` waits for its final response. */
bool txn_layer_flow_busy(const struct txn_layer *l, const struct flow *flow);

/* Stops a transaction without telling failed(); ended() is called. */
void txn_abandon(struct txn *t);
/* A client INVITE that was cancelled but gets no final response ends after 64*T1 (§9.1): call when the CANCEL was sent.
 */
void txn_cancel_sent(struct txn *t);

/* Which of the four machines it is. */
enum txn_kind txn_kind(const struct txn *t);
/* Where it sends; borrows from the transaction. */
const struct flow *txn_flow(const struct txn *t);
/* What its user gave last. */
void *txn_ctx(const struct txn *t);
/* Who is told. */
const struct txn_user *txn_user_of(const struct txn *t);
/* Changes who is told from now on. */
void txn_set_user(struct txn *t, const struct txn_user *user, void *ctx);
/* The request as sent or received: indexed, owned by the transaction. */
const struct sip_msg *txn_request(const struct txn *t);
/* Status of the last response passed, 0 if none. */
unsigned txn_status(const struct txn *t);

/* The books of the layer (account.h); its user keeps them, too. Borrowed. */
struct account;
struct account *txn_layer_account(struct txn_layer *l);
/* What is sent next is sent because of this server transaction. NULL: because of none. */
void txn_sending_on(struct txn_layer *l, struct txn *server);

/* Transactions of this kind that have not ended. */
size_t txn_layer_count(const struct txn_layer *l, enum txn_kind kind);

/* Counters; plain words written by the worker's thread only, so that the metrics thread may read them. */
#define TXN_COUNTERS(X)                                                                      \
	X(TXN_C_CLIENT, "client", "client transactions begun")                               \
	X(TXN_C_SERVER, "server", "server transactions begun")                               \
	X(TXN_C_FULL, "refused_full", "transactions refused because the table was full")     \
	X(TXN_C_RETRANSMIT_OUT, "retransmitted", "messages sent again by a timer")           \
	X(TXN_C_RETRANSMIT_IN, "absorbed", "retransmissions received and absorbed")          \
	X(TXN_C_STRAY_RESPONSE, "stray_response", "responses that belong to no transaction") \
	X(TXN_C_TIMEOUT, "timeout", "transactions that timed out")                           \
	X(TXN_C_TRANSPORT, "transport", "transactions that failed with their flow")
COUNTER_ENUM(txn_counter, TXN_COUNTERS, TXN_C_COUNT);
extern const struct counter_name txn_counter_names[];
/* TXN_C_COUNT words, borrowed. */
const uint64_t *txn_layer_counters(const struct txn_layer *l);

#endif
