/* Calls under way, as the signalling workers publish them: one hash live:WORKER a worker, call id -> JSON. */
#ifndef DUPLEX_API_LIVE_H
#define DUPLEX_API_LIVE_H

#include <jansson.h>

#include "common/rds.h"

/* Appends every live call as {id, caller, callee, media, state, started_at, answered_at, worker}. */
enum err live_list(struct rds *r, uint64_t now_ms, json_t *items);
struct live_call {
	json_t *shown; /* owned: as in the list */
	json_t *text;  /* owned: as the worker wrote it; the names below borrow from it */
	struct str caller, callee, caller_session, callee_session; /* empty where the worker did not say */
};
/* One call. ERR_NOT_FOUND if no worker has it. On ERR_OK live_call_fini frees it. */
enum err live_get(struct rds *r, uint64_t now_ms, struct str id, struct live_call *out);
void live_call_fini(struct live_call *c);

#endif
