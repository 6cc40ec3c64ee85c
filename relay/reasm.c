#include "relay/reasm.h"

#define HEADROOM 128u /* before the Ethernet header of a whole: what it may grow by on its way */
#define FRAGMENT_LEN 8u

/* What a fragment says of itself. */
struct piece {
	struct addr src, dst;
	const uint8_t *data;
	uint32_t id, at, len, headers; /* headers: of the whole, Ethernet and IP */
	bool more;
};

static struct piece read_piece(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN, *f = ip + IP6_LEN;
	struct piece x;

	if (!p->v6) {
		uint16_t mark = be16_get(ip + IP_FRAG);

		x = (struct piece){ .src = addr_v4(ne32(ip + IP_SRC)), .dst = addr_v4(ne32(ip + IP_DST)), .data = ip + IP_LEN,
				    .id = ne16(ip + IP_ID), .at = (mark & 0x1fffu) * 8, .headers = ETH_LEN + IP_LEN,
				    .more = (mark & 0x2000) != 0 };
	} else {
		uint16_t mark = be16_get(f + 2);

		x = (struct piece){ .src = ip6_addr(ip + IP6_SRC), .dst = ip6_addr(ip + IP6_DST), .data = f + FRAGMENT_LEN,
				    .id = ne32(f + 4), .at = mark & 0xfff8u, .headers = ETH_LEN + IP6_LEN, .more = (mark & 1) != 0 };
	}
	x.len = (uint32_t)(p->data + p->len - x.data);
	return x;
}

static void release(struct reasm *r, struct reasm_slot *s)
{
	s->used = false;
	r->used--;
}

/* The datagram this is a part of; a new one if there is none yet and room. */
static struct reasm_slot *find(struct reasm *r, const struct pkt *p, const struct piece *x, uint32_t now_ms)
{
	struct reasm_slot *free = NULL;
	unsigned of_source = 0;

	for (unsigned i = 0; i < REASM_SLOTS; i++) {
		struct reasm_slot *s = &r->at[i];

		if (!s->used) {
			free = free == NULL || s->owned ? s : free;
			continue;
		}
		if (s->id == x->id && s->in_if == p->in_if && addr_eq(&s->src, &x->src) && addr_eq(&s->dst, &x->dst))
			return s;
		of_source += addr_eq(&s->src, &x->src);
	}
	if (free == NULL || of_source >= REASM_SLOTS_OF_SOURCE)
		return NULL;
	free->src = x->src;
	free->dst = x->dst;
	free->id = x->id;
	free->in_if = p->in_if;
	free->until_ms = now_ms + REASM_MS;
	free->total = free->have = free->top = 0;
	free->used = true;
	memset(free->got, 0, sizeof(free->got));
	r->used++;
	return free;
}

enum fit { FIT_NEW, FIT_COPY, FIT_OVERLAP };

/* Marks units [from, to) as come, if none of them has. */
static enum fit mark(uint64_t *got, unsigned from, unsigned to)
{
	unsigned before = 0;

	for (unsigned i = from; i < to; i++)
		before += (unsigned)(got[i / 64] >> (i % 64) & 1);
	if (before != 0)
		return before == to - from ? FIT_COPY : FIT_OVERLAP;
	for (unsigned i = from; i < to; i++)
		got[i / 64] |= UINT64_C(1) << i % 64;
	return FIT_NEW;
}

/* Where it stands in the whole: within bounds, and not against what is known of them. */
static enum fit fit(struct reasm_slot *s, const struct piece *x)
{
	uint32_t end = x->at + x->len;

	if (s->total != 0 ? end > s->total || (!x->more && end != s->total) : !x->more && s->top > end)
		return FIT_OVERLAP;
	return mark(s->got, x->at / 8, (end + 7) / 8);
}

/* All of it is there: the frame in `p` gives its buffer for the whole. */
static void finish(struct reasm *r, struct reasm_slot *s, struct pkt *p, const struct piece *x)
{
	struct pkt whole = s->pkt;
	uint8_t *ip = whole.data + ETH_LEN;

	s->pkt.start = p->start;
	s->pkt.end = p->end;
	s->pkt.buf = p->buf;
	p->start = whole.start;
	p->end = whole.end;
	p->buf = whole.buf;
	p->data = whole.data;
	p->len = x->headers + s->total;
	p->rx_sum = PKT_SUM_JOINED;
	if (p->v6) {
		be16_put(ip + IP6_TOTAL, (uint16_t)s->total);
		ip[IP6_NEXT] = IPPROTO_UDP_V4;
	} else {
		be16_put(ip + IP_TOTAL, (uint16_t)(IP_LEN + s->total));
		ne16_set(ip + IP_FRAG, 0);
		ne16_set(ip + IP_SUM, 0);
		ne16_set(ip + IP_SUM, (uint16_t)~sum_fold(sum_bytes(ip, IP_LEN)));
	}
	release(r, s);
}

/* A fragment header around a whole datagram (RFC 6946): it has nothing to do with any other. */
static void unwrap(struct pkt *p)
{
	uint8_t *ip = p->data + ETH_LEN;

	ip[IP6_NEXT] = IPPROTO_UDP_V4;
	be16_put(ip + IP6_TOTAL, (uint16_t)(be16_get(ip + IP6_TOTAL) - FRAGMENT_LEN));
	memmove(p->data + FRAGMENT_LEN, p->data, ETH_LEN + IP6_LEN);
	p->data += FRAGMENT_LEN;
	p->len -= FRAGMENT_LEN;
	p->rx_sum = PKT_SUM_JOINED;
}

static bool drop(struct pkt *p, enum drop reason)
{
	pkt_drop(p, reason);
	return false;
}

/* A buffer for the slot, if it has none from before. */
static bool have_buffer(struct reasm_slot *s, bool (*new_buf)(void *user, struct pkt *p), void *user)
{
	if (!s->owned && !new_buf(user, &s->pkt))
		return false;
	s->owned = true;
	s->pkt.data = s->pkt.start + HEADROOM;
	return true;
}

bool reasm_take(struct reasm *r, struct pkt *p, uint32_t now_ms, bool (*new_buf)(void *user, struct pkt *p), void *user,
		uint64_t *failed)
{
	struct piece x = read_piece(p);

	if (p->v6 && x.at == 0 && !x.more) {
		unwrap(p);
		return true;
	}
	if (x.len == 0 || (x.more && x.len % 8 != 0) || x.at + x.len > REASM_UDP_MAX || (x.at == 0 && x.len < UDP_LEN))
		return drop(p, DROP_IP_FRAGMENT);
	struct reasm_slot *s = find(r, p, &x, now_ms);
	if (s == NULL)
		return drop(p, DROP_IP_FRAGMENT);
	enum fit how = !have_buffer(s, new_buf, user) || x.headers + x.at + x.len > (size_t)(s->pkt.end - s->pkt.data) ? FIT_OVERLAP : fit(s, &x);
	if (how == FIT_COPY)
		return drop(p, DROP_IP_FRAGMENT);
	if (how == FIT_OVERLAP) {
		release(r, s);
		(*failed)++;
		return drop(p, DROP_IP_FRAGMENT);
	}
	if (x.at == 0)
		memcpy(s->pkt.data, p->data, x.headers);
	memcpy(s->pkt.data + x.headers + x.at, x.data, x.len);
	s->have += x.len;
	s->top = MAX(s->top, x.at + x.len);
	if (!x.more)
		s->total = x.at + x.len;
	if (s->total == 0 || s->have != s->total)
		return drop(p, DROP_FRAGMENT_TAKEN);
	finish(r, s, p, &x);
	return true;
}

unsigned reasm_sweep(struct reasm *r, uint32_t now_ms)
{
	unsigned gone = 0;

	for (unsigned i = 0; i < REASM_SLOTS; i++) {
		struct reasm_slot *s = &r->at[i];

		if (s->used && (int32_t)(now_ms - s->until_ms) >= 0) {
			release(r, s);
			gone++;
		}
	}
	return gone;
}
