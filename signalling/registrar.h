/* The registrar (RFC 3261 §10.3, RFC 5626, RFC 5627). The truth is in Redis; each worker also keeps the bindings of its own flows, so that it can take
 * them back when a flow ends, write them again when Redis has lost them, and route between its own users while Redis is away.
 *   reg_save.c    REGISTER -> one script -> 200
 *   reg_local.c   bindings of our own flows
 *   location.c    who is where */
#ifndef DUPLEX_SIGNALLING_REGISTRAR_H
#define DUPLEX_SIGNALLING_REGISTRAR_H

#include "signalling/reg_binding.h"
#include "signalling/usermap.h"

struct registrar;
struct redisReply;
struct sip_msg;
struct txn;

/* Owned by the worker. ERR_NO_MEMORY. */
enum err registrar_new(struct worker *w, struct registrar **out);
/* Forgets our bindings; those in Redis stay, and nobody believes them once our epoch is over. NULL is fine. */
void registrar_free(struct registrar *r);

/* proxy_handler for REGISTER; arg = struct worker *. */
void registrar_on_register(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from);

/* Our flow has closed with `code`. After the grace (at once for a session that ended) its bindings are taken back, unless the device has come back by
 * then, here or elsewhere. */
void registrar_flow_lost(struct worker *w, const struct flow *flow, struct str user, unsigned code);
/* A session, or all of a user when `session` is empty, has ended: its bindings go now, wherever they were made. */
void registrar_drop_session(struct worker *w, struct str user, struct str session);
/* Whether that flow of ours has a binding. */
bool registrar_knows(struct worker *w, const struct flow *flow, struct str user);
/* Each binding of our own flows. `lost`: the flow is gone, the grace is running; `confirmed`: Redis has it. */
void registrar_each(struct worker *w,
		    void (*fn)(struct str user, const struct stored *s, const struct flow *flow, bool lost, bool confirmed, void *arg), void *arg);
/* Redis is (back) there: what it missed is written again, a limited number at a time. */
void registrar_redis_up(struct worker *w);

/* Inside: bindings of our own flows. */

/* Devices of `user` that are connected to this worker and may be rung before Redis is asked who else there is: up to `max`, newest last, only that with
 * `instance` if one is given. None when the user wants no calls, or when Redis was away when they registered. Gives how many. */
size_t registrar_near(struct worker *w, struct str user, struct str instance, struct binding *out, size_t max);
/* The user wants no calls, or wants them again: an event said so. */
void reg_local_dnd(struct worker *w, struct str user, bool dnd);
/* Notes a binding that was granted. `dirty`: Redis did not confirm it. */
enum err reg_local_put(struct worker *w, struct str user, const struct flow *flow, const struct stored *s, bool dirty);
/* The binding was taken back in Redis. Does nothing if it is not ours. */
void reg_local_remove(struct worker *w, struct str user, struct str instance, uint32_t reg_id);
/* Calls `fn` for each of the user's bindings whose flow is alive. */
void reg_local_each(struct worker *w, struct str user, void (*fn)(const struct stored *s, const struct flow *flow, void *arg), void *arg);
/* Compare-and-delete in Redis, after `delay_ms`, then presence. Empty strings mean any. */
void reg_drop(struct worker *w, struct str user, struct str field, struct str token, struct str session, uint64_t delay_ms);
/* Sends the save script for one binding. */
void reg_send_save(struct worker *w, struct str user, const struct stored *s, bool again,
		   void (*fn)(void *user_data, enum err e, const struct redisReply *reply), void *user_data);
/* A token that has lost its binding: its connection is closed, here or by an event to its worker. */
void reg_close_token(struct worker *w, struct str token);

#endif
