#include "relay/icmp.h"

#include "relay/turn_fwd.h"

enum { V4_UNREACHABLE = 3, V4_TOO_BIG = 4 /* a code of it */, V4_TIME_EXCEEDED = 11, V6_UNREACHABLE = 1, V6_TOO_BIG = 2, V6_TIME_EXCEEDED = 3 };
enum { FRAGMENT_LEN = 8 };
#define V4_MTU_MIN 68u
#define V6_MTU_MIN 1280u
#define MORE_FRAGMENTS 0x2000u

/* The relayed datagram that an error quotes: from `src` to a peer. */
struct quoted {
	struct addr src, peer;
	uint16_t sport, pport; /* network order */
};

/* The UDP header behind an IPv4 header of 20 bytes (we send no options), in a first fragment. */
static bool read_v4(const uint8_t *ip, uint32_t len, struct quoted *q)
{
	if (len < IP_LEN + UDP_LEN || ip[0] != 0x45 || ip[IP_PROTO] != IPPROTO_UDP_V4 || (be16_get(ip + IP_FRAG) & 0x1fff) != 0)
		return false;
	*q = (struct quoted){ .src = addr_v4(ne32(ip + IP_SRC)), .peer = addr_v4(ne32(ip + IP_DST)),
			      .sport = ne16(ip + UDP_SPORT), .pport = ne16(ip + UDP_DPORT) };
	return true;
}

/* The same behind an IPv6 header, and the fragment header that our own fragments have. */
static bool read_v6(const uint8_t *ip, uint32_t len, struct quoted *q)
{
	const uint8_t *udp = ip + IP6_LEN;

	if (len < IP6_LEN + UDP_LEN || ip[0] >> 4 != 6)
		return false;
	uint8_t next = ip[IP6_NEXT];
	if (next == IPPROTO_FRAGMENT_V6) {
		if (len < IP6_LEN + FRAGMENT_LEN + UDP_LEN || (be16_get(udp + 2) & 0xfff8) != 0)
			return false;
		next = udp[0];
		udp += FRAGMENT_LEN;
	}
	if (next != IPPROTO_UDP_V4)
		return false;
	*q = (struct quoted){ .src = ip6_addr(ip + IP6_SRC), .peer = ip6_addr(ip + IP6_DST),
			      .sport = ne16(udp + UDP_AT_SPORT), .pport = ne16(udp + UDP_AT_DPORT) };
	return true;
}

/* The kinds that RFC 8656 §11.6 names, and what they say of a size. */
static bool is_told(const uint8_t *icmp, bool v6, struct fwd_icmp *e)
{
	uint8_t type = icmp[0];

	e->type = type;
	e->code = icmp[1];
	e->data = 0;
	if (v6) {
		e->data = type == V6_TOO_BIG ? be32_get(icmp + 4) : 0;
		return type == V6_UNREACHABLE || type == V6_TOO_BIG || type == V6_TIME_EXCEEDED;
	}
	e->data = type == V4_UNREACHABLE && icmp[1] == V4_TOO_BIG ? be16_get(icmp + 6) : 0;
	return type == V4_UNREACHABLE || type == V4_TIME_EXCEEDED;
}

bool icmp_error(struct path *c, struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN, *icmp = ip + (p->v6 ? IP6_LEN : IP_LEN);
	uint32_t len = (uint32_t)(p->data + p->len - icmp);
	unsigned local = 2u * p->in_if + p->v6;
	const struct local *l = iface_local(&c->relay->ifaces, local);
	struct fwd_icmp e;
	struct quoted q;

	if (!is_told(icmp, p->v6, &e) || (!p->v6 && sum_fold(sum_bytes(icmp, len)) != UINT16_MAX))
		return false;
	bool udp = p->v6 ? read_v6(icmp + ICMP_LEN, len - ICMP_LEN, &q) : read_v4(icmp + ICMP_LEN, len - ICMP_LEN, &q);
	if (!udp || (!addr_eq(&q.src, &l->addr) && !addr_eq(&q.src, &l->shown))) {
		pkt_drop(p, DROP_ICMP_ERROR);
		return true;
	}
	struct alloc *a = table_by_port(c->relay->table, local, swap16(q.sport));
	const struct perm *perm = a != NULL && alloc_alive(a, c->now_s) ? peers_perm(alloc_peers(a), &q.peer) : NULL;
	if (perm == NULL || !peers_alive(&perm->expires_s, c->now_s)) {
		pkt_drop(p, DROP_ICMP_ERROR);
		return true;
	}
	e.peer = q.peer;
	e.port = q.pport;
	fwd_icmp(c, p, a, &e);
	return true;
}

/* Ethernet and IP of an error back to the sender of the packet under way, from the address that it was sent to.
 * NULL if there is no room. `len` bytes of ICMP, without what is quoted. */
static uint8_t *begin_error(struct path *c, const struct path_quote *q, uint32_t len)
{
	uint32_t ip_len = q->v6 ? IP6_LEN : IP_LEN, quoted = ip_len + UDP_LEN;
	uint8_t *frame = path_own_frame(c, q->in_if, ETH_LEN + ip_len + len + quoted);
	const struct iface *f = &c->relay->ifaces.at[q->in_if];

	if (frame == NULL)
		return NULL;
	uint8_t *ip = frame + ETH_LEN;
	memcpy(frame, q->bytes + ETH_ADDR_LEN, ETH_ADDR_LEN);
	memcpy(frame + ETH_ADDR_LEN, f->net.mac, ETH_ADDR_LEN);
	memcpy(frame + 2 * ETH_ADDR_LEN, q->bytes + 2 * ETH_ADDR_LEN, 2);
	const uint8_t *old = q->bytes + ETH_LEN;
	if (q->v6) {
		struct addr src = ip6_addr(old + IP6_DST), dst = ip6_addr(old + IP6_SRC);

		ip6_put(ip, 0, 0, (uint16_t)(len + quoted), IPPROTO_ICMP_V6, IP_TTL, &src, &dst);
	} else {
		ip_put(ip, 0, IP_LEN + len + quoted, IP_WHOLE, IP_TTL, IPPROTO_ICMP_V4, ne32(old + IP_DST),
		       ne32(old + IP_SRC));
	}
	memset(ip + ip_len, 0, len);
	memcpy(ip + ip_len + len, old, quoted);
	return ip;
}

/* Once a millisecond at most (RFC 4443 §2.4 f). */
static void tell_sender(struct path *c, uint32_t mtu)
{
	const struct path_quote *q = &c->quote;

	if (c->icmp_ms == (uint32_t)c->clock.mono_ms)
		return;
	uint8_t *ip = begin_error(c, q, ICMP_LEN);
	if (ip == NULL)
		return;
	c->icmp_ms = (uint32_t)c->clock.mono_ms;
	uint8_t *icmp = ip + (q->v6 ? IP6_LEN : IP_LEN);
	if (q->v6) {
		icmp[0] = V6_TOO_BIG;
		be32_put(icmp + 4, MAX(mtu, V6_MTU_MIN));
		ne16_set(icmp + 2, icmp6_sum(ip, be16_get(ip + IP6_TOTAL)));
	} else {
		icmp[0] = V4_UNREACHABLE;
		icmp[1] = V4_TOO_BIG;
		be16_put(icmp + 6, (uint16_t)MAX(mtu, V4_MTU_MIN));
		ne16_set(icmp + 2, (uint16_t)~sum_fold(sum_bytes(icmp, be16_get(ip + IP_TOTAL) - IP_LEN)));
	}
}

/* Where fragment `at` of a datagram begins, and how it is marked; `len` bytes of payload stand behind its headers. */
static void mark_v4(uint8_t *ip, uint32_t at, uint32_t len, bool last)
{
	be16_put(ip + IP_TOTAL, (uint16_t)(IP_LEN + len));
	be16_put(ip + IP_FRAG, (uint16_t)(at / 8 | (last ? 0 : MORE_FRAGMENTS)));
	ne16_set(ip + IP_SUM, 0);
	ne16_set(ip + IP_SUM, (uint16_t)~sum_fold(sum_bytes(ip, IP_LEN)));
}

static void mark_v6(uint8_t *ip, uint32_t at, uint32_t len, bool last)
{
	be16_put(ip + IP6_TOTAL, (uint16_t)(FRAGMENT_LEN + len));
	be16_put(ip + IP6_LEN + 2, (uint16_t)(at | (last ? 0 : 1)));
}

/* Room for the fragment header (RFC 8200 §4.5), with an identification that no one can guess. */
static void open_v6(struct path *c, struct pkt *p)
{
	uint8_t *ip;

	memmove(p->data - FRAGMENT_LEN, p->data, ETH_LEN + IP6_LEN);
	p->data -= FRAGMENT_LEN;
	p->len += FRAGMENT_LEN;
	ip = p->data + ETH_LEN;
	ip[IP6_NEXT] = IPPROTO_FRAGMENT_V6;
	ip[IP6_LEN] = IPPROTO_UDP_V4;
	ip[IP6_LEN + 1] = 0;
	be32_put(ip + IP6_LEN + 4, (uint32_t)(path_random(c) >> 32));
}

/* False if there is no room. */
static bool fragment(struct path *c, struct pkt *p, uint32_t mtu)
{
	bool v6 = be16_get(p->data + 2 * ETH_ADDR_LEN) == ETHERTYPE_V6;
	uint32_t headers = v6 ? IP6_LEN + FRAGMENT_LEN : IP_LEN, each = (mtu - headers) & ~7u,
		 all = p->len - ETH_LEN - (v6 ? IP6_LEN : IP_LEN), count = (all + each - 1) / each;

	if (count > ICMP_FRAGMENTS_MAX || c->extras + count - 1 > PATH_EXTRA || (v6 && p->data - p->start < FRAGMENT_LEN))
		return false;
	if (v6)
		open_v6(c, p);
	for (uint32_t at = each; at < all; at += each) {
		uint32_t len = MIN(each, all - at);
		uint8_t *frame = path_own_frame(c, p->out_if, ETH_LEN + headers + len);

		if (frame == NULL)
			return false;
		memcpy(frame, p->data, ETH_LEN + headers);
		memcpy(frame + ETH_LEN + headers, p->data + ETH_LEN + headers + at, len);
		(v6 ? mark_v6 : mark_v4)(frame + ETH_LEN, at, len, at + len == all);
	}
	p->len = ETH_LEN + headers + each;
	(v6 ? mark_v6 : mark_v4)(p->data + ETH_LEN, 0, each, false);
	p->verdict = PKT_SEND;
	stats_add(&c->stats->fragmented, 1);
	return true;
}

void icmp_too_big(struct path *c, struct pkt *p)
{
	uint32_t total = p->len - ETH_LEN, mtu = c->relay->ifaces.at[p->out_if].mtu;

	if (!c->quote.whole) {
		if (!fragment(c, p, mtu))
			pkt_drop(p, DROP_TOO_BIG);
		return;
	}
	pkt_drop(p, DROP_TOO_BIG);
	if (p->from != NULL)
		return;
	/* What we added on the way must fit as well. */
	if (c->quote.total + mtu > total)
		tell_sender(c, c->quote.total + mtu - total);
}
