/* Whole frames into a relay that has allocations, permissions and channels. The input is a list of steps, each `kind, length (2 bytes), bytes`:
 *   0 a raw frame   1 a datagram of a client to the service   2 a datagram of a peer to a relayed port
 *   3 attributes of a request that the harness completes with a right nonce and integrity (first byte: method)   4 time passes (seconds)
 * With 128 added, 1 to 3 come over IPv6, and 0 and 4 are the message of ICMPv6 and of ICMP in a frame that is right.
 * Whatever comes in: every frame gets a verdict, every frame that goes out lies in its buffer and, if its cause had right checksums, has right ones. */
#include <rte_eal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/path.h"
#include "relay/stream_frame.h"
#include "relay/turn_auth.h"
#include "relay/vlan.h"
#include "relay/turn.h"

#define FRAME 2048u
#define HEADROOM 128u
#define TURN_PORT 3478u
#define FIRST_PORT 50000u
#define LAST_PORT 50015u
#define CLIENTS 4u /* the third on a stream, the fourth without allocation */
#define ON_STREAM 2u
#define STREAM_HANDLE 0x10002u
#define WALL_S 1800000000u
#define USERNAME "1900000000:fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 }, host[6] = { 2, 0, 0, 0, 0, 9 };

struct world {
	struct relay *relay;
	struct path path;
	struct path_clock clock;
	unsigned buffers;
	bool stream; /* datagrams of clients are messages of one on a stream */
	bool honest; /* the frame under way had right checksums */
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t relay_ip(void)
{
	return __builtin_bswap32(0xc6290002);
}

static struct addr address6(uint32_t last)
{
	return (struct addr){ { __builtin_bswap32(0x2a000001), 0, 0, __builtin_bswap32(last) } };
}

static uint32_t client_ip(unsigned i)
{
	return __builtin_bswap32(0x08080100 + i);
}

/* Buffers are kept: each is an allocation of its own, so that a step outside is seen, but fresh pages for each
 * frame would cost most of the time. */
static uint8_t *spare[PATH_HELD + PATH_EXTRA + BURST + REASM_SLOTS];
static unsigned spares;

static void give_buf(struct world *w, struct pkt *p)
{
	must(spares < ARRAY_LEN(spare));
	spare[spares++] = p->buf;
	w->buffers--;
}

static void release_buf(void *user, struct pkt *p)
{
	give_buf(user, p);
}

static bool new_buf(void *user, struct pkt *p)
{
	struct world *w = user;
	uint8_t *b = spares > 0 ? spare[--spares] : malloc(FRAME);

	must(b != NULL);
	w->buffers++;
	p->buf = p->start = b;
	p->end = b + FRAME;
	p->data = b + HEADROOM;
	return true;
}

static void start_eal(void)
{
	static char text[][24] = { "fuzz",	     "--no-huge",	  "-m", "64", "--no-shconf", "--no-pci",
				   "--no-telemetry", "--log-level=error", "" };
	static char *args[ARRAY_LEN(text) + 1];
	static bool up;

	if (up)
		return;
	(void)snprintf(text[ARRAY_LEN(text) - 1], sizeof(text[0]), "--lcores=0@%d", sched_getcpu());
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		args[i] = text[i];
	must(rte_eal_init(ARRAY_LEN(text), args) >= 0);
	up = true;
}

static struct policy *make_policy(void)
{
	struct policy *p = calloc(1, sizeof(*p));

	must(p != NULL);
	(void)snprintf(p->realm, sizeof(p->realm), "r");
	(void)snprintf(p->secret, sizeof(p->secret), "the secret of the fuzzer");
	p->lifetime_s = 600;
	p->lifetime_max_s = 3600;
	p->nonce_lifetime_s = 3600;
	p->max_allocations = 16;
	p->max_peers = 8;
	p->channel_max = STUN_CHANNEL_MAX;
	p->algorithms[1] = STUN_PASSWORD_SHA256;
	p->algorithms_len = 4;
	p->mobility = true;
	return p;
}

static void take(struct world *w, struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN;

	if (p->verdict == PKT_HOLD)
		return;
	if (p->verdict == PKT_STREAM) {
		uint8_t padded[FRAME + 4] = { 0 }; /* as the stream does it */
		struct stream_piece piece;

		must(p->data >= p->start && p->data + p->len <= p->end);
		memcpy(padded, p->data, p->len);
		enum stream_cut cut = stream_cut(padded, p->len + (-p->len & 3), &piece);
		must(p->stream == STREAM_HANDLE && p->media < STREAM_KINDS);
		must((cut == STREAM_CUT_STUN || cut == STREAM_CUT_CHANNEL) && piece.len == p->len);
		give_buf(w, p);
		return;
	}
	must(p->verdict == PKT_SEND || (p->verdict == PKT_DROP && p->reason < DROP_COUNT));
	if (p->verdict == PKT_SEND) {
		must(p->data >= p->start && p->data + p->len <= p->end && p->len >= ETH_LEN && p->out_if == 0);
		if (be16_get(p->data + 12) == ETHERTYPE_V4) {
			must(be16_get(ip + IP_TOTAL) == p->len - ETH_LEN && sum_fold(sum_bytes(ip, IP_LEN)) == UINT16_MAX);
			must(!w->honest || ip[IP_PROTO] != IPPROTO_UDP_V4 || (be16_get(ip + IP_FRAG) & ~IP_DF) != 0 || udp_sum_ok(ip));
		}
		if (be16_get(p->data + 12) == ETHERTYPE_V6) {
			must(ip[0] >> 4 == 6 && be16_get(ip + IP6_TOTAL) == p->len - ETH_LEN - IP6_LEN);
			must(!w->honest || ip[IP6_NEXT] != IPPROTO_UDP_V4 || udp6_sum_ok(ip));
			must(ip[IP6_NEXT] != IPPROTO_ICMP_V6 || icmp6_sum(ip, p->len - ETH_LEN - IP6_LEN) == 0);
		}
	}
	give_buf(w, p);
}

static void take_extra(struct world *w)
{
	for (unsigned i = 0; i < w->path.extras; i++)
		take(w, &w->path.extra[i]);
	w->path.extras = 0;
}

static void frame_in(struct world *w, const uint8_t *frame, size_t len)
{
	struct pkt p = { 0 };

	(void)new_buf(w, &p);
	if (len > 0)
		memcpy(p.data, frame, len);
	p.len = (uint32_t)len;
	path_burst(&w->path, &p, 1, &w->clock);
	take(w, &p);
	take_extra(w);
	rcu_quiescent(w->relay->rcu, 0);
}

static void message_in(struct world *w, const uint8_t *data, size_t len)
{
	struct addr a = addr_v4(client_ip(ON_STREAM));
	struct flow_key key = stream_key(&a, 1000, 0, STREAM_HANDLE);
	struct pkt p = { .from = &key, .v6 = true };

	len = MIN(len, (size_t)STREAM_MESSAGE_MAX);
	(void)new_buf(w, &p);
	p.start += STREAM_META_LEN;
	if (len > 0)
		memcpy(p.data, data, len);
	p.len = (uint32_t)len;
	w->honest = true;
	path_messages(&w->path, &p, 1, &w->clock);
	take(w, &p);
	take_extra(w);
	rcu_quiescent(w->relay->rcu, 0);
}

/* An IPv4 datagram of more than 1000 bytes also comes in two fragments, the second first. */
static void whole_or_cut(struct world *w, uint8_t *f, size_t headers, size_t len)
{
	uint8_t part[FRAME], *ip = part + ETH_LEN;
	static uint16_t id;
	size_t at = 496;

	if (headers != ETH_LEN + IP_LEN || len < 1000) {
		frame_in(w, f, len);
		return;
	}
	id++;
	for (unsigned second = 2; second-- > 0;) {
		size_t from = second == 1 ? headers + at : headers, to = second == 1 ? len : headers + at;

		memcpy(part, f, headers);
		memcpy(part + headers, f + from, to - from);
		be16_put(ip + IP_TOTAL, (uint16_t)(IP_LEN + to - from));
		be16_put(ip + IP_ID, id);
		be16_put(ip + IP_FRAG, second == 1 ? (uint16_t)(at / 8) : 0x2000);
		ne16_set(ip + IP_SUM, 0);
		ne16_set(ip + IP_SUM, (uint16_t)~sum_fold(sum_bytes(ip, IP_LEN)));
		frame_in(w, part, headers + to - from);
	}
}

static void datagram_in(struct world *w, uint32_t src, uint16_t sport, uint16_t dport, const uint8_t *data, size_t len)
{
	uint8_t f[FRAME - HEADROOM], *ip = f + ETH_LEN;

	if (w->stream) {
		message_in(w, data, len);
		return;
	}
	len = MIN(len, sizeof(f) - HEADERS_LEN);
	memcpy(f, mac, 6);
	memcpy(f + 6, host, 6);
	be16_put(f + 12, ETHERTYPE_V4);
	ip_put(ip, 0, (uint16_t)(UDP_DATA + len), 0, 60, IPPROTO_UDP_V4, src, relay_ip());
	be16_put(ip + UDP_SPORT, sport);
	be16_put(ip + UDP_DPORT, dport);
	be16_put(ip + UDP_TOTAL, (uint16_t)(UDP_LEN + len));
	ne16_set(ip + UDP_SUM, 0);
	if (len > 0)
		memcpy(ip + UDP_DATA, data, len);
	ne16_set(ip + UDP_SUM, udp_sum_full(ip));
	w->honest = true;
	whole_or_cut(w, f, ETH_LEN + IP_LEN, HEADERS_LEN + len);
}

/* From ...:: and `src` to our IPv6 address. */
static void datagram6_in(struct world *w, uint32_t src, uint16_t sport, uint16_t dport, const uint8_t *data, size_t len)
{
	uint8_t f[FRAME - HEADROOM], *ip = f + ETH_LEN, *udp = ip + IP6_LEN;
	struct addr from = address6(src), to = address6(2);

	len = MIN(len, sizeof(f) - HEADERS6_LEN);
	memcpy(f, mac, 6);
	memcpy(f + 6, host, 6);
	be16_put(f + 12, ETHERTYPE_V6);
	ip6_put(ip, 0, 0, (uint16_t)(UDP_LEN + len), IPPROTO_UDP_V4, 60, &from, &to);
	be16_put(udp, sport);
	be16_put(udp + 2, dport);
	be16_put(udp + 4, (uint16_t)(UDP_LEN + len));
	ne16_set(udp + 6, 0);
	if (len > 0)
		memcpy(udp + UDP_LEN, data, len);
	ne16_set(udp + 6, udp6_sum_full(ip));
	w->honest = true;
	whole_or_cut(w, f, ETH_LEN + IP6_LEN, HEADERS6_LEN + len);
}

static void icmp6_in(struct world *w, const uint8_t *message, size_t len)
{
	uint8_t f[FRAME - HEADROOM], *ip = f + ETH_LEN;
	struct addr from = address6(1), to = address6(2);

	len = MIN(len, sizeof(f) - ETH_LEN - IP6_LEN);
	memcpy(f, mac, 6);
	memcpy(f + 6, host, 6);
	be16_put(f + 12, ETHERTYPE_V6);
	ip6_put(ip, 0, 0, (uint16_t)len, IPPROTO_ICMP_V6, 255, &from, &to);
	if (len > 0)
		memcpy(ip + IP6_LEN, message, len);
	if (len >= 4) {
		ne16_set(ip + IP6_LEN + 2, 0);
		ne16_set(ip + IP6_LEN + 2, icmp6_sum(ip, len));
	}
	w->honest = true;
	frame_in(w, f, ETH_LEN + IP6_LEN + len);
}

static void icmp_in(struct world *w, const uint8_t *message, size_t len)
{
	uint8_t f[FRAME - HEADROOM], *ip = f + ETH_LEN;

	len = MIN(len, sizeof(f) - ETH_LEN - IP_LEN);
	memcpy(f, mac, 6);
	memcpy(f + 6, host, 6);
	be16_put(f + 12, ETHERTYPE_V4);
	ip_put(ip, 0, (uint16_t)(IP_LEN + len), 0, 60, IPPROTO_ICMP_V4, client_ip(7), relay_ip());
	if (len > 0)
		memcpy(ip + IP_LEN, message, len);
	if (len >= 4) {
		ne16_set(ip + IP_LEN + 2, 0);
		ne16_set(ip + IP_LEN + 2, (uint16_t)~sum_fold(sum_bytes(ip + IP_LEN, len)));
	}
	w->honest = true;
	frame_in(w, f, ETH_LEN + IP_LEN + len);
}

/* A MOBILITY-TICKET of the right length becomes that of the first client's allocation, with the number it has. */
static void mend_ticket(struct world *w, uint8_t *at, size_t len)
{
	const struct table *t = w->relay->table;
	struct flow_key key = { .client = addr_v4(client_ip(0)), .client_port = swap16(1000), .relay_port = swap16(TURN_PORT), .proto = 17 };
	const struct alloc *a = table_find_one(t, &key);

	while (len >= 4 && a != NULL) {
		size_t step = 4 + ((be16_get(at + 2) + 3u) & ~3u);

		if (step > len)
			return;
		if (be16_get(at) == 0x8030 && be16_get(at + 2) == TURN_TICKET_LEN)
			turn_move_ticket(atomic_load(&w->relay->policy), a, at[4], (char *)at + 4);
		at += step;
		len -= step;
	}
}

static void request_in(struct world *w, bool v6, unsigned client, unsigned method, const uint8_t *attrs, size_t len)
{
	static const uint8_t methods[] = { STUN_ALLOCATE, STUN_REFRESH, STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND, STUN_BINDING };
	uint8_t out[1400], key[MD5_LEN], tid[STUN_TID_LEN] = { 0 };
	char nonce[TURN_NONCE_MAX];
	struct addr a = v6 ? address6(100 + client) : addr_v4(client_ip(client));
	struct wr m = wr_of(out, sizeof(out));

	be32_put(tid, (uint32_t)(method ^ len));
	stun_begin(&m, STUN_REQUEST, methods[method % ARRAY_LEN(methods)], tid);
	wr_bytes(&m, attrs, MIN(len, (size_t)1000) & ~(size_t)3);
	mend_ticket(w, out + STUN_HEADER_LEN, wr_len(&m) - STUN_HEADER_LEN);
	size_t nonce_len = turn_auth_nonce(atomic_load(&w->relay->policy), &a, 1000, w->clock.wall_s, nonce);
	must(turn_cred_key(STR("the secret of the fuzzer"), STR(USERNAME), STR("r"), key) == ERR_OK);
	stun_put(&m, STUN_USERNAME, STR(USERNAME));
	stun_put(&m, STUN_REALM, STR("r"));
	stun_put(&m, STUN_NONCE, str_of(nonce, nonce_len));
	stun_put_integrity(&m, str_of(key, sizeof(key)));
	size_t size = stun_end(&m);
	if (v6)
		datagram6_in(w, 100 + client, 1000, TURN_PORT, out, size);
	else
		datagram_in(w, client_ip(client), 1000, TURN_PORT, out, size);
}

/* Three clients, the third on a stream, bound to a peer and to each other, and one of IPv6, with an address of each family and a peer of each. */
static void populate(struct world *w)
{
	static const uint8_t udp[] = { 0, 0x19, 0, 4, 17, 0, 0, 0 };

	for (unsigned i = 0; i < CLIENTS - 1; i++) {
		w->stream = i == ON_STREAM;
		request_in(w, false, i, 0, udp, sizeof(udp));
	}
	for (unsigned i = 0; i < CLIENTS - 1; i++) {
		w->stream = i == ON_STREAM;
		for (uint16_t port = FIRST_PORT; port <= LAST_PORT; port++) {
			uint8_t bind[64], tid[STUN_TID_LEN] = { 0 };
			struct addr home = addr_v4(relay_ip()), far = addr_v4(__builtin_bswap32(0x09090909));
			struct stun_addr peer = addr_to_stun(port == FIRST_PORT ? &far : &home, port);
			struct wr b = wr_of(bind, sizeof(bind));

			/* XOR needs the transaction id that request_in will use for this length: 8 + 12 bytes;
			 * IPv4 uses the cookie alone. */
			stun_begin(&b, STUN_REQUEST, STUN_CHANNEL_BIND, tid);
			stun_put_u32(&b, STUN_CHANNEL_NUMBER, (uint32_t)(0x4000 + port - FIRST_PORT) << 16);
			stun_put_address(&b, STUN_XOR_PEER_ADDRESS, &peer);
			if (port == FIRST_PORT || alloc_alive(table_by_port(w->relay->table, 0, port), w->path.now_s))
				request_in(w, false, i, 3, bind + STUN_HEADER_LEN, wr_len(&b) - STUN_HEADER_LEN);
		}
	}
	w->stream = false;
}

static void populate6(struct world *w)
{
	static const uint8_t both[] = { 0, 0x19, 0, 4, 17, 0, 0, 0, 0x80, 0, 0, 4, 2, 0, 0, 0 };
	struct addr far[2] = { addr_v4(__builtin_bswap32(0x09090909)), address6(9) };

	request_in(w, true, 0, 0, both, sizeof(both));
	for (uint16_t i = 0; i < 2; i++) {
		uint8_t bind[64], tid[STUN_TID_LEN] = { 0 };
		struct stun_addr peer = addr_to_stun(&far[i], FIRST_PORT);
		struct wr b = wr_of(bind, sizeof(bind));

		/* As above; with IPv6 the transaction id counts: method 3, 8 + 24 bytes. */
		be32_put(tid, 3 ^ 32);
		stun_begin(&b, STUN_REQUEST, STUN_CHANNEL_BIND, tid);
		stun_put_u32(&b, STUN_CHANNEL_NUMBER, (0x4000u + i) << 16);
		stun_put_address(&b, STUN_XOR_PEER_ADDRESS, &peer);
		request_in(w, true, 0, 3, bind + STUN_HEADER_LEN, wr_len(&b) - STUN_HEADER_LEN);
	}
}

/* The relay is made once; between inputs all that it learned is taken out again. */
static struct relay *make_relay(void)
{
	struct relay_size sizes = { .turn_port = TURN_PORT,
				    .port_min = FIRST_PORT,
				    .port_max = LAST_PORT,
				    .max_allocations = 16,
				    .workers = 1 };
	struct ifaces ifaces = { .count = 1 };
	struct iface *f = &ifaces.at[0];
	struct relay *r;

	memcpy(f->net.mac, mac, sizeof(mac));
	f->net.ip = relay_ip();
	must(addr_parse_interface(STR("198.41.0.2/24"), &f->ip[0].addr, &f->ip[0].subnet) == ERR_OK);
	f->ip[0].gateway = addr_v4(__builtin_bswap32(0xc6290001));
	f->net.ip6 = address6(2);
	f->ip[0].shown = addr_v4(relay_ip());
	f->ip[1].shown = address6(2);
	must(addr_parse_interface(STR("2a00:1::2/64"), &f->ip[1].addr, &f->ip[1].subnet) == ERR_OK);
	net_make_link(&f->net);
	f->mtu = 1500;
	must(relay_new(&sizes, &ifaces, make_policy(), &r) == ERR_OK);
	rcu_online(r->rcu, 0);
	return r;
}

static void set_up(struct world *w, struct relay *r)
{
	struct iface gateway = { .net.ip = addr_v4_of(&r->ifaces.at[0].ip[0].gateway) };
	uint8_t arp[ARP_LEN];

	w->relay = r;
	path_init(&w->path, r, 0, new_buf, w);
	w->path.random[0] = w->path.random[1] = 1;
	/* The gateway is known, so that data goes out. */
	memcpy(gateway.net.mac, host, 6);
	neigh_request(arp, &gateway, relay_ip(), NULL);
	frame_in(w, arp, sizeof(arp));
	populate(w);
	populate6(w);
	must(table_count(r->table) == 4);
}

static void tear_down(struct world *w)
{
	path_release(&w->path, release_buf, w);
	must(w->buffers == 0);
	(void)table_remove_user(w->relay->table, STR("fuzz"), STR_NONE);
	must(table_count(w->relay->table) == 0);
	rcu_quiescent(w->relay->rcu, 0);
	/* Reservations and what waits for its grace period. */
	uint32_t cursor = table_sweep_words(w->relay->table) - 1;
	(void)table_sweep(w->relay->table, &cursor, 1, w->path.now_s + 100);
	neigh_init(&w->relay->neigh);
}

/* A frame as a port in a VLAN sees it: what is taken off is put on again. */
static void tag_in(const uint8_t *frame, size_t len)
{
	static const struct iface port = { .vlan = 100 };
	uint8_t room[FRAME];
	struct pkt p = { .start = room, .end = room + sizeof(room), .data = room, .len = (uint32_t)len };

	memcpy(room, frame, len);
	if (!vlan_strip(&p, &port)) {
		must(p.verdict == PKT_DROP && p.reason == DROP_VLAN && p.len == len);
		return;
	}
	must(p.len == len - VLAN_TAG_LEN && p.data == room + VLAN_TAG_LEN);
	p.verdict = PKT_SEND;
	vlan_insert(&p, &port);
	must(p.verdict == PKT_SEND && p.data == room && p.len == len && memcmp(room, frame, ETH_LEN) == 0);
	must(memcmp(room + ETH_LEN + 2, frame + ETH_LEN + 2, len - ETH_LEN - 2) == 0);
}

static void step(struct world *w, unsigned kind, const uint8_t *p, size_t len)
{
	unsigned who = len > 0 ? p[0] : 0;

	bool v6 = kind >= 128;

	kind &= 127;
	w->stream = false;
	switch (v6 && kind % 5 != 3 ? 5 + kind % 5 : kind % 5) {
	case 9:
		icmp_in(w, p, len);
		break;
	case 5:
		icmp6_in(w, p, len);
		break;
	case 6:
		datagram6_in(w, 100 + kind / 5 % CLIENTS, 1000, TURN_PORT, p, len);
		break;
	case 7:
		datagram6_in(w, 9, FIRST_PORT, (uint16_t)(FIRST_PORT + kind / 5 % 16), p, len);
		break;
	case 0:
		w->honest = false;
		if (len > 0)
			tag_in(p, MIN(len, (size_t)FRAME));
		frame_in(w, p, MIN(len, (size_t)(FRAME - HEADROOM)));
		break;
	case 1:
		w->stream = kind / 5 % CLIENTS == ON_STREAM;
		datagram_in(w, client_ip(kind / 5 % CLIENTS), 1000, TURN_PORT, p, len);
		break;
	case 2:
		datagram_in(w, __builtin_bswap32(0x09090909), FIRST_PORT, (uint16_t)(FIRST_PORT + kind / 5 % 16), p, len);
		break;
	case 3:
		w->stream = !v6 && kind / 5 % CLIENTS == ON_STREAM;
		if (len > 0)
			request_in(w, v6, kind / 5 % CLIENTS, who, p + 1, len - 1);
		break;
	case 4:
		w->clock.mono_ms += who * 1000u;
		w->clock.wall_s += who;
		path_tick(&w->path, &w->clock);
		take_extra(w);
		rcu_quiescent(w->relay->rcu, 0);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct relay *relay;
	struct world w = { .clock = { .mono_ms = 5000, .wall_s = WALL_S } };

	if (relay == NULL) {
		start_eal();
		relay = make_relay();
	}
	set_up(&w, relay);
	while (size >= 3) {
		size_t len = MIN((size_t)be16_get(data + 1), size - 3);

		step(&w, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	tear_down(&w);
	return 0;
}
