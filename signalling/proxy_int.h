/* The inside of the proxy: shared by proxy.c (front door), proxy_identity.c (who may say what), proxy_route.c
 * (Record-Route, handing on), proxy_invite.c (new calls), proxy_dialog.c (inside calls) and proxy_calls.c (ending calls
 * from outside, vanished sides). */
#ifndef DUPLEX_SIGNALLING_PROXY_INT_H
#define DUPLEX_SIGNALLING_PROXY_INT_H

#include "signalling/call.h"
#include "signalling/proxy.h"
#include "signalling/sip_build.h"
#include "signalling/sip_uri.h"

#define WORKER_HOST_SUFFIX ".invalid"         /* of sent-by: see worker.h */
#define SESSION_HEADER     "X-Duplex-Session" /* between workers: login session of the client who sent it */
#define PERMISSIONS_HEADER "X-Duplex-Permissions"
#define AUDIT_MS           10000u /* between looks at whether the sides of a call are there */

struct proxy {
	struct proxy_config config;
	struct timers *timers;        /* borrowed */
	const struct proxy_host *ops; /* borrowed */
	void *host;
	struct txn_layer *txns; /* owned */
	struct calls *calls;    /* owned */
	struct {
		proxy_handler fn;
		void *arg;
	} handler[SIP_METHOD_COUNT];
	struct list relays; /* in-dialog requests under way, proxy_dialog.c */
	struct list byes;   /* of our own under way, proxy_bye.c */
	uint64_t counter[PROXY_C_COUNT];
	const struct origin *responder; /* of the response in work, else NULL; borrowed */
	bool ending;                    /* proxy_free: send nothing more */
};

static inline void proxy_count(struct proxy *p, enum proxy_counter c)
{
	p->counter[c]++;
}

/* Answers without a transaction (§8.2.7, for refusals). Never to ACK. */
void proxy_refuse(struct proxy *p, const struct flow *flow, const struct sip_msg *m, unsigned status,
		  const char *phrase, struct str headers);
/* Makes the server transaction, or answers 503 and returns NULL. */
struct txn *proxy_server_txn(struct proxy *p, const struct origin *from, const struct sip_msg *m,
			     const struct txn_user *user, void *ctx);
/* A tag that was never used before (RFC 3261 §19.3): 16 hex digits and NUL. */
void proxy_tag(char tag[17]);

/* proxy_identity.c: ERR_FORBIDDEN (answered and counted) when a client claims to be someone else. */
enum err proxy_check_identity(struct proxy *p, const struct origin *from, const struct sip_msg *m);
/* Takes out what only we may assert, and puts in the identity of `user`. */
void proxy_edit_identity(struct proxy *p, struct sip_edit *e, struct str user);
/* User name in the URI of From or To. */
enum err proxy_user_of(const struct proxy *p, const struct sip_msg *m, enum sip_hdr h, char name[USER_NAME_SIZE]);

/* proxy_route.c */
void proxy_record_route_put(struct proxy *p, struct str call_id, const char *caller, const char *callee,
			    struct buf *out);
/* What our own topmost Route says. */
struct proxy_route {
	struct str worker; /* that keeps the call; borrows from the message */
	uint64_t epoch;    /* its boot */
	uint64_t made_s;   /* wall clock */
};
/* ERR_NOT_FOUND: no Route; ERR_FORBIDDEN: not made by us for this Call-ID and the users in From and To. */
enum err proxy_route_get(struct proxy *p, const struct sip_msg *m, struct proxy_route *out);
/* Whether the Request-URI is a Route of ours, as strict routers do it (§16.4). */
bool proxy_route_strict(struct proxy *p, const struct sip_msg *m);
/* Passes a client's message on to the worker it is for, with the client's session. */
enum err proxy_hand_on(struct proxy *p, const struct origin *from, const struct sip_msg *m, struct str worker);
/* Login session of who sent `m`: of the origin, or as handed on by the edge. */
struct str proxy_session(const struct origin *from, const struct sip_msg *m);
/* Likewise its permissions. */
perm_set proxy_permissions(const struct origin *from, const struct sip_msg *m);

/* proxy_invite.c */
/* A new INVITE: makes the call and answers it, sometime. */
void proxy_invite(struct proxy *p, const struct origin *from, const struct sip_msg *m);
/* A CANCEL (§9.2), whatever it is for. */
void proxy_cancel(struct proxy *p, const struct origin *from, const struct sip_msg *m);
/* One that has the INVITE transaction of a call, or of a re-INVITE: false if it is the other's. */
bool proxy_invite_cancelled(struct txn *invite, const struct sip_msg *cancel);
bool proxy_dialog_cancelled(struct txn *invite, const struct sip_msg *cancel);
/* Reason of a CANCEL as one line in `mem`; a preset if it has none. */
struct str proxy_cancel_reason(const struct sip_msg *cancel, char *mem, size_t size);
/* Ends a call that has not been answered: final response to the caller, CANCEL to the devices. */
void proxy_invite_stop(struct call *c, unsigned status, const char *phrase, struct str reason, enum cdr_reason why,
		       const char *by);

/* proxy_dialog.c */
/* A request with a To tag, other than those whose dialog is with us. */
void proxy_dialog(struct proxy *p, const struct origin *from, const struct sip_msg *m);
/* The proxy ends: look-ups that are under way are forgotten; transactions end later. */
void proxy_dialog_free_all(struct proxy *p);

/* proxy_refer.c */
/* 0, or the status of a REFER that may not pass, with a phrase (literal): Refer-To must be a user here, with no header but Replaces, and
 * Referred-By the sender. */
unsigned proxy_refer_check(const struct proxy *p, const struct sip_msg *m, const char **phrase);
/* Says in a REFER from `referrer` to `referee` who asks, so that the INVITE it leads to can be believed. */
void proxy_refer_edit(const struct proxy *p, struct sip_edit *e, const struct sip_msg *m, const char *referrer, const char *referee);
/* Whether an INVITE of `caller` to `callee` comes from such a REFER; `name` is then who asked. */
bool proxy_referred_by(const struct proxy *p, const struct sip_msg *m, const char *caller, const char *callee, char name[USER_NAME_SIZE]);
/* The call of ours that an INVITE's Replaces names (RFC 3891 §3), and the side that its to-tag is of; NULL if there is none. */
struct call *proxy_replaced(const struct proxy *p, const struct sip_msg *m, enum call_side *side);

/* proxy_session.c */
#define PROXY_MIN_SE_SIZE  32u
#define PROXY_SESSION_SIZE 80u
/* Whether the session interval of `m` is to be refused with 422 (RFC 4028 §8.1); `line` is then the Min-SE header. */
bool proxy_session_short(const struct proxy *p, const struct sip_msg *m, char line[PROXY_MIN_SE_SIZE]);
/* Makes it longer on its way, where it cannot be refused. */
void proxy_session_raise(const struct proxy *p, struct sip_edit *e, const struct sip_msg *m);
/* What the response `m` lacks (§8.2): header lines in `mem`, or empty. */
struct str proxy_session_extra(const struct sip_msg *request, const struct sip_msg *m, char mem[PROXY_SESSION_SIZE]);
/* `m` answers a request that makes or refreshes the session of `c`. */
void proxy_session_heard(struct call *c, const struct sip_msg *request, const struct sip_msg *m);
/* No refresh came in time. */
bool proxy_session_over(const struct call *c);

/* proxy_calls.c */
/* From its answer on: looks now and then whether both sides are there, and ends the call when one is not. */
void proxy_call_watch(struct call *c);
/* The proxy ends: every record is dropped, nobody is told, the calls go on without us. */
void proxy_calls_free_all(struct proxy *p);
/* BYE to both sides (either may be gone) and the record's end. */
void proxy_call_stop(struct call *c, struct str reason, enum cdr_reason why, const char *by);
/* ACK and BYE for a 2xx that nobody wants. §16.7 step 10 leaves it to the caller, but browsers that have hung up do not
 * do it. */
void proxy_end_phantom(struct proxy *p, const struct sip_msg *response, const struct flow *flow, struct str reason);
/* proxy_bye.c: sends a BYE of ours (without Via) to a device, by the flow where it was last seen or, when that is dead,
 * by the one it has now. */
void proxy_bye(struct proxy *p, const struct flow *flow, struct str user, struct str instance, struct str bye);
/* As proxy_dialog_free_all. */
void proxy_bye_free_all(struct proxy *p);
/* Sends bytes of a request of ours that nobody waits for. */
void proxy_send_and_forget(struct proxy *p, const struct flow *flow, struct str request);
/* A Via value of ours with a new branch, in `mem`. */
struct str proxy_via(struct proxy *p, char *mem, size_t size);

#endif
