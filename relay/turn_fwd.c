#include "relay/turn_fwd.h"

/* A Data indication up to its payload: header, XOR-PEER-ADDRESS, header of DATA. */
#define DATA_PREFIX 36u
#define DATA_PREFIX6 48u

/* A datagram under way: its payload, and what of its old headers the new ones need. */
struct transit {
	uint8_t *data;    /* payload */
	uint32_t len;
	uint32_t before;  /* bytes that stood before the payload in the same buffer, at least */
	uint64_t kept;    /* sum_without of its UDP checksum, of which all is gone that leaves: old pseudo-header and header, and what stood
			   * around the payload */
	uint32_t frag;    /* DF for IPv4, network order */
	uint32_t tos, ttl; /* in IPv6 traffic class and hop limit */
	uint32_t kind;    /* enum media_kind, once judged */
};

/* Where it goes from here: from the relayed address of `a` over the channel's or permission's way to a peer, or from our service to the client
 * of `a`. Everything by value is for the usual way; the rest is found again where it is needed. */
struct way {
	struct alloc *a;
	const struct addr *peer; /* NULL: to the client */
	hop_slot *hop;
	uint32_t src4, dst4;     /* if it leaves over IPv4 */
	uint32_t ports;          /* source and destination as they stand in UDP */
	unsigned local;          /* our address that it leaves from: iface.h */
};

static const struct addr *way_from(const struct path *c, const struct way *w)
{
	return w->peer != NULL ? &w->a->relay : &c->relay->own[w->local];
}

static const struct addr *way_to(const struct way *w)
{
	return w->peer != NULL ? w->peer : &w->a->key.client;
}

/* What the frames of one call have come to; booked once. */
struct tally {
	uint64_t packets[RELAYED_COUNT], bytes[RELAYED_COUNT], media[MEDIA_KINDS];
};

static HOT void count(struct tally *sum, enum relayed kind, struct flow_count *flow, uint32_t len)
{
	flow_counted(flow, len);
	sum->packets[kind]++;
	sum->bytes[kind] += len;
}

static void book(struct path *c, const struct tally *sum)
{
	for (unsigned i = 0; i < RELAYED_COUNT; i++) {
		stats_add(&c->stats->relayed_packets[i], sum->packets[i]);
		stats_add(&c->stats->relayed_bytes[i], sum->bytes[i]);
	}
	for (unsigned i = 0; i < MEDIA_KINDS; i++)
		stats_add(&c->stats->media_packets[i], sum->media[i]);
}

/* What comes over IPv6 and may leave over IPv4 is not to be fragmented, unless it is so small that no IPv6 sender
 * ever learns to make it smaller (RFC 7915 §5.1, RFC 8200 §5), or came in fragments. */
static APART struct transit lift6(const struct pkt *p, uint8_t *data, uint32_t len, uint64_t gone)
{
	const uint8_t *ip = p->data + ETH_LEN;

	/* RFC 8656 §17, from TCP to UDP: DSCP 0, no ECN, a fresh TTL, DF not set. The checksum is taken over the message as
	 * if it had come in a datagram with headers of zeros, for what leaves of it to be taken away as always. */
	if (p->from != NULL)
		return (struct transit){
			.data = data,
			.len = len,
			.kept = sum_without(UINT16_MAX, (uint16_t)~sum_fold(sum_bytes(p->data, p->len) + swap16(IPPROTO_UDP_V4)) + gone),
			.ttl = IP_TTL + 1
		};
	return (struct transit){ .data = data,
				 .len = len,
				 .kept = sum_without(ne16(ip + IP6_LEN + UDP_AT_SUM), udp6_sum_headers(ip) + gone),
				 .frag = p->len > ETH_LEN + 1280 && p->rx_sum != PKT_SUM_JOINED ? swap16(IP_DF) : 0,
				 .tos = ip6_class(ip),
				 .ttl = ip[IP6_HOPS] };
}

/* RFC 8656 §15, §16: DSCP and ECN are copied, DF is copied, TTL counts down. False if it is used up. `frame` and `frame_len`: p's; `before` as in
 * transit; `gone`: the sum of what leaves of what the UDP header stands for. */
static HOT bool lift(struct path *c, struct pkt *p, bool v6, const uint8_t *frame, uint32_t frame_len, uint32_t before, uint8_t *data, uint32_t len,
		     uint64_t gone, struct transit *t)
{
	const uint8_t *ip = frame + ETH_LEN;

	/* Field by field: the compiler would put a whole together in memory. */
	t->data = data;
	t->len = len;
	t->before = before;
	if (!v6) {
		t->kept = sum_without(ne16(ip + UDP_SUM), udp_sum_headers(ip) + gone);
		t->frag = ne16(ip + IP_FRAG);
		t->tos = ip[IP_TOS];
		t->ttl = ip[IP_TTL_AT];
	} else {
		*t = lift6(p, data, len, gone);
	}
	if (unlikely(frame_len > c->quote_from))
		path_quote(c, p, t->frag != 0);
	if (likely(t->ttl > 1))
		return true;
	pkt_drop(p, DROP_TTL);
	return false;
}

static APART bool within_limits(struct path *c, struct pkt *p, struct alloc *a, enum media_kind kind, uint32_t len)
{
	static const enum drop reasons[MEDIA_KINDS] = { DROP_LIMIT_OTHER, DROP_LIMIT_AUDIO, DROP_LIMIT_VIDEO };
	uint32_t now_ms = (uint32_t)c->clock.mono_ms;

	if (bandwidth_take(&c->relay->table->buckets[a->slot], c->policy->allocation_rate, kind, len, now_ms) &&
	    bandwidth_take(&c->relay->table->user_buckets[a->user_bucket], c->policy->user_rate, kind, len, now_ms))
		return true;
	pkt_drop(p, reasons[kind]);
	return false;
}

/* What the payload is, for the statistics of this direction, for the DSCP (RFC 8837 §5) and for the limits. False if it is beyond these. *rtp: its
 * header, unless it is MEDIA_OTHER. */
static HOT bool judge(struct path *c, struct pkt *p, struct alloc *a, struct flow_count *flow, struct media_stream *video, struct transit *t,
		      struct tally *sum, struct rtp *rtp)
{
	enum media_kind kind = media_pass(&flow->audio, video, t->data, t->len, (uint32_t)c->clock.mono_ms, rtp);

	sum->media[kind]++;
	t->kind = kind;
	if (t->tos < 4)
		t->tos |= c->dscp[kind];
	return likely(!c->limited) || within_limits(c, p, a, kind, t->len);
}

/* One flow, one label (RFC 6437 §3), that no outsider needs to guess. Never that of the incoming flow: RFC 8656
 * §15.2. */
static inline uint32_t flow_label(const struct way *w)
{
	return ((w->ports ^ way_to(w)->w[3]) * 0x9e3779b1u) >> 12;
}

static COLD bool no_room(struct pkt *p)
{
	pkt_drop(p, DROP_REPLY_SPACE);
	return false;
}

static APART bool send_otherwise(struct path *c, struct pkt *p, struct way w)
{
	path_send_otherwise(c, p, w.hop, w.local / 2, way_to(&w));
	return p->verdict != PKT_DROP;
}

/* Over IPv6, and to clients on streams. */
static APART bool lower6(struct path *c, struct pkt *p, struct transit t, uint32_t prefix, uint32_t suffix, uint64_t added,
			 struct way w)
{
	static const enum stream_kind kinds[MEDIA_KINDS] = { STREAM_MEDIA, STREAM_AUDIO, STREAM_VIDEO };
	uint8_t *ip = t.data - prefix - UDP_LEN - IP6_LEN, *udp = ip + IP6_LEN;
	uint32_t length = UDP_LEN + prefix + t.len + suffix;

	if (w.peer == NULL && flow_is_stream(&w.a->key)) {
		/* RFC 8656 §16: nothing but the message. */
		path_to_stream(p, &w.a->key, t.data - prefix, prefix + t.len + suffix, kinds[t.kind]);
		return true;
	}
	if (unlikely(ip - ETH_LEN < p->start))
		return no_room(p);
	ip6_put(ip, (uint8_t)t.tos, flow_label(&w), (uint16_t)length, IPPROTO_UDP_V4, (uint8_t)(t.ttl - 1), way_from(c, &w), way_to(&w));
	ne32_set(udp + UDP_AT_SPORT, w.ports);
	be16_put(udp + UDP_AT_TOTAL, (uint16_t)length);
	ne16_set(udp + UDP_AT_SUM, sum_with(t.kept, added + udp6_sum_headers(ip)));
	/* IPv6 wants the checksum that IPv4 may leave out (RFC 7915 §4.5). */
	if (unlikely(t.kept == 0))
		ne16_set(udp + UDP_AT_SUM, udp6_sum_full(ip));
	if (likely(path_send(c, p, ip, IP6_LEN + length, true, atomic_load_explicit(w.hop, memory_order_relaxed))))
		return true;
	return send_otherwise(c, p, w);
}

/* New IP and UDP headers before the `prefix` bytes in front of the payload, whose sum is `added`; `suffix` zero
 * bytes of padding stand behind it. False if the frame is dropped. */
static HOT bool lower(struct path *c, struct pkt *p, const struct transit *t, uint32_t prefix, uint32_t suffix,
		      uint64_t added, const struct way *w)
{
	uint8_t *ip = t->data - prefix - UDP_DATA;
	uint32_t udp = UDP_LEN + prefix + t->len + suffix;

	if (unlikely((w->local & 1) != 0))
		return lower6(c, p, *t, prefix, suffix, added, *w);
	uint32_t id = t->frag != 0 ? 0 : (c->ip_id = (uint16_t)(c->ip_id + c->ip_step));
	/* Where longer headers have gone there is room. */
	if (HEADERS_LEN + prefix > t->before && unlikely(ip - ETH_LEN < p->start))
		return no_room(p);
	uint32_t hop = atomic_load_explicit(w->hop, memory_order_relaxed);
	uint16_t length = swap16((uint16_t)udp);

	/* What udp_sum_headers would read, without reading. */
	added += (uint64_t)w->src4 + w->dst4 + w->ports + 2u * (uint64_t)length;
	ip_put(ip, t->tos, IP_LEN + udp, id | t->frag << 16, t->ttl - 1, IPPROTO_UDP_V4, w->src4, w->dst4);
	ne32_set(ip + UDP_SPORT, w->ports);
	ne32_set(ip + UDP_TOTAL, length | (uint32_t)sum_with(t->kept, added) << 16);
	if (likely(path_send(c, p, ip, IP_LEN + udp, false, hop)))
		return true;
	return send_otherwise(c, p, *w);
}

static inline uint32_t port_pair(uint16_t src, uint16_t dst)
{
	return src | (uint32_t)dst << 16;
}

/* The half of an allocation whose relayed address is of this family; NULL if there is none any more. */
static inline struct alloc *half(struct path *c, struct alloc *a, bool v6)
{
	if (likely((a->local & 1) == v6))
		return a;
	uint32_t other = alloc_other(a);
	return other != 0 ? &c->relay->table->slots[other - 1] : NULL;
}

/* Out of the relayed port of `a` to a peer elsewhere. */
static HOT void to_peer(struct path *c, struct pkt *p, struct alloc *a, const struct transit *t,
			const struct addr *peer, bool v6, uint16_t port, hop_slot *hop, struct tally *sum)
{
	struct alloc *h = half(c, a, v6);

	if (unlikely(h == NULL)) {
		pkt_drop(p, DROP_NO_PERMISSION);
		return;
	}
	const struct way w = { .a = h,
			       .peer = peer,
			       .hop = hop,
			       .src4 = addr_v4_of(&h->relay),
			       .dst4 = addr_v4_of(peer),
			       .ports = port_pair(h->relay_port, port),
			       .local = h->local };
	if (likely(lower(c, p, t, 0, 0, 0, &w)))
		count(sum, RELAYED_TO_PEER, &a->to_peer, t->len);
}

static inline struct way way_to_client(const struct path *c, struct alloc *b)
{
	return (struct way){ .a = b,
			     .hop = &b->client_hop,
			     .src4 = c->own4[b->key.local],
			     .dst4 = addr_v4_of(&b->key.client),
			     .ports = port_pair(b->key.relay_port, b->key.client_port),
			     .local = b->key.local };
}

/* RFC 8656 §12.4. Returns the sum of the header. */
static inline uint64_t put_channel_header(uint8_t *at, uint16_t number, uint32_t len)
{
	uint32_t word = number | (uint32_t)swap16((uint16_t)len) << 16;

	ne32_set(at, word);
	return word;
}

/* RFC 8656 §11.5: a Data indication in front of the payload. Returns the sum of what was written. */
static uint64_t put_data_header(struct path *c, uint8_t *at, uint32_t prefix, const struct addr *from, uint16_t port, uint32_t len)
{
	uint64_t a = path_random(c), b = path_random(c);
	uint32_t padded = (len + 3) & ~3u;

	be16_put(at, 0x0017);
	be16_put(at + 2, (uint16_t)(prefix - STUN_HEADER_LEN + padded));
	be32_put(at + 4, STUN_MAGIC);
	memcpy(at + 8, &a, 8);
	memcpy(at + 16, &b, 4);
	be32_put(at + 20, 0x00120000 + prefix - 28);
	be16_put(at + 24, prefix == DATA_PREFIX ? STUN_IPV4 : STUN_IPV6);
	ne16_set(at + 26, port ^ ne16(at + 4));
	if (prefix == DATA_PREFIX) {
		ne32_set(at + 28, addr_v4_of(from) ^ ne32(at + 4));
	} else {
		for (unsigned i = 0; i < 4; i++)
			ne32_set(at + 28 + 4 * i, from->w[i] ^ ne32(at + 4 + 4 * i));
	}
	be16_put(at + prefix - 4, 0x0013);
	be16_put(at + prefix - 2, (uint16_t)len);
	return sum_bytes(at, prefix);
}

/* RFC 8656 §11.5, to a client without a channel for this peer. */
static APART bool to_client_by_indication(struct path *c, struct pkt *p, struct transit t, struct way w, struct addr_words from,
					  uint16_t port)
{
	struct addr ip = addr_of_words(from);
	uint32_t padding = -t.len & 3, prefix = addr_is_v4(&ip) ? DATA_PREFIX : DATA_PREFIX6;

	if (unlikely(t.data - p->start < (ptrdiff_t)(HEADERS_LEN + prefix) || t.data + t.len + padding > p->end))
		return no_room(p);
	memset(t.data + t.len, 0, padding);
	return lower(c, p, &t, prefix, padding, put_data_header(c, t.data - prefix, prefix, &ip, port, t.len), &w);
}

static HOT bool send_to_client(struct path *c, struct pkt *p, struct alloc *b, const struct chan *chan, const struct transit *t,
			       struct addr_words from, uint16_t port)
{
	const struct way w = way_to_client(c, b);

	if (unlikely(chan == NULL))
		return to_client_by_indication(c, p, *t, w, from, port);
	/* What came had headers as long, but for a message on a stream. */
	if (t->before < STUN_CHANNEL_HEADER_LEN && unlikely(t->data - p->start < (ptrdiff_t)STUN_CHANNEL_HEADER_LEN))
		return no_room(p);
	uint64_t added = put_channel_header(t->data - STUN_CHANNEL_HEADER_LEN, chan->number, t->len);

	return lower(c, p, t, STUN_CHANNEL_HEADER_LEN, 0, added, &w);
}

static COLD bool client_moved(struct pkt *p)
{
	if (p->verdict == PKT_SEND || p->verdict == PKT_STREAM)
		pkt_drop(p, DROP_CLIENT_MOVING);
	return p->verdict != PKT_DROP;
}

/* To the client of `b`, from a peer who has permission: over its channel `chan` if one is bound, else as an
 * indication. False if the frame is dropped. */
static HOT bool to_client(struct path *c, struct pkt *p, struct alloc *b, const struct chan *chan, const struct transit *t,
			  struct addr_words from, uint16_t port)
{
	uint8_t turns = alloc_turns(b);
	bool sent = send_to_client(c, p, b, chan, t, from, port);

	if (unlikely(alloc_turned(b, turns)))
		return client_moved(p);
	return sent;
}

/* No channel that lives, or no permission with it. True if there is permission nevertheless; *chan is then the channel that lives, or NULL. */
static APART bool permitted_otherwise(const struct peers *peers, struct chan **chan, struct addr_words from, uint32_t now_s)
{
	const struct perm *perm = *chan != NULL ? &peers_perms(peers)[(*chan)->perm] : peers_perm_by_words(peers, from);

	if (*chan != NULL && !peers_alive(&(*chan)->expires_s, now_s))
		*chan = NULL;
	return perm != NULL && peers_alive(&perm->expires_s, now_s);
}

/* Whether there is permission for a peer. *chan: the channel it comes by, NULL if none is bound. */
static HOT bool permitted(const struct peers *peers, struct addr_words from, uint16_t port, uint32_t now_s, struct chan **chan)
{
	*chan = peers_by_words(peers, from, port);
	if (likely(*chan != NULL && peers_alive(&(*chan)->until_s, now_s)))
		return true;
	return permitted_otherwise(peers, chan, from, now_s);
}

/* To a peer that is a relayed address of this relay: straight to its client, as if the datagram had gone out
 * and come in again. */
static HOT void to_home(struct path *c, struct pkt *p, struct alloc *a, const struct transit *t, struct alloc *b, bool v6, const struct rtp *rtp,
			struct tally *sum)
{
	struct alloc *h = half(c, a, v6);

	if (unlikely(h == NULL || !alloc_alive(b, c->now_s))) {
		pkt_drop(p, DROP_HAIRPIN_GONE);
		return;
	}
	/* The other client knows this address as clients are told it. */
	struct addr_words from = c->shown[h->local];
	struct chan *chan;
	if (unlikely(!permitted(alloc_peers(b), from, h->relay_port, c->now_s, &chan))) {
		pkt_drop(p, DROP_HAIRPIN_PERMISSION);
		return;
	}
	if (unlikely(!to_client(c, p, b, chan, t, from, h->relay_port)))
		return;
	count(sum, RELAYED_HAIRPIN, &a->to_peer, t->len);
	flow_counted(&b->to_client, t->len);
	if (t->kind != MEDIA_OTHER)
		(void)media_pass_rtp(&b->to_client.audio, &b->video_to_client, rtp, t->len, (uint32_t)c->clock.mono_ms);
}

/* The sum of the padding behind `len` bytes. Behind an odd length it begins in the low half of a word. */
static APART uint64_t sum_padding(const uint8_t *data, uint32_t len, uint32_t room)
{
	uint8_t tail[4] = { 0 };

	memcpy(tail + (len & 1), data + len, room - len);
	return ne32(tail);
}

/* The first data from the 5-tuple that a client has moved to (RFC 8016); NULL if it is not that. */
static APART struct alloc *moved(struct path *c, struct alloc *found)
{
	return found != NULL ? table_move_use(c->relay->table, found, c->now_s) : NULL;
}

/* Why data on this channel goes nowhere. */
static COLD enum drop refuse_channel(const struct chan *chan, uint32_t now_s)
{
	return chan == NULL || !peers_alive(&chan->expires_s, now_s) ? DROP_NO_CHANNEL : DROP_NO_PERMISSION;
}

/* `room`: bytes behind the header. */
static HOT void channel_data(struct path *c, struct pkt *p, bool v6, uint8_t *payload, uint32_t room, struct alloc *a, struct tally *sum)
{
	uint32_t header = ne32(payload), len = swap16((uint16_t)(header >> 16)), frame_len = p->len;
	uint8_t *data = payload + STUN_CHANNEL_HEADER_LEN;
	uint64_t gone = header;
	struct transit t;
	struct rtp rtp;

	if (unlikely(a == NULL || !alloc_alive(a, c->now_s)) && (a = moved(c, a)) == NULL) {
		pkt_drop(p, DROP_NO_ALLOCATION);
		return;
	}
	struct chan *chan = peers_by_number(alloc_peers(a), (uint16_t)header);
	if (unlikely(chan == NULL || !peers_alive(&chan->until_s, c->now_s))) {
		pkt_drop(p, refuse_channel(chan, c->now_s));
		return;
	}
	if (unlikely(room != len)) {
		/* RFC 8656 §12.5: over UDP there may be padding to a multiple of four behind the data. What is too long wraps around. */
		if (room - len > 3) {
			pkt_drop(p, DROP_CHANNEL_LENGTH);
			return;
		}
		gone += sum_padding(data, len, room);
	}
	if (!lift(c, p, v6, v6 ? p->data : payload - HEADERS_LEN, frame_len, v6 ? 0 : HEADERS_LEN + STUN_CHANNEL_HEADER_LEN, data, len, gone, &t) ||
	    unlikely(!judge(c, p, a, &a->to_peer, &a->video_to_peer, &t, sum, &rtp)))
		return;
	if (chan->home >= 0)
		to_home(c, p, a, &t, &c->relay->table->slots[chan->slot], chan->v6, &rtp, sum);
	else
		to_peer(c, p, a, &t, &chan->ip, chan->v6, chan->port, &chan->hop, sum);
}

/* False if it is no channel data. */
static HOT bool from_channel(struct path *c, struct pkt *p, bool v6, struct alloc *a, struct tally *sum)
{
	uint8_t *payload = v6 ? pkt_payload(p) : p->data + HEADERS_LEN;
	uint32_t room = v6 ? pkt_payload_len(p) : p->len - HEADERS_LEN;

	if (unlikely(room < STUN_CHANNEL_HEADER_LEN || (payload[0] & 0xc0) != 0x40))
		return false;
	channel_data(c, p, v6, payload, room - STUN_CHANNEL_HEADER_LEN, a, sum);
	return true;
}

/* The less usual way: over IPv6 or on a stream. */
static APART bool from_channel6(struct path *c, struct pkt *p, struct alloc *a, struct tally *sum)
{
	return from_channel(c, p, true, a, sum);
}

unsigned fwd_channels(struct path *c, const struct fwd_item *item, unsigned n)
{
	struct tally sum = { 0 };
	const struct fwd_item *at = item, *end = item + n;

	for (; at < end; at++) {
		bool done = likely(!at->p->v6) ? from_channel(c, at->p, false, at->a, &sum) : from_channel6(c, at->p, at->a, &sum);

		if (unlikely(!done))
			break;
	}
	if (at > item)
		book(c, &sum);
	return (unsigned)(at - item);
}

void fwd_send(struct path *c, struct pkt *p, struct alloc *a, const struct stun_msg *m)
{
	const uint64_t understood = STUN_BIT(STUN_XOR_PEER_ADDRESS) | STUN_BIT(STUN_DATA) | STUN_BIT(STUN_DONT_FRAGMENT);
	struct stun_addr peer;
	struct tally sum = { 0 };
	struct transit t;
	struct rtp rtp;
	uint16_t type;

	if ((a == NULL || !alloc_alive(a, c->now_s)) && (a = moved(c, a)) == NULL) {
		pkt_drop(p, DROP_NO_ALLOCATION);
		return;
	}
	if (m->malformed || !stun_has(m, STUN_DATA) || stun_address(m, STUN_XOR_PEER_ADDRESS, &peer) != ERR_OK ||
	    peer.port == 0 || addr_is_disguised(&peer) || stun_not_understood(m, understood, &type, 1) > 0) {
		pkt_drop(p, DROP_SEND_MALFORMED);
		return;
	}
	struct addr to = addr_from_stun(&peer);
	struct perm *perm = peers_perm(alloc_peers(a), &to);
	if (perm == NULL || !peers_alive(&perm->expires_s, c->now_s)) {
		pkt_drop(p, DROP_NO_PERMISSION);
		return;
	}
	uint8_t *payload = pkt_payload(p);
	uint32_t off = m->at[STUN_DATA].off, len = m->at[STUN_DATA].len;
	/* All around the data goes: what is before it, its padding and what follows. DATA begins at a multiple
	 * of four. */
	uint64_t gone = sum_bytes(payload, off);
	if (m->len > off + len) {
		uint8_t first[2] = { 0, payload[off + len] };
		bool odd = (len & 1) != 0;

		gone += (odd ? ne16(first) : 0u) + sum_bytes(payload + off + len + odd, m->len - off - len - odd);
	}
	if (!lift(c, p, p->v6, p->data, p->len, 0, payload + off, len, gone, &t))
		return;
	if (stun_has(m, STUN_DONT_FRAGMENT)) {
		t.frag = swap16(IP_DF);
		c->quote.whole = true;
	}
	if (!judge(c, p, a, &a->to_peer, &a->video_to_peer, &t, &sum, &rtp)) {
		book(c, &sum);
		return;
	}
	int home = iface_local_of(&c->relay->ifaces, &to);
	struct alloc *b = home >= 0 ? table_by_port(c->relay->table, (unsigned)home, peer.port) : NULL;
	if (b != NULL)
		to_home(c, p, a, &t, b, home & 1, &rtp, &sum);
	else if (home >= 0)
		pkt_drop(p, DROP_HAIRPIN_GONE);
	else
		to_peer(c, p, a, &t, &to, !addr_is_v4(&to), swap16(peer.port), &perm->hop, &sum);
	book(c, &sum);
}

static HOT void from_peer(struct path *c, struct pkt *p, bool v6, struct alloc *a, struct tally *sum)
{
	uint8_t *payload = v6 ? pkt_payload(p) : p->data + HEADERS_LEN;
	uint32_t len = v6 ? pkt_payload_len(p) : p->len - HEADERS_LEN;
	struct addr_words from = v6 ? net_source_words(p) : addr_words_v4(ne32(p->data + ETH_LEN + IP_SRC));
	uint16_t port = ne16(payload - UDP_LEN + UDP_AT_SPORT);
	struct transit t;
	struct rtp rtp;
	struct chan *chan;

	if (unlikely(!alloc_alive(a, c->now_s))) {
		pkt_drop(p, DROP_PEER_PORT);
		return;
	}
	if (unlikely(!permitted(alloc_peers(a), from, port, c->now_s, &chan))) {
		pkt_drop(p, DROP_NO_PERMISSION);
		return;
	}
	if (!lift(c, p, v6, v6 ? p->data : payload - HEADERS_LEN, v6 ? p->len : HEADERS_LEN + len, v6 ? 0 : HEADERS_LEN, payload, len, 0, &t) ||
	    unlikely(!judge(c, p, a, &a->to_client, &a->video_to_client, &t, sum, &rtp)))
		return;
	if (likely(to_client(c, p, a, chan, &t, from, port)))
		count(sum, RELAYED_TO_CLIENT, &a->to_client, t.len);
}

static APART void from_peer6(struct path *c, struct pkt *p, struct alloc *a, struct tally *sum)
{
	from_peer(c, p, true, a, sum);
}

void fwd_peers(struct path *c, const struct fwd_item *item, unsigned n)
{
	struct tally sum = { 0 };

	for (const struct fwd_item *end = item + n; item < end; item++) {
		if (likely(!item->p->v6))
			from_peer(c, item->p, false, item->a, &sum);
		else
			from_peer6(c, item->p, item->a, &sum);
	}
	book(c, &sum);
}

/* A message of our own: nothing of the ICMP packet stays but what `e` says. */
void fwd_icmp(struct path *c, struct pkt *p, struct alloc *a, const struct fwd_icmp *e)
{
	uint8_t turns = alloc_turns(a);
	const struct way w = way_to_client(c, a);
	uint32_t prefix = addr_is_v4(&e->peer) ? DATA_PREFIX : DATA_PREFIX6, len = prefix + 8;
	uint8_t *at = p->start + HEADERS6_LEN + 2;
	/* As of an empty datagram that had no headers: all that is counted is what comes. */
	struct transit t = { .data = at + len, .kept = sum_without(UINT16_MAX, 0), .frag = swap16(IP_DF), .ttl = IP_TTL + 1 };

	if (at + len > p->end) {
		pkt_drop(p, DROP_REPLY_SPACE);
		return;
	}
	(void)put_data_header(c, at, prefix, &e->peer, e->port, 8);
	be16_put(at + prefix - 4, 0x8004); /* ICMP instead of DATA */
	be16_put(at + prefix, 0);
	be16_put(at + prefix + 2, (uint16_t)(e->type << 9 | e->code));
	be32_put(at + prefix + 4, e->data);
	(void)lower(c, p, &t, len, 0, sum_bytes(at, len) + swap16(IPPROTO_UDP_V4), &w);
	if (alloc_turned(a, turns) && p->verdict == PKT_SEND)
		pkt_drop(p, DROP_CLIENT_MOVING);
	if (p->verdict == PKT_SEND)
		stats_add(&c->stats->icmp_told, 1);
}
