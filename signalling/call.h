/* The record of one call (a person calling a person): made by the caller's worker when the INVITE is let through, ended by the final failure, the BYE, the loss of a
 * side, or from outside. It knows both ends of the dialog (RFC 3261 §12) well enough to send BYE to both, writes the CDR, shows the call to the administrator
 * (live:WORKER), tells the relay that the allocations of both sides can go (events:relay), and keeps "busy" of both users. Who drives it: proxy.c. */
#ifndef DUPLEX_SIGNALLING_CALL_H
#define DUPLEX_SIGNALLING_CALL_H

#include "common/cdr.h"
#include "common/counter.h"
#include "common/list.h"
#include "common/timer.h"
#include "common/user.h"
#include "signalling/txn.h"

#define CALL_ID_LEN 32u /* our own id, hex */

enum call_state { CALL_TRYING, CALL_RINGING, CALL_ANSWERED, CALL_ENDED, CALL_STATE_COUNT };
enum call_side { CALL_CALLER, CALL_CALLEE };
const char *call_state_name(enum call_state s);

struct call;
struct calls; /* the table of a worker */

/* How many calls are in each state, for the metrics. */
struct calls_stats {
	uint64_t now[CALL_STATE_COUNT];     /* gauge */
	uint64_t ended[CDR_REASON_COUNT];   /* counter by reason */
	uint64_t answered;                  /* counter */
};
struct proxy;
const struct calls_stats *proxy_calls_stats(const struct proxy *p);

#endif
