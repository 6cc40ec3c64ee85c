/* The record of one call, a person calling a person. Made by the caller's worker when an INVITE comes, ended by the
 * final failure, a BYE, the loss of a side, or from outside. It knows both ends of the dialog (RFC 3261 §12) well
 * enough to send BYE to both, writes the CDR, shows the call to the administrator (live:WORKER), tells the relay that
 * the allocations of both sides can go (events:relay), and keeps both users' "busy". It sends no SIP: who drives it is
 * proxy_invite.c, proxy_dialog.c and proxy_calls.c. Owner: the worker's thread. */
#ifndef DUPLEX_SIGNALLING_CALL_H
#define DUPLEX_SIGNALLING_CALL_H

#include "common/cdr.h"
#include "common/counter.h"
#include "common/user.h"
#include "signalling/fork.h"
#include "signalling/location.h"

#define CALL_ID_LEN      32u /* our own id, hex */
#define CALL_SESSION_MAX 64u /* login session id */
#define CALL_UUID_LEN    32u /* RFC 7989 */

enum call_state { CALL_TRYING, CALL_RINGING, CALL_ANSWERED, CALL_ENDED, CALL_STATE_COUNT };
enum call_side { CALL_CALLER, CALL_CALLEE };

static inline enum call_side call_other(enum call_side s)
{
	return s == CALL_CALLER ? CALL_CALLEE : CALL_CALLER;
}

struct calls; /* the table of a worker */

/* One end. Texts are owned. */
struct call_party {
	char user[USER_NAME_SIZE];
	char session[CALL_SESSION_MAX + 1]; /* login session, "" = not known */
	char uuid[CALL_UUID_LEN + 1];       /* Session-ID of its side, "" = none given: names its TURN allocations */
	char instance[INSTANCE_MAX + 1];    /* device, "" = not known */
	struct flow flow;                   /* where it was last seen */
	char *contact;                      /* remote target of requests to it (§12.1), NULL = not known yet */
	char *tag;
	uint32_t cseq;          /* highest it has used in this dialog */
	uint64_t lost_since_ms; /* its flow was found dead then (monotonic); 0 = fine */
	bool counted_busy;
	bool phone; /* of the caller: no browser */
	struct list by_user; /* chain in the table */
	struct call *call;
};

struct call {
	struct list by_call_id;
	struct calls *calls; /* borrowed */
	char id[CALL_ID_LEN + 1];
	char *call_id, *from, *to; /* owned: Call-ID; From and To as the caller's requests carry them, To with the
				      callee's tag once answered */
	struct call_party party[2];
	enum call_state state;
	bool video, acked;
	uint32_t invite_cseq;
	char one_device[INSTANCE_MAX + 1];            /* it is for this device (GRUU) of the person, "" = for all */
	char referred_by[USER_NAME_SIZE];             /* who asked the caller to make it (RFC 3892), "" = nobody */
	uint64_t session_until_ms;                    /* a refresh must come before that (monotonic), 0 = none is due */
	bool callee_exists;                           /* the callee is a user: gets a history entry */
	uint64_t started_ms, ringing_ms, answered_ms; /* wall clock, 0 = never */
	/* Of the driver: what must end before the record can be freed. */
	void *driver;       /* borrowed: the proxy */
	struct txn *server; /* INVITE from the caller, NULL when over */
	struct fork *fork;  /* branches to the devices, NULL when over */
	unsigned holds;     /* location answers that are still to come, and callers up the stack */
	struct timer audit; /* are both sides still there? */
};

struct calls_stats {
	uint64_t now[CALL_STATE_COUNT]; /* gauge; CALL_ENDED: records that wait for their last transaction */
	uint64_t started, answered;     /* counters */
	uint64_t ended[CDR_REASON_COUNT];
};

/* What the table needs of its worker; see struct proxy_host. */
struct proxy_host;
/* An empty table of at most `max` calls; `ops`, `host`, `timers` and `worker` are borrowed for its life. ERR_NO_MEMORY. */
enum err calls_new(const struct proxy_host *ops, void *host, struct timers *timers, struct str worker, size_t max,
		   struct calls **out);
/* All records must have been released. */
void calls_free(struct calls *cs);
/* Borrowed for the life of the table; its words are written by the worker's thread only, so that the metrics thread may read them. */
const struct calls_stats *calls_stats(const struct calls *cs);
/* Records that there are, those that have ended and wait for their last transaction among them. */
size_t calls_count(const struct calls *cs);
/* Those that calls_new got. */
struct timers *calls_timers(struct calls *cs);

/* From an INVITE that is let in: `callee` is a valid user name. The caller's Contact, tag and Session-ID are taken from
 * `m`. ERR_FULL above the limit, ERR_NO_MEMORY. */
enum err call_new(struct calls *cs, const struct sip_msg *m, struct str caller, struct str callee,
		  const struct origin *from, struct call **out);
/* Ends with state CALL_ENDED only, and when server, fork and holds are over. */
void call_free_if_done(struct call *c);

/* The callee's devices are being rung: from now on the call is shown, and the caller is busy. */
void call_forked(struct call *c);
/* Writes the entry of live:WORKER again, in case the store has lost it. */
void call_show_again(struct call *c);
/* Redis is (back) there: what ended meanwhile is taken out of live:WORKER, and what there is is written again. */
void calls_redis_up(struct calls *cs);
/* A 180 to 189 came: the call is shown as ringing. Does nothing the second time. */
void call_ringing(struct call *c);
/* By the 2xx `m` of the device `from`. `session`: login session of the answering device if known. */
enum err call_answered(struct call *c, const struct sip_msg *m, const struct fork_target *from, struct str session);
/* A re-INVITE or UPDATE of `side` moves its remote target (§12.2.1.2). */
enum err call_target_refresh(struct call *c, enum call_side side, const struct sip_msg *m);
/* The CDR is written, both are free again, the relay is told. `by`: "caller", "callee", "server", "admin". Does nothing
 * the second time. */
void call_end(struct call *c, enum cdr_reason reason, unsigned status, const char *by);
/* This worker stops but the call goes on without it: no CDR, nobody is told. */
void call_drop(struct call *c);
/* Any call that has not ended, or NULL. */
struct call *calls_any(struct calls *cs);
/* The allocations that were made under this Session-ID of `user` can go. */
void call_tell_relay(struct calls *cs, struct str user, struct str uuid);

/* The call to which an in-dialog message belongs, by Call-ID and both tags, and the side that sent it. NULL if there is
 * none. */
struct call *calls_find(struct calls *cs, const struct sip_msg *m, enum call_side *sender);
/* The answered call with this Call-ID and these tags, of either side each; `side` is the one whose tag is `to`. NULL if there is none. */
struct call *calls_by_tags(struct calls *cs, struct str call_id, struct str to, struct str from, enum call_side *side);
/* Whether the INVITE `m` belongs to a call that another INVITE with the same Call-ID, From tag and CSeq has begun (RFC 3261 §8.2.2.2). */
bool calls_merged(struct calls *cs, const struct sip_msg *m);
/* Whether `m` has a place in a dialog that is not confirmed yet (RFC 3261 §12.1, early): a call that rings, by Call-ID and the caller's tag. */
bool calls_early(struct calls *cs, const struct sip_msg *m);
/* By our own id; an empty one finds any. NULL if there is none that has not ended. Looks at every call. */
struct call *calls_by_id(struct calls *cs, struct str id);
/* Each call that there is, those that wait for their last transaction too. */
void calls_each(struct calls *cs, void (*fn)(struct call *c, void *arg), void *arg);
/* The next call of `user` behind `after` (NULL: the first), with the side that the user is on. A call with oneself is
 * found twice. Calls that have ended are left out. */
struct call *calls_of_user(struct calls *cs, struct str user, struct call *after, enum call_side *side);
/* How often calls_of_user finds one. */
size_t calls_user_count(struct calls *cs, struct str user);

/* A BYE to `to` as if from the other side (§15.1.1); `reason` is a Reason value. ERR_CONFLICT unless both ends are
 * known. */
enum err call_bye_put(struct call *c, enum call_side to, struct str via, struct str reason, struct buf *out);
/* The ACK that the caller owes the callee for its 2xx (§13.2.2.4). */
enum err call_ack_put(struct call *c, struct str via, struct buf *out);

#endif
