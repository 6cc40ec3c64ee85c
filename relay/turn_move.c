/* MOBILITY-TICKET (RFC 8016). A ticket names an allocation by its relayed address and the number of the client's moves,
 * with a MAC over that and over what only this allocation has: nothing is kept for it but the number. What it names is
 * encrypted, the MAC being the initialisation vector, so that a ticket tells who sees it nothing (§6). Who shows one must
 * also be the user who made the allocation. */
#include "relay/turn.h"

#define RAW_LEN 15u
#define RAW_MAC_AT 5u /* behind the relayed address's index, port and the number */

/* What is before the MAC, encrypted or clear again. The text is shorter than any that a ticket's MAC is over. */
static void mask(const struct policy *p, uint8_t raw[RAW_LEN])
{
	uint8_t stream[SHA256_LEN];

	crypto_hmac_sha256(str_of(p->ticket_key, sizeof(p->ticket_key)), str_of(raw + RAW_MAC_AT, RAW_LEN - RAW_MAC_AT), stream);
	for (unsigned i = 0; i < RAW_MAC_AT; i++)
		raw[i] ^= stream[i];
}

void turn_move_ticket(const struct policy *p, const struct alloc *a, uint16_t number, char out[TURN_TICKET_LEN])
{
	uint8_t raw[RAW_LEN], text[RAW_MAC_AT + sizeof(a->relay) + STUN_TID_LEN + TURN_USERNAME_MAX], mac[SHA256_LEN];
	struct buf b = buf_fixed(text, sizeof(text)), ticket = buf_fixed(out, TURN_TICKET_LEN);

	raw[0] = a->local;
	be16_put(raw + 1, swap16(a->relay_port));
	be16_put(raw + 3, number);
	buf_put(&b, raw, RAW_MAC_AT);
	buf_put(&b, &a->relay, sizeof(a->relay));
	buf_put(&b, a->tid, sizeof(a->tid));
	buf_str(&b, alloc_username(a));
	crypto_hmac_sha256(str_of(p->ticket_key, sizeof(p->ticket_key)), buf_view(&b), mac);
	memcpy(raw + RAW_MAC_AT, mac, RAW_LEN - RAW_MAC_AT);
	mask(p, raw);
	base64url_put(&ticket, raw, sizeof(raw)); /* there are clients that keep it as text */
}

static bool ticket_read(const struct turn_req *q, uint8_t raw[RAW_LEN])
{
	struct str v = stun_bytes(q->m, STUN_MOBILITY_TICKET);
	size_t len;

	if (v.len != TURN_TICKET_LEN || base64url_get(v, raw, RAW_LEN, &len) != ERR_OK || len != RAW_LEN)
		return false;
	mask(q->c->policy, raw);
	return true;
}

struct alloc *turn_move_named(const struct turn_req *q)
{
	const struct relay *r = q->c->relay;
	uint8_t raw[RAW_LEN];

	if (q->m->method != STUN_REFRESH || !q->c->policy->mobility || !ticket_read(q, raw) || raw[0] >= iface_locals(&r->ifaces))
		return NULL;
	return table_by_port(r->table, raw[0], be16_get(raw + 1));
}

/* The ticket that is good now, or one given out later: after a restart this relay has forgotten how many there were. */
bool turn_move_ticket_ok(const struct turn_req *q, const struct alloc *a)
{
	uint8_t raw[RAW_LEN];
	char ticket[TURN_TICKET_LEN];

	if (!ticket_read(q, raw) || !alloc_alive(a, q->c->now_s) || a->second || (int16_t)(be16_get(raw + 3) - a->ticket) < 0)
		return false;
	turn_move_ticket(q->c->policy, a, be16_get(raw + 3), ticket);
	return crypto_equal(ticket, stun_bytes(q->m, STUN_MOBILITY_TICKET).p, sizeof(ticket));
}

/* Only between datagrams: the end of a connection ends its allocation. */
static bool allowed(const struct turn_req *q)
{
	return q->c->policy->mobility && q->key->proto == IPPROTO_UDP_V4 && (q->a == NULL || q->a->key.proto == IPPROTO_UDP_V4);
}

enum turn_code turn_move_check_wish(const struct turn_req *q)
{
	if (!stun_has(q->m, STUN_MOBILITY_TICKET))
		return TURN_OK;
	if (stun_bytes(q->m, STUN_MOBILITY_TICKET).len != 0)
		return TURN_BAD_REQUEST;
	return allowed(q) ? TURN_OK : TURN_MOBILITY;
}

enum turn_code turn_move_check(const struct turn_req *q)
{
	if (!allowed(q))
		return TURN_MOBILITY;
	if (stun_bytes(q->m, STUN_MOBILITY_TICKET).len == 0)
		return TURN_BAD_REQUEST;
	if (q->a == NULL)
		return TURN_MISMATCH;
	/* The Refresh that moved it has come twice. */
	bool has_moved = q->a->link != 0 || q->a->ticket != 0;
	if (q->by_ticket || (has_moved && memcmp(q->a->move_tid, stun_tid(q->m), STUN_TID_LEN) == 0))
		return TURN_OK;
	/* From a 5-tuple that has an allocation a client has no need of a ticket, good or spent: it is to come again without (§3.2.1), and must
	 * not believe that its allocation is gone. */
	if (!q->by_stand_in)
		return TURN_BAD_REQUEST;
	/* One who is moving may have missed all answers. */
	return turn_move_named(q) == q->a && turn_move_ticket_ok(q, q->a) ? TURN_OK : TURN_MISMATCH;
}

enum turn_code turn_move(struct turn_req *q)
{
	struct path *c = q->c;
	struct alloc *stand_in;
	uint8_t raw[RAW_LEN];

	if (!q->by_ticket)
		return TURN_OK;
	enum err e = table_move_begin(c->relay->table, q->a, q->key, c->policy->address_allocations, c->now_s, &stand_in);
	if (e != ERR_OK)
		return e == ERR_CONFLICT ? TURN_QUOTA : TURN_CAPACITY;
	if (ticket_read(q, raw))
		q->a->ticket = be16_get(raw + 3);
	memcpy(q->a->move_tid, stun_tid(q->m), STUN_TID_LEN);
	path_prepare(c, &stand_in->client_hop, q->key->local / 2, &q->key->client);
	return TURN_OK;
}

void turn_move_put_ticket(struct turn_req *q)
{
	char ticket[TURN_TICKET_LEN];

	/* While a move is under way its ticket is spent, and counted when it is finished. */
	turn_move_ticket(q->c->policy, q->a, (uint16_t)(q->a->ticket + (q->a->link != 0)), ticket);
	stun_put(&q->w, STUN_MOBILITY_TICKET, str_of(ticket, sizeof(ticket)));
}
