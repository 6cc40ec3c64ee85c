/* Calls under way, as the signalling workers publish them: one hash live:WORKER a worker, call id -> JSON. */
#ifndef DUPLEX_API_LIVE_H
#define DUPLEX_API_LIVE_H

#include <jansson.h>

#include "common/rds.h"

/* Appends every live call as {id, caller, callee, media, state, started_at, answered_at, worker}. */
enum err live_list(struct rds *r, uint64_t now_ms, json_t *items);
/* ERR_NOT_FOUND if no worker has it. */
enum err live_find(struct rds *r, uint64_t now_ms, struct str id);

#endif
