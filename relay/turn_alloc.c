/* Allocate and Refresh: RFC 8656 §7, §8. Runs in a worker, under the stripe lock of the client's 5-tuple. */
#include "relay/turn.h"

#define EVEN_PORT_RESERVE 0x80u
#define TRANSPORT_UDP 17u

static uint32_t granted_lifetime(const struct turn_req *q)
{
	const struct policy *p = q->c->policy;
	uint32_t wish = stun_has(q->m, STUN_LIFETIME) ? stun_u32(q->m, STUN_LIFETIME) : p->lifetime_s;

	return MAX(MIN(wish, p->lifetime_max_s), p->lifetime_s);
}

/* The other half of a dual allocation or NULL. */
static struct alloc *second_half(const struct turn_req *q)
{
	uint32_t other = alloc_other(q->a);

	return other != 0 ? &q->c->relay->table->slots[other - 1] : NULL;
}

static void put_relayed(struct turn_req *q, const struct alloc *a)
{
	struct stun_addr relayed = addr_to_stun(&iface_local(&q->c->relay->ifaces, a->local)->shown, swap16(a->relay_port));

	stun_put_address(&q->w, STUN_XOR_RELAYED_ADDRESS, &relayed);
}

/* ADDRESS-ERROR-CODE, RFC 8656 §18.12. */
static void put_refused(struct turn_req *q)
{
	unsigned code = q->a->refused_code;
	uint8_t v[4] = { q->a->refused_family, 0, (uint8_t)(code / 100), (uint8_t)(code % 100) };

	stun_put(&q->w, STUN_ADDRESS_ERROR_CODE, str_of(v, sizeof(v)));
}

static void put_allocation(struct turn_req *q)
{
	static const uint8_t no_token[sizeof(q->a->token)];
	const struct alloc *other = second_half(q);
	struct stun_addr mapped = addr_to_stun(&q->client, q->client_port);

	if (alloc_has(q->a, q->a->local & 1))
		put_relayed(q, q->a);
	if (other != NULL)
		put_relayed(q, other);
	if (q->a->refused_family != 0)
		put_refused(q);
	stun_put_u32(&q->w, STUN_LIFETIME, q->a->lifetime_s);
	if (memcmp(q->a->token, no_token, sizeof(no_token)) != 0)
		stun_put(&q->w, STUN_RESERVATION_TOKEN, str_of(q->a->token, sizeof(q->a->token)));
	stun_put_address(&q->w, STUN_XOR_MAPPED_ADDRESS, &mapped);
	if (stun_has(q->m, STUN_MOBILITY_TICKET))
		turn_move_put_ticket(q);
}

/* What is wrong with the request itself (RFC 8656 §7.2, steps 3 to 8). */
static enum turn_code check_request(const struct stun_msg *m)
{
	bool token = stun_has(m, STUN_RESERVATION_TOKEN);

	if (!stun_has(m, STUN_REQUESTED_TRANSPORT))
		return TURN_BAD_REQUEST;
	if (stun_u8(m, STUN_REQUESTED_TRANSPORT) != TRANSPORT_UDP)
		return TURN_TRANSPORT;
	bool one = stun_has(m, STUN_REQUESTED_ADDRESS_FAMILY), both = stun_has(m, STUN_ADDITIONAL_ADDRESS_FAMILY);
	if ((token && (stun_has(m, STUN_EVEN_PORT) || one || both)) || (one && both))
		return TURN_BAD_REQUEST;
	/* The additional family is IPv6: IPv4 comes of itself. No pair of ports is reserved on two addresses. */
	if (both && (stun_u8(m, STUN_ADDITIONAL_ADDRESS_FAMILY) == STUN_IPV4 ||
		     (stun_u8(m, STUN_EVEN_PORT) & EVEN_PORT_RESERVE) != 0))
		return TURN_BAD_REQUEST;
	if (both && stun_u8(m, STUN_ADDITIONAL_ADDRESS_FAMILY) != STUN_IPV6)
		return TURN_FAMILY;
	return TURN_OK;
}

/* Is this client to be served, or sent elsewhere (RFC 8489 §10)? */
static enum turn_code check_place(struct turn_req *q)
{
	const struct drain *d = atomic_load_explicit(&q->c->relay->drain, memory_order_acquire);
	const struct policy *p = q->c->policy;

	if (d != NULL && d->mode == DRAIN_REDIRECT)
		q->alternate = alternates_pick(&d->to, &q->client);
	else if (d == NULL && p->alternates.count > 0)
		q->alternate = alternates_pick(&p->alternates, &q->client);
	if (q->alternate == NULL && d == NULL)
		return TURN_OK;
	stats_add(&q->c->stats->refused[REFUSED_PLACE], 1);
	return q->alternate != NULL ? TURN_TRY_ALTERNATE : TURN_QUOTA;
}

/* Why table_add refuses, and what that is called: a quota is the client's affair (486), the rest is ours (508). */
static enum turn_code refused(struct turn_req *q, enum err e)
{
	enum refused why = e == ERR_BUSY	? REFUSED_USER
			   : e == ERR_CONFLICT	? REFUSED_ADDRESS
			   : e == ERR_TOO_LARGE ? REFUSED_TOTAL
			   : e == ERR_NOT_FOUND ? REFUSED_TOKEN
						: REFUSED_PORTS;

	stats_add(&q->c->stats->refused[why], 1);
	return why == REFUSED_USER || why == REFUSED_ADDRESS ? TURN_QUOTA : TURN_CAPACITY;
}

/* Our address of a family for this client: of the port it came in by, else of any. -1 if there is none. */
static int local_for(const struct turn_req *q, bool v6)
{
	const struct ifaces *all = &q->c->relay->ifaces;
	int found = -1;

	for (unsigned i = 0; i < all->count; i++) {
		if (!addr_is_none(&all->at[i].ip[v6].addr) && (found < 0 || i == q->key->local / 2))
			found = (int)(2 * i + v6);
	}
	return found;
}

/* Takes what is asked for (RFC 8656 §7.2, steps 6 to 9): an address of the requested family, IPv4 if none is, or
 * one of each; then one alone will do, and the answer says what became of the other. */
static enum turn_code take(struct turn_req *q, struct table_request *r)
{
	const struct stun_msg *m = q->m;
	unsigned family = stun_has(m, STUN_REQUESTED_ADDRESS_FAMILY) ? stun_u8(m, STUN_REQUESTED_ADDRESS_FAMILY) : STUN_IPV4;
	bool both = stun_has(m, STUN_ADDITIONAL_ADDRESS_FAMILY);
	int first = family == STUN_IPV4 || family == STUN_IPV6 ? local_for(q, family == STUN_IPV6) : -1;
	int also = both ? local_for(q, true) : -1;
	enum err e = ERR_FULL;

	if (first < 0 && also < 0)
		return r->token != NULL ? TURN_CAPACITY : TURN_FAMILY;
	if (first >= 0) {
		r->local = (unsigned)first;
		r->also = (unsigned)(also + 1);
		e = table_add(q->c->relay->table, r, &q->a);
	}
	bool instead = e == ERR_FULL && also >= 0;
	if (instead) {
		r->local = (unsigned)also;
		r->also = 0;
		e = table_add(q->c->relay->table, r, &q->a);
	}
	if (e != ERR_OK)
		return refused(q, e);
	if (both && q->a->other == 0) {
		q->a->refused_family = instead ? STUN_IPV4 : STUN_IPV6;
		q->a->refused_code = turn_code_number[(instead ? first : also) < 0 ? TURN_FAMILY : TURN_CAPACITY];
	}
	return TURN_OK;
}

enum turn_code turn_allocate(struct turn_req *q)
{
	struct path *c = q->c;

	if (q->a != NULL) {
		/* A retransmission gets the same answer again; anything else must first end the old allocation
		 * (RFC 8656 §7.2 step 2). */
		if (memcmp(q->a->tid, stun_tid(q->m), STUN_TID_LEN) != 0 || !str_eq(q->username, alloc_username(q->a)))
			return TURN_MISMATCH;
		put_allocation(q);
		return TURN_OK;
	}
	enum turn_code code = check_request(q->m);
	if (code == TURN_OK)
		code = turn_move_check_wish(q);
	if (code == TURN_OK)
		code = check_place(q);
	if (code != TURN_OK)
		return code;
	struct table_request r = {
		.key = *q->key, .want = PORT_ANY, .like = c->like[q->key->local / 2], .username = q->username,
		.user = q->cred.user.len > 0 ? q->cred.user : q->username,
		.max = c->policy->max_allocations, .max_of_user = c->policy->user_allocations,
		.max_of_address = c->policy->address_allocations,
		.random = (uint32_t)(path_random(c) >> 32), .now_s = c->now_s,
	};
	if (stun_has(q->m, STUN_EVEN_PORT))
		r.want = (stun_u8(q->m, STUN_EVEN_PORT) & EVEN_PORT_RESERVE) != 0 ? PORT_EVEN_PAIR : PORT_EVEN;
	if (stun_has(q->m, STUN_RESERVATION_TOKEN))
		r.token = (const uint8_t *)stun_bytes(q->m, STUN_RESERVATION_TOKEN).p;
	code = take(q, &r);
	if (code != TURN_OK)
		return code;

	q->a->lifetime_s = granted_lifetime(q);
	memcpy(q->a->tid, stun_tid(q->m), STUN_TID_LEN);
	q->a->auth = q->auth;
	if (!flow_is_stream(q->key)) {
		path_prepare(c, &q->a->client_hop, q->key->local / 2, &q->key->client);
		if (second_half(q) != NULL)
			path_prepare(c, &second_half(q)->client_hop, q->key->local / 2, &q->key->client);
	}
	table_start(c->relay->table, q->a, c->now_s + q->a->lifetime_s);
	put_allocation(q);
	return TURN_OK;
}

enum turn_code turn_refresh(struct turn_req *q)
{
	struct path *c = q->c;
	bool end = stun_has(q->m, STUN_LIFETIME) && stun_u32(q->m, STUN_LIFETIME) == 0;

	/* Come again after its answer was lost: even if the 5-tuple has a new allocation by now. */
	if (end && ended_is(&c->relay->ended, q->key, stun_tid(q->m), c->now_s)) {
		stun_put_u32(&q->w, STUN_LIFETIME, 0);
		return TURN_OK;
	}
	bool ticket = stun_has(q->m, STUN_MOBILITY_TICKET);
	enum turn_code code = ticket ? turn_move_check(q) : q->a != NULL ? TURN_OK : TURN_MISMATCH;
	if (code != TURN_OK)
		return code;
	bool one = stun_has(q->m, STUN_REQUESTED_ADDRESS_FAMILY), v6 = stun_u8(q->m, STUN_REQUESTED_ADDRESS_FAMILY) == STUN_IPV6;

	/* RFC 8656 §8.2: with a family named, of a dual allocation that half alone. */
	if (one && (!alloc_has(q->a, v6) || (!v6 && stun_u8(q->m, STUN_REQUESTED_ADDRESS_FAMILY) != STUN_IPV4)))
		return TURN_PEER_FAMILY;
	if (ticket && !end && (code = turn_move(q)) != TURN_OK)
		return code;
	uint32_t lifetime = end ? 0 : granted_lifetime(q);
	if (end && one) {
		if (table_remove_half(c->relay->table, q->a, v6, c->now_s) != ERR_OK)
			return TURN_CAPACITY;
	} else if (end) {
		table_remove(c->relay->table, q->a);
	} else if (one) {
		table_start_half(c->relay->table, q->a, v6, c->now_s + lifetime);
	} else {
		table_start(c->relay->table, q->a, c->now_s + lifetime);
	}
	if (end)
		ended_note(&c->relay->ended, q->key, stun_tid(q->m), c->now_s);
	stun_put_u32(&q->w, STUN_LIFETIME, lifetime);
	if (ticket && !end)
		turn_move_put_ticket(q);
	return TURN_OK;
}
