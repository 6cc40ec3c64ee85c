/* The inside of a transaction: for txn.c (table, matching) and txn_fsm.c (machines) only. */
#ifndef DUPLEX_SIGNALLING_TXN_FSM_H
#define DUPLEX_SIGNALLING_TXN_FSM_H

#include "signalling/account.h"
#include "signalling/txn.h"

enum txn_state {
	TXN_S_CALLING, /* INVITE client; TRYING of the others */
	TXN_S_PROCEEDING,
	TXN_S_COMPLETED,
	TXN_S_CONFIRMED,
	TXN_S_ACCEPTED, /* RFC 6026 */
	TXN_S_TERMINATED,
	TXN_S_COUNT
};

enum txn_event {
	TXN_E_1XX, /* client: response received; server: response from the user */
	TXN_E_2XX,
	TXN_E_FINAL,   /* 3xx to 6xx */
	TXN_E_REQUEST, /* server: the request again */
	TXN_E_ACK,
	TXN_E_RESEND,    /* timers A, E, G */
	TXN_E_TIMEOUT,   /* timers B, F, H */
	TXN_E_LINGER,    /* timers D, I, J, K, L, M */
	TXN_E_TRANSPORT, /* the flow refused a message or is gone */
	TXN_E_COUNT
};

struct txn {
	struct list by_key;      /* chain in layer->bucket; later in layer->dead */
	struct list by_flow;     /* chain in layer->flow_bucket */
	struct txn_layer *layer; /* borrowed: outlives us */
	const struct txn_user *user;
	void *ctx;
	struct timer resend, timeout, linger;
	struct flow flow;
	enum txn_kind kind;
	enum txn_state state;
	bool reliable;
	bool finished;     /* ended() was called */
	uint32_t interval; /* of `resend`, ms */
	unsigned status;   /* of the last response */
	struct account_mark mark; /* server */
	uint64_t hash;
	struct str branch; /* into the request */
	struct str host;   /* server: sent-by of the request's top Via */
	uint16_t port;
	struct sip_msg *request; /* owned, with its bytes */
	char *response;          /* owned: last one sent, kept on unreliable flows only */
	size_t response_len;
};

struct txn_layer {
	struct timers *timers;
	const struct txn_ops *ops;
	void *host;
	struct str sent_by;
	struct txn_times times;
	size_t max, per_flow, count;
	size_t by_kind[4];
	uint64_t seed, branch_salt, branch_count;
	struct timer sweep; /* frees what is on `dead` */
	struct list dead;
	uint64_t counter[TXN_C_COUNT];
	struct account account;
	size_t buckets;           /* power of two */
	struct list *bucket;      /* owned */
	struct list *flow_bucket; /* owned, as many */
};

/* First state and first timers. */
void txn_fsm_start(struct txn *t);
/* The one place where a transaction changes state. `m`: the response that came (client) or NULL; `out`: the response to
 * send (server). ERR_CONFLICT if the event means nothing in this state; the error of the transport otherwise. */
enum err txn_fsm_event(struct txn *t, enum txn_event ev, const struct sip_msg *m, struct str out);
/* It has its final answer and only lingers: no burden of its flow any more. */
void txn_answered(struct txn *t);
/* Takes it out of the tables, tells ended(), and leaves it to the sweep. */
void txn_finish(struct txn *t);

#endif
