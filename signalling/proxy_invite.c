/* A new call: permission, look-up, fork to the devices, answers back to the caller, CANCEL (RFC 3261 §9.2, §16.5 to
 * §16.10). Owner: the worker's thread. Everything hangs on the call record; it is freed when its transactions and
 * look-ups are over. */
#include "signalling/proxy_int.h"

#include "common/log.h"

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

	if (c->server == NULL)
		return;
	if (fork_strip_put(m, &out) == ERR_OK)
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
	/* §16.7 step 6: a 503 of a device is no overload of ours. */
	if (m == NULL || status == 503) {
		refuse(c, status == 503 ? 500 : status, own_phrase(status, fork_rang(f)), STR_NONE, why);
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

static void on_branch_dead(struct fork *f, const struct fork_target *t)
{
	struct call *c = fork_ctx(f);
	struct proxy *p = proxy_of(c);

	proxy_count(p, PROXY_C_DEAD_BRANCH);
	/* For a connection of this worker its own grace period decides: the page may be loading again. */
	if (!p->ops->local(p->host, &t->flow))
		p->ops->remove(p->host, str_from(c->party[CALL_CALLEE].user), t->instance, &t->flow);
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

/* False if there was a device but no room for a transaction. */
static bool add_devices(struct call *c, const struct location *loc)
{
	bool room = true;

	for (size_t i = 0; i < loc->count; i++) {
		const struct binding *b = &loc->binding[i];
		struct fork_target t = { b->flow, str_from(b->contact), str_from(b->instance) };

		/* A call to oneself rings on the other devices. */
		if (flow_eq(&b->flow, &c->party[CALL_CALLER].flow))
			continue;
		enum err e = fork_add(c->fork, &t);

		if (e == ERR_CLOSED || e == ERR_FULL)
			on_branch_dead(c->fork, &t);
		else if (e != ERR_OK)
			room = false;
	}
	return room || fork_branches(c->fork) > 0;
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
	proxy_edit_identity(p, &e, str_from(c->party[CALL_CALLER].user));
	enum err err = sip_edit_put(&e, &out);

	if (err == ERR_OK)
		err = fork_new(p->txns, p->timers, buf_view(&out), &call_fork_user, c, &c->fork);
	buf_fini(&out);
	return err;
}

static void on_location(void *arg, enum err e, const struct location *loc)
{
	struct call *c = arg;
	struct proxy *p = proxy_of(c);

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
	c->callee_exists = true;
	if (start_fork(c) != ERR_OK) {
		proxy_count(p, PROXY_C_NO_MEMORY);
		refuse(c, 500, NULL, STR_NONE, CDR_FAILED);
		return;
	}
	if (!add_devices(c, loc)) {
		fork_discard(c->fork);
		c->fork = NULL;
		proxy_count(p, PROXY_C_TOO_MANY);
		refuse(c, 503, "Too many requests", STR("Retry-After: 5\r\n"), CDR_FAILED);
		return;
	}
	if (fork_branches(c->fork) > 0)
		call_forked(c);
	fork_begin(c->fork, p->config.ring_timeout_ms);
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

	if (calls_user_count(p->calls, from->user) >= p->config.calls_per_user ||
	    call_new(p->calls, m, from->user, callee, from, &c) != ERR_OK) {
		proxy_count(p, PROXY_C_TOO_MANY);
		proxy_reply(p, server, 503, "Too many calls", STR("Retry-After: 10\r\n"));
		return NULL;
	}
	c->driver = p;
	c->server = server;
	txn_set_user(server, &invite_user, c);
	return c;
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
	c->holds++;
	p->ops->lookup(p->host, str_from(c->party[CALL_CALLEE].user), instance, on_location, c);
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

bool proxy_invite_cancelled(struct txn *invite, const struct sip_msg *cancel)
{
	char mem[256];
	struct call *c = txn_ctx(invite);

	if (txn_user_of(invite) != &invite_user)
		return false;
	if (c->state == CALL_ANSWERED && !c->acked)
		end_answered(c);
	else if (c->state < CALL_ANSWERED)
		proxy_invite_stop(c, 487, NULL, proxy_cancel_reason(cancel, mem, sizeof(mem)), CDR_CANCELLED, "caller");
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
