/* The node that this worker is of, as administrators see it: what the worker tells of itself, and whether the node is being emptied. */
#ifndef DUPLEX_SIGNALLING_NODE_H
#define DUPLEX_SIGNALLING_NODE_H

#include "common/str.h"

struct worker;

/* Redis is (back) there: asks whether an administrator drains this node; the answer may take effect on the worker (worker_set_serving). */
void node_ask(struct worker *w);
/* Writes worker:WORKER, with a lease. `address`: for other nodes, or empty. */
void node_announce(struct worker *w, struct str address);
/* Takes it out. */
void node_leave(struct worker *w);

#endif
