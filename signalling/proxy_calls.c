/* Calls that end from outside or because a side has vanished; and calls that nobody wants. Owner: the worker's thread.
 *
 * A call outlives its WebSockets: a side is *lost* only when its flow is dead and its device has no other binding for
 * lost_grace_ms. */
#include "signalling/proxy_int.h"

#include "common/log.h"

static struct proxy *proxy_of(const struct call *c)
{
	return c->driver;
}

void proxy_send_and_forget(struct proxy *p, const struct flow *flow, struct str request)
{
	static const struct txn_user nobody;
	struct txn *t;

	if (p->ending)
		return;
	/* To one that is gone there is nothing to say. */
	(void)txn_client_new(p->txns, flow, request, &nobody, NULL, &t);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void send_bye(struct call *c, enum call_side to, struct str reason)
{
	const struct call_party *party = &c->party[to];
	struct buf out = buf_growing(SIP_MSG_MAX);

	if (call_bye_put(c, to, STR_NONE, reason, &out) == ERR_OK)
		proxy_bye(proxy_of(c), &party->flow, str_from(party->user), str_from(party->instance), buf_view(&out));
	buf_fini(&out);
}

void proxy_call_stop(struct call *c, struct str reason, enum cdr_reason why, const char *by)
{
	if (c->state < CALL_ANSWERED) {
		proxy_invite_stop(c, 487, NULL, reason, why, by);
		return;
	}
	if (c->state == CALL_ENDED)
		return;
	c->holds++;
	send_bye(c, CALL_CALLER, reason);
	send_bye(c, CALL_CALLEE, reason);
	call_end(c, why, 200, by);
	c->holds--;
	call_free_if_done(c);
}

void proxy_end_phantom(struct proxy *p, const struct sip_msg *response, const struct flow *flow, struct str reason)
{
	char mem[256], header[320];
	struct buf out = buf_growing(SIP_MSG_MAX), headers = buf_fixed(header, sizeof(header));
	struct sip_addr contact;

	proxy_count(p, PROXY_C_PHANTOM);
	if (p->ending || sip_msg_addr(response, SIP_H_CONTACT, &contact) != ERR_OK)
		return;
	struct sip_request r = {
		.method = SIP_ACK,
		.uri = contact.uri,
		.via = proxy_via(p, mem, sizeof(mem)),
		.from = sip_msg_value(response, SIP_H_FROM),
		.to = sip_msg_value(response, SIP_H_TO),
		.call_id = response->call_id,
		.cseq = response->cseq,
	};

	if (sip_request_put(&out, &r) == ERR_OK)
		(void)p->ops->txn.send(p->host, flow, buf_view(&out)); /* without its ACK it comes again */
	buf_reset(&out);
	buf_printf(&headers, "Reason: %.*s\r\n", STR_FMT(reason));
	r.method = SIP_BYE;
	r.cseq++;
	r.headers = headers.overflow ? STR_NONE : buf_view(&headers);
	r.via = proxy_via(p, mem, sizeof(mem));
	if (sip_request_put(&out, &r) == ERR_OK)
		proxy_send_and_forget(p, flow, buf_view(&out));
	buf_fini(&out);
}

size_t proxy_hangup(struct proxy *p, struct str id, const char *by)
{
	struct call *c = calls_by_id(p->calls, id);

	if (c == NULL)
		return 0;
	proxy_call_stop(c, STR("SIP;cause=200;text=\"Hung up by an administrator\""), CDR_HUNG_UP, by);
	return 1;
}

size_t proxy_hangup_user(struct proxy *p, struct str user, struct str session)
{
	enum call_side side;
	struct call *c;
	size_t n = 0;

	/* Each end takes a call off the list, so the walk starts again. */
	for (c = calls_of_user(p->calls, user, NULL, &side); c != NULL;) {
		if (session.len > 0 && !str_eq(session, str_from(c->party[side].session))) {
			c = calls_of_user(p->calls, user, c, &side);
			continue;
		}
		proxy_call_stop(c, STR("SIP;cause=403;text=\"Session ended\""), CDR_HUNG_UP, "server");
		n++;
		c = calls_of_user(p->calls, user, NULL, &side);
	}
	return n;
}

void proxy_calls_free_all(struct proxy *p)
{
	struct call *c;

	while ((c = calls_any(p->calls)) != NULL) {
		p->ops->forget(p->host, c);
		p->ops->forget(p->host, &c->party[CALL_CALLER]);
		p->ops->forget(p->host, &c->party[CALL_CALLEE]);
		if (c->fork != NULL && fork_waits(c->fork)) {
			fork_discard(c->fork);
			c->fork = NULL;
		}
		/* The store will not say any more who else there is. */
		if (c->fork != NULL && !fork_begun(c->fork))
			fork_begin(c->fork, 0);
		c->holds = 0;
		call_drop(c);
		call_free_if_done(c);
	}
}

/* --- vanished sides --------------------------------------------------------------------------- */

static void found(struct call_party *party, const struct flow *flow)
{
	party->flow = *flow;
	party->lost_since_ms = 0;
}

static void missing(struct call_party *party)
{
	const struct proxy *p = proxy_of(party->call);

	if (party->lost_since_ms == 0)
		party->lost_since_ms = MAX(p->timers->now_ms, (uint64_t)1);
}

static bool gone_for_good(const struct call_party *party)
{
	const struct proxy *p = proxy_of(party->call);

	return party->lost_since_ms != 0 && p->timers->now_ms - party->lost_since_ms >= p->config.lost_grace_ms;
}

static void judge(struct call *c)
{
	struct proxy *p = proxy_of(c);

	if (proxy_session_over(c)) {
		log_event(LOG_INFO, "session-expired", "id=%s", c->id);
		proxy_call_stop(c, STR("SIP;cause=408;text=\"Session expired, the call is lost\""), CDR_LOST, "server");
		return;
	}

	for (unsigned side = 0; side < 2; side++) {
		if (!gone_for_good(&c->party[side]))
			continue;
		log_event(LOG_INFO, "call-lost", "id=%s side=%s", c->id, side == CALL_CALLER ? "caller" : "callee");
		proxy_call_stop(c, STR("SIP;cause=410;text=\"Call lost\""), CDR_LOST,
				side == CALL_CALLER ? "caller" : "callee");
		return;
	}
	uint64_t next = AUDIT_MS;

	for (unsigned side = 0; side < 2; side++)
		if (c->party[side].lost_since_ms != 0)
			next = MIN(next, c->party[side].lost_since_ms + p->config.lost_grace_ms - p->timers->now_ms);
	timer_arm(p->timers, &c->audit, next);
}

static void on_audit(void *arg, enum err e, const struct location *loc)
{
	struct call_party *party = arg;
	struct call *c = party->call;

	c->holds--;
	if (c->state == CALL_ANSWERED) {
		/* Without an answer from the store nobody is declared dead. */
		if (e == ERR_OK && loc->count > 0)
			found(party, &loc->binding[0].flow);
		else if (e == ERR_OK && !loc->uncertain)
			missing(party);
		if (c->holds == 0)
			judge(c);
		return;
	}
	call_free_if_done(c);
}

static void audit(struct timer *timer, UNUSED uint64_t now)
{
	struct call *c = CONTAINER_OF(timer, struct call, audit);
	struct proxy *p = proxy_of(c);

	c->holds++;
	call_show_again(c);
	for (unsigned side = 0; side < 2; side++) {
		struct call_party *party = &c->party[side];
		bool alive = p->ops->alive(p->host, &party->flow);

		/* Of our own connections we know; of another worker's only that it is not certainly dead. */
		if (alive && p->ops->local(p->host, &party->flow)) {
			party->lost_since_ms = 0;
		} else if (party->instance[0] != '\0') {
			c->holds++;
			p->ops->lookup(p->host, str_from(party->user), str_from(party->instance), on_audit, party);
		} else if (!alive) {
			missing(party);
		}
	}
	c->holds--;
	if (c->state == CALL_ENDED)
		call_free_if_done(c);
	else if (c->holds == 0)
		judge(c);
}

void proxy_call_watch(struct call *c)
{
	timer_init(&c->audit, audit);
	timer_arm(proxy_of(c)->timers, &c->audit, AUDIT_MS);
}

void proxy_flow_lost(struct proxy *p, const struct flow *flow, struct str user)
{
	enum call_side side;

	txn_layer_flow_lost(p->txns, flow);
	for (struct call *c = calls_of_user(p->calls, user, NULL, &side); c != NULL;
	     c = calls_of_user(p->calls, user, c, &side)) {
		if (c->state != CALL_ANSWERED || !flow_eq(&c->party[side].flow, flow))
			continue;
		missing(&c->party[side]);
		timer_arm(p->timers, &c->audit, MIN(AUDIT_MS, p->config.lost_grace_ms));
	}
}

void proxy_worker_lost(struct proxy *p, struct str worker, uint64_t before)
{
	txn_layer_worker_lost(p->txns, worker, before);
}

void proxy_registered(struct proxy *p, struct str user, const struct binding *b)
{
	enum call_side side;

	for (struct call *c = calls_of_user(p->calls, user, NULL, &side); c != NULL;
	     c = calls_of_user(p->calls, user, c, &side))
		if (c->state == CALL_ANSWERED && strcmp(c->party[side].instance, b->instance) == 0)
			found(&c->party[side], &b->flow);
}
