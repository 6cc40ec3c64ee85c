/* The worker: everything that one signalling process is. One thread, one loop; nothing is shared with another worker but Redis and SIP between
 * them. Modules get the worker as their first argument and keep their own state behind their pointer here.
 *
 *   proxy.c     bytes from a client or a peer -> parse, check, transactions, and on to whoever handles the method
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
struct owed;      /* peer_owed.c */
struct registrar; /* reg_local.c */
struct presence;  /* presence.c */
struct chat;      /* message_drain.c */
struct edge;      /* edge.c */
struct proxy;     /* proxy.c */
struct outbox;    /* outbox.c */
struct overload;  /* overload.c */
struct tap;       /* tap.c */

struct worker {
	const struct signalling_conf *conf;
	struct loop *loop;               /* loop_now(), loop_timers() */
	struct rds_async *rds;
	struct str domain;               /* SIP domain; borrows from conf */
	char name[WORKER_NAME_MAX + 1];  /* "n1.0" */
	char sent_by[WORKER_NAME_MAX + 10]; /* NAME ".invalid" (RFC 7118 §5): names this worker in Via */
	uint64_t epoch;                  /* wall ms at start */
	uint8_t flow_key[FLOW_KEY_LEN];
	uint8_t route_key[FLOW_KEY_LEN]; /* of our Record-Route */
	uint8_t nonce_key[FLOW_KEY_LEN]; /* of challenges to phones */
	bool draining;                   /* SIGTERM came: new INVITE and REGISTER are refused with 503 */
	bool emptied;                    /* an administrator drains this node: no sockets, but all else goes on */
	struct metrics_counters *count;
	struct conns *conns;
	struct peers *peers;
	struct owed *owed;
	struct registrar *registrar;
	struct presence *presence;
	struct chat *chat;
	struct edge *edge;               /* to phones; NULL when there is no address for them */
	struct proxy *proxy;
	struct outbox *outbox;
	struct overload *overload;
	struct tap *tap;
};

static inline uint64_t worker_now(const struct worker *w)
{
	return loop_now(w->loop);
}

/* Starts everything; `conf` is borrowed. ERR_* after one line in the log that says what failed. */
enum err worker_new(const struct signalling_conf *conf, unsigned index, struct worker **out);
/* The other way round; whatever is under way ends. Not from inside a callback of the loop. */
void worker_free(struct worker *w);
/* Until worker_drain has done its work. ERR_IO if the loop itself fails. */
enum err worker_run(struct worker *w);
/* SIGTERM: no new clients, the present ones are closed with 1012 in batches, then worker_run returns. A second one: at once. */
void worker_drain(struct worker *w);
/* An administrator empties this node, or lets it serve again: as worker_drain, but the worker stays and keeps its calls, and requests under way have as long
 * as they need. */
void worker_set_serving(struct worker *w, bool serving);
/* SIGHUP: certificates are read again. */
void worker_reload(struct worker *w);
/* metrics_fn: Prometheus text of this worker. */
void worker_metrics_put(struct buf *out, void *worker);

#endif
