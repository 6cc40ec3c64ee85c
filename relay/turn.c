#include "relay/turn.h"

#include "relay/turn_auth.h"
#include "relay/turn_fwd.h"

#define ANSWER_MAX 512u
#define UNKNOWN_MAX (STUN_UNKNOWN_MAX + STUN_ATTR_COUNT)

const uint16_t turn_code_number[TURN_CODE_COUNT] = {
#define CODE_NUMBER(id, number, phrase) [id] = (number),
	TURN_CODES(CODE_NUMBER)
#undef CODE_NUMBER
};

static const struct str phrases[TURN_CODE_COUNT] = {
#define CODE_PHRASE(id, number, phrase) [id] = { phrase, sizeof(phrase) - 1 },
	TURN_CODES(CODE_PHRASE)
#undef CODE_PHRASE
};

const uint16_t turn_method_number[TURN_METHOD_COUNT] = {
#define METHOD_NUMBER(id, method) [id] = (method),
	TURN_METHODS(METHOD_NUMBER)
#undef METHOD_NUMBER
};

static enum turn_code binding(struct turn_req *q)
{
	struct stun_addr mapped = addr_to_stun(&q->client, q->client_port);

	stun_put_address(&q->w, STUN_XOR_MAPPED_ADDRESS, &mapped);
	return TURN_OK;
}

#define AUTH_BITS                                                                                                  \
	(STUN_BIT(STUN_USERNAME) | STUN_BIT(STUN_USERHASH) | STUN_BIT(STUN_REALM) | STUN_BIT(STUN_NONCE) |         \
	 STUN_BIT(STUN_PASSWORD_ALGORITHM) | STUN_BIT(STUN_MESSAGE_INTEGRITY) | STUN_BIT(STUN_MESSAGE_INTEGRITY_SHA256))

static const struct {
	enum turn_code (*handle)(struct turn_req *q);
	bool authenticated;
	bool needs_allocation; /* 437 without one */
	uint64_t understood;   /* comprehension-required attributes; any other is 420 */
} methods[TURN_METHOD_COUNT] = {
	[TURN_M_BINDING] = { binding, false, false, AUTH_BITS },
	[TURN_M_ALLOCATE] = { turn_allocate, true, false,
			      AUTH_BITS | STUN_BIT(STUN_REQUESTED_TRANSPORT) | STUN_BIT(STUN_LIFETIME) | STUN_BIT(STUN_EVEN_PORT) |
				      STUN_BIT(STUN_RESERVATION_TOKEN) | STUN_BIT(STUN_REQUESTED_ADDRESS_FAMILY) |
				      STUN_BIT(STUN_DONT_FRAGMENT) },
	[TURN_M_REFRESH] = { turn_refresh, true, false,
			     AUTH_BITS | STUN_BIT(STUN_LIFETIME) | STUN_BIT(STUN_REQUESTED_ADDRESS_FAMILY) },
	[TURN_M_CREATE_PERMISSION] = { turn_create_permission, true, true, AUTH_BITS | STUN_BIT(STUN_XOR_PEER_ADDRESS) },
	[TURN_M_CHANNEL_BIND] = { turn_channel_bind, true, true,
				  AUTH_BITS | STUN_BIT(STUN_XOR_PEER_ADDRESS) | STUN_BIT(STUN_CHANNEL_NUMBER) },
};

static enum turn_code run(struct turn_req *q, enum turn_method method)
{
	uint16_t unknown;

	if (q->m->malformed)
		return TURN_BAD_REQUEST;
	if (!methods[method].authenticated) {
		if (stun_not_understood(q->m, methods[method].understood, &unknown, 1) > 0)
			return TURN_UNKNOWN_ATTRIBUTE;
		return methods[method].handle(q);
	}
	enum turn_code code = turn_auth_check(q);
	if (code != TURN_OK)
		return code;
	if (stun_not_understood(q->m, methods[method].understood, &unknown, 1) > 0)
		return TURN_UNKNOWN_ATTRIBUTE;
	if (methods[method].needs_allocation && q->a == NULL)
		return TURN_MISMATCH;
	/* The client has come to the place it was moving to. */
	if (q->by_stand_in && method != TURN_M_ALLOCATE && !stun_has(q->m, STUN_MOBILITY_TICKET))
		table_move_finish(q->c->relay->table, q->a);
	return methods[method].handle(q);
}

/* RFC 8489 §10. The name is for those who checked a certificate to come here. */
static void put_alternate(struct turn_req *q)
{
	struct str domain = str_from(q->c->policy->alternate_domain);

	stun_put_address(&q->w, STUN_ALTERNATE_SERVER, q->alternate);
	if (domain.len > 0 && q->key->proto != IPPROTO_UDP_V4)
		stun_put(&q->w, STUN_ALTERNATE_DOMAIN, domain);
}

/* Completes the answer for any outcome; returns its size, 0 if it does not fit. */
static size_t finish(struct turn_req *q, enum turn_code code, enum turn_method method)
{
	struct wr *w = &q->w;

	if (code != TURN_OK) {
		uint16_t types[UNKNOWN_MAX];

		*w = wr_of(w->start, ANSWER_MAX);
		stun_begin(w, STUN_ERROR, turn_method_number[method], stun_tid(q->m));
		stun_put_error(w, turn_code_number[code], phrases[code]);
		if (code == TURN_UNKNOWN_ATTRIBUTE)
			stun_put_types(w, types, stun_not_understood(q->m, methods[method].understood, types, UNKNOWN_MAX));
		if (code == TURN_UNAUTHENTICATED || code == TURN_STALE_NONCE)
			turn_auth_challenge(q);
		if (code == TURN_TRY_ALTERNATE)
			put_alternate(q);
	}
	if (q->keyed && q->sha256)
		stun_put_integrity256(w, turn_key_view(&q->auth));
	else if (q->keyed)
		stun_put_integrity(w, turn_key_view(&q->auth));
	if (q->m->fingerprint == STUN_FP_GOOD)
		stun_put_fingerprint(w);
	return stun_end(w);
}

/* The two outcomes that anyone can cause at will are answered within the sender's budget only. */
static bool over_budget(struct path *c, const struct turn_req *q, enum turn_code code)
{
	if (code != TURN_UNAUTHENTICATED && code != TURN_STALE_NONCE && code != TURN_BAD_REQUEST)
		return false;
	return !limit_take(&c->relay->challenges, &q->client, c->policy->challenge_rate, c->policy->challenge_burst,
			   (uint32_t)c->clock.mono_ms);
}

/* Takes the locks, and finds the allocation that the request is about. */
static void find_allocation(struct turn_req *q, struct table_hold *hold)
{
	struct table *t = q->c->relay->table;
	struct alloc *named = turn_move_named(q), *found = table_lock(t, q->key, named, hold), *target;

	target = found != NULL ? table_stood_for(t, found) : NULL;
	q->by_stand_in = target != NULL;
	q->a = target != NULL ? target : found;
	if (q->a != NULL && !alloc_alive(q->a, q->c->now_s)) {
		/* Expired, and not swept yet: gone as far as the client is concerned. */
		table_remove(t, q->a);
		q->a = NULL;
		q->by_stand_in = false;
	}
	if (q->a == NULL && named != NULL && table_holds(hold, named) && turn_move_ticket_ok(q, named)) {
		q->a = named;
		q->by_ticket = true;
	}
}

static void request(struct path *c, struct pkt *p, const struct flow_key *key, const struct stun_msg *m, enum turn_method method)
{
	uint8_t answer[ANSWER_MAX];
	struct turn_req q = { .c = c,
			      .p = p,
			      .m = m,
			      .key = key,
			      .client = key->client,
			      .client_port = swap16(key->client_port),
			      .w = wr_of(answer, sizeof(answer)) };
	struct table_hold hold;

	stun_begin(&q.w, STUN_SUCCESS, turn_method_number[method], stun_tid(m));
	if (methods[method].authenticated)
		find_allocation(&q, &hold);
	enum turn_code code = run(&q, method);
	if (methods[method].authenticated)
		table_unlock(c->relay->table, &hold);
	stats_add(&c->stats->requests[method][code], 1);
	/* On a stream the sender is where it says it is, and would wait for the answer in vain. */
	if (p->from == NULL && over_budget(c, &q, code)) {
		pkt_drop(p, DROP_CHALLENGE_LIMIT);
		return;
	}
	size_t len = finish(&q, code, method);
	uint8_t *payload = pkt_payload(p);
	if (len == 0 || (size_t)(p->end - payload) < len) {
		pkt_drop(p, DROP_REPLY_SPACE);
		return;
	}
	memcpy(payload, answer, len);
	if (p->from != NULL) {
		path_to_stream(p, key, payload, (uint32_t)len, STREAM_CONTROL);
		return;
	}
	net_reply_udp(p, len, c->relay->ifaces.at[p->in_if].tx_sum);
}

void turn_message(struct path *c, struct pkt *p, const struct flow_key *key, struct alloc *a)
{
	struct stun_msg m;

	if (stun_parse(pkt_payload(p), pkt_payload_len(p), &m) != ERR_OK) {
		pkt_drop(p, DROP_STUN_MALFORMED);
		return;
	}
	if (m.fingerprint == STUN_FP_BAD) {
		pkt_drop(p, DROP_STUN_FINGERPRINT);
		return;
	}
	if (m.class == STUN_INDICATION && m.method == STUN_SEND) {
		fwd_send(c, p, a, &m);
		return;
	}
	/* Data is carried on with its checksum, right or wrong, for the receiver to judge; what ends here is
	 * judged here. */
	if (p->from == NULL && p->rx_sum != PKT_SUM_GOOD && !net_udp_sum_ok(p)) {
		pkt_drop(p, DROP_UDP_CHECKSUM);
		return;
	}
	for (unsigned i = 0; m.class == STUN_REQUEST && i < TURN_METHOD_COUNT; i++) {
		if (turn_method_number[i] == m.method) {
			request(c, p, key, &m, (enum turn_method)i);
			return;
		}
	}
	pkt_drop(p, DROP_STUN_UNEXPECTED);
}
