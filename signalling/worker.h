/* The worker: everything that one signalling process is. One thread, one loop; nothing is shared with another worker but Redis and SIP between
 * them. Modules get the worker as their first argument and keep their own state behind their pointer here.
 *
 *   input.c     bytes from a client or a peer -> parse, check (identity, sanity, budgets) -> txn / proxy / registrar / presence / message
 *   flow.c      bytes to a client, wherever its connection is
 *   location.c  user -> bindings
 */
#ifndef DUPLEX_SIGNALLING_WORKER_H
#define DUPLEX_SIGNALLING_WORKER_H

#include "common/loop.h"
#include "common/rds_async.h"
#include "signalling/conf.h"
#include "signalling/flow.h"
#include "signalling/metrics.h"

struct conns;     /* conn.c */
struct peers;     /* peer.c */
struct registrar; /* reg_save.c, location.c */
struct presence;  /* presence.c */
struct chat;      /* message.c */
struct txns;      /* txn.c */
struct proxy;     /* proxy.c */
struct calls;     /* call.c */

struct worker {
	const struct signalling_conf *conf;
	struct loop *loop;               /* loop_now(), loop_timers() */
	struct rds_async *rds;
	struct str domain;               /* SIP domain; borrows from conf */
	char name[WORKER_NAME_MAX + 1];  /* "n1.0": also the sent-by of our Via and the host of our Route, see sent_by */
	char sent_by[WORKER_NAME_MAX + 10]; /* NAME + ".invalid" (RFC 7118 §5): names this worker in Via; input.c hands responses that name
					     * another worker to that one */
	uint64_t epoch;                  /* wall ms at start */
	uint8_t flow_key[FLOW_KEY_LEN];
	bool draining;                   /* SIGTERM came: new INVITE and REGISTER are refused with 503 */
	struct metrics_counters *count;
	struct conns *conns;
	struct peers *peers;
	struct registrar *registrar;
	struct presence *presence;
	struct chat *chat;
	struct txns *txns;
	struct proxy *proxy;
	struct calls *calls;
};

static inline uint64_t worker_now(const struct worker *w)
{
	return loop_now(w->loop);
}

#endif
