#include "relay/path.h"

#include "common/clock.h"

#include "relay/icmp.h"
#include "relay/nd.h"
#include "relay/turn.h"
#include "relay/turn_fwd.h"
#include "relay/vlan.h"

#define TICK_MS 1u
#define GROWTH_MAX 80u /* more than any packet grows: from IPv4 to IPv6, from channel data to an indication */
#define ANNOUNCE_S 60u /* how often switches are told which groups we listen to; they forget after 260 s (RFC 3810 §9) */

/* The last 8 bytes of an Ethernet header that leaves a port. */
static uint64_t half_header(const struct net *n, uint16_t type)
{
	uint8_t half[8];

	memcpy(half, n->mac, ETH_ADDR_LEN);
	be16_put(half + ETH_ADDR_LEN, type);
	return ne64(half);
}

static void set_port(struct path_port *to, const struct relay *r, unsigned i)
{
	const struct iface *f = &r->ifaces.at[i];
	struct flow_key key;

	net_form_of(&f->net, &to->usual);
	to->mtu = f->mtu;
	flow_key_set(&key, addr_words_v4(0), 0, r->turn_port, (uint8_t)(2 * i), IPPROTO_UDP_V4);
	to->key_tail = key.w[2];
	to->slots = table_slot(r->table, 2 * i, 0);
	to->from_v4 = half_header(&f->net, ETHERTYPE_V4);
	to->from_v6 = half_header(&f->net, ETHERTYPE_V6);
}

void path_init(struct path *c, struct relay *r, unsigned id, bool (*new_buf)(void *user, struct pkt *p), void *user)
{
	memset(c, 0, sizeof(*c));
	c->relay = r;
	c->stats = &r->stats[id];
	c->id = id;
	memset(c->like, 0xff, sizeof(c->like));
	c->new_buf = new_buf;
	c->user = user;
	c->policy = atomic_load(&r->policy);
	crypto_random(c->random, sizeof(c->random));
	c->random[0] |= 1;
	c->ip_step = (uint16_t)r->workers;
	c->ip_id = (uint16_t)id;
	c->quote_from = UINT32_MAX;
	for (unsigned i = 0; i < r->ifaces.count; i++) {
		set_port(&c->port[i], r, i);
		c->own4[2 * i] = addr_v4_of(&r->own[2 * i]);
		c->shown[2 * i] = addr_words(&r->ifaces.at[i].ip[0].shown);
		c->shown[2 * i + 1] = addr_words(&r->ifaces.at[i].ip[1].shown);
		c->quote_from = MIN(c->quote_from, ETH_LEN + r->ifaces.at[i].mtu - GROWTH_MAX);
	}
}

void path_release(struct path *c, void (*free_buf)(void *user, struct pkt *p), void *user)
{
	for (unsigned i = 0; i < c->helds; i++)
		free_buf(user, &c->held[i].pkt);
	c->helds = 0;
	for (unsigned i = 0; i < REASM_SLOTS; i++) {
		if (c->reasm.at[i].owned)
			free_buf(user, &c->reasm.at[i].pkt);
	}
	memset(&c->reasm, 0, sizeof(c->reasm));
}

static void set_clock(struct path *c, const struct path_clock *now)
{
	c->clock = *now;
	c->now_s = path_seconds(now->mono_ms);
	const struct policy *policy = atomic_load_explicit(&c->relay->policy, memory_order_acquire);
	c->policy = policy;
	memcpy(c->dscp, policy->dscp, sizeof(c->dscp));
	c->limited = (policy->allocation_rate | policy->user_rate) != 0;
}

void path_quote(struct path *c, const struct pkt *p, bool whole)
{
	struct path_quote *q = &c->quote;

	memcpy(q->bytes, p->data, MIN(sizeof(q->bytes), (size_t)p->len));
	q->total = p->len - ETH_LEN;
	q->in_if = p->in_if;
	q->v6 = p->v6;
	q->whole = whole;
}

uint8_t *path_own_frame(struct path *c, unsigned iface, uint32_t len)
{
	struct pkt *p = &c->extra[c->extras];

	if (c->extras == PATH_EXTRA || !c->new_buf(c->user, p))
		return NULL;
	p->len = len;
	p->out_if = (uint8_t)iface;
	p->tx_sum = false;
	p->verdict = PKT_SEND;
	c->extras++;
	stats_add(&c->stats->own_packets, 1);
	return p->data;
}

/* A question for a neighbour; false if there is no room for it. */
static bool ask(void *user, unsigned iface, const struct addr *ip, const uint8_t *mac)
{
	struct path *c = user;
	const struct iface *f = &c->relay->ifaces.at[iface];
	bool v4 = addr_is_v4(ip);

	if (f->of_kernel) {
		c->asks_kernel = true;
		return true; /* the kernel is asked for all */
	}
	uint8_t *frame = path_own_frame(c, iface, v4 ? ARP_LEN : ND_LEN);

	if (frame == NULL)
		return false;
	if (v4)
		neigh_request(frame, f, addr_v4_of(ip), mac);
	else
		nd_solicit(frame, f, ip, mac);
	return true;
}

/* Whether anybody else has our addresses; and that they live here now. */
static void probe(struct path *c, unsigned i)
{
	const struct iface *f = &c->relay->ifaces.at[i];
	uint8_t *frame;

	if (f->net.ip != 0 && (frame = path_own_frame(c, i, ARP_LEN)) != NULL)
		neigh_probe(frame, f);
	if (!addr_is_none(&f->net.ip6) && (frame = path_own_frame(c, i, ND_PROBE_LEN)) != NULL)
		nd_probe(frame, f);
}

static void claim(struct path *c, unsigned i)
{
	const struct iface *f = &c->relay->ifaces.at[i];
	uint8_t *frame;

	if (f->net.ip != 0 && (frame = path_own_frame(c, i, ARP_LEN)) != NULL)
		neigh_request(frame, f, f->net.ip, NULL);
	if (!addr_is_none(&f->net.ip6) && (frame = path_own_frame(c, i, ND_LEN)) != NULL)
		nd_announce(frame, f);
}

/* Of what a neighbour said, that it has our address is answered with an announcement of ours, now and then. */
static void defend(struct path *c, const struct pkt *p)
{
	if (p->verdict == PKT_DROP && p->reason == DROP_ADDRESS_CLAIMED && neigh_defend_due(&c->relay->neigh, c->now_s))
		claim(c, p->in_if);
}

/* What the network is to know of us: at start, that our addresses live here now; and from time to time, which
 * groups we listen to. */
static void announce(struct path *c)
{
	for (unsigned i = 0; i < c->relay->ifaces.count; i++) {
		const struct iface *f = &c->relay->ifaces.at[i];
		bool first = c->announced_s == 0;
		uint8_t *frame;

		if (f->of_kernel)
			continue;
		if (first) {
			probe(c, i);
			claim(c, i);
		}
		if (addr_is_none(&f->net.ip6))
			continue;
		if ((frame = path_own_frame(c, i, ND_REPORT_LEN)) != NULL)
			nd_report(frame, f);
	}
	c->announced_s = c->now_s;
}

/* The neighbour handle for `dst`; *out_if and *next_hop as by the route. HOP_NONE with a reason if there is none. */
static uint32_t find_hop(struct path *c, hop_slot *hop, unsigned prefer_if, const struct addr *dst, enum drop *reason)
{
	unsigned out_if;
	struct addr next_hop;

	if (!iface_route(&c->relay->ifaces, prefer_if, dst, &out_if, &next_hop)) {
		*reason = DROP_NO_ROUTE;
		return HOP_NONE;
	}
	uint32_t h = neigh_get(&c->relay->neigh, out_if, &next_hop, c->now_s);
	*reason = DROP_NEIGHBOUR_QUEUE;
	if (h == HOP_NONE)
		return h;
	atomic_store_explicit(hop, h, memory_order_relaxed);
	if (neigh_probe_due(&c->relay->neigh, h, (uint32_t)c->clock.mono_ms))
		(void)ask(c, out_if, &next_hop, NULL); /* else it is asked in NEIGH_PROBE_MS */
	return h;
}

void path_prepare(struct path *c, hop_slot *hop, unsigned prefer_if, const struct addr *dst)
{
	enum drop ignored;

	(void)find_hop(c, hop, prefer_if, dst, &ignored);
}

static unsigned held_for(const struct path *c, uint32_t hop)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->helds; i++)
		n += c->held[i].hop == hop;
	return n;
}

/* Completes and sends, if the neighbour is known by now. The type of the Ethernet header stands there already. */
static bool try_send(struct path *c, struct pkt *p, uint32_t hop)
{
	uint8_t mac[8];

	if (!neigh_mac(&c->relay->neigh, hop, c->now_s, mac, &p->out_if))
		return false;
	const struct iface *f = &c->relay->ifaces.at[p->out_if];
	memcpy(p->data, mac, ETH_ADDR_LEN);
	memcpy(p->data + ETH_ADDR_LEN, f->net.mac, ETH_ADDR_LEN);
	if (p->len - ETH_LEN > f->mtu)
		pkt_drop(p, DROP_TOO_BIG);
	else
		p->verdict = PKT_SEND;
	return true;
}

void path_resolve(struct path *c, struct pkt *p, hop_slot *hop, unsigned prefer_if, const struct addr *dst)
{
	enum drop reason;
	uint32_t h = find_hop(c, hop, prefer_if, dst, &reason);

	if (h == HOP_NONE) {
		pkt_drop(p, reason);
		return;
	}
	if (try_send(c, p, h)) {
		if (p->verdict == PKT_DROP)
			icmp_too_big(c, p);
		return;
	}
	/* One that is too large and must stay whole will not go out whoever answers: its sender can be told now. */
	p->out_if = neigh_hop_iface(h);
	if (p->len - ETH_LEN > c->port[p->out_if].mtu && c->quote.whole) {
		icmp_too_big(c, p);
		return;
	}
	if (c->helds == PATH_HELD || held_for(c, h) >= PATH_HELD_OF_HOP) {
		pkt_drop(p, DROP_NEIGHBOUR_QUEUE);
		return;
	}
	p->verdict = PKT_HOLD;
	c->held[c->helds++] = (struct held){ .pkt = *p, .hop = h, .until_ms = (uint32_t)c->clock.mono_ms + PATH_HOLD_MS };
}

/* A frame that waited goes out, before its own fragments if it has to be cut. */
static void release_held(struct path *c, struct pkt *p)
{
	unsigned at = c->extras++;

	if (p->verdict == PKT_HOLD) {
		pkt_drop(p, DROP_NEIGHBOUR_WAIT);
	} else if (p->verdict == PKT_DROP) {
		c->quote.whole = false; /* those that must stay whole did not wait */
		icmp_too_big(c, p);
	}
	c->extra[at] = *p;
}

/* Held frames go out in order once their neighbour answered, or are dropped in time. */
static void run_held(struct path *c)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->helds; i++) {
		struct held *h = &c->held[i];
		bool late = (int32_t)((uint32_t)c->clock.mono_ms - h->until_ms) >= 0;

		if (c->extras + ICMP_FRAGMENTS_MAX > PATH_EXTRA || (!try_send(c, &h->pkt, h->hop) && !late))
			c->held[kept++] = *h;
		else
			release_held(c, &h->pkt);
	}
	c->helds = kept;
}

/* Frames that are to go get their tags. */
static COLD void put_tags(const struct path *c, struct pkt *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (p[i].verdict == PKT_SEND)
			vlan_insert(&p[i], &c->relay->ifaces.at[p[i].out_if]);
	}
}

/* And those that come are freed of them: the frames that are ours move to the front. Returns how many there are. */
static COLD unsigned take_tags(const struct path *c, struct pkt *p, unsigned n)
{
	unsigned ours = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!vlan_strip(&p[i], &c->relay->ifaces.at[p[i].in_if]))
			continue;
		struct pkt mine = p[i];

		p[i] = p[ours];
		p[ours++] = mine;
	}
	return ours;
}

/* A fragment; true if it completed its datagram, which then stands in `p`. */
static COLD bool parse_fragment(struct path *c, struct pkt *p)
{
	uint64_t failed = 0;
	bool whole = reasm_take(&c->reasm, p, (uint32_t)c->clock.mono_ms, c->new_buf, c->user, &failed);

	stats_add(&c->stats->reasm_failed, failed);
	if (!whole)
		return false;
	stats_add(&c->stats->reassembled, 1);
	return net_parse(p, &c->relay->ifaces.at[p->in_if].net) == NET_UDP;
}

/* Anything but UDP is dealt with at once, and false returned. */
static bool parse_unusual(struct path *c, struct pkt *p)
{
	struct relay *r = c->relay;
	const struct iface *f = &r->ifaces.at[p->in_if];

	switch (net_parse(p, &f->net)) {
	case NET_DROP:
		return false;
	case NET_ARP:
		neigh_arp(&r->neigh, p, f, c->now_s);
		defend(c, p);
		return false;
	case NET_ICMP:
		if (!icmp_error(c, p))
			(void)net_icmp(p);
		return false;
	case NET_ICMP6:
		if (nd_message(&r->neigh, p, f, c->now_s))
			defend(c, p);
		else if (!icmp_error(c, p))
			(void)net6_echo(p);
		return false;
	case NET_FRAGMENT:
		return parse_fragment(c, p);
	case NET_UDP:
		break;
	}
	return true;
}

/* A burst, sorted. Clients and peers alternate as chance has it, and a branch for each would be guessed wrong half
 * of the time; so each frame is entered in both lists and counts in one. Either keeps its order, and the frames
 * themselves stay where they are. */
struct sorted {
	struct fwd_item client[BURST + 1], peer[BURST + 1];
	struct table_query query[BURST + 1]; /* of clients */
};

/* How far the lists have come. */
struct heads {
	unsigned clients, peers;
};

/* From `source` to our service, if it is a client's, else to the relayed port of `slot`. Which of them is left to arithmetic. `last`: of the
 * client's key. */
static HOT void enter(const struct path *c, struct pkt *p, struct sorted *s, struct heads *h, struct addr_words source, uint64_t last,
		      struct alloc *slot, uint32_t is_client)
{
	const struct flowmap *flows = &c->relay->table->flows;
	struct table_query *q = &s->query[h->clients];
	uint64_t hash = flowmap_hash_words(flows, source, last);
	uintptr_t either = (uintptr_t)slot ^ (uintptr_t)flowmap_home(flows, hash);

	hide(is_client);
	__builtin_prefetch((const void *)((uintptr_t)slot ^ (either & -(uintptr_t)is_client)));
	q->key.w[0] = source.hi;
	q->key.w[1] = source.lo;
	q->key.w[2] = last;
	q->hash = hash;
	s->client[h->clients].p = p;
	s->peer[h->peers] = (struct fwd_item){ p, slot };
	h->clients += is_client;
	h->peers += 1 - is_client;
}

/* What is not UDP over IPv4 without anything unusual. */
static APART struct heads sort_unusual(struct path *c, struct pkt *p, struct sorted *s, struct heads h)
{
	const struct relay *r = c->relay;
	struct flow_key key;

	if (!parse_unusual(c, p))
		return h;
	const uint8_t *udp = pkt_payload(p) - UDP_LEN;
	uint16_t dport = ne16(udp + UDP_AT_DPORT);
	uint8_t local = (uint8_t)(2u * p->in_if + p->v6);
	struct alloc *slot = table_by_port(r->table, local, swap16(dport));
	if (dport != r->turn_port && slot == NULL) {
		pkt_drop(p, DROP_UDP_PORT);
		return h;
	}
	flow_key_set(&key, net_source_words(p), ne16(udp + UDP_AT_SPORT), dport, local, IPPROTO_UDP_V4);
	enter(c, p, s, &h, net_source_words(p), key.w[2], slot, dport == r->turn_port);
	return h;
}

static HOT struct heads sort(struct path *c, struct pkt *p, struct sorted *s, struct heads h)
{
	const struct path_port *port = &c->port[p->in_if];
	const struct table *t = c->relay->table;

	if (unlikely(!net_usual(p, &port->usual)))
		return sort_unusual(c, p, s, h);
	const uint8_t *ip = p->data + ETH_LEN;
	uint16_t dport = ne16(ip + UDP_DPORT);
	uint32_t relayed = (uint32_t)swap16(dport) - t->port_min;
	uint32_t client = dport == c->relay->turn_port, in_range = relayed < t->ports;
	hide(in_range);
	if (unlikely((client | in_range) == 0)) {
		pkt_drop(p, dport != 0 ? DROP_UDP_PORT : DROP_UDP_HEADER);
		return h;
	}
	enter(c, p, s, &h, addr_words_v4(ne32(ip + IP_SRC)), ne16(ip + UDP_SPORT) | port->key_tail,
	      (struct alloc *)((uintptr_t)port->slots + (uintptr_t)relayed * sizeof(struct alloc)), client);
	return h;
}

/* What the handlers will touch of an allocation, once its first line is there. */
static HOT void fetch(struct alloc *a, struct flow_count *count)
{
	const struct peers *b = alloc_peers(a);

	__builtin_prefetch(b);
	__builtin_prefetch((const void *)((uintptr_t)b + CACHE_LINE)); /* there may be no block */
	__builtin_prefetch(count, 1);
}

/* RFC 7983 §7: by the first byte, 0-3 is STUN; what is neither that nor channel data is dropped. */
static void from_client(struct path *c, struct pkt *p, const struct flow_key *key, struct alloc *a)
{
	if (pkt_payload_len(p) >= 1 && pkt_payload(p)[0] <= 3)
		turn_message(c, p, key, a);
	else
		pkt_drop(p, DROP_NOT_TURN);
}

/* In their order, so that what a request has changed holds for the data behind it. */
static void from_clients(struct path *c, const struct sorted *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		i += fwd_channels(c, &s->client[i], n - i);
		if (i < n)
			from_client(c, s->client[i].p, &s->query[i].key, s->client[i].a);
	}
}

/* The allocations of clients. All first lines are under way before the first is looked at. */
static HOT void find_clients(const struct table *t, struct sorted *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t slot = flowmap_guess(&t->flows, s->query[i].hash);

		s->client[i].a = slot != FLOWMAP_NONE ? &t->slots[slot] : NULL;
		__builtin_prefetch(s->client[i].a);
	}
	for (unsigned i = 0; i < n; i++) {
		struct alloc *a = s->client[i].a;

		if (unlikely(a == NULL || !flow_key_eq(&a->key, &s->query[i].key))) {
			s->client[i].a = a = table_find(t, &s->query[i]);
			if (a == NULL)
				continue;
		}
		fetch(a, &a->to_peer);
	}
}

static HOT void run_burst(struct path *c, struct pkt *p, unsigned n)
{
	struct sorted s;
	struct heads h = { 0, 0 };

	for (unsigned i = 0; i < n; i++)
		h = sort(c, &p[i], &s, h);
	find_clients(c->relay->table, &s, h.clients);
	for (unsigned i = 0; i < h.peers; i++)
		fetch(s.peer[i].a, &s.peer[i].a->to_client);
	from_clients(c, &s, h.clients);
	fwd_peers(c, s.peer, h.peers);
	if (unlikely(c->helds > 0))
		run_held(c);
}

void path_burst(struct path *c, struct pkt *p, unsigned n, const struct path_clock *now)
{
	set_clock(c, now);
	if (likely(!c->relay->ifaces.tagged)) {
		run_burst(c, p, n);
		return;
	}
	unsigned ours = take_tags(c, p, n);
	run_burst(c, p, ours);
	put_tags(c, p, ours);
	put_tags(c, c->extra, c->extras);
}

void path_messages(struct path *c, struct pkt *p, unsigned n, const struct path_clock *now)
{
	set_clock(c, now);
	for (unsigned i = 0; i < n; i++) {
		c->quote.whole = false; /* nobody can be told that a packet was too big: TCP made it one */
		struct fwd_item one = { &p[i], table_find_one(c->relay->table, p[i].from) };
		if (fwd_channels(c, &one, 1) == 0)
			from_client(c, one.p, one.p->from, one.a);
	}
	if (c->helds > 0)
		run_held(c);
	if (c->relay->ifaces.tagged) {
		put_tags(c, p, n);
		put_tags(c, c->extra, c->extras);
	}
}

void path_message_end(struct path *c, const struct flow_key *key)
{
	struct table_hold hold;
	struct alloc *a = table_lock(c->relay->table, key, NULL, &hold);

	/* One that was moving to this connection lives on where it was; the move is given up in time. */
	if (a != NULL && table_stood_for(c->relay->table, a) == NULL)
		table_remove(c->relay->table, a);
	table_unlock(c->relay->table, &hold);
}

bool path_message_alive(const struct path *c, const struct flow_key *key)
{
	const struct alloc *a = table_find_one(c->relay->table, key);

	return a != NULL && alloc_alive(a, c->now_s);
}

static void run_tick(struct path *c, const struct path_clock *now)
{
	uint64_t since = now->mono_ms - c->swept_ms;

	if (since < TICK_MS)
		return;
	if (c->helds > 0)
		run_held(c);
	if (c->reasm.used > 0)
		stats_add(&c->stats->reasm_failed, reasm_sweep(&c->reasm, (uint32_t)now->mono_ms));

	/* A whole round a second, shared by the workers, in small steps so that no burst waits long. */
	uint32_t words = table_sweep_words(c->relay->table);
	uint64_t due = words * since / MS_PER_S / c->relay->workers + 1;
	if (c->swept_ms == 0)
		c->sweep_cursor = words / c->relay->workers * c->id;
	stats_add(&c->stats->expired,
		  table_sweep(c->relay->table, &c->sweep_cursor, (uint32_t)MIN(due, (uint64_t)words), c->now_s));
	c->swept_ms = now->mono_ms;
	if (c->id == 0 && (c->announced_s == 0 || c->now_s - c->announced_s >= ANNOUNCE_S))
		announce(c);
	if (c->id == 0 && now->mono_ms - c->neigh_swept_ms >= MS_PER_S) {
		c->neigh_swept_ms = now->mono_ms;
		/* After a restart there are many at once: those for whom there is no room are asked at the next tick. */
		if (!neigh_sweep(&c->relay->neigh, c->now_s, (uint32_t)now->mono_ms, ask, c))
			c->neigh_swept_ms -= MS_PER_S;
	}
}

void path_tick(struct path *c, const struct path_clock *now)
{
	set_clock(c, now);
	run_tick(c, now);
	if (unlikely(c->relay->ifaces.tagged))
		put_tags(c, c->extra, c->extras);
}
