/* Counters in memory shared by all processes of the API, so that one socket shows them all and none is lost
 * when a process ends. */
#ifndef DUPLEX_API_STATS_H
#define DUPLEX_API_STATS_H

#include <stdatomic.h>

#include "common/buf.h"
#include "common/counter.h"

#define STATS_LIST(X)                                                                        \
	X(STAT_REQUESTS, "requests", "requests begun")                                       \
	X(STAT_LOGIN_OK, "login_ok", "logins that succeeded")                                \
	X(STAT_LOGIN_FAILED, "login_failed", "wrong password or unknown user")               \
	X(STAT_LOGIN_THROTTLED, "login_throttled", "logins refused for a while")             \
	X(STAT_SIGNUPS, "signups", "accounts made")                                          \
	X(STAT_HASH_BUSY, "hash_busy", "passwords not compared because too many were being compared") \
	X(STAT_AUTHORIZED, "upgrades_authorized", "WebSocket upgrades allowed")              \
	X(STAT_UNAUTHORIZED, "upgrades_refused", "WebSocket upgrades refused")               \
	X(STAT_CERTIFICATES, "certificates_issued", "client certificates issued")            \
	X(STAT_REVOKED, "certificates_revoked", "client certificates revoked")               \
	X(STAT_RESTARTS, "process_restarts", "worker processes that ended unasked and were started again")

COUNTER_ENUM(stat, STATS_LIST, STAT_COUNT);

#define STATS_ROUTES_MAX 64u
#define STATS_PROBLEMS_MAX 64u

struct stats {
	_Atomic uint64_t count[STAT_COUNT];
	_Atomic uint64_t problem[STATS_PROBLEMS_MAX];   /* by enum problem */
	_Atomic uint64_t route[STATS_ROUTES_MAX];       /* requests by row of the route table */
	_Atomic uint64_t route_us[STATS_ROUTES_MAX];    /* time spent, microseconds */
};

/* Zeroed memory that forked children share; NULL if there is none. */
struct stats *stats_new(void);
void stats_free(struct stats *s);
static inline void stats_add(struct stats *s, enum stat what)
{
	(void)atomic_fetch_add_explicit(&s->count[what], 1, memory_order_relaxed);
}
/* The text of /metrics (metrics_fn). */
void stats_write(struct buf *out, void *stats);

#endif
