/* Datagrams that come in fragments: put together in any order, or given up; by peers and clients, in both families. */
#include "tests/flow/relay/rig.h"

static struct client alice;
static uint8_t text[2000];

static int set_up(void **state)
{
	struct ifaces ifaces = rig_ifaces_dual(1);
	struct rig *r = rig_new_ifaces(2, &ifaces, 50000, 50019, rig_policy());

	*state = r;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 13 + i / 256);
	alice = client_new(CLIENT_IP, 1000, "alice", "");
	assert_int_equal(client_allocate(r, &alice), 0);
	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

/* A whole frame, to be cut. */
struct whole {
	uint8_t bytes[RIG_FRAME];
	size_t len, headers; /* headers: Ethernet and IP */
	uint32_t id;
};

static struct whole from_peer(size_t len)
{
	static uint32_t id = 77;
	struct whole w = { .headers = ETH_LEN + IP_LEN, .id = id++ };

	w.len = rig_udp(w.bytes, PEER_IP, 9000, RELAY_IP, alice.relayed, text, len);
	return w;
}

/* Bytes [from, to) of the UDP datagram as a frame of their own; returns its length. */
static size_t cut(const struct whole *w, uint8_t *f, size_t from, size_t to, bool last)
{
	bool v6 = w->headers == ETH_LEN + IP6_LEN;
	uint8_t *ip = f + ETH_LEN;
	size_t extra = v6 ? 8 : 0;

	memcpy(f, w->bytes, w->headers);
	memcpy(f + w->headers + extra, w->bytes + w->headers + from, to - from);
	if (v6) {
		be16_put(ip + IP6_TOTAL, (uint16_t)(to - from + 8));
		ip[IP6_NEXT] = IPPROTO_FRAGMENT_V6;
		ip[IP6_LEN] = IPPROTO_UDP_V4;
		ip[IP6_LEN + 1] = 0;
		be16_put(ip + IP6_LEN + 2, (uint16_t)(from | (last ? 0 : 1)));
		be32_put(ip + IP6_LEN + 4, w->id);
	} else {
		be16_put(ip + IP_TOTAL, (uint16_t)(IP_LEN + to - from));
		be16_put(ip + IP_ID, (uint16_t)w->id);
		be16_put(ip + IP_FRAG, (uint16_t)(from / 8 | (last ? 0 : 0x2000)));
		ne16_set(ip + IP_SUM, 0);
		ne16_set(ip + IP_SUM, (uint16_t)~sum_fold(sum_bytes(ip, IP_LEN)));
	}
	return w->headers + extra + to - from;
}

static void send_cut(struct rig *r, unsigned worker, const struct whole *w, size_t from, size_t to)
{
	uint8_t f[RIG_FRAME];
	size_t all = w->len - w->headers;

	rig_send(r, worker, f, cut(w, f, from, MIN(to, all), to >= all));
}

static uint64_t failed(const struct rig *r)
{
	return stats_get(&r->relay->stats[0].reasm_failed) + stats_get(&r->relay->stats[1].reasm_failed);
}

static void in_any_order(void **state)
{
	static const unsigned orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	struct rig *r = *state;

	for (unsigned i = 0; i < 6; i++) {
		struct whole w = from_peer(1000 + i);

		for (unsigned k = 0; k < 3; k++) {
			unsigned part = orders[i][k];

			send_cut(r, 0, &w, part * 400, part == 2 ? 2000 : part * 400 + 400);
			if (k < 2)
				assert_int_equal(r->outs, 0);
		}
		rig_expect_channel(r, &alice, 0x4001, text, 1000 + i);
	}
	assert_int_equal(rig_drops(r, DROP_FRAGMENT_TAKEN), 12);
	assert_int_equal(stats_get(&r->relay->stats[0].reassembled), 6);
	assert_int_equal(failed(r), 0);
}

/* Random cuts in random order, of several datagrams at once. */
static void at_random(void **state)
{
	struct rig *r = *state;
	unsigned seed = 5, came = 0;

	for (unsigned round = 0; round < 200; round++) {
		struct whole w[3];
		size_t edge[3][12];
		unsigned parts[3], order[36], n = 0;

		for (unsigned i = 0; i < 3; i++) {
			w[i] = from_peer((size_t)(100 + rand_r(&seed) % 1300));
			size_t all = w[i].len - w[i].headers;
			unsigned k = 0;

			edge[i][k++] = 0;
			while (edge[i][k - 1] < all && k < 11) {
				edge[i][k] = k == 10 ? all : MIN(all, edge[i][k - 1] + 8 * (size_t)(1 + rand_r(&seed) % 60));
				k++;
			}
			edge[i][k - 1] = all;
			parts[i] = k - 1;
			for (unsigned x = 0; x < parts[i]; x++)
				order[n++] = i * 12 + x;
		}
		for (unsigned i = n; i > 1; i--) {
			unsigned k = (unsigned)rand_r(&seed) % i, was = order[i - 1];

			order[i - 1] = order[k];
			order[k] = was;
		}
		for (unsigned i = 0; i < n; i++) {
			unsigned which = order[i] / 12, part = order[i] % 12;

			send_cut(r, 0, &w[which], edge[which][part], edge[which][part + 1]);
			if (r->outs > 0) {
				rig_expect_channel(r, &alice, 0x4001, text, w[which].len - HEADERS_LEN);
				came++;
			}
		}
	}
	assert_int_equal(came, 600);
	assert_int_equal(failed(r), 0);
	assert_int_equal(r->path[0].reasm.used, 0);
}

/* What goes on afterwards may be too large for one packet again. */
static void in_fragments_out_again(void **state)
{
	struct rig *r = *state;
	struct whole w = from_peer(1700);

	send_cut(r, 0, &w, 0, 1400);
	send_cut(r, 0, &w, 1400, 2000);
	assert_int_equal(r->outs, 2);
	assert_int_equal(be16_get(r->out[0].bytes + ETH_LEN + IP_FRAG), 0x2000);
	assert_int_equal(stats_get(&r->relay->stats[0].fragmented), 1);
}

static void by_clients(void **state)
{
	struct rig *r = *state;
	uint8_t out[1600];
	struct whole w = { .headers = ETH_LEN + IP_LEN, .id = 5 };
	struct stun_msg m;

	be16_put(out, 0x4001);
	be16_put(out + 2, 1200);
	memcpy(out + 4, text, 1200);
	w.len = rig_udp(w.bytes, alice.ip, alice.port, RELAY_IP, TURN_PORT, out, 1204);
	send_cut(r, 0, &w, 800, 2000);
	send_cut(r, 0, &w, 0, 800);
	rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 9000, text, 1200);
	/* A request, whose checksum is verified over the whole. */
	for (unsigned spoil = 0; spoil < 2; spoil++) {
		struct wr q = client_begin(r, out, sizeof(out), STUN_BINDING);

		stun_put(&q, STUN_SOFTWARE, str_of(text, 600));
		w.len = rig_udp(w.bytes, alice.ip, alice.port, RELAY_IP, TURN_PORT, out, stun_end(&q));
		w.bytes[w.len - 1] ^= (uint8_t)spoil;
		w.id++;
		send_cut(r, 0, &w, 0, 320);
		send_cut(r, 0, &w, 320, 2000);
		assert_int_equal(r->outs, spoil == 0);
		if (spoil == 0)
			assert_ok(stun_parse(r->out[0].bytes + HEADERS_LEN, r->out[0].len - HEADERS_LEN, &m));
	}
	assert_int_equal(rig_drops(r, DROP_UDP_CHECKSUM), 1);
}

static void put_v6(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	stun_put_u32(w, STUN_REQUESTED_ADDRESS_FAMILY, (uint32_t)STUN_IPV6 << 24);
}

static void put_peer6(struct wr *w, const void *arg)
{
	struct addr ip = rig_ip("2a00:9::9");
	struct stun_addr s = addr_to_stun(&ip, 9000);

	(void)arg;
	stun_put_u32(w, STUN_CHANNEL_NUMBER, 0x4002u << 16);
	stun_put_address(w, STUN_XOR_PEER_ADDRESS, &s);
}

static void in_ipv6(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(IPV4(8, 8, 1, 2), 1001, "c", "");
	struct addr src = rig_ip("2a00:9::9"), dst = rig_ip("2a00:1::2");
	struct whole w = { .headers = ETH_LEN + IP6_LEN, .id = 0x12345678 };
	struct stun_addr relayed;
	struct stun_msg m;

	assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_v6, NULL, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	assert_int_equal(client_request(r, &c, STUN_CHANNEL_BIND, put_peer6, NULL, &m), 0);
	w.len = rig_udp_of(w.bytes, &src, 9000, &dst, relayed.port, text, 1100);
	send_cut(r, 0, &w, 0, 8);
	send_cut(r, 0, &w, 1000, 2000);
	assert_int_equal(r->outs, 0);
	send_cut(r, 0, &w, 8, 1000);
	rig_expect_channel(r, &c, 0x4002, text, 1100);
	/* A single fragment is a whole. */
	w.id++;
	send_cut(r, 0, &w, 0, 2000);
	rig_expect_channel(r, &c, 0x4002, text, 1100);
	/* What came in fragments may leave in fragments: no MTU is known to its sender. */
	assert_int_equal(be16_get(r->out[0].bytes + ETH_LEN + IP_FRAG), 0);
	/* Something else than UDP is not put together. */
	uint8_t f[RIG_FRAME];
	size_t len = cut(&w, f, 0, 400, false);
	f[ETH_LEN + IP6_LEN] = 6;
	rig_send(r, 0, f, len);
	assert_int_equal(rig_drops(r, DROP_IP_FRAGMENT), 1);
	assert_int_equal(r->path[0].reasm.used, 0);
}

/* RFC 5722: one overlap ends the datagram, whatever else comes. */
static void overlaps_end_it(void **state)
{
	static const size_t cuts[][2] = {
		{ 392, 2000 }, /* overlaps the first by one unit */
		{ 0, 408 },    /* the first again, longer */
		{ 200, 208 },  /* within: a copy by its place, but of a shorter fragment */
	};
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct whole w = from_peer(1000);

		send_cut(r, 0, &w, 0, 400);
		send_cut(r, 0, &w, cuts[i][0], cuts[i][1]);
		assert_int_equal(r->outs, 0);
		assert_int_equal(failed(r), 2 * i + 1); /* and one for what comes after, which finds no beginning */
		send_cut(r, 0, &w, 400, 2000);
		assert_int_equal(r->outs, 0);
		rig_pass(r, 1100);
	}
	/* A copy changes nothing. */
	struct whole w = from_peer(1000);
	uint64_t before = failed(r);
	send_cut(r, 0, &w, 0, 400);
	send_cut(r, 0, &w, 0, 400);
	send_cut(r, 0, &w, cuts[2][0], cuts[2][1]);
	send_cut(r, 0, &w, 400, 2000);
	rig_expect_channel(r, &alice, 0x4001, text, 1000);
	assert_int_equal(failed(r), before);
}

/* Two ends, and parts behind the end. */
static void ends_that_disagree(void **state)
{
	struct rig *r = *state;
	uint8_t f[RIG_FRAME];

	struct whole w = from_peer(1000);
	rig_send(r, 0, f, cut(&w, f, 600, 800, true));
	rig_send(r, 0, f, cut(&w, f, 800, 1000, true));
	assert_int_equal(failed(r), 1);
	w = from_peer(1000);
	rig_send(r, 0, f, cut(&w, f, 800, 1000, false));
	rig_send(r, 0, f, cut(&w, f, 400, 600, true));
	assert_int_equal(failed(r), 2);
	/* 200 bytes are missing and 200 are too many: that is not a whole. */
	w = from_peer(1000);
	rig_send(r, 0, f, cut(&w, f, 800, 1000, false));
	rig_send(r, 0, f, cut(&w, f, 0, 400, false));
	rig_send(r, 0, f, cut(&w, f, 600, 800, true));
	assert_int_equal(failed(r), 3);
	assert_int_equal(r->outs, 0);
	assert_int_equal(r->path[0].reasm.used, 0);
}

static void what_fits_nothing(void **state)
{
	struct rig *r = *state;
	struct whole w = from_peer(1000);
	uint8_t f[RIG_FRAME];

	rig_send(r, 0, f, cut(&w, f, 0, 399, false)); /* no multiple of eight */
	rig_send(r, 0, f, cut(&w, f, 0, 0, false));   /* nothing */
	rig_send(r, 0, f, cut(&w, f, 8, 8, true));
	size_t len = cut(&w, f, 0, 400, false);
	be16_put(f + ETH_LEN + IP_FRAG, 0x2000 | (REASM_UDP_MAX - 392) / 8); /* behind all bounds */
	ne16_set(f + ETH_LEN + IP_SUM, 0);
	ne16_set(f + ETH_LEN + IP_SUM, (uint16_t)~sum_fold(sum_bytes(f + ETH_LEN, IP_LEN)));
	rig_send(r, 0, f, len);
	assert_int_equal(rig_drops(r, DROP_IP_FRAGMENT), 4);
	len = cut(&w, f, 0, 400, false);
	be16_put(f + ETH_LEN + IP_FRAG, 0x2000 | 1900 / 8); /* behind the buffer's end */
	ne16_set(f + ETH_LEN + IP_SUM, 0);
	ne16_set(f + ETH_LEN + IP_SUM, (uint16_t)~sum_fold(sum_bytes(f + ETH_LEN, IP_LEN)));
	rig_send(r, 0, f, len);
	assert_int_equal(rig_drops(r, DROP_IP_FRAGMENT), 5);
	assert_int_equal(r->path[0].reasm.used, 0);
}

static void time_runs_out(void **state)
{
	struct rig *r = *state;
	struct whole w = from_peer(1000);

	send_cut(r, 0, &w, 0, 400);
	rig_pass(r, 900);
	assert_int_equal(failed(r), 0);
	rig_pass(r, 200);
	assert_int_equal(failed(r), 1);
	send_cut(r, 0, &w, 400, 2000);
	assert_int_equal(r->outs, 0);
	rig_pass(r, 1100);
	assert_int_equal(failed(r), 2);
	/* The same identification may be used again. */
	send_cut(r, 0, &w, 400, 2000);
	send_cut(r, 0, &w, 0, 400);
	rig_expect_channel(r, &alice, 0x4001, text, 1000);
}

/* A flood takes no more than its share, all sources together no more than there is, and it all comes back. */
static void room_is_bounded(void **state)
{
	struct rig *r = *state;
	uint8_t f[RIG_FRAME];
	unsigned before = r->buffers;

	for (unsigned i = 0; i < 100; i++) {
		struct whole w = from_peer(1000);

		send_cut(r, 0, &w, 0, 400);
	}
	assert_int_equal(r->path[0].reasm.used, REASM_SLOTS_OF_SOURCE);
	for (unsigned i = 0; i < 100; i++) {
		struct whole w = { .headers = ETH_LEN + IP_LEN, .id = i };

		w.len = rig_udp(w.bytes, IPV4(9, 1, 1, i), 1, RELAY_IP, alice.relayed, text, 1000);
		rig_send(r, 0, f, cut(&w, f, 0, 400, false));
	}
	assert_int_equal(r->path[0].reasm.used, REASM_SLOTS);
	assert_int_equal(r->buffers, before + REASM_SLOTS);
	assert_int_equal(rig_drops(r, DROP_IP_FRAGMENT), 200 - REASM_SLOTS);
	rig_pass(r, 1100);
	assert_int_equal(r->path[0].reasm.used, 0);
	assert_int_equal(failed(r), REASM_SLOTS);
	for (unsigned i = 0; i < 100; i++) {
		struct whole w = from_peer(1000);

		send_cut(r, 0, &w, 400, 2000);
		send_cut(r, 0, &w, 0, 400);
		rig_expect_channel(r, &alice, 0x4001, text, 1000);
	}
	assert_int_equal(r->buffers, before + REASM_SLOTS); /* kept for the next */
}

/* Each worker for itself: a datagram whose fragments are spread over two is given up by both. */
static void workers_do_not_share(void **state)
{
	struct rig *r = *state;
	struct whole w = from_peer(1000);

	send_cut(r, 0, &w, 0, 400);
	send_cut(r, 1, &w, 400, 2000);
	assert_int_equal(r->outs, 0);
	rig_pass(r, 1100);
	assert_int_equal(stats_get(&r->relay->stats[0].reasm_failed), 1);
	assert_int_equal(stats_get(&r->relay->stats[1].reasm_failed), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(in_any_order), T(at_random), T(in_fragments_out_again), T(by_clients), T(in_ipv6), T(overlaps_end_it), T(ends_that_disagree),
		T(what_fits_nothing), T(time_runs_out), T(room_is_bounded), T(workers_do_not_share),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
