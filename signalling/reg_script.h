/* The Lua scripts on a user's Redis slot: each change of a binding is one call, so that two REGISTERs of two workers cannot mix. */
#ifndef DUPLEX_SIGNALLING_REG_SCRIPT_H
#define DUPLEX_SIGNALLING_REG_SCRIPT_H

#include "common/rds.h"

/* What the scripts say in their first element. */
#define REG_OK "ok"
#define REG_DND "dnd"         /* done, like "ok", and the user wants no calls */
#define REG_SESSION "session" /* the session or the user is gone */
#define REG_STALE "stale"     /* older than the binding: RFC 3261 §10.3 step 7 */

/* KEYS location, session, messages, user; ARGV now, field, value, call-id, cseq, max devices, how.
 * how = "new": a REGISTER; refused as stale by Call-ID and CSeq. "again": a binding that Redis had missed; stale if another is younger.
 * -> status, superseded token or "", evicted token or "", stored messages, bindings before, then field, value, field, value … (all bindings)
 * The least recently renewed binding makes room when there are too many. */
extern struct rds_script reg_script_save;
/* KEYS location; ARGV now, field, call-id, cseq ("*" as field: all). -> status, 1 if something was removed, then all bindings */
extern struct rds_script reg_script_remove;
/* KEYS location; ARGV now, field ("*" = any), token ("" = any), session ("" = any): compare and delete.
 * -> status, number removed, bindings left */
extern struct rds_script reg_script_drop;

#endif
