/* Requests inside a dialog: BYE, ACK, re-INVITE, UPDATE, INFO, REFER, NOTIFY (RFC 3261 §12.2, §16.12). Owner: the
 * worker's thread.
 *
 * They carry our Record-Route as Route, which names the worker that keeps the call. There they go to the other side's
 * device, wherever it is connected now. When that worker is gone, or has started anew, they go to the GRUU in their
 * Request-URI instead (RFC 5627 §5.1), so that a call survives its worker; for a day, and with the permissions that a new
 * call would need. A device whose flow has died since is looked up once more. */
#include "signalling/proxy_int.h"

#include "signalling/account.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "signalling/sip_check.h"

#define ROUTE_AGE_MAX_S 86400u /* a dialog whose record is gone is not continued for longer */
#define TIMER_C_MS 181000u /* §16.6 step 11: a re-INVITE that rings for ever because its device has vanished */

/* One request on its way. Lives until its transactions and its look-up are over. */
struct relay {
	struct list node; /* in proxy->relays */
	struct proxy *proxy;
	struct sip_msg *request; /* owned */
	struct txn *server;      /* NULL for ACK, and when over */
	struct fork *fork;       /* the latest; NULL when over */
	unsigned holds;          /* forks, a look-up under way, callers up the stack */
	bool looking, looked;
	struct account_mark mark; /* of an ACK */
	char user[USER_NAME_SIZE]; /* the target */
	char instance[INSTANCE_MAX + 1];
};

static const struct txn_user relay_user;
static const struct fork_user relay_fork_user;

static void free_if_done(struct relay *r)
{
	if (r->server != NULL || r->holds > 0)
		return;
	list_remove(&r->node);
	account_close(txn_layer_account(r->proxy->txns), &r->mark, FATE_DROP_ACK_TARGET);
	free(r->request);
	free(r);
}

static void release(struct relay *r)
{
	r->holds--;
	free_if_done(r);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer(struct relay *r, unsigned status, const char *phrase)
{
	if (r->server != NULL)
		proxy_reply(r->proxy, r->server, status, phrase, STR_NONE);
}

/* The other side cannot be reached. Who hangs up is told that it worked: there is nothing left to hang up. */
static void answer_gone(struct relay *r)
{
	if (r->request->method == SIP_BYE)
		answer(r, 200, NULL);
	else
		answer(r, 480, "Other side is not connected");
}

static void pass_up(struct relay *r, const struct sip_msg *m)
{
	char mem[PROXY_SESSION_SIZE];
	struct buf out = buf_growing(SIP_MSG_MAX);
	enum call_side side;
	struct call *c = m->status >= 200 ? calls_find(r->proxy->calls, r->request, &side) : NULL;

	if (c != NULL)
		proxy_session_heard(c, r->request, m);
	if (r->server != NULL && fork_strip_put(m, proxy_session_extra(r->request, m, mem), &out) == ERR_OK)
		(void)txn_respond(r->server, buf_view(&out)); /* a sender that is gone needs no answer */
	buf_fini(&out);
}

/* --- sending ---------------------------------------------------------------------------------- */

static enum err edited_put(struct relay *r, struct buf *out)
{
	char name[USER_NAME_SIZE];
	struct sip_edit e;
	enum err err = proxy_user_of(r->proxy, r->request, SIP_H_FROM, name);

	if (err != ERR_OK)
		return err;
	sip_edit_init(&e, r->request);
	sip_edit_max_forwards(&e);
	proxy_session_raise(r->proxy, &e, r->request);
	if (r->request->method == SIP_REFER)
		proxy_refer_edit(r->proxy, &e, r->request, name, r->user);
	proxy_edit_identity(r->proxy, &e, str_from(name));
	return sip_edit_put(&e, out);
}

/* §16.6: an ACK is passed on without a transaction. */
static enum err send_ack(struct relay *r, const struct flow *flow)
{
	struct account *a = txn_layer_account(r->proxy->txns);
	char mem[256];
	struct sip_msg m;
	struct sip_refusal why;
	struct sip_edit e;
	struct buf edited = buf_growing(2 * SIP_MSG_MAX), out = buf_growing(2 * SIP_MSG_MAX);
	enum err err = edited_put(r, &edited);

	if (err == ERR_OK)
		err = sip_msg_parse(buf_view(&edited), &m, &why);
	if (err == ERR_OK) {
		sip_edit_init(&e, &m);
		sip_edit_prepend(&e, "Via: %.*s\r\n", STR_FMT(proxy_via(r->proxy, mem, sizeof(mem))));
		err = sip_edit_put(&e, &out);
	}
	if (err == ERR_OK)
		err = r->proxy->ops->txn.send(r->proxy->host, flow, buf_view(&out));
	if (err == ERR_OK) {
		account_sending(a, &r->mark);
		account_sent(a);
		account_close(a, &r->mark, FATE_RELAYED);
	}
	buf_fini(&edited);
	buf_fini(&out);
	return err;
}

static enum err send_request(struct relay *r, const struct flow *flow)
{
	struct proxy *p = r->proxy;
	struct fork_target t = { *flow, r->request->uri, str_from(r->instance) };
	struct buf out = buf_growing(2 * SIP_MSG_MAX);
	struct fork *f = NULL;
	enum err e = edited_put(r, &out);

	if (e == ERR_OK)
		e = fork_new(p->txns, p->timers, buf_view(&out), &relay_fork_user, r, &f);
	buf_fini(&out);
	if (e != ERR_OK)
		return e;
	txn_sending_on(p->txns, r->server);
	e = fork_add(f, &t);
	txn_sending_on(p->txns, NULL);
	if (e != ERR_OK) {
		fork_discard(f);
		return e;
	}
	r->fork = f;
	r->holds++;
	fork_begin(f, r->request->method == SIP_INVITE ? TIMER_C_MS : 0);
	return ERR_OK;
}

static enum err send_to(struct relay *r, const struct flow *flow)
{
	return r->request->method == SIP_ACK ? send_ack(r, flow) : send_request(r, flow);
}

/* --- finding the device ----------------------------------------------------------------------- */

/* What follows in this call, an ACK above all, which no 430 would bring back, goes there at once. */
static void learn_target(struct relay *r, const struct flow *flow)
{
	enum call_side side;
	struct call *c = calls_find(r->proxy->calls, r->request, &side);

	if (c == NULL || strcmp(c->party[call_other(side)].instance, r->instance) != 0)
		return;
	c->party[call_other(side)].flow = *flow;
	c->party[call_other(side)].lost_since_ms = 0;
}

static void on_location(void *arg, enum err e, const struct location *loc)
{
	struct relay *r = arg;

	r->looking = false;
	if (e != ERR_OK) {
		proxy_count(r->proxy, PROXY_C_STORE_AWAY);
		answer(r, 500, NULL);
	} else if (loc->count == 0 || send_to(r, &loc->binding[0].flow) != ERR_OK) {
		answer_gone(r);
	} else {
		learn_target(r, &loc->binding[0].flow);
	}
	release(r);
}

static void look_up(struct relay *r)
{
	struct proxy *p = r->proxy;

	if (r->looked || r->instance[0] == '\0') {
		answer_gone(r);
		return;
	}
	r->looked = true;
	r->looking = true;
	r->holds++;
	p->ops->lookup(p->host, str_from(r->user), str_from(r->instance), on_location, r);
}

/* --- the branch ------------------------------------------------------------------------------- */

static void on_response(struct fork *f, const struct sip_msg *m)
{
	pass_up(fork_ctx(f), m);
}

static void on_final(struct fork *f, unsigned status, const struct sip_msg *m, UNUSED const struct fork_target *from)
{
	struct relay *r = fork_ctx(f);

	if (m != NULL)
		pass_up(r, m);
	else if (status != 480)
		answer(r, status, NULL);
	/* else the branch was dead: on_dead has seen to it */
}

static void on_late_success(struct fork *f, const struct sip_msg *m, UNUSED const struct fork_target *from)
{
	pass_up(fork_ctx(f), m);
}

static void on_dead(struct fork *f, const struct fork_target *t)
{
	struct relay *r = fork_ctx(f);
	struct proxy *p = r->proxy;

	proxy_count(p, PROXY_C_DEAD_BRANCH);
	if (t->instance.len > 0 && !p->ops->local(p->host, &t->flow))
		p->ops->remove(p->host, str_from(r->user), t->instance, &t->flow);
	look_up(r);
}

static void on_ended(struct fork *f)
{
	struct relay *r = fork_ctx(f);

	if (r->fork == f)
		r->fork = NULL;
	release(r);
}

static void server_ended(struct txn *t)
{
	struct relay *r = txn_ctx(t);

	r->server = NULL;
	free_if_done(r);
}

static const struct fork_user relay_fork_user = {
	.provisional = on_response,
	.final = on_final,
	.again = on_response,
	.late_success = on_late_success,
	.branch_dead = on_dead,
	.ended = on_ended,
};
static const struct txn_user relay_user = { .ended = server_ended };

bool proxy_dialog_cancelled(struct txn *invite, const struct sip_msg *cancel)
{
	char mem[256];
	struct relay *r = txn_ctx(invite);

	if (txn_user_of(invite) != &relay_user)
		return false;
	if (r->fork != NULL)
		fork_pass_cancel(r->fork, proxy_cancel_reason(cancel, mem, sizeof(mem)));
	return true;
}

/* --- receiving -------------------------------------------------------------------------------- */

static void refuse(struct proxy *p, const struct origin *from, const struct sip_msg *m, enum proxy_counter counter,
		   unsigned status, const char *phrase)
{
	proxy_count(p, m->method == SIP_ACK ? PROXY_C_STRAY_ACK : counter);
	proxy_refuse(p, &from->flow, m, status, phrase, STR_NONE);
}

/* The relay of `m`, held, with its server transaction unless it is an ACK. NULL: answered. */
static struct relay *new_relay(struct proxy *p, const struct origin *from, const struct sip_msg *m, struct str user,
			       struct str instance)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->request = sip_msg_copy(m)) == NULL || str_copy(user, r->user, sizeof(r->user)) != ERR_OK ||
	    str_copy(instance, r->instance, sizeof(r->instance)) != ERR_OK) {
		if (r != NULL)
			free(r->request);
		free(r);
		refuse(p, from, m, PROXY_C_NO_MEMORY, 500, NULL);
		return NULL;
	}
	r->proxy = p;
	r->holds = 1;
	list_init(&r->node);
	if (m->method != SIP_ACK) {
		r->server = proxy_server_txn(p, from, m, &relay_user, r);
		if (r->server == NULL) {
			free(r->request);
			free(r);
			return NULL;
		}
	} else {
		account_open(txn_layer_account(p->txns), &r->mark, SIP_ACK);
	}
	list_append(&p->relays, &r->node);
	if (m->method == SIP_INVITE)
		proxy_reply(p, r->server, 100, NULL, STR_NONE);
	return r;
}

/* Whether a client may say this without a record of the call that knows what was permitted: to end a call is always; for
 * anything else the permission for a new one is needed. */
static bool permitted(const struct origin *from, const struct sip_msg *m)
{
	perm_set perms = proxy_permissions(from, m);

	if (m->method == SIP_ACK || m->method == SIP_BYE)
		return true;
	if (m->method == SIP_MESSAGE)
		return perm_has(perms, PERM_CHAT_SEND);
	return perm_has(perms, PERM_CALL_AUDIO) && (!sip_body_has_video(m) || perm_has(perms, PERM_CALL_VIDEO));
}

/* Without the call's record: to the device that the Request-URI names. */
static void by_gruu(struct proxy *p, const struct origin *from, const struct sip_msg *m, const struct proxy_route *route)
{
	char name[USER_NAME_SIZE], to[USER_NAME_SIZE];
	struct sip_uri u;
	struct str instance;

	/* Only to a device of the person whom the Route was made for. */
	if (sip_uri_parse(m->uri, &u) != ERR_OK || !sip_uri_gruu(&u, &instance) || instance.len == 0 ||
	    sip_uri_user_name(&u, p->config.domain, name, sizeof(name)) != ERR_OK ||
	    proxy_user_of(p, m, SIP_H_TO, to) != ERR_OK || strcmp(name, to) != 0) {
		refuse(p, from, m, PROXY_C_NO_CALL, 481, NULL);
		return;
	}
	if (route->made_s + ROUTE_AGE_MAX_S < p->ops->wall_ms(p->host) / MS_PER_S) {
		refuse(p, from, m, PROXY_C_OLD_ROUTE, 481, NULL);
		return;
	}
	if (!permitted(from, m)) {
		refuse(p, from, m, PROXY_C_NO_PERMISSION, 403, "No permission");
		return;
	}
	struct relay *r = new_relay(p, from, m, str_from(name), instance);

	if (r == NULL)
		return;
	proxy_count(p, PROXY_C_GRUU_ROUTED);
	look_up(r);
	release(r);
}

/* What a request of one side tells about it. ERR_FORBIDDEN: it may not do this. */
static enum err learn(struct proxy *p, struct call *c, enum call_side side, const struct origin *from,
		      const struct sip_msg *m)
{
	struct call_party *party = &c->party[side];
	char name[USER_NAME_SIZE];

	/* The tags of a dialog are no secret between its ends: who sends is who the edge says it is. */
	if (proxy_user_of(p, m, SIP_H_FROM, name) != ERR_OK || strcmp(name, party->user) != 0)
		return ERR_FORBIDDEN;
	if (m->method == SIP_MESSAGE && !perm_has(proxy_permissions(from, m), PERM_CHAT_SEND))
		return ERR_FORBIDDEN;
	if (m->method == SIP_REFER && !perm_has(proxy_permissions(from, m), PERM_CALL_AUDIO))
		return ERR_FORBIDDEN;
	if ((m->method == SIP_INVITE || m->method == SIP_UPDATE) && !c->video && sip_body_has_video(m)) {
		if (!perm_has(proxy_permissions(from, m), PERM_CALL_VIDEO))
			return ERR_FORBIDDEN;
		c->video = true;
	}
	if (!flow_none(&from->flow)) {
		party->flow = from->flow;
		party->lost_since_ms = 0;
	}
	struct str session = proxy_session(from, m);

	if (session.len > 0 && session.len < sizeof(party->session))
		return str_copy(session, party->session, sizeof(party->session));
	return ERR_OK;
}

static void in_call(struct proxy *p, struct call *c, enum call_side side, const struct origin *from,
		    const struct sip_msg *m)
{
	struct call_party *target = &c->party[call_other(side)];

	if (learn(p, c, side, from, m) != ERR_OK) {
		refuse(p, from, m, PROXY_C_NO_PERMISSION, 403, "No permission");
		return;
	}
	if (m->method != SIP_ACK)
		c->party[side].cseq = MAX(c->party[side].cseq, m->cseq);
	else if (side == CALL_CALLER && m->cseq == c->invite_cseq)
		c->acked = true;
	if (m->method == SIP_INVITE || m->method == SIP_UPDATE)
		(void)call_target_refresh(c, side,
					  m); /* without memory the old target stays, a GRUU like the new one */
	struct relay *r = new_relay(p, from, m, str_from(target->user), str_from(target->instance));

	if (r == NULL)
		return;
	if (!p->ops->alive(p->host, &target->flow) || send_to(r, &target->flow) != ERR_OK)
		look_up(r);
	/* The record ends with the request, not with its answer: a side that is gone never answers. */
	if (m->method == SIP_BYE) {
		call_end(c, CDR_COMPLETED, 200, side == CALL_CALLER ? "caller" : "callee");
		call_free_if_done(c);
	}
	release(r);
}

/* What is refused before anybody asks whose call it is. True: it was. */
static bool refused_at_once(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	char line[PROXY_MIN_SE_SIZE];
	const char *phrase = NULL;
	unsigned status = m->method == SIP_REFER ? proxy_refer_check(p, m, &phrase) : 0;

	if (status != 0) {
		refuse(p, from, m, PROXY_C_BAD_REFER, status, phrase);
		return true;
	}
	if (!proxy_session_short(p, m, line))
		return false;
	proxy_count(p, PROXY_C_SESSION_SHORT);
	proxy_refuse(p, &from->flow, m, 422, NULL, str_from(line));
	return true;
}

/* §16.4: a client that routes strictly has put our Route into the Request-URI and the target at the end of the list. Undone
 * here, for everything behind reads a loose route. */
static void from_strict_router(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	struct sip_list it = sip_list(m, SIP_H_ROUTE);
	struct buf out = buf_growing(2 * SIP_MSG_MAX);
	struct sip_edit edit;
	struct sip_msg loose;
	struct sip_refusal why;
	struct sip_addr last = { .uri = STR_NONE };
	struct str v;

	while (sip_list_next(&it, &v))
		if (sip_addr_parse(v, &last) != ERR_OK)
			last.uri = STR_NONE;
	sip_edit_init(&edit, m);
	sip_edit_uri(&edit, last.uri);
	sip_edit_drop(&edit, SIP_H_ROUTE);
	sip_edit_prepend(&edit, "Route: <%.*s>\r\n", STR_FMT(m->uri));
	/* The new target is one that no rule has seen yet. */
	if (last.uri.len == 0 || sip_edit_put(&edit, &out) != ERR_OK || sip_msg_parse(buf_view(&out), &loose, &why) != ERR_OK ||
	    proxy_route_strict(p, &loose) || sip_check_request(&loose, &why, &(struct buf){ 0 }) != ERR_OK)
		refuse(p, from, m, PROXY_C_FORGED_ROUTE, 400, "Bad Route");
	else
		proxy_dialog(p, from, &loose);
	buf_fini(&out);
}

void proxy_dialog(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	enum call_side side;
	struct proxy_route route;

	if (proxy_route_strict(p, m)) {
		from_strict_router(p, from, m);
		return;
	}
	if (refused_at_once(p, from, m))
		return;
	enum err e = proxy_route_get(p, m, &route);

	if (e != ERR_OK) {
		bool forged = e == ERR_FORBIDDEN;

		refuse(p, from, m, forged ? PROXY_C_FORGED_ROUTE : PROXY_C_NO_CALL, forged ? 403 : 481,
		       forged ? "Route is not ours" : NULL);
		return;
	}
	if (!str_eq(route.worker, p->config.worker)) {
		if (from->peer.len > 0 || proxy_hand_on(p, from, m, route.worker) != ERR_OK)
			by_gruu(p, from, m, &route);
		return;
	}
	struct call *c = calls_find(p->calls, m, &side);

	if (c != NULL)
		in_call(p, c, side, from, m);
	else if (route.epoch == p->config.epoch && !calls_early(p->calls, m))
		/* We have made this Route in this life and know all our calls: this one is over. */
		refuse(p, from, m, PROXY_C_NO_CALL, 481, NULL);
	else
		by_gruu(p, from, m, &route);
}

void proxy_ack_astray(struct proxy *p, struct str peer, const struct sip_msg *m)
{
	const struct origin from = { .peer = peer };
	char name[USER_NAME_SIZE];
	struct sip_uri u;
	struct str instance;

	if (m->method != SIP_ACK || sip_uri_parse(m->uri, &u) != ERR_OK || !sip_uri_gruu(&u, &instance) || instance.len == 0 ||
	    sip_uri_user_name(&u, p->config.domain, name, sizeof(name)) != ERR_OK) {
		proxy_count(p, PROXY_C_STRAY_ACK);
		return;
	}
	struct relay *r = new_relay(p, &from, m, str_from(name), instance);

	if (r == NULL)
		return;
	proxy_count(p, PROXY_C_GRUU_ROUTED);
	look_up(r);
	release(r);
}

void proxy_dialog_free_all(struct proxy *p)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &p->relays) {
		struct relay *r = CONTAINER_OF(it, struct relay, node);

		p->ops->forget(p->host, r);
		if (r->looking)
			release(r);
	}
}
