/* Grace periods between the workers, who read shared state without locks, and whoever takes something out of
 * it. A worker says once a loop turn that it holds no reference; what was unlinked before a token was taken may
 * be reused once the token has passed. Over rte_rcu_qsbr. */
#ifndef DUPLEX_RELAY_RCU_H
#define DUPLEX_RELAY_RCU_H

#include "common/err.h"
#include "common/base.h"

struct rcu;

enum err rcu_new(unsigned readers, struct rcu **out);
void rcu_free(struct rcu *r);

/* By reader `id` (0 to readers - 1), in its own thread. Offline readers hold up nobody and must not look at
 * shared state. */
void rcu_online(struct rcu *r, unsigned id);
void rcu_offline(struct rcu *r, unsigned id);
void rcu_quiescent(struct rcu *r, unsigned id);

uint64_t rcu_token(struct rcu *r);
bool rcu_passed(struct rcu *r, uint64_t token);
/* For a thread that is no reader: waits until everything unlinked before has no reader left. */
void rcu_wait(struct rcu *r);

#endif
