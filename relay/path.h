/* The packet path of one worker: a burst of frames in, a verdict on each out. No I/O, no clock, no allocation,
 * no lock, no log; time is passed in. Frames that the path sends of its own accord (ARP requests, frames that
 * waited for a neighbour) come out through `extra`. */
#ifndef DUPLEX_RELAY_PATH_H
#define DUPLEX_RELAY_PATH_H

#include "relay/reasm.h"
#include "relay/relay.h"
#include "relay/stream_link.h"

#define PATH_EXTRA 64u /* frames beside the burst, per call */
#define PATH_HELD 64u  /* frames that may wait for a neighbour at a time */
#define PATH_HELD_OF_HOP 4u
#define PATH_HOLD_MS 1000u

struct path_clock {
	uint64_t mono_ms;
	uint64_t wall_s; /* for credentials and nonces */
};

struct held {
	struct pkt pkt;
	uint32_t hop;
	uint32_t until_ms;
};

/* The headers of the packet under way, kept while it may turn out too large for where it goes. */
struct path_quote {
	uint8_t bytes[HEADERS6_LEN]; /* Ethernet, IP and UDP as they came */
	uint32_t total;              /* bytes of IP */
	uint8_t in_if;
	bool v6;
	bool whole;                  /* must not be fragmented */
};

/* What the path needs of a port for each frame, side by side. */
struct path_port {
	struct net_form usual;
	uint32_t mtu;                /* bytes of IP */
	uint64_t key_tail;           /* of the last word of a client's key over IPv4, all but the client's port */
	struct alloc *slots;         /* of its relayed IPv4 address */
	uint64_t from_v4, from_v6;   /* an Ethernet header's last 8 bytes: our MAC and the type */
};

struct path {
	struct relay *relay;         /* borrowed */
	const struct policy *policy; /* valid during a burst */
	uint8_t dscp[MEDIA_KINDS];   /* the policy's */
	bool limited;                /* it limits bandwidth */
	struct stats *stats;         /* this worker's */
	unsigned id;
	struct path_clock clock;
	uint32_t now_s;              /* path_seconds() of clock.mono_ms */
	uint64_t random[2];
	uint16_t ip_id, ip_step;     /* workers take turns, so that none uses what another has used */
	uint32_t quote_from;         /* frames above this length are kept in `quote` */
	struct path_quote quote;
	uint32_t icmp_ms;            /* when a sender was last told that its packet was too large */
	/* Gives an empty buffer: data, start, end and buf of *p are set. False if there is none. */
	bool (*new_buf)(void *user, struct pkt *p);
	void *user;
	struct pkt extra[PATH_EXTRA]; /* the caller handles their verdicts as those of the burst, then sets extras to 0, after each call */
	unsigned extras;
	struct held held[PATH_HELD];
	unsigned helds;
	uint32_t sweep_cursor;
	uint64_t swept_ms, neigh_swept_ms;
	uint32_t announced_s;        /* 0 = not yet; worker 0 alone */
	uint64_t like[IFACE_MAX];    /* relayed ports whose datagrams come to this worker (nic.h); all ones = it cannot be told */
	bool asks_kernel;            /* a neighbour of the kernel's is wanted: the caller wakes kernel.c, then sets it to false */
	struct reasm reasm;
	struct path_port port[IFACE_MAX];
	uint32_t own4[LOCAL_MAX];    /* our IPv4 addresses by number, network order */
	struct addr_words shown[LOCAL_MAX]; /* and all as clients are told them */
};

void path_init(struct path *c, struct relay *r, unsigned id, bool (*new_buf)(void *user, struct pkt *p), void *user);
/* Gives back, through `free_buf`, every buffer that is kept: frames that wait, and those of fragments. */
void path_release(struct path *c, void (*free_buf)(void *user, struct pkt *p), void *user);
/* Handles n <= BURST frames. Their order in `p` may change. */
void path_burst(struct path *c, struct pkt *p, unsigned n, const struct path_clock *now);
/* Deadlines: held frames, expiry of this worker's share of allocations, neighbours (worker 0). Call between
 * bursts, at least every 100 ms. */
void path_tick(struct path *c, const struct path_clock *now);

/* The unit of all deadlines: seconds of the monotonic clock, never 0. */
static inline uint32_t path_seconds(uint64_t mono_ms)
{
	return (uint32_t)(mono_ms / 1000u) + 1;
}

/* The same for n <= BURST messages of clients on streams, as pkt.h says. */
void path_messages(struct path *c, struct pkt *p, unsigned n, const struct path_clock *now);
/* The connection of this client is gone: so is its allocation (RFC 8656 §5). */
void path_message_end(struct path *c, const struct flow_key *key);
bool path_message_alive(const struct path *c, const struct flow_key *key);

/* For the handlers. */

static inline uint64_t path_random(struct path *c)
{
	/* xoroshiro128+: unpredictable enough for transaction ids and a start in the port map, seeded by the
	 * system. */
	uint64_t a = c->random[0], b = c->random[1], r = a + b;

	b ^= a;
	c->random[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
	c->random[1] = b << 37 | b >> 27;
	return r;
}

/* Keeps the headers of `p`, which is about to be changed. */
void path_quote(struct path *c, const struct pkt *p, bool whole);
/* A frame of our own beside the burst, `len` bytes to be written; NULL when there is no room. */
uint8_t *path_own_frame(struct path *c, unsigned iface, uint32_t len);
/* The frame is complete and exceeds the MTU of p->out_if: see icmp.h. */
void icmp_too_big(struct path *c, struct pkt *p);
/* The slow half of path_send. */
void path_resolve(struct path *c, struct pkt *p, hop_slot *hop, unsigned prefer_if, const struct addr *dst);

/* Puts the Ethernet header for the IP packet of `total` bytes at `ip`, whose next hop is `hop`; verdict SEND. False if the handle is stale, and then all but
 * the header's type is missing, or if the packet is too large: path_send_otherwise is next. */
static HOT bool path_send(struct path *c, struct pkt *p, uint8_t *ip, uint32_t total, bool v6, uint32_t hop)
{
	uint8_t *eth = ip - ETH_LEN;

	p->data = eth;
	p->len = ETH_LEN + total;
	p->verdict = PKT_SEND;
	if (unlikely(!neigh_mac(&c->relay->neigh, hop, c->now_s, eth, &p->out_if))) {
		be16_put(eth + 2 * ETH_ADDR_LEN, v6 ? ETHERTYPE_V6 : ETHERTYPE_V4);
		p->verdict = PKT_HOLD;
		return false;
	}
	const struct path_port *out = &c->port[p->out_if];
	ne64_put(eth + ETH_ADDR_LEN, v6 ? out->from_v6 : out->from_v4);
	return likely(total <= out->mtu);
}

/* What path_send left. */
static inline void path_send_otherwise(struct path *c, struct pkt *p, hop_slot *hop, unsigned prefer_if, const struct addr *dst)
{
	if (p->verdict == PKT_HOLD)
		path_resolve(c, p, hop, prefer_if, dst);
	else
		icmp_too_big(c, p);
}

/* [data, data + len) goes to the client of `to`, which is on a stream. */
static inline void path_to_stream(struct pkt *p, const struct flow_key *to, uint8_t *data, uint32_t len, enum stream_kind kind)
{
	p->data = data;
	p->len = len;
	p->stream = flow_stream(to);
	p->media = (uint8_t)kind;
	p->verdict = PKT_STREAM;
}

/* Finds the neighbour for `dst` and, if it is not known yet, asks for it. For the handlers of requests, so that
 * data need not wait later. */
void path_prepare(struct path *c, hop_slot *hop, unsigned prefer_if, const struct addr *dst);

#endif
