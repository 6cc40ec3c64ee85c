/* CreatePermission and ChannelBind: RFC 8656 §10, §12. Runs in a worker, under the stripe lock of the client's
 * 5-tuple. New state is visible to all workers before the answer is written. */
#include "relay/turn.h"

#include <stdlib.h>

#define PEERS_PER_REQUEST 32u

/* The address of the subnet itself (RFC 4291 §2.6.1: any of its routers), and in IPv4 its broadcast address. */
static bool is_nobody(const struct addr *ip, const struct local *l)
{
	uint32_t host = 128u - l->subnet.bits, mask = host >= 32 ? UINT32_MAX : (1u << host) - 1;

	if (addr_is_none(&l->addr) || host <= 1 || !addr_in(ip, &l->subnet))
		return false;
	return addr_eq(ip, &l->subnet.net) || (addr_is_v4(ip) && (__builtin_bswap32(addr_v4_of(ip)) & mask) == mask);
}

/* May this allocation talk to `ip`? Our own relayed addresses are peers like any other (their client's
 * permission decides). */
static enum turn_code check_peer(const struct turn_req *q, const struct addr *ip)
{
	const struct ifaces *all = &q->c->relay->ifaces;

	if (!alloc_has(q->a, !addr_is_v4(ip)))
		return TURN_PEER_FAMILY;
	if (iface_local_of(all, ip) >= 0)
		return TURN_OK;
	for (unsigned i = 0; i < all->count; i++) {
		if (is_nobody(ip, &all->at[i].ip[!addr_is_v4(ip)]))
			return TURN_FORBIDDEN;
	}
	return filter_permits(&q->c->policy->filter, ip) ? TURN_OK : TURN_FORBIDDEN;
}

static bool listed(const struct addr *ips, unsigned count, const struct addr *ip)
{
	for (unsigned i = 0; i < count; i++) {
		if (addr_eq(&ips[i], ip))
			return true;
	}
	return false;
}

/* All peers of the request, each once. */
static enum turn_code read_peers(const struct turn_req *q, struct addr *ips, unsigned *count)
{
	struct stun_addr s;
	size_t cursor = 0;
	unsigned n = 0;
	enum err e;

	while ((e = stun_next_peer(q->m, &cursor, &s)) == ERR_OK) {
		struct addr ip = addr_from_stun(&s);

		if (addr_is_disguised(&s))
			return TURN_FORBIDDEN;
		if (listed(ips, n, &ip))
			continue;
		if (n == PEERS_PER_REQUEST)
			return TURN_CAPACITY;
		enum turn_code code = check_peer(q, &ip);
		if (code != TURN_OK)
			return code;
		ips[n++] = ip;
	}
	if (e != ERR_NOT_FOUND || n == 0)
		return TURN_BAD_REQUEST;
	*count = n;
	return TURN_OK;
}

/* Renews what there is; true if nothing is missing then. */
static bool renew_perms(struct peers *b, const struct addr *ips, unsigned count, uint32_t now_s)
{
	unsigned found = 0;

	for (unsigned i = 0; i < count; i++)
		found += peers_perm(b, &ips[i]) != NULL;
	for (unsigned i = 0; found == count && i < count; i++)
		peers_perm(b, &ips[i])->expires_s = now_s + PERMISSION_LIFETIME_S;
	if (found == count)
		peers_settle(b);
	return found == count;
}

/* Adds to the allocation's peers, within its limit. */
static enum turn_code extend(struct turn_req *q, const struct addr *ips, unsigned count, const struct chan *chan)
{
	struct path *c = q->c;
	struct peers *b = peers_extend(alloc_peers(q->a), ips, count, chan, c->now_s);

	if (b == NULL)
		return TURN_CAPACITY;
	if (b->perms > c->policy->max_peers || b->chans > c->policy->max_peers) {
		free(b);
		return TURN_CAPACITY;
	}
	for (unsigned i = 0; i < count; i++) {
		struct perm *p = peers_perm(b, &ips[i]);

		if (p->hop == HOP_NONE && iface_local_of(&c->relay->ifaces, &ips[i]) < 0)
			path_prepare(c, &p->hop, q->a->local / 2, &ips[i]);
	}
	peers_settle(b);
	table_set_peers(c->relay->table, q->a, b);
	return TURN_OK;
}

enum turn_code turn_create_permission(struct turn_req *q)
{
	struct addr ips[PEERS_PER_REQUEST];
	unsigned count;
	enum turn_code code = read_peers(q, ips, &count);

	if (code != TURN_OK)
		return code;
	if (renew_perms(alloc_peers(q->a), ips, count, q->c->now_s)) {
		table_renewed(q->c->relay->table, q->a);
		return TURN_OK;
	}
	return extend(q, ips, count, NULL);
}

/* The channel and its peer belong to each other alone (RFC 8656 §12.2). *same: bound like this already. */
static enum turn_code check_binding(const struct turn_req *q, uint16_t number, const struct addr *ip, uint16_t port,
				    struct chan **same)
{
	const struct peers *b = alloc_peers(q->a);
	struct chan *by_number = peers_by_number(b, number), *by_addr = peers_by_addr(b, ip, port);

	if (by_number != NULL && !peers_alive(&by_number->expires_s, q->c->now_s))
		by_number = NULL;
	if (by_addr != NULL && !peers_alive(&by_addr->expires_s, q->c->now_s))
		by_addr = NULL;
	*same = by_number;
	return by_number == by_addr ? TURN_OK : TURN_BAD_REQUEST;
}

enum turn_code turn_channel_bind(struct turn_req *q)
{
	const struct relay *r = q->c->relay;
	uint32_t number = stun_u32(q->m, STUN_CHANNEL_NUMBER) >> 16;
	struct stun_addr s;
	struct chan *same = NULL;

	if (stun_address(q->m, STUN_XOR_PEER_ADDRESS, &s) != ERR_OK || s.port == 0 || number < STUN_CHANNEL_MIN ||
	    number > q->c->policy->channel_max)
		return TURN_BAD_REQUEST;
	struct addr ip = addr_from_stun(&s);
	enum turn_code code = addr_is_disguised(&s) ? TURN_FORBIDDEN : check_peer(q, &ip);
	int home = iface_local_of(&r->ifaces, &ip);
	const struct alloc *slot = home >= 0 ? table_by_port(r->table, (unsigned)home, s.port) : NULL;
	/* Of our own addresses only relayed ports are peers, never the service. */
	if (code == TURN_OK && home >= 0 && slot == NULL)
		code = TURN_FORBIDDEN;
	if (code == TURN_OK)
		code = check_binding(q, swap16((uint16_t)number), &ip, swap16(s.port), &same);
	if (code != TURN_OK)
		return code;
	if (same != NULL) {
		same->expires_s = q->c->now_s + CHANNEL_LIFETIME_S;
		peers_perms(alloc_peers(q->a))[same->perm].expires_s = q->c->now_s + PERMISSION_LIFETIME_S;
		peers_settle(alloc_peers(q->a));
		table_renewed(q->c->relay->table, q->a);
		return TURN_OK;
	}
	struct chan chan = { .ip = ip, .port = swap16(s.port), .number = swap16((uint16_t)number), .home = (int8_t)home };
	if (slot != NULL)
		chan.slot = table_index(r->table, slot);
	return extend(q, &ip, 1, &chan);
}
