/* A relay without wires: frames in, frames out, a clock that is moved by hand. Every frame that comes out has
 * its checksums verified. One or two workers, run in turn by one thread. */
#ifndef DUPLEX_TESTS_RIG_H
#define DUPLEX_TESTS_RIG_H

#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/nd.h"
#include "relay/path.h"
#include "relay/turn_auth.h"
#include "tests/lib/cm.h"

#define RIG_OUT 128u
#define RIG_FRAME 2048u
#define RIG_HEADROOM 128u
#define RIG_SECRET "a secret of the tests"
#define RIG_REALM "example.org"
#define RIG_ALLOCATIONS 1024u /* for which memory is set aside */
#define RIG_WALL_S 1800000000u

#define IPV4(a, b, c, d) __builtin_bswap32((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define RELAY_IP IPV4(198, 41, 0, 2)
#define SECOND_IP IPV4(198, 41, 1, 2) /* of the second port */
#define GATEWAY_IP IPV4(198, 41, 0, 1)
#define CLIENT_IP IPV4(8, 8, 1, 1)
#define PEER_IP IPV4(9, 9, 9, 9)
#define TURN_PORT 3478u

static const uint8_t rig_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 }, rig_host_mac[6] = { 0x02, 0, 0, 0, 0, 0x99 };

struct rig_frame {
	uint8_t bytes[RIG_FRAME];
	size_t len;
	unsigned iface;
};

struct rig {
	struct relay *relay;
	struct path path[2];
	unsigned workers;
	struct path_clock clock;
	uint64_t next_tid;
	bool answer_arp;         /* whoever the relay asks for is there */
	struct rig_frame out[RIG_OUT]; /* what came out of the last rig_send, ARP answers aside */
	unsigned outs;
	unsigned in_if;          /* port that frames come in on */
	unsigned buffers;        /* given out and not back yet */
	unsigned arp_asked;
	struct rig_stream {
		uint32_t ip;
		uint16_t port;
	} stream[8]; /* clients on streams, by the index in their handle */
	unsigned streams;
	uint8_t media; /* kind of the last thing that went to one */
};

static bool rig_new_buf(void *user, struct pkt *p)
{
	struct rig *r = user;
	uint8_t *b = malloc(RIG_FRAME);

	r->buffers++;
	p->buf = p->start = b;
	p->end = b + RIG_FRAME;
	p->data = b + RIG_HEADROOM;
	return b != NULL;
}

static void rig_free_buf(struct rig *r, struct pkt *p)
{
	free(p->buf);
	r->buffers--;
}

static UNUSED void rig_release_buf(void *user, struct pkt *p)
{
	rig_free_buf(user, p);
}

/* Once a program. */
static UNUSED int rig_eal(void **state)
{
	static char text[][24] = { "test",	     "--no-huge",	  "-m", "128", "--no-shconf", "--no-pci",
				   "--no-telemetry", "--log-level=error", "" };
	static char *args[ARRAY_LEN(text) + 1];
	static bool up;

	(void)state;
	if (up)
		return 0;
	(void)snprintf(text[ARRAY_LEN(text) - 1], sizeof(text[0]), "--lcores=0@%d", sched_getcpu());
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		args[i] = text[i];
	if (rte_eal_init(ARRAY_LEN(text), args) < 0)
		return -1;
	up = true;
	return 0;
}

static UNUSED struct policy *rig_policy(void)
{
	struct policy *p = calloc(1, sizeof(*p));

	(void)snprintf(p->realm, sizeof(p->realm), RIG_REALM);
	(void)snprintf(p->secret, sizeof(p->secret), RIG_SECRET);
	memset(p->nonce_key, 7, sizeof(p->nonce_key));
	p->algorithms[1] = STUN_PASSWORD_SHA256;
	p->algorithms_len = 4;
	p->lifetime_s = 600;
	p->lifetime_max_s = 3600;
	p->nonce_lifetime_s = 3600;
	p->max_allocations = 16384;
	p->max_peers = 64;
	p->channel_max = STUN_CHANNEL_MAX;
	return p;
}

static UNUSED struct addr rig_ip(const char *text)
{
	struct addr a;
	struct cidr net;

	assert_ok(addr_parse_interface(str_from(text), &a, &net));
	return a;
}

/* One address a port: 198.41.0.2/24 with a gateway, 198.41.1.2/24 without. */
static struct ifaces rig_ifaces(unsigned ports)
{
	static const char *const addresses[] = { "198.41.0.2/24", "198.41.1.2/24" };
	struct ifaces all = { .count = ports };

	for (unsigned i = 0; i < ports; i++) {
		struct iface *f = &all.at[i];

		memcpy(f->net.mac, rig_mac, sizeof(rig_mac));
		f->net.mac[4] = (uint8_t)i;
		assert_ok(addr_parse_interface(str_from(addresses[i]), &f->ip[0].addr, &f->ip[0].subnet));
		f->ip[0].shown = f->ip[0].addr;
		f->net.ip = addr_v4_of(&f->ip[0].addr);
		if (i == 0)
			f->ip[0].gateway = addr_v4(GATEWAY_IP);
		f->mtu = 1500;
	}
	return all;
}

/* The same and 2a00:1::2/64 with a link-local gateway, 2a00:2::2/64 without. */
static UNUSED struct ifaces rig_ifaces_dual(unsigned ports)
{
	static const char *const addresses[] = { "2a00:1::2/64", "2a00:2::2/64" };
	struct ifaces all = rig_ifaces(ports);

	for (unsigned i = 0; i < ports; i++) {
		struct iface *f = &all.at[i];

		assert_ok(addr_parse_interface(str_from(addresses[i]), &f->ip[1].addr, &f->ip[1].subnet));
		f->ip[1].shown = f->net.ip6 = f->ip[1].addr;
		net_make_link(&f->net);
		if (i == 0)
			f->ip[1].gateway = rig_ip("fe80::1");
	}
	return all;
}

static UNUSED struct rig *rig_new_ifaces(unsigned workers, const struct ifaces *ifaces, uint16_t port_min, uint16_t port_max,
					 struct policy *policy)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct relay_size size = {
		.turn_port = TURN_PORT, .port_min = port_min, .port_max = port_max, .max_allocations = RIG_ALLOCATIONS,
		.workers = workers
	};

	assert_ok(relay_new(&size, ifaces, policy, &r->relay));
	r->workers = workers;
	r->clock = (struct path_clock){ .mono_ms = 5000, .wall_s = RIG_WALL_S };
	r->answer_arp = true;
	for (unsigned i = 0; i < workers; i++) {
		path_init(&r->path[i], r->relay, i, rig_new_buf, r);
		rcu_online(r->relay->rcu, i);
	}
	return r;
}

static UNUSED struct rig *rig_new_ports(unsigned workers, unsigned ports, uint16_t port_min, uint16_t port_max, struct policy *policy)
{
	struct ifaces ifaces = rig_ifaces(ports);

	return rig_new_ifaces(workers, &ifaces, port_min, port_max, policy);
}

static UNUSED struct rig *rig_new(unsigned workers, uint16_t port_min, uint16_t port_max, struct policy *policy)
{
	return rig_new_ports(workers, 1, port_min, port_max, policy);
}

static UNUSED void rig_free(struct rig *r)
{
	for (unsigned i = 0; i < r->workers; i++) {
		path_release(&r->path[i], rig_release_buf, r);
	}
	assert_int_equal(r->buffers, 0);
	relay_free(r->relay);
	free(r);
}

static void rig_check_v6(const struct rig_frame *f, const uint8_t *ip)
{
	assert_int_equal(ip[0] >> 4, 6);
	assert_int_equal(be16_get(ip + IP6_TOTAL), f->len - ETH_LEN - IP6_LEN);
	assert_true(f->len - ETH_LEN <= 1500);
	if (ip[IP6_NEXT] == IPPROTO_ICMP_V6)
		assert_int_equal(icmp6_sum(ip, f->len - ETH_LEN - IP6_LEN), 0);
	if (ip[IP6_NEXT] != IPPROTO_UDP_V4)
		return;
	assert_int_equal(be16_get(ip + IP6_LEN + UDP_AT_TOTAL), f->len - ETH_LEN - IP6_LEN);
	assert_true(udp6_sum_ok(ip));
}

static void rig_check_frame(const struct rig_frame *f)
{
	const uint8_t *ip = f->bytes + ETH_LEN;

	assert_true(f->len >= ETH_LEN);
	assert_memory_equal(f->bytes + 6, rig_mac, 4);
	assert_int_equal(f->bytes[10], f->iface); /* the MAC of the port it goes out on */
	if (be16_get(f->bytes + 12) == ETHERTYPE_V6)
		rig_check_v6(f, ip);
	if (be16_get(f->bytes + 12) != ETHERTYPE_V4)
		return;
	assert_int_equal(ip[0], 0x45);
	assert_int_equal(be16_get(ip + IP_TOTAL), f->len - ETH_LEN);
	assert_int_equal(sum_fold(sum_bytes(ip, IP_LEN)), UINT16_MAX);
	assert_true(f->len - ETH_LEN <= 1500);
	if (ip[IP_PROTO] != IPPROTO_UDP_V4 || (be16_get(ip + IP_FRAG) & ~IP_DF) != 0)
		return;
	assert_int_equal(be16_get(ip + UDP_TOTAL), f->len - ETH_LEN - IP_LEN);
	assert_true(udp_sum_ok(ip));
}

static void rig_run(struct rig *r, unsigned worker, const void *frame, size_t len);

/* The host that was asked for answers, from the one MAC behind which all of this world lies. */
static void rig_answer_arp(struct rig *r, unsigned worker, const uint8_t *request)
{
	uint8_t reply[ARP_LEN];

	memcpy(reply, request, sizeof(reply));
	memcpy(reply, request + 6, 6);
	memcpy(reply + 6, rig_host_mac, 6);
	be16_put(reply + 20, 2);
	memcpy(reply + 22, rig_host_mac, 6);
	memcpy(reply + 28, request + 38, 4);
	memcpy(reply + 32, request + 6, 6);
	memcpy(reply + 38, request + 28, 4);
	rig_run(r, worker, reply, sizeof(reply));
}

/* The same in IPv6. */
static void rig_answer_nd(struct rig *r, unsigned worker, const uint8_t *asked)
{
	uint8_t f[ND_LEN], *ip = f + ETH_LEN, *icmp = ip + IP6_LEN;
	struct addr target = ip6_addr(asked + ETH_LEN + IP6_LEN + 8), asker = ip6_addr(asked + ETH_LEN + IP6_SRC);

	memcpy(f, asked, sizeof(f));
	memcpy(f, asked + 6, 6);
	memcpy(f + 6, rig_host_mac, 6);
	ip6_put(ip, 0, 0, ND_LEN - ETH_LEN - IP6_LEN, IPPROTO_ICMP_V6, 255, &target, &asker);
	icmp[0] = 136;
	ne16_set(icmp + 2, 0);
	icmp[4] = 0x60;
	icmp[24] = 2;
	memcpy(icmp + 26, rig_host_mac, 6);
	ne16_set(icmp + 2, icmp6_sum(ip, ND_LEN - ETH_LEN - IP6_LEN));
	rig_run(r, worker, f, sizeof(f));
}

static bool rig_is_solicitation(const struct rig_frame *f)
{
	return be16_get(f->bytes + 12) == ETHERTYPE_V6 && f->bytes[ETH_LEN + IP6_NEXT] == IPPROTO_ICMP_V6 &&
	       f->bytes[ETH_LEN + IP6_LEN] == 135;
}

static size_t rig_udp(uint8_t *frame, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, const void *data, size_t len);

/* What goes to a client on a stream is shown like a datagram to it. */
static void rig_take_stream(struct rig *r, struct pkt *p)
{
	struct rig_frame *f = &r->out[r->outs++];
	const struct rig_stream *s = &r->stream[p->stream & UINT16_MAX];

	assert_true(r->outs < RIG_OUT);
	assert_true((p->stream & UINT16_MAX) < r->streams && p->stream >> 16 == 7);
	assert_true(p->data >= p->start + STREAM_META_LEN && p->data + p->len <= p->end);
	assert_int_equal(p->media == STREAM_CONTROL, p->data[0] <= 1 && p->data[1] != 0x17);
	r->media = p->media;
	f->len = rig_udp(f->bytes, RELAY_IP, TURN_PORT, s->ip, s->port, p->data, p->len);
	memcpy(f->bytes, rig_host_mac, 6);
	f->iface = 0;
	rig_free_buf(r, p);
}

static void rig_take(struct rig *r, unsigned worker, struct pkt *p)
{
	if (p->verdict == PKT_STREAM) {
		rig_take_stream(r, p);
		return;
	}
	if (p->verdict == PKT_HOLD)
		return;
	if (p->verdict == PKT_DROP) {
		stats_add(&r->path[worker].stats->drops[p->reason], 1);
		rig_free_buf(r, p);
		return;
	}
	struct rig_frame *f = &r->out[r->outs];
	assert_true(p->data >= p->start && p->data + p->len <= p->end);
	assert_true(r->outs < RIG_OUT);
	memcpy(f->bytes, p->data, p->len);
	f->len = p->len;
	f->iface = p->out_if;
	rig_free_buf(r, p);
	rig_check_frame(f);
	/* Nobody has the relay's own address. */
	if (r->answer_arp && be16_get(f->bytes + 12) == ETHERTYPE_ARP && ne32(f->bytes + 38) == r->relay->ifaces.at[f->iface].net.ip)
		return;
	if (r->answer_arp && rig_is_solicitation(f) &&
	    memcmp(f->bytes + ETH_LEN + IP6_LEN + 8, &r->relay->ifaces.at[f->iface].net.ip6, sizeof(struct addr)) == 0)
		return;
	if (r->answer_arp && be16_get(f->bytes + 12) == ETHERTYPE_ARP && be16_get(f->bytes + 20) == 1) {
		uint8_t request[ARP_LEN];
		unsigned before = r->in_if;

		memcpy(request, f->bytes, sizeof(request));
		r->arp_asked++;
		r->in_if = f->iface;
		rig_answer_arp(r, worker, request);
		r->in_if = before;
		return;
	}
	if (r->answer_arp && rig_is_solicitation(f)) {
		uint8_t asked[ND_LEN];
		unsigned before = r->in_if;

		memcpy(asked, f->bytes, sizeof(asked));
		r->arp_asked++;
		r->in_if = f->iface;
		rig_answer_nd(r, worker, asked);
		r->in_if = before;
		return;
	}
	r->outs++;
}

static void rig_take_extra(struct rig *r, unsigned worker)
{
	struct path *c = &r->path[worker];
	struct pkt extra[PATH_EXTRA];
	unsigned n = c->extras;

	memcpy(extra, c->extra, n * sizeof(extra[0]));
	c->extras = 0;
	for (unsigned i = 0; i < n; i++)
		rig_take(r, worker, &extra[i]);
}

static void rig_run(struct rig *r, unsigned worker, const void *frame, size_t len)
{
	struct pkt p = { 0 };

	rig_new_buf(r, &p);
	memcpy(p.data, frame, len);
	p.len = (uint32_t)len;
	p.in_if = (uint8_t)r->in_if;
	path_burst(&r->path[worker], &p, 1, &r->clock);
	rig_take(r, worker, &p);
	rig_take_extra(r, worker);
	for (unsigned i = 0; i < r->workers; i++)
		rcu_quiescent(r->relay->rcu, i);
}

/* One frame in; what comes out is in r->out. */
static UNUSED void rig_send(struct rig *r, unsigned worker, const void *frame, size_t len)
{
	r->outs = 0;
	rig_run(r, worker, frame, len);
}

/* Lets time pass; sweeps as a worker would. */
static UNUSED void rig_pass(struct rig *r, uint64_t ms)
{
	uint64_t until = r->clock.mono_ms + ms, wall_ms = r->clock.wall_s * 1000;

	r->outs = 0;
	while (r->clock.mono_ms < until) {
		uint64_t step = MIN(until - r->clock.mono_ms, (uint64_t)100);

		r->clock.mono_ms += step;
		wall_ms += step;
		r->clock.wall_s = wall_ms / 1000;
		for (unsigned i = 0; i < r->workers; i++) {
			path_tick(&r->path[i], &r->clock);
			rig_take_extra(r, i);
			rcu_quiescent(r->relay->rcu, i);
		}
		r->outs = 0;
	}
}

static UNUSED uint64_t rig_drops(const struct rig *r, enum drop reason)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->workers; i++)
		n += stats_get(&r->relay->stats[i].drops[reason]);
	return n;
}

/* The frame of a UDP datagram towards the relay; returns its length. `ip`s in network order, ports in host order. */
static size_t rig_udp(uint8_t *frame, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, const void *data, size_t len)
{
	uint8_t *ip = frame + ETH_LEN;

	memcpy(frame, rig_mac, 6);
	frame[4] = dst == SECOND_IP;
	memcpy(frame + 6, rig_host_mac, 6);
	be16_put(frame + 12, ETHERTYPE_V4);
	ip_put(ip, 0xb8, (uint16_t)(UDP_DATA + len), 0x1234 | IP_WHOLE, 57, IPPROTO_UDP_V4, src, dst);
	be16_put(ip + UDP_SPORT, sport);
	be16_put(ip + UDP_DPORT, dport);
	be16_put(ip + UDP_TOTAL, (uint16_t)(UDP_LEN + len));
	ne16_set(ip + UDP_SUM, 0);
	if (len > 0)
		memcpy(ip + UDP_DATA, data, len);
	ne16_set(ip + UDP_SUM, udp_sum_full(ip));
	return HEADERS_LEN + len;
}

/* The same between addresses of either family. */
static UNUSED size_t rig_udp_of(uint8_t *frame, const struct addr *src, uint16_t sport, const struct addr *dst, uint16_t dport,
				const void *data, size_t len)
{
	uint8_t *ip = frame + ETH_LEN, *udp = ip + IP6_LEN;

	if (addr_is_v4(dst))
		return rig_udp(frame, addr_v4_of(src), sport, addr_v4_of(dst), dport, data, len);
	memcpy(frame, rig_mac, 6);
	frame[4] = be16_get((const uint8_t *)dst->w + 2) == 2;
	memcpy(frame + 6, rig_host_mac, 6);
	be16_put(frame + 12, ETHERTYPE_V6);
	ip6_put(ip, 0xb8, 0x12345, (uint16_t)(UDP_LEN + len), IPPROTO_UDP_V4, 57, src, dst);
	be16_put(udp, sport);
	be16_put(udp + 2, dport);
	be16_put(udp + 4, (uint16_t)(UDP_LEN + len));
	ne16_set(udp + 6, 0);
	if (len > 0)
		memcpy(udp + UDP_LEN, data, len);
	ne16_set(udp + 6, udp6_sum_full(ip));
	return HEADERS6_LEN + len;
}

/* --- a client --- */

struct client {
	uint32_t ip;
	uint16_t port;
	char username[TURN_USERNAME_MAX + 1];
	uint8_t key[MD5_LEN];
	char nonce[64];
	size_t nonce_len;
	uint16_t relayed; /* port, once allocated */
	unsigned worker;  /* that its packets come to */
	uint32_t server;  /* the relay's address it talks to */
	bool stream;      /* it is on a stream: */
	struct flow_key stream_key;
	struct addr ip6, server6; /* the same of a client that has IPv6; it then uses nothing else */
	uint16_t relayed6;        /* port of its IPv6 relayed address, once allocated */
};

static UNUSED struct client client_new(uint32_t ip, uint16_t port, const char *user, const char *call)
{
	struct client c = { .ip = ip, .port = port, .server = RELAY_IP };
	struct buf b = buf_fixed(c.username, sizeof(c.username) - 1);

	turn_cred_username(&b, RIG_WALL_S + 86400, str_from(user), str_from(call));
	assert_ok(turn_cred_key(STR(RIG_SECRET), str_from(c.username), STR(RIG_REALM), c.key));
	return c;
}

/* From now on the client is on a stream. */
static UNUSED void client_on_stream(struct rig *r, struct client *c)
{
	struct addr a = addr_v4(c->ip);

	assert_true(r->streams < ARRAY_LEN(r->stream));
	r->stream[r->streams] = (struct rig_stream){ c->ip, c->port };
	c->stream = true;
	c->stream_key = stream_key(&a, c->port, 0, r->streams++ | 7u << 16);
}

/* A message of a client on a stream, as the stream thread has cut it out. */
static void client_message(struct rig *r, const struct client *c, const void *data, size_t len)
{
	struct pkt p = { .from = &c->stream_key, .v6 = true };

	r->outs = 0;
	rig_new_buf(r, &p);
	p.start += STREAM_META_LEN;
	p.data += STREAM_META_LEN;
	memcpy(p.data, data, len);
	p.len = (uint32_t)len;
	path_messages(&r->path[c->worker], &p, 1, &r->clock);
	rig_take(r, c->worker, &p);
	rig_take_extra(r, c->worker);
	for (unsigned i = 0; i < r->workers; i++)
		rcu_quiescent(r->relay->rcu, i);
}

static UNUSED void client_datagram(struct rig *r, const struct client *c, const void *data, size_t len)
{
	uint8_t frame[RIG_FRAME];

	if (c->stream) {
		client_message(r, c, data, len);
		return;
	}
	if (!addr_is_none(&c->ip6)) {
		r->in_if = addr_eq(&c->server6, &r->relay->ifaces.at[1].ip[1].addr);
		rig_send(r, c->worker, frame, rig_udp_of(frame, &c->ip6, c->port, &c->server6, TURN_PORT, data, len));
		r->in_if = 0;
		return;
	}
	r->in_if = c->server == SECOND_IP;
	rig_send(r, c->worker, frame, rig_udp(frame, c->ip, c->port, c->server, TURN_PORT, data, len));
	r->in_if = 0;
}

static UNUSED void peer_datagram(struct rig *r, unsigned worker, uint32_t ip, uint16_t port, uint16_t to,
				 const void *data, size_t len)
{
	uint8_t frame[RIG_FRAME];

	rig_send(r, worker, frame, rig_udp(frame, ip, port, RELAY_IP, to, data, len));
}

static UNUSED struct wr client_begin(struct rig *r, uint8_t *out, size_t size, unsigned method)
{
	uint8_t tid[STUN_TID_LEN] = { 0 };
	struct wr w = wr_of(out, size);

	r->next_tid++;
	memcpy(tid, &r->next_tid, sizeof(r->next_tid));
	stun_begin(&w, STUN_REQUEST, method, tid);
	return w;
}

/* Sends a message as it is; the answer's code (0 = success, -1 = none) and, in r->out[0], its bytes. */
static UNUSED int client_exchange(struct rig *r, struct client *c, const void *p, size_t len, struct stun_msg *answer)
{
	client_datagram(r, c, p, len);
	for (unsigned i = 0; i < r->outs; i++) {
		const uint8_t *ip = r->out[i].bytes + ETH_LEN, *udp = ip + (addr_is_none(&c->ip6) ? IP_LEN : IP6_LEN);

		if (be16_get(r->out[i].bytes + 12) != (addr_is_none(&c->ip6) ? ETHERTYPE_V4 : ETHERTYPE_V6))
			continue;
		if (addr_is_none(&c->ip6)) {
			assert_int_equal(ne32(ip + IP_SRC), c->server);
			assert_int_equal(ne32(ip + IP_DST), c->ip);
		} else {
			if (ip[IP6_NEXT] != IPPROTO_UDP_V4)
				continue;
			assert_memory_equal(ip + IP6_SRC, &c->server6, 16);
			assert_memory_equal(ip + IP6_DST, &c->ip6, 16);
		}
		assert_int_equal(be16_get(udp + UDP_AT_DPORT), c->port);
		assert_int_equal(be16_get(udp + UDP_AT_SPORT), TURN_PORT);
		assert_ok(stun_parse(udp + UDP_LEN, (size_t)(r->out[i].bytes + r->out[i].len - udp) - UDP_LEN, answer));
		assert_memory_equal(stun_tid(answer), (const uint8_t *)p + 8, STUN_TID_LEN);
		if (answer->class == STUN_SUCCESS)
			return 0;
		assert_int_equal(answer->class, STUN_ERROR);
		return (int)stun_error_code(answer);
	}
	return -1;
}

static UNUSED size_t client_seal(const struct client *c, struct wr *w)
{
	stun_put(w, STUN_USERNAME, str_from(c->username));
	stun_put(w, STUN_REALM, STR(RIG_REALM));
	stun_put(w, STUN_NONCE, str_of(c->nonce, c->nonce_len));
	stun_put_integrity(w, str_of(c->key, sizeof(c->key)));
	return stun_end(w);
}

static UNUSED void client_take_nonce(struct client *c, const struct stun_msg *answer)
{
	struct str nonce = stun_bytes(answer, STUN_NONCE);

	assert_true(nonce.len > 0 && nonce.len <= sizeof(c->nonce));
	memcpy(c->nonce, nonce.p, nonce.len);
	c->nonce_len = nonce.len;
}

static UNUSED void client_get_nonce(struct rig *r, struct client *c)
{
	uint8_t out[512];
	struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
	struct stun_msg m;

	stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 17u << 24);
	assert_int_equal(client_exchange(r, c, out, stun_end(&w), &m), 401);
	client_take_nonce(c, &m);
}

/* An authenticated request with the attributes that `put` writes. The answer of a request that was
 * authenticated carries integrity. */
static UNUSED int client_request(struct rig *r, struct client *c, unsigned method,
				 void (*put)(struct wr *w, const void *arg), const void *arg, struct stun_msg *answer)
{
	uint8_t out[1024];
	struct wr w;

	if (c->nonce_len == 0)
		client_get_nonce(r, c);
	w = client_begin(r, out, sizeof(out), method);
	if (put != NULL)
		put(&w, arg);
	int code = client_exchange(r, c, out, client_seal(c, &w), answer);
	/* The client is one of RFC 5389. */
	if (code != -1 && code != 401 && code != 438 && code != 400)
		assert_true(stun_integrity_ok(answer, str_of(c->key, sizeof(c->key))));
	return code;
}

static UNUSED void put_udp(struct wr *w, const void *arg)
{
	stun_put_u32(w, STUN_REQUESTED_TRANSPORT, 17u << 24);
	if (arg != NULL)
		stun_put_u32(w, STUN_LIFETIME, *(const uint32_t *)arg);
}

static UNUSED int client_allocate(struct rig *r, struct client *c)
{
	struct stun_addr relayed;
	struct stun_msg m;
	int code = client_request(r, c, STUN_ALLOCATE, put_udp, NULL, &m);

	if (code == 0) {
		assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
		c->relayed = relayed.port;
	}
	return code;
}

static UNUSED void put_lifetime(struct wr *w, const void *arg)
{
	stun_put_u32(w, STUN_LIFETIME, *(const uint32_t *)arg);
}

static UNUSED int client_refresh(struct rig *r, struct client *c, uint32_t lifetime)
{
	struct stun_msg m;

	return client_request(r, c, STUN_REFRESH, put_lifetime, &lifetime, &m);
}

struct rig_peer {
	uint32_t ip;
	uint16_t port, channel;
};

static UNUSED void put_peer(struct wr *w, const void *arg)
{
	const struct rig_peer *p = arg;
	struct addr a = addr_v4(p->ip);
	struct stun_addr s = addr_to_stun(&a, p->port);

	if (p->channel != 0)
		stun_put_u32(w, STUN_CHANNEL_NUMBER, (uint32_t)p->channel << 16);
	stun_put_address(w, STUN_XOR_PEER_ADDRESS, &s);
}

static UNUSED int client_permit(struct rig *r, struct client *c, uint32_t ip)
{
	struct stun_msg m;

	return client_request(r, c, STUN_CREATE_PERMISSION, put_peer, &(struct rig_peer){ .ip = ip, .port = 1 }, &m);
}

static UNUSED int client_bind(struct rig *r, struct client *c, uint16_t channel, uint32_t ip, uint16_t port)
{
	struct stun_msg m;

	return client_request(r, c, STUN_CHANNEL_BIND, put_peer,
			      &(struct rig_peer){ .ip = ip, .port = port, .channel = channel }, &m);
}

static UNUSED void client_channel_data(struct rig *r, const struct client *c, uint16_t channel, const void *data,
				       size_t len, size_t padding)
{
	uint8_t out[1600] = { 0 };

	be16_put(out, channel);
	be16_put(out + 2, (uint16_t)len);
	if (len > 0)
		memcpy(out + 4, data, len);
	memset(out + 4 + len, 0xee, padding); /* whatever it is, it is not relayed */
	client_datagram(r, c, out, 4 + len + padding);
}

static UNUSED void client_send_indication(struct rig *r, const struct client *c, uint32_t ip, uint16_t port,
					  const void *data, size_t len)
{
	uint8_t out[1600];
	struct wr w = client_begin(r, out, sizeof(out), STUN_SEND);

	w = wr_of(out, sizeof(out));
	stun_begin(&w, STUN_INDICATION, STUN_SEND, (const uint8_t *)"123456789012");
	put_peer(&w, &(struct rig_peer){ .ip = ip, .port = port });
	stun_put(&w, STUN_DATA, str_of(data, len));
	client_datagram(r, c, out, stun_end(&w));
}

/* Exactly one datagram came out, between these, with this payload. */
static UNUSED void rig_expect(const struct rig *r, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
			      const void *data, size_t len)
{
	assert_int_equal(r->outs, 1);
	const uint8_t *ip = r->out[0].bytes + ETH_LEN;
	assert_memory_equal(r->out[0].bytes, rig_host_mac, 6);
	assert_int_equal(ne32(ip + IP_SRC), src);
	assert_int_equal(ne32(ip + IP_DST), dst);
	assert_int_equal(be16_get(ip + UDP_SPORT), sport);
	assert_int_equal(be16_get(ip + UDP_DPORT), dport);
	assert_int_equal(r->out[0].len - HEADERS_LEN, len);
	assert_memory_equal(ip + UDP_DATA, data, len);
}

static UNUSED void rig_expect_channel(const struct rig *r, const struct client *c, uint16_t channel, const void *data, size_t len)
{
	uint8_t want[1600];

	be16_put(want, channel);
	be16_put(want + 2, (uint16_t)len);
	memcpy(want + 4, data, len);
	rig_expect(r, c->server, TURN_PORT, c->ip, c->port, want, 4 + len);
}

/* Exactly one Data indication came out, to `c`, from this peer, with this payload and zero padding. */
static UNUSED void rig_expect_data(const struct rig *r, const struct client *c, uint32_t ip, uint16_t port,
				   const void *data, size_t len)
{
	const uint8_t *at = r->out[0].bytes + ETH_LEN;
	struct addr a = addr_v4(ip);
	struct stun_addr from, want = addr_to_stun(&a, port);
	struct stun_msg m;

	assert_int_equal(r->outs, 1);
	assert_int_equal(ne32(at + IP_DST), c->ip);
	assert_int_equal(be16_get(at + UDP_DPORT), c->port);
	assert_ok(stun_parse(at + UDP_DATA, r->out[0].len - HEADERS_LEN, &m));
	assert_int_equal(m.class, STUN_INDICATION);
	assert_int_equal(m.method, STUN_DATA_METHOD);
	assert_ok(stun_address(&m, STUN_XOR_PEER_ADDRESS, &from));
	assert_memory_equal(&from, &want, sizeof(from));
	struct str got = stun_bytes(&m, STUN_DATA);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.p, data, len);
	for (size_t i = len; i % 4 != 0; i++)
		assert_int_equal(got.p[i], 0);
}

#endif
