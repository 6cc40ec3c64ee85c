/* Response context of a forked request (RFC 3261 §16.7, §16.8, §16.10): one upstream, a branch for each device. Used
 * for INVITE by proxy.c and for any other method (MESSAGE) by whoever wants the best answer of several devices. One
 * dead branch never fails the fork. */
#ifndef DUPLEX_SIGNALLING_FORK_H
#define DUPLEX_SIGNALLING_FORK_H

#include "signalling/txn.h"

#define FORK_BRANCHES_MAX 16u

struct fork;

/* Where a branch goes; all is copied. */
struct fork_target {
	struct flow flow;
	struct str uri;      /* the new Request-URI: the contact */
	struct str instance; /* for branch_dead: whose binding it is */
};

/* Who is told. `m` is the response with our Via still on top; fork_strip_put gives the bytes to pass upstream. Any may
 * be NULL. */
struct fork_user {
	/* 101 to 199. */
	void (*provisional)(struct fork *f, const struct sip_msg *m);
	/* Once: the best final response (§16.7 step 6; a 401 or 407 with the challenges of all branches, step 7), or NULL with a
	 * status of our own (408 timeout, 480 when every branch was dead, 500 for a device's 503). For INVITE the first 2xx comes at
	 * once; the other branches are being cancelled then. */
	void (*final)(struct fork *f, unsigned status, const struct sip_msg *m, const struct fork_target *from);
	/* INVITE: the winner's 2xx again: its ACK has not arrived yet. */
	void (*again)(struct fork *f, const struct sip_msg *m);
	/* A 2xx that comes after final() or fork_cancel. To an INVITE nobody wants it: ACK and BYE it; it may come again
	 * for the same device until it has its ACK. */
	void (*late_success)(struct fork *f, const struct sip_msg *m, const struct fork_target *from);
	/* A branch was dead (430 from a peer worker, transport error): its binding should go. */
	void (*branch_dead)(struct fork *f, const struct fork_target *t);
	/* No branch is left; the fork is freed when this returns. Always the last call. */
	void (*ended)(struct fork *f);
};

/* `edited` is the request to send, ready but for Via and Request-URI, copied. `user` and `ctx` are borrowed until
 * ended(). */
enum err fork_new(struct txn_layer *l, struct timers *timers, struct str edited, const struct fork_user *user,
		  void *ctx, struct fork **out);
/* Before fork_begin or later (late registration). ERR_FULL above FORK_BRANCHES_MAX; ERR_CONFLICT when final() was called; ERR_CLOSED and others: the branch
 * could not start (branch_dead is not called). */
enum err fork_add(struct fork *f, const struct fork_target *t);
/* All known targets are added. `timeout_ms` is Timer C or the ring time: when it ends, ringing branches are cancelled
 * and the final is 408. 0: none. If no branch is alive, final (480) and ended come before this returns. */
void fork_begin(struct fork *f, uint64_t timeout_ms);
/* Whether fork_begin was called. */
bool fork_begun(const struct fork *f);
/* When every branch is dead, and so are those that are added within `ms`: only then the final is 480. A device that has just
 * lost its connection is given the time to come back by another (fork_add). Before fork_begin; 0, the preset: at once. */
void fork_patience(struct fork *f, uint64_t ms);
/* Whether the fork still looks for someone: final() was not called and nobody has cancelled. */
bool fork_open(const struct fork *f);
/* Whether this device has a branch that rings, or that has answered in any way: it needs no other. */
bool fork_has(const struct fork *f, struct str instance);
/* Whether it only waits for devices (fork_patience): no branch is left. Such a one may be discarded. */
bool fork_waits(const struct fork *f);
/* Nobody will come back: ends that wait. Does nothing to a fork that does not wait. */
void fork_give_up(struct fork *f);
/* Frees a fork without branches. */
void fork_discard(struct fork *f);
/* Cancels the branches that have no final response; `reason` is a Reason value, or empty. The final answer is then the
 * caller's business (487): final() is not called any more, late_success and ended are. */
void fork_cancel(struct fork *f, struct str reason);

/* The same for a request whose answer still goes up, whatever it is (a CANCEL of a re-INVITE). */
void fork_pass_cancel(struct fork *f, struct str reason);

/* What fork_new got. */
void *fork_ctx(const struct fork *f);
/* Branches that could be started, those that have ended among them. */
size_t fork_branches(const struct fork *f);
/* A 180 to 183 was seen. */
bool fork_rang(const struct fork *f);
/* Appends `m` without its topmost Via (§16.7 step 3) and without what workers tell each other (X-Duplex-*). `extra`: header
 * lines to add, or empty. */
enum err fork_strip_put(const struct sip_msg *m, struct str extra, struct buf *out);

#endif
