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

static void put_allocation(struct turn_req *q)
{
	static const uint8_t no_token[sizeof(q->a->token)];
	struct stun_addr relayed = addr_to_stun(&q->a->relay, swap16(q->a->relay_port)),
			 mapped = addr_to_stun(&q->client, q->client_port);

	stun_put_address(&q->w, STUN_XOR_RELAYED_ADDRESS, &relayed);
	stun_put_u32(&q->w, STUN_LIFETIME, q->a->lifetime_s);
	if (memcmp(q->a->token, no_token, sizeof(no_token)) != 0)
		stun_put(&q->w, STUN_RESERVATION_TOKEN, str_of(q->a->token, sizeof(q->a->token)));
	stun_put_address(&q->w, STUN_XOR_MAPPED_ADDRESS, &mapped);
}

/* What is wrong with the request itself (RFC 8656 §7.2, steps 3 to 8). */
static enum turn_code check_request(const struct stun_msg *m)
{
	bool token = stun_has(m, STUN_RESERVATION_TOKEN);

	if (!stun_has(m, STUN_REQUESTED_TRANSPORT))
		return TURN_BAD_REQUEST;
	if (stun_u8(m, STUN_REQUESTED_TRANSPORT) != TRANSPORT_UDP)
		return TURN_TRANSPORT;
	if (token && (stun_has(m, STUN_EVEN_PORT) || stun_has(m, STUN_REQUESTED_ADDRESS_FAMILY)))
		return TURN_BAD_REQUEST;
	if (stun_has(m, STUN_REQUESTED_ADDRESS_FAMILY) && stun_u8(m, STUN_REQUESTED_ADDRESS_FAMILY) != STUN_IPV4)
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
	if (q->alternate != NULL)
		return TURN_TRY_ALTERNATE;
	return d != NULL ? TURN_QUOTA : TURN_OK;
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
		code = check_place(q);
	if (code != TURN_OK)
		return code;
	struct table_request r = {
		.key = *q->key, .local = q->key->local, .want = PORT_ANY, .username = q->username,
		.user = q->cred.user.len > 0 ? q->cred.user : q->username,
		.max = c->policy->max_allocations, .max_of_user = c->policy->user_allocations,
		.random = (uint32_t)(path_random(c) >> 32), .now_s = c->now_s,
	};
	if (stun_has(q->m, STUN_EVEN_PORT))
		r.want = (stun_u8(q->m, STUN_EVEN_PORT) & EVEN_PORT_RESERVE) != 0 ? PORT_EVEN_PAIR : PORT_EVEN;
	if (stun_has(q->m, STUN_RESERVATION_TOKEN))
		r.token = (const uint8_t *)stun_bytes(q->m, STUN_RESERVATION_TOKEN).p;
	enum err e = table_add(c->relay->table, &r, &q->a);
	if (e != ERR_OK)
		return e == ERR_BUSY ? TURN_QUOTA : TURN_CAPACITY;

	q->a->lifetime_s = granted_lifetime(q);
	memcpy(q->a->tid, stun_tid(q->m), STUN_TID_LEN);
	q->a->auth = q->auth;
	path_prepare(c, &q->a->client_hop, q->key->local / 2, &q->key->client);
	put_allocation(q);
	table_start(c->relay->table, q->a, c->now_s + q->a->lifetime_s);
	return TURN_OK;
}

enum turn_code turn_refresh(struct turn_req *q)
{
	struct path *c = q->c;

	if (stun_has(q->m, STUN_REQUESTED_ADDRESS_FAMILY) && stun_u8(q->m, STUN_REQUESTED_ADDRESS_FAMILY) != STUN_IPV4)
		return TURN_PEER_FAMILY;
	uint32_t lifetime = stun_has(q->m, STUN_LIFETIME) && stun_u32(q->m, STUN_LIFETIME) == 0 ? 0 : granted_lifetime(q);
	if (lifetime == 0)
		table_remove(c->relay->table, q->a);
	else
		table_start(c->relay->table, q->a, c->now_s + lifetime);
	stun_put_u32(&q->w, STUN_LIFETIME, lifetime);
	return TURN_OK;
}
