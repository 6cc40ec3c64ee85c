/* A new call: permission, look-up, fork to the devices, answers back to the caller, CANCEL (RFC 3261 §9.2, §16.5 to
 * §16.10). Owner: the worker's thread. Everything hangs on the call record; it is freed when its transactions and
 * look-ups are over. */
#include "signalling/proxy_int.h"

#include "common/log.h"
#include "signalling/sdp.h"

#define NEAR_MAX       4u  /* devices of this worker that ring at once; others join them */
#define CALLS_LATE_MAX 16u /* calls that ring one person at once */

static const struct txn_user invite_user;
static const struct fork_user call_fork_user;

static struct proxy *proxy_of(const struct call *c)
{
	return c->driver;
}

/* --- answers to the caller -------------------------------------------------------------------- */

static void pass_up(struct call *c, const struct sip_msg *m)
{
	struct buf out = buf_growing(SIP_MSG_MAX);
	char mem[PROXY_SESSION_SIZE];

	if (c->server == NULL)
		return;
	if (fork_strip_put(m, proxy_session_extra(txn_request(c->server), m, mem), &out) == ERR_OK)
		(void)txn_respond(c->server, buf_view(&out)); /* a caller that is gone is seen by invite_failed */
	else
		proxy_reply(proxy_of(c), c->server, 500, NULL, STR_NONE);
	buf_fini(&out);
}

/* The end of a call before its answer, decided here. */
static void refuse(struct call *c, unsigned status, const char *phrase, struct str headers, enum cdr_reason why)
{
	c->holds++;
	call_end(c, why, status, "server");
	if (c->server != NULL)
		proxy_reply(proxy_of(c), c->server, status, phrase, headers);
	c->holds--;
	call_free_if_done(c);
}

void proxy_invite_stop(struct call *c, unsigned status, const char *phrase, struct str reason, enum cdr_reason why,
		       const char *by)
{
	char mem[320];
	struct buf header = buf_fixed(mem, sizeof(mem));

	c->holds++;
	if (c->fork != NULL)
		fork_cancel(c->fork, reason);
	buf_printf(&header, "Reason: %.*s\r\n", STR_FMT(reason));
	call_end(c, why, status, by);
	if (c->server != NULL)
		proxy_reply(proxy_of(c), c->server, status, phrase, header.overflow ? STR_NONE : buf_view(&header));
	c->holds--;
	call_free_if_done(c);
}

/* --- the caller's transaction ----------------------------------------------------------------- */

static void invite_failed(struct txn *t, enum txn_failure why)
{
	struct call *c = txn_ctx(t);

	if (why != TXN_TRANSPORT || c->state == CALL_ENDED)
		return;
	/* After the answer the caller may come back by another connection: the audit decides. */
	if (c->state == CALL_ANSWERED) {
		if (c->party[CALL_CALLER].lost_since_ms == 0)
			c->party[CALL_CALLER].lost_since_ms = proxy_of(c)->timers->now_ms;
		return;
	}
	proxy_invite_stop(c, 487, NULL, STR("SIP;cause=487;text=\"Caller is gone\""), CDR_LOST, "caller");
}

static void invite_ended(struct txn *t)
{
	struct call *c = txn_ctx(t);

	c->server = NULL;
	call_free_if_done(c);
}

/* --- the devices ------------------------------------------------------------------------------ */

static void on_provisional(struct fork *f, const struct sip_msg *m)
{
	struct call *c = fork_ctx(f);

	if (m->status >= 180 && m->status < 190)
		call_ringing(c);
	pass_up(c, m);
}

static void on_success(struct call *c, const struct sip_msg *m, const struct fork_target *from)
{
	const struct origin *responder = proxy_of(c)->responder;
	struct str session = responder != NULL ? proxy_session(responder, m) : STR_NONE;

	if (call_answered(c, m, from, session) != ERR_OK) {
		proxy_end_phantom(proxy_of(c), m, &from->flow, STR("SIP;cause=500"));
		refuse(c, 500, NULL, STR_NONE, CDR_FAILED);
		return;
	}
	if (c->server != NULL)
		proxy_session_heard(c, txn_request(c->server), m);
	proxy_call_watch(c);
	pass_up(c, m);
}

static const char *own_phrase(unsigned status, bool rang)
{
	if (status == 480)
		return rang ? "Device is gone" : "Not registered";
	return status == 408 ? "No answer" : NULL;
}

static const char *by_whom(enum cdr_reason r)
{
	return r == CDR_DECLINED || r == CDR_BUSY ? "callee" : "server";
}

static void on_final(struct fork *f, unsigned status, const struct sip_msg *m, const struct fork_target *from)
{
	struct call *c = fork_ctx(f);

	if (m != NULL && status < 300) {
		on_success(c, m, from);
		return;
	}
	enum cdr_reason why = cdr_reason_from_status(status, fork_rang(f));

	/* A device that answers 480 was reached, whatever it means by it. */
	if (why == CDR_UNREACHABLE && m != NULL)
		why = CDR_NO_ANSWER;
	if (m == NULL && status == 480 && !fork_rang(f))
		proxy_count(proxy_of(c), PROXY_C_NOT_REGISTERED);
	if (m == NULL) {
		refuse(c, status, own_phrase(status, fork_rang(f)), STR_NONE, why);
		return;
	}
	c->holds++;
	call_end(c, why, status, by_whom(why));
	pass_up(c, m);
	c->holds--;
}

static void on_again(struct fork *f, const struct sip_msg *m)
{
	pass_up(fork_ctx(f), m);
}

static void on_late_success(struct fork *f, const struct sip_msg *m, const struct fork_target *from)
{
	struct call *c = fork_ctx(f);
	struct sip_session_id id;
	bool elsewhere = c->answered_ms != 0;

	proxy_end_phantom(proxy_of(c), m, &from->flow,
			  elsewhere ? STR("SIP;cause=200;text=\"Call completed elsewhere\"")
				    : STR("SIP;cause=487;text=\"Call ended\""));
	/* The device has allocated for a call that is none. */
	if (sip_msg_session_id(m, &id) == ERR_OK)
		call_tell_relay(c->calls, str_from(c->party[CALL_CALLEE].user), id.local);
}

/* A device that has deregistered does not come back. */
static void on_dead_location(void *arg, enum err e, const struct location *loc)
{
	struct call *c = arg;

	/* Giving up may be the end of the fork, and of all that held the call but this. */
	if (c->fork != NULL && e == ERR_OK && !loc->uncertain && loc->count == 0 && !loc->lost)
		fork_give_up(c->fork);
	c->holds--;
	call_free_if_done(c);
}

static void on_branch_dead(struct fork *f, const struct fork_target *t)
{
	struct call *c = fork_ctx(f);
	struct proxy *p = proxy_of(c);

	proxy_count(p, PROXY_C_DEAD_BRANCH);
	/* For a connection of this worker its own grace period decides: the page may be loading again. */
	if (!p->ops->local(p->host, &t->flow))
		p->ops->remove(p->host, str_from(c->party[CALL_CALLEE].user), t->instance, &t->flow);
	c->holds++;
	p->ops->lookup(p->host, str_from(c->party[CALL_CALLEE].user), str_from(c->one_device), on_dead_location, c);
}

static void on_fork_ended(struct fork *f)
{
	struct call *c = fork_ctx(f);

	c->fork = NULL;
	call_free_if_done(c);
}

static const struct fork_user call_fork_user = {
	.provisional = on_provisional,
	.final = on_final,
	.again = on_again,
	.late_success = on_late_success,
	.branch_dead = on_branch_dead,
	.ended = on_fork_ended,
};

/* What the devices came to. */
struct ringing {
	bool full;    /* no room for a transaction */
	bool foreign; /* its media and the caller's do not meet */
	bool large;   /* its transport cannot carry the request (RFC 3261 §18.1.1) */
};

/* A phone speaks plain RTP and a browser DTLS-SRTP only; between them somebody would have to translate. A phone that offers DTLS-SRTP itself can speak to
 * both. Better no call than one without sound. */
static bool media_meets(const struct call *c, const struct binding *b)
{
	bool phone = c->party[CALL_CALLER].phone;

	return phone == b->phone || (phone && sdp_media_of(txn_request(c->server)) == SDP_DTLS);
}

static struct ringing add_devices(struct call *c, const struct location *loc)
{
	struct ringing r = { 0 };

	/* Somebody is there, or was a moment ago: a page that loads anew shall not miss the call. */
	if (loc->lost)
		fork_patience(c->fork, proxy_of(c)->config.late_ms);

	for (size_t i = 0; i < loc->count; i++) {
		const struct binding *b = &loc->binding[i];
		struct fork_target t = { b->flow, str_from(b->contact), str_from(b->instance) };

		/* A call to oneself rings on the other devices. */
		if (flow_eq(&b->flow, &c->party[CALL_CALLER].flow) || fork_has(c->fork, t.instance))
			continue;
		if (!media_meets(c, b)) {
			r.foreign = true;
			continue;
		}
		fork_patience(c->fork, proxy_of(c)->config.late_ms);
		enum err e = fork_add(c->fork, &t);

		if (e == ERR_CLOSED || e == ERR_FULL)
			on_branch_dead(c->fork, &t);
		else if (e == ERR_TOO_LARGE)
			r.large = true;
		else if (e != ERR_OK)
			r.full = true;
	}
	return r;
}

/* There were devices, but none that can be rung. False: there is one, or there was none at all. */
static bool refused(struct call *c, const struct ringing *r)
{
	struct proxy *p = proxy_of(c);
	char mem[256];
	struct buf warning = buf_fixed(mem, sizeof(mem));

	if (fork_branches(c->fork) > 0 || !(r->full || r->foreign || r->large))
		return false;
	fork_discard(c->fork);
	c->fork = NULL;
	proxy_count(p, r->full ? PROXY_C_TOO_MANY : r->large ? PROXY_C_LARGE : PROXY_C_MEDIA);
	if (r->full) {
		refuse(c, 503, "Too many requests", STR("Retry-After: 5\r\n"), CDR_FAILED);
	} else if (r->large) {
		refuse(c, 513, NULL, STR_NONE, CDR_FAILED);
	} else {
		buf_printf(&warning, "Warning: 302 %.*s \"A browser's DTLS-SRTP and a phone's RTP do not meet\"\r\n", STR_FMT(p->config.domain));
		refuse(c, 488, NULL, warning.overflow ? STR_NONE : buf_view(&warning), CDR_FAILED);
	}
	return true;
}

static enum err start_fork(struct call *c)
{
	struct proxy *p = proxy_of(c);
	const struct sip_msg *m = txn_request(c->server);
	char mem[512];
	struct buf route = buf_fixed(mem, sizeof(mem)), out = buf_growing(2 * SIP_MSG_MAX);
	struct sip_edit e;

	proxy_record_route_put(p, m->call_id, c->party[CALL_CALLER].user, c->party[CALL_CALLEE].user, &route);
	sip_edit_init(&e, m);
	sip_edit_prepend(&e, "Record-Route: %.*s\r\n", STR_FMT(buf_view(&route)));
	sip_edit_max_forwards(&e);
	proxy_session_raise(p, &e, m);
	sip_edit_drop(&e, SIP_H_REFERRED_BY);
	if (c->referred_by[0] != '\0')
		sip_edit_append(&e, "Referred-By: <sip:%s@%.*s>\r\n", c->referred_by, STR_FMT(p->config.domain));
	proxy_edit_identity(p, &e, str_from(c->party[CALL_CALLER].user));
	enum err err = sip_edit_put(&e, &out);

	if (err == ERR_OK)
		err = fork_new(p->txns, p->timers, buf_view(&out), &call_fork_user, c, &c->fork);
	buf_fini(&out);
	return err;
}

/* Whether the callee can have one more call, and wants it. A call that takes the place of another is none more (RFC 3891). */
static bool willing(struct call *c, const struct location *loc)
{
	struct proxy *p = proxy_of(c);

	if (txn_request(c->server)->first[SIP_H_REPLACES] != 0)
		return true; /* may_replace has let it in */
	if (loc->dnd) {
		proxy_count(p, PROXY_C_DO_NOT_DISTURB);
		refuse(c, 480, "Do not disturb", STR("Reason: SIP;cause=480;text=\"Do not disturb\"\r\n"), CDR_DO_NOT_DISTURB);
		return false;
	}
	if (calls_user_count(p->calls, str_from(c->party[CALL_CALLEE].user)) <= p->config.calls_per_user)
		return true;
	proxy_count(p, PROXY_C_TOO_MANY);
	refuse(c, 486, "Too many calls", STR("Reason: SIP;cause=486;text=\"Too many calls\"\r\n"), CDR_BUSY);
	return false;
}

/* The devices are told, unless the callee does not want that. False: refused. */
static bool ring(struct call *c, const struct location *loc, struct ringing *out)
{
	struct proxy *p = proxy_of(c);

	c->callee_exists = true;
	if (!willing(c, loc))
		return false;
	if (start_fork(c) != ERR_OK) {
		proxy_count(p, PROXY_C_NO_MEMORY);
		refuse(c, 500, NULL, STR_NONE, CDR_FAILED);
		return false;
	}
	txn_sending_on(p->txns, c->server);
	*out = add_devices(c, loc);
	txn_sending_on(p->txns, NULL);
	return true;
}

/* Devices of this worker ring already: the others join them, if nobody has answered meanwhile. What the store did not say, or now says about the
 * callee's wish, comes too late for those that ring. */
static void join(struct call *c, enum err e, const struct location *loc)
{
	struct txn_layer *txns = proxy_of(c)->txns;

	if (e == ERR_OK && !loc->dnd && c->state < CALL_ANSWERED && c->server != NULL && fork_open(c->fork)) {
		txn_sending_on(txns, c->server);
		(void)add_devices(c, loc); /* without room it rings where it rings */
		txn_sending_on(txns, NULL);
	}
	fork_begin(c->fork, proxy_of(c)->config.ring_timeout_ms);
}

static void on_location(void *arg, enum err e, const struct location *loc)
{
	struct call *c = arg;
	struct proxy *p = proxy_of(c);

	if (c->fork != NULL) {
		/* Held until its fork is done with: that may free it. */
		join(c, e, loc);
		c->holds--;
		call_free_if_done(c);
		return;
	}
	c->holds--;
	if (c->state == CALL_ENDED || c->server == NULL) {
		call_free_if_done(c);
		return;
	}
	if (e != ERR_OK) {
		proxy_count(p, PROXY_C_STORE_AWAY);
		refuse(c, 500, "Directory is not available", STR("Retry-After: 2\r\n"), CDR_FAILED);
		return;
	}
	if (!loc->known) {
		proxy_count(p, PROXY_C_UNKNOWN_USER);
		refuse(c, 404, "Unknown user", STR_NONE, CDR_NOT_FOUND);
		return;
	}
	struct ringing r;

	if (!ring(c, loc, &r) || refused(c, &r))
		return;
	if (fork_branches(c->fork) > 0)
		call_forked(c);
	fork_begin(c->fork, p->config.ring_timeout_ms);
}

/* Who is called may be connected to this very worker: then those devices ring at once, and Redis is asked meanwhile who else there is. False: refused. */
static bool ring_near(struct call *c)
{
	struct proxy *p = proxy_of(c);
	struct binding found[NEAR_MAX];
	struct location loc = { .known = true, .binding = found };
	struct ringing r;

	if (p->ops->near == NULL || txn_request(c->server)->first[SIP_H_REPLACES] != 0)
		return true;
	loc.count = p->ops->near(p->host, str_from(c->party[CALL_CALLEE].user), str_from(c->one_device), found, NEAR_MAX);
	/* To oneself: Redis knows the other devices. */
	if (loc.count == 0 || strcmp(c->party[CALL_CALLER].user, c->party[CALL_CALLEE].user) == 0)
		return true;
	if (!ring(c, &loc, &r))
		return false;
	if (fork_branches(c->fork) == 0) {
		/* None that can be rung from here: as if there were none. */
		fork_discard(c->fork);
		c->fork = NULL;
		return true;
	}
	proxy_count(p, PROXY_C_NEAR);
	call_forked(c);
	return true;
}

static void on_late_location(void *arg, enum err e, const struct location *loc)
{
	struct call *c = arg;

	c->holds--;
	if (c->state < CALL_ANSWERED && c->fork != NULL && fork_open(c->fork) && e == ERR_OK) {
		size_t before = fork_branches(c->fork);

		(void)add_devices(c, loc); /* without room it rings where it rang */
		proxy_of(c)->counter[PROXY_C_LATE_DEVICE] += fork_branches(c->fork) - before;
		if (fork_branches(c->fork) > 0 && !c->party[CALL_CALLER].counted_busy)
			call_forked(c);
	}
	call_free_if_done(c);
}

/* Calls that ring `user` and may ring more devices, held. */
static size_t ringing_of(struct proxy *p, struct str user, struct call *ringing[CALLS_LATE_MAX])
{
	enum call_side side;
	size_t n = 0;

	for (struct call *c = calls_of_user(p->calls, user, NULL, &side); c != NULL && n < CALLS_LATE_MAX;
	     c = calls_of_user(p->calls, user, c, &side))
		if (side == CALL_CALLEE && c->state < CALL_ANSWERED && c->fork != NULL && fork_open(c->fork)) {
			c->holds++;
			ringing[n++] = c;
		}
	return n;
}

void proxy_device_came(struct proxy *p, struct str user)
{
	struct call *ringing[CALLS_LATE_MAX];
	size_t n = ringing_of(p, user, ringing);

	for (size_t i = 0; i < n; i++) {
		struct str instance = str_from(ringing[i]->one_device);

		p->ops->lookup(p->host, user, instance, on_late_location, ringing[i]);
	}
}

void proxy_devices_left(struct proxy *p, struct str user)
{
	struct call *ringing[CALLS_LATE_MAX];
	size_t n = ringing_of(p, user, ringing);

	for (size_t i = 0; i < n; i++) {
		if (ringing[i]->fork != NULL)
			fork_give_up(ringing[i]->fork);
		ringing[i]->holds--;
		call_free_if_done(ringing[i]);
	}
}

/* --- letting it in ---------------------------------------------------------------------------- */

/* What the call is for and whether the caller may. */
static bool permitted(struct proxy *p, const struct call *c, perm_set perms)
{
	if (perm_has(perms, PERM_CALL_AUDIO) && (!c->video || perm_has(perms, PERM_CALL_VIDEO)))
		return true;
	proxy_count(p, PROXY_C_NO_PERMISSION);
	return false;
}

/* The person who is called, and the device if the Request-URI is a GRUU. */
static enum err callee_of(struct proxy *p, const struct sip_msg *m, char name[USER_NAME_SIZE], struct str *instance)
{
	struct sip_uri u;
	enum err e = sip_uri_parse(m->uri, &u);

	*instance = STR_NONE;
	if (e != ERR_OK)
		return e;
	(void)sip_uri_gruu(&u, instance);
	return sip_uri_user_name(&u, p->config.domain, name, USER_NAME_SIZE);
}

static struct call *new_call(struct proxy *p, const struct origin *from, const struct sip_msg *m, struct txn *server,
			     struct str callee)
{
	struct call *c;

	if (calls_user_count(p->calls, from->user) >= p->config.calls_per_user) {
		proxy_count(p, PROXY_C_TOO_MANY);
		proxy_reply(p, server, 403, "Too many calls", STR("Reason: SIP;cause=403;text=\"Too many calls\"\r\n"));
		return NULL;
	}
	if (call_new(p->calls, m, from->user, callee, from, &c) != ERR_OK) {
		proxy_count(p, PROXY_C_TOO_MANY);
		proxy_reply(p, server, 503, "Too many calls", STR("Retry-After: 10\r\n"));
		return NULL;
	}
	c->driver = p;
	c->server = server;
	txn_set_user(server, &invite_user, c);
	if (!proxy_referred_by(p, m, c->party[CALL_CALLER].user, c->party[CALL_CALLEE].user, c->referred_by))
		c->referred_by[0] = '\0';
	return c;
}

/* What can be said before there is a call. True: it was said. */
static bool refused_at_once(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	char line[PROXY_MIN_SE_SIZE];

	if (calls_merged(p->calls, m)) {
		proxy_count(p, PROXY_C_MERGED);
		proxy_refuse(p, &from->flow, m, 482, "Merged request", STR_NONE);
		return true;
	}
	if (proxy_session_short(p, m, line)) {
		proxy_count(p, PROXY_C_SESSION_SHORT);
		proxy_refuse(p, &from->flow, m, 422, NULL, str_from(line));
		return true;
	}
	return false;
}

/* An INVITE with Replaces is for the device that has the call it names, and only who was asked by one of that call's two sides, or is one of
 * them, may take it over (RFC 3891 §3, §8). Of a call that another worker keeps we only know who asked. */
static bool may_replace(struct proxy *p, const struct call *c, const struct sip_msg *m, struct str *instance)
{
	const struct call_party *callee = &c->party[CALL_CALLEE], *caller = &c->party[CALL_CALLER];
	enum call_side side;

	if (m->first[SIP_H_REPLACES] == 0)
		return true;
	const struct call *old = proxy_replaced(p, m, &side);
	bool ok = c->referred_by[0] != '\0';

	if (old != NULL) {
		const struct call_party *stays = &old->party[side], *goes = &old->party[call_other(side)];

		ok = strcmp(stays->user, callee->user) == 0 &&
		     (strcmp(c->referred_by, goes->user) == 0 || strcmp(caller->user, goes->user) == 0 || strcmp(caller->user, stays->user) == 0);
		*instance = str_from(stays->instance);
	}
	if (!ok)
		proxy_count(p, PROXY_C_BAD_REPLACES);
	return ok;
}

void proxy_invite(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	char callee[USER_NAME_SIZE];
	struct str instance;
	static const struct txn_user nobody;
	struct txn *server;

	/* A new call starts at the worker of the caller's connection; from a peer there is none. */
	if (from->peer.len > 0) {
		proxy_refuse(p, &from->flow, m, 403, NULL, STR_NONE);
		return;
	}
	if (refused_at_once(p, from, m))
		return;
	server = proxy_server_txn(p, from, m, &nobody, NULL);
	if (server == NULL)
		return;
	proxy_reply(p, server, 100, NULL, STR_NONE);
	if (callee_of(p, m, callee, &instance) != ERR_OK) {
		proxy_count(p, PROXY_C_FOREIGN);
		proxy_reply(p, server, 404, "Unknown user", STR_NONE);
		return;
	}
	struct call *c = new_call(p, from, m, server, str_from(callee));

	if (c == NULL)
		return;
	if (!permitted(p, c, from->perms)) {
		refuse(c, 403, "No permission", STR_NONE, CDR_FORBIDDEN);
		return;
	}
	if (!may_replace(p, c, m, &instance)) {
		refuse(c, 403, "That call is not yours to replace", STR_NONE, CDR_FORBIDDEN);
		return;
	}
	/* An instance that is longer than any of ours finds nothing. */
	if (str_copy(instance, c->one_device, sizeof(c->one_device)) != ERR_OK)
		c->one_device[0] = '?';
	c->holds++;
	if (!ring_near(c)) {
		c->holds--;
		call_free_if_done(c);
		return;
	}
	bool urgent = c->fork == NULL || p->ops->lookup_soon == NULL;
	(urgent ? p->ops->lookup : p->ops->lookup_soon)(p->host, str_from(c->party[CALL_CALLEE].user), instance, on_location, c);
}

/* --- CANCEL ----------------------------------------------------------------------------------- */

struct str proxy_cancel_reason(const struct sip_msg *cancel, char *mem, size_t size)
{
	struct sip_list it = sip_list(cancel, SIP_H_REASON);
	struct buf b = buf_fixed(mem, size);
	struct str v;

	if (!sip_list_next(&it, &v))
		return STR("SIP;cause=487;text=\"Cancelled\"");
	for (size_t i = 0; i < v.len; i++)
		buf_char(&b, (unsigned char)v.p[i] < ' ' ? ' ' : v.p[i]);
	return b.overflow ? STR("SIP;cause=487;text=\"Cancelled\"") : buf_view(&b);
}

/* The CANCEL crossed the answer, and the caller has forgotten the call: browsers neither ACK nor BYE then, so it is
 * done here. */
static void end_answered(struct call *c)
{
	struct proxy *p = proxy_of(c);
	char mem[256];
	struct buf ack = buf_growing(SIP_MSG_MAX);

	proxy_count(p, PROXY_C_PHANTOM);
	if (call_ack_put(c, proxy_via(p, mem, sizeof(mem)), &ack) == ERR_OK)
		(void)p->ops->txn.send(p->host, &c->party[CALL_CALLEE].flow, buf_view(&ack));
	buf_fini(&ack);
	proxy_call_stop(c, STR("SIP;cause=487;text=\"Cancelled\""), CDR_CANCELLED, "caller");
}

/* The two called each other at the same moment, and this one gives way: its device says so. */
static bool glare(const struct sip_msg *cancel)
{
	struct sip_list it = sip_list(cancel, SIP_H_REASON);
	struct str v, text;

	return sip_msg_reason_cause(cancel) == 200 && sip_list_next(&it, &v) && sip_param(v, STR("text"), &text) &&
	       str_ieq(text, STR("\"Both called\""));
}

bool proxy_invite_cancelled(struct txn *invite, const struct sip_msg *cancel)
{
	char mem[256];
	struct call *c = txn_ctx(invite);

	if (txn_user_of(invite) != &invite_user)
		return false;
	if (c->state == CALL_ANSWERED && !c->acked)
		end_answered(c);
	else if (c->state < CALL_ANSWERED)
		proxy_invite_stop(c, 487, NULL, proxy_cancel_reason(cancel, mem, sizeof(mem)), glare(cancel) ? CDR_GLARE : CDR_CANCELLED,
				  "caller");
	return true;
}

void proxy_cancel(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	static const struct txn_user nobody;
	struct txn *invite = txn_find_invite(p->txns, &from->flow, m), *t;
	struct proxy_route route;

	if (invite == NULL) {
		/* Of a re-INVITE that went to the owner of its call. */
		if (from->peer.len == 0 && proxy_route_get(p, m, &route) == ERR_OK &&
		    !str_eq(route.worker, p->config.worker) && proxy_hand_on(p, from, m, route.worker) == ERR_OK)
			return;
		proxy_count(p, PROXY_C_NO_CALL);
		proxy_refuse(p, &from->flow, m, 481, NULL, STR_NONE);
		return;
	}
	t = proxy_server_txn(p, from, m, &nobody, NULL);
	if (t == NULL)
		return;
	proxy_reply(p, t, 200, NULL, STR_NONE);
	if (!proxy_invite_cancelled(invite, m))
		(void)proxy_dialog_cancelled(invite, m);
}

static const struct txn_user invite_user = { .failed = invite_failed, .ended = invite_ended };
