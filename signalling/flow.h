/* A flow (RFC 5626 §3) is one WebSocket connection of a client, or one user of a phone's link (edge.h), named so that any worker of any node can send to it
 * and can tell a dead one without a look-up: worker name + boot epoch of that worker + slot of its connection table + generation of the slot. As a token it
 * travels in location bindings and in Route headers between workers; a MAC under the cluster's key makes it unforgeable by clients.
 *
 * Sending goes over the local socket when the flow is ours, else over the SIP stream to the owning worker (peer.c), which answers 430 (Flow
 * Failed, RFC 5626 §11.1) when the flow is gone there. */
#ifndef DUPLEX_SIGNALLING_FLOW_H
#define DUPLEX_SIGNALLING_FLOW_H

#include "common/buf.h"
#include "common/perm.h"
#include "common/user.h"

struct worker;

#define WORKER_NAME_MAX 31u /* "NODE.INDEX" */
#define FLOW_TOKEN_MAX 96u  /* base64url characters */
#define FLOW_KEY_LEN 32u

struct flow {
	char worker[WORKER_NAME_MAX + 1]; /* owner; "" = no flow */
	uint64_t epoch;                   /* boot time of that worker process, wall ms: a restarted worker has other flows */
	uint32_t slot, generation;
};

/* In `generation`: the flow is a phone's on UDP, so transactions on it retransmit, whoever owns it (RFC 3261 §17). */
#define FLOW_UNRELIABLE 0x80000000u

static inline bool flow_none(const struct flow *f)
{
	return f->worker[0] == '\0';
}

static inline bool flow_eq(const struct flow *a, const struct flow *b)
{
	return a->slot == b->slot && a->generation == b->generation && a->epoch == b->epoch && strcmp(a->worker, b->worker) == 0;
}

/* Where a message came from, and as whom. Slices borrow from the connection: valid during the call that got it. */
struct origin {
	struct flow flow;    /* the client's flow; none when `peer` is set and the message is no client's */
	struct str peer;     /* name of the worker it came through; empty = from our own client. A peer has checked its client already */
	struct str user;     /* whom the connection is bound to; empty when `peer` is set */
	struct str session;  /* session ID (hex) */
	struct str address;  /* client's IP address */
	struct str instance; /* the device that is registered on it, if known; a phone need not put a GRUU into its Contact */
	perm_set perms;
	bool phone;          /* no browser: its Contact is an address of its own */
};

/* Appends the token of `f`: base64url of version, epoch, slot, generation, worker name, 80-bit MAC. */
void flow_token_put(struct buf *to, const struct flow *f, const uint8_t key[FLOW_KEY_LEN]);
/* ERR_INVALID for anything that is not exactly a token under this key. */
enum err flow_token_get(struct str token, const uint8_t key[FLOW_KEY_LEN], struct flow *out);

/* Sends one whole SIP message (copied or written before this returns).
 *   ERR_OK      handed on; for a flow of another worker a 430 response may still come back
 *   ERR_CLOSED  the flow is dead (its connection, its worker or that worker's boot is gone): treat as 430
 *   ERR_FULL    the client reads too slowly; its connection is being closed: treat as 430 */
enum err flow_send(struct worker *w, const struct flow *f, struct str message);
/* Sends one whole SIP message to another worker as such (responses by Via sent-by, in-dialog requests by Route). `client`: the flow of our client
 * that it came from, so that the other worker can answer it (its origin.flow); NULL if it is no client's. ERR_CLOSED if the worker is not alive
 * or not reachable. */
enum err flow_send_worker(struct worker *w, struct str worker, const struct flow *client, struct str message);
/* False only if the flow is known to be dead: never asks anyone. */
bool flow_alive(const struct worker *w, const struct flow *f);
/* Ours: the connection is or was in this process. */
bool flow_local(const struct worker *w, const struct flow *f);

#endif
