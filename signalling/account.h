/* What became of every SIP message that a worker received: each has one fate, so that
 *
 *   received = sum of the fates + open
 *
 * where open are requests that are not answered yet, and ACKs whose way is being looked up. Also how long messages took from their receipt until
 * they were sent on (the time that this server adds), and how transactions ended. Written by the worker's thread only; the metrics thread may read. */
#ifndef DUPLEX_SIGNALLING_ACCOUNT_H
#define DUPLEX_SIGNALLING_ACCOUNT_H

#include "common/buf.h"
#include "common/counter.h"
#include "common/histogram.h"
#include "signalling/sip_msg.h"

#define FATES(X)                                                                                            \
	X(FATE_ANSWERED, "answered", "requests answered by this server itself")                             \
	X(FATE_RELAYED, "relayed", "requests answered by the other side, ACKs and responses passed on")     \
	X(FATE_ABSORBED, "absorbed", "retransmissions, ACKs of failures, what belongs to a transaction and goes no further") \
	X(FATE_TAKEN, "taken", "responses given to the transaction that they are for")                      \
	X(FATE_DROP_GARBAGE, "drop_garbage", "could not even be answered")                                  \
	X(FATE_DROP_RESPONSE, "drop_bad_response", "responses that break a rule")                           \
	X(FATE_DROP_STRAY_RESPONSE, "drop_stray_response", "responses that belong to no transaction")       \
	X(FATE_DROP_ACK, "drop_stray_ack", "ACKs that belong to no dialog, are refused or damaged")         \
	X(FATE_DROP_ACK_TARGET, "drop_ack_target", "ACKs whose receiver is gone")                           \
	X(FATE_DROP_CUT, "drop_cut", "requests whose sender left before they were answered")                \
	X(FATE_DROP_NO_MEMORY, "drop_no_memory", "no memory for an answer")                                 \
	X(FATE_UNKNOWN, "unknown", "not accounted for: must stay 0")
COUNTER_ENUM(fate, FATES, FATE_COUNT);
extern const struct counter_name fate_names[];

/* Class of a server transaction's final response; the first: none was sent. */
enum { ACCOUNT_CLASS_NONE, ACCOUNT_CLASS_COUNT = 7 };

struct account {
	uint64_t received, open;
	uint64_t fate[FATE_COUNT];
	uint64_t outcome[SIP_METHOD_COUNT][ACCOUNT_CLASS_COUNT];
	struct histogram request[SIP_METHOD_COUNT], response[SIP_METHOD_COUNT];
	/* Of the message in work. */
	uint64_t now_us;
	bool settled;      /* its fate is known, or it is open */
	bool in_response;  /* it is a response: what is answered now is the other side's answer */
	/* Of the request because of which something is sent; NULL = none. See account_sending. */
	struct account_mark *cause;
};

/* A request that is open; in its transaction or whatever else keeps it. */
struct account_mark {
	uint64_t received_us;
	enum sip_method method;
	bool open, sent;
};

/* A message has come. */
void account_begin(struct account *a);
/* Its fate; the first one counts. */
void account_settle(struct account *a, enum fate f);
/* It has been dealt with as far as it can be now. */
void account_end(struct account *a);

/* The request in work stays open under this mark. */
void account_open(struct account *a, struct account_mark *m, enum sip_method method);
/* And has met its fate now. Does nothing the second time. */
void account_close(struct account *a, struct account_mark *m, enum fate f);

/* What is sent from now on is sent because of `m` (NULL: because of nothing); account_sent takes the time of the first. */
void account_sending(struct account *a, struct account_mark *m);
void account_sent(struct account *a);
/* The message in work was passed on, or answered, at once. */
void account_passed(struct account *a, enum sip_method method, bool response);
/* A server transaction has sent `status`: 100 is not yet an answer. */
void account_responded(struct account *a, struct account_mark *m, unsigned status);
/* And has ended. */
void account_finished(struct account *a, struct account_mark *m, unsigned status);

void account_metrics_put(struct buf *out, const struct account *a);

#endif
