/* Application data: channels, indications, hairpin, and what keeps data from flowing. RFC 8656 §11, §12, §15. */
#include "tests/flow/relay/rig.h"

static struct client alice, bob;

static int set_up(void **state)
{
	struct rig *r = rig_new(2, 50000, 50099, rig_policy());

	alice = client_new(CLIENT_IP, 1234, "alice", "");
	bob = client_new(IPV4(8, 8, 2, 2), 4321, "bob", "");
	bob.worker = 1;
	assert_int_equal(client_allocate(r, &alice), 0);
	assert_int_equal(client_allocate(r, &bob), 0);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static void fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + len);
}

/* Both ways over a channel, all lengths, with every padding the RFC allows and one byte more. */
static void channel_all_lengths(void **state)
{
	struct rig *r = *state;
	uint8_t data[1400];

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	for (size_t len = 0; len <= 1400; len += len < 40 ? 1 : 97) {
		fill(data, len);
		for (size_t padding = 0; padding < 4; padding++) {
			client_channel_data(r, &alice, 0x4001, data, len, padding);
			rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 9000, data, len);
		}
		peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, data, len);
		rig_expect_channel(r, &alice, 0x4001, data, len);
	}
	uint64_t before = rig_drops(r, DROP_CHANNEL_LENGTH);
	client_channel_data(r, &alice, 0x4001, data, 10, 4);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_CHANNEL_LENGTH), before + 1);
}

static void channel_length_beyond_datagram(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[8] = { 0x40, 0x01, 0x00, 0x05, 'a', 'b', 'c', 'd' };

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	client_datagram(r, &alice, bytes, sizeof(bytes));
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_CHANNEL_LENGTH), 1);
}

static void indications_all_lengths(void **state)
{
	struct rig *r = *state;
	uint8_t data[1400];

	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	for (size_t len = 0; len <= 1400; len += len < 40 ? 1 : 97) {
		fill(data, len);
		client_send_indication(r, &alice, PEER_IP, 7, data, len);
		rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 7, data, len);
		peer_datagram(r, 1, PEER_IP, 8, alice.relayed, data, len);
		rig_expect_data(r, &alice, PEER_IP, 8, data, len);
	}
}

/* DATA first, other attributes and dirty padding behind it: only the data goes on, and the checksum is right
 * (the rig looks). */
static void indication_in_odd_order(void **state)
{
	struct rig *r = *state;
	uint8_t out[256];

	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	for (size_t len = 0; len < 9; len++) {
		struct wr w = wr_of(out, sizeof(out));

		stun_begin(&w, STUN_INDICATION, STUN_SEND, (const uint8_t *)"123456789012");
		stun_put(&w, STUN_SOFTWARE, STR("odd"));
		stun_put(&w, STUN_DATA, str_of("abcdefghi", len));
		for (size_t i = len; i % 4 != 0; i++)
			out[20 + 8 + 4 + i] = (uint8_t)(0x5a + i);
		put_peer(&w, &(struct rig_peer){ .ip = PEER_IP, .port = 99 });
		stun_put(&w, STUN_DONT_FRAGMENT, STR_NONE);
		stun_put_fingerprint(&w);
		client_datagram(r, &alice, out, stun_end(&w));
		rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 99, "abcdefghi", len);
	}
}

static void indications_that_are_wrong(void **state)
{
	struct rig *r = *state;
	uint8_t out[128];

	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	for (unsigned i = 0; i < 5; i++) {
		struct wr w = wr_of(out, sizeof(out));

		stun_begin(&w, STUN_INDICATION, STUN_SEND, (const uint8_t *)"123456789012");
		if (i != 0)
			put_peer(&w, &(struct rig_peer){ .ip = PEER_IP, .port = i == 1 ? 0 : 99 });
		if (i != 2)
			stun_put(&w, STUN_DATA, STR("x"));
		if (i == 3)
			wr_u32(&w, 0x7f000000);
		if (i == 4)
			stun_put(&w, STUN_DONT_FRAGMENT, STR("?"));
		client_datagram(r, &alice, out, stun_end(&w));
		assert_int_equal(r->outs, 0);
		assert_int_equal(rig_drops(r, DROP_SEND_MALFORMED), i + 1);
	}
}

static void no_permission_no_data(void **state)
{
	struct rig *r = *state;

	client_send_indication(r, &alice, PEER_IP, 7, "x", 1);
	assert_int_equal(r->outs, 0);
	peer_datagram(r, 0, PEER_IP, 7, alice.relayed, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_NO_PERMISSION), 2);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(rig_drops(r, DROP_NO_CHANNEL), 1);
	/* Permission is for the address, whatever the port; not for its neighbours. */
	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	peer_datagram(r, 0, PEER_IP, 8888, alice.relayed, "x", 1);
	rig_expect_data(r, &alice, PEER_IP, 8888, "x", 1);
	peer_datagram(r, 0, IPV4(9, 9, 9, 10), 7, alice.relayed, "x", 1);
	assert_int_equal(r->outs, 0);
}

static void unused_port_says_nothing(void **state)
{
	struct rig *r = *state;
	uint16_t unused = 50000;

	while (unused == alice.relayed || unused == bob.relayed)
		unused++;
	peer_datagram(r, 0, PEER_IP, 7, unused, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_PEER_PORT), 1);
	peer_datagram(r, 0, PEER_IP, 7, 50100, "x", 1);
	peer_datagram(r, 0, PEER_IP, 7, 49999, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_UDP_PORT), 2);
}

static void other_clients_channels_are_not_mine(void **state)
{
	struct rig *r = *state;
	struct client stranger = client_new(CLIENT_IP, 1235, "eve", "");

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	client_channel_data(r, &stranger, 0x4001, "x", 1, 0);
	client_channel_data(r, &bob, 0x4001, "x", 1, 0);
	assert_int_equal(rig_drops(r, DROP_NO_ALLOCATION), 1);
	assert_int_equal(rig_drops(r, DROP_NO_CHANNEL), 1);
}

/* --- checksums and headers --- */

static void absent_checksum_stays_absent(void **state)
{
	struct rig *r = *state;
	uint8_t frame[128], bytes[] = { 0x40, 0x01, 0x00, 0x03, 'a', 'b', 'c' };
	size_t len;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	len = rig_udp(frame, alice.ip, alice.port, RELAY_IP, TURN_PORT, bytes, sizeof(bytes));
	ne16_set(frame + ETH_LEN + UDP_SUM, 0);
	rig_send(r, 0, frame, len);
	rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 9000, "abc", 3);
	assert_int_equal(ne16(r->out[0].bytes + ETH_LEN + UDP_SUM), 0);
}

/* A wrong checksum is not made right on the way: the receiver must see the damage. */
static void damage_is_carried_on(void **state)
{
	struct rig *r = *state;
	uint8_t frame[128], bytes[] = { 0x40, 0x01, 0x00, 0x04, 'a', 'b', 'c', 'd' };
	struct pkt p = { 0 };
	size_t len;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	len = rig_udp(frame, alice.ip, alice.port, RELAY_IP, TURN_PORT, bytes, sizeof(bytes));
	frame[len - 1] ^= 0x40;
	rig_new_buf(r, &p);
	memcpy(p.data, frame, len);
	p.len = (uint32_t)len;
	path_burst(&r->path[0], &p, 1, &r->clock);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_false(udp_sum_ok(p.data + ETH_LEN));
	rig_free_buf(r, &p);
	/* A device that found it wrong already is believed. */
	rig_new_buf(r, &p);
	memcpy(p.data, frame, len);
	p.len = (uint32_t)len;
	p.rx_sum = PKT_SUM_BAD;
	path_burst(&r->path[0], &p, 1, &r->clock);
	assert_int_equal(p.verdict, PKT_DROP);
	assert_int_equal(p.reason, DROP_UDP_CHECKSUM);
	rig_free_buf(r, &p);
}

static void header_fields_are_carried(void **state)
{
	struct rig *r = *state;
	const uint8_t *ip = r->out[0].bytes + ETH_LEN;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 1);
	assert_int_equal(ip[IP_TOS], 0xb8);
	assert_int_equal(ip[IP_TTL_AT], 56);
	assert_int_equal(be16_get(ip + IP_FRAG), IP_DF);
}

static void time_to_live_ends(void **state)
{
	struct rig *r = *state;
	uint8_t frame[128], bytes[] = { 0x40, 0x01, 0x00, 0x01, 'a' };
	size_t len = rig_udp(frame, alice.ip, alice.port, RELAY_IP, TURN_PORT, bytes, sizeof(bytes));
	uint8_t *ip = frame + ETH_LEN;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	ip_put(ip, 0, be16_get(ip + IP_TOTAL), 0, 1, IPPROTO_UDP_V4, ne32(ip + IP_SRC), ne32(ip + IP_DST));
	rig_send(r, 0, frame, len);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_TTL), 1);
}

/* What may not be fragmented is dropped, and its sender told what would fit. */
static void too_big_is_dropped(void **state)
{
	struct rig *r = *state;
	uint8_t data[1472] = { 0 };

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	peer_datagram(r, 0, PEER_IP, 9000, alice.relayed, data, 1468);
	assert_int_equal(r->outs, 1);
	peer_datagram(r, 0, PEER_IP, 9000, alice.relayed, data, 1469);
	assert_int_equal(rig_drops(r, DROP_TOO_BIG), 1);
	assert_int_equal(r->outs, 1);
	const uint8_t *ip = r->out[0].bytes + ETH_LEN;
	assert_int_equal(ip[IP_PROTO], IPPROTO_ICMP_V4);
	assert_int_equal(ne32(ip + IP_DST), PEER_IP);
	assert_int_equal(be16_get(ip + IP_LEN + 6), 1496);
}

/* --- hairpin --- */

static void hairpin_channel_to_channel(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_bind(r, &alice, 0x4001, RELAY_IP, bob.relayed), 0);
	client_channel_data(r, &alice, 0x4001, "early", 5, 0);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_HAIRPIN_PERMISSION), 1);
	assert_int_equal(client_bind(r, &bob, 0x4ff0, RELAY_IP, alice.relayed), 0);
	for (size_t padding = 0; padding < 4; padding++) {
		client_channel_data(r, &alice, 0x4001, "hello", 5, padding);
		rig_expect_channel(r, &bob, 0x4ff0, "hello", 5);
		client_channel_data(r, &bob, 0x4ff0, "hi", 2, padding);
		rig_expect_channel(r, &alice, 0x4001, "hi", 2);
	}
}

static void hairpin_by_indication(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &alice, RELAY_IP), 0);
	assert_int_equal(client_permit(r, &bob, RELAY_IP), 0);
	for (size_t len = 0; len < 9; len++) {
		client_send_indication(r, &alice, RELAY_IP, bob.relayed, "abcdefghi", len);
		rig_expect_data(r, &bob, RELAY_IP, alice.relayed, "abcdefghi", len);
	}
	/* From indication into a channel and back. */
	assert_int_equal(client_bind(r, &bob, 0x4002, RELAY_IP, alice.relayed), 0);
	client_send_indication(r, &alice, RELAY_IP, bob.relayed, "one", 3);
	rig_expect_channel(r, &bob, 0x4002, "one", 3);
	client_channel_data(r, &bob, 0x4002, "two", 3, 1);
	rig_expect_data(r, &alice, RELAY_IP, bob.relayed, "two", 3);
}

static void hairpin_to_itself_ends(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_bind(r, &alice, 0x4001, RELAY_IP, alice.relayed), 0);
	client_channel_data(r, &alice, 0x4001, "me", 2, 0);
	rig_expect_channel(r, &alice, 0x4001, "me", 2);
}

static void service_is_no_peer(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &alice, RELAY_IP), 0);
	client_send_indication(r, &alice, RELAY_IP, TURN_PORT, "\x00\x01\x00\x00\x21\x12\xa4\x42zzzzzzzzzzzz", 20);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_HAIRPIN_GONE), 1);
}

static void hairpin_to_a_freed_port(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_bind(r, &alice, 0x4001, RELAY_IP, bob.relayed), 0);
	assert_int_equal(client_bind(r, &bob, 0x4001, RELAY_IP, alice.relayed), 0);
	assert_int_equal(client_refresh(r, &bob, 0), 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_HAIRPIN_GONE), 1);
}

static void hairpin_permission_ends(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &bob, RELAY_IP), 0);
	rig_pass(r, 150000);
	assert_int_equal(client_bind(r, &alice, 0x4001, RELAY_IP, bob.relayed), 0);
	rig_pass(r, 149000);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 1);
	rig_pass(r, 1000);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_HAIRPIN_PERMISSION), 1);
}

/* A frame that claims to come from the relay itself is a forgery: it must not use a permission for relayed
 * addresses. */
static void forged_hairpin_is_dropped(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &alice, RELAY_IP), 0);
	peer_datagram(r, 0, RELAY_IP, bob.relayed, alice.relayed, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_IP_SOURCE), 1);
}

/* --- time --- */

static void permission_ends_after_300_s(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	rig_pass(r, 299000);
	client_send_indication(r, &alice, PEER_IP, 7, "x", 1);
	assert_int_equal(r->outs, 1);
	rig_pass(r, 1000);
	client_send_indication(r, &alice, PEER_IP, 7, "x", 1);
	assert_int_equal(r->outs, 0);
	peer_datagram(r, 0, PEER_IP, 7, alice.relayed, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_NO_PERMISSION), 2);
	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	client_send_indication(r, &alice, PEER_IP, 7, "x", 1);
	assert_int_equal(r->outs, 1);
}

static void channel_outlives_its_permission(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	rig_pass(r, 300000);
	assert_int_equal(client_refresh(r, &alice, 3600), 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_NO_PERMISSION), 1);
	/* A new permission suffices, another one does not disturb it, and the number is still taken. */
	assert_int_equal(client_permit(r, &alice, IPV4(9, 9, 9, 77)), 0);
	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9001), 400);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 9000, "x", 1);
	rig_pass(r, 299000);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 1);
	rig_pass(r, 1000);
	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_NO_CHANNEL), 1);
	peer_datagram(r, 0, PEER_IP, 9000, alice.relayed, "x", 1);
	rig_expect_data(r, &alice, PEER_IP, 9000, "x", 1);
	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9001), 0);
}

static void channel_is_refreshed(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	for (unsigned i = 0; i < 6; i++) {
		rig_pass(r, 250000);
		assert_int_equal(client_refresh(r, &alice, 600), 0);
		assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
		client_channel_data(r, &alice, 0x4001, "x", 1, 0);
		assert_int_equal(r->outs, 1);
	}
}

static void allocation_ends(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	rig_pass(r, 290000);
	assert_int_equal(client_refresh(r, &bob, 600), 0);
	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	rig_pass(r, 309000);
	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 1);
	rig_pass(r, 1000);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	peer_datagram(r, 0, PEER_IP, 9000, alice.relayed, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(client_refresh(r, &alice, 600), 437);
	rig_pass(r, 1500);
	assert_int_equal(table_count(r->relay->table), 1);
	assert_int_equal(client_refresh(r, &bob, 600), 0);
}

static void freed_port_is_closed_at_once(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	assert_int_equal(client_refresh(r, &alice, 0), 0);
	peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, "x", 1);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_PEER_PORT) + rig_drops(r, DROP_NO_ALLOCATION), 2);
	/* The next on this 5-tuple inherits nothing. */
	assert_int_equal(client_allocate(r, &alice), 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 0);
	peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, "x", 1);
	assert_int_equal(r->outs, 0);
}

/* 98 more exhaust the range; then all can be freed and had again, many times over. */
static void every_port_comes_back(void **state)
{
	struct rig *r = *state;
	struct client c[98];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 98; i++) {
			c[i] = client_new(IPV4(8, 9, round, i), (uint16_t)(1000 + i), "many", "");
			c[i].worker = i % 2;
			assert_int_equal(client_allocate(r, &c[i]), 0);
		}
		struct client late = client_new(IPV4(8, 10, 0, 1), 1, "late", "");
		assert_int_equal(client_allocate(r, &late), 508);
		for (unsigned i = 0; i < 98; i++)
			assert_int_equal(client_refresh(r, &c[i], 0), 0);
		assert_int_equal(table_count(r->relay->table), 2);
	}
}

/* A port is not given out again while a worker may still hold the old allocation. */
static void grace_period_is_kept(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(IPV4(8, 9, 0, 1), 1, "c", "");
	struct alloc *a;
	unsigned left = 97;

	assert_int_equal(client_allocate(r, &c), 0);
	struct flow_key key = { .client = addr_v4(c.ip),
				.client_port = swap16(1),
				.relay_port = swap16(TURN_PORT),
				.proto = 17 };
	a = table_find_one(r->relay->table, &key);
	assert_non_null(a);
	/* Taken out by the control thread, with no worker at rest since: all ports but its own can be had. */
	table_remove_user(r->relay->table, STR("c"), STR_NONE);
	for (unsigned i = 0; i < left; i++) {
		struct table_request q = { .key = { .client = addr_v4(77), .client_port = (uint16_t)i, .proto = 17 },
					   .username = STR("x"),
					   .user = STR("x"),
					   .max = 1000,
					   .random = i * 977,
					   .now_s = 10 };
		struct alloc *got;

		assert_ok(table_add(r->relay->table, &q, &got));
		assert_ptr_not_equal(got, a);
		table_start(r->relay->table, got, 1000);
	}
	struct table_request q = { .key = { .client = addr_v4(78), .proto = 17 },
				   .username = STR("x"),
				   .user = STR("x"),
				   .max = 1000,
				   .now_s = 10 };
	struct alloc *got;
	assert_err(table_add(r->relay->table, &q, &got), ERR_FULL);
	rcu_quiescent(r->relay->rcu, 0);
	assert_err(table_add(r->relay->table, &q, &got), ERR_FULL);
	rcu_quiescent(r->relay->rcu, 1);
	assert_ok(table_add(r->relay->table, &q, &got));
	assert_ptr_equal(got, a);
	table_start(r->relay->table, got, 1000);
}

/* --- neighbours --- */

static void data_waits_for_the_neighbour(void **state)
{
	struct rig *r = *state;
	uint8_t request[ARP_LEN];
	unsigned asked;

	/* A peer on the relay's own subnet that has never been heard of. */
	r->answer_arp = false;
	assert_int_equal(client_bind(r, &alice, 0x4001, IPV4(198, 41, 0, 77), 9), 0);
	asked = r->outs;
	assert_int_equal(asked, 2); /* the answer, and the question who has 198.41.0.77 */
	memcpy(request, r->out[1].bytes, sizeof(request));
	assert_int_equal(be16_get(request + 12), ETHERTYPE_ARP);
	for (unsigned i = 0; i < 6; i++) {
		client_channel_data(r, &alice, 0x4001, &"012345"[i], 1, 0);
		assert_int_equal(r->outs, 0);
	}
	assert_int_equal(rig_drops(r, DROP_NEIGHBOUR_QUEUE), 2);
	r->outs = 0;
	rig_answer_arp(r, 0, request);
	assert_int_equal(r->outs, PATH_HELD_OF_HOP);
	for (unsigned i = 0; i < PATH_HELD_OF_HOP; i++)
		assert_int_equal(r->out[i].bytes[HEADERS_LEN], "0123"[i]);
	client_channel_data(r, &alice, 0x4001, "6", 1, 0);
	rig_expect(r, RELAY_IP, alice.relayed, IPV4(198, 41, 0, 77), 9, "6", 1);
}

static void silent_neighbour_costs_its_frames(void **state)
{
	struct rig *r = *state;

	r->answer_arp = false;
	assert_int_equal(client_bind(r, &alice, 0x4001, IPV4(198, 41, 0, 77), 9), 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	rig_pass(r, 900);
	assert_int_equal(rig_drops(r, DROP_NEIGHBOUR_WAIT), 0);
	rig_pass(r, 200);
	assert_int_equal(rig_drops(r, DROP_NEIGHBOUR_WAIT), 1);
	assert_int_equal(r->path[0].helds, 0);
}

static void changed_mac_is_followed(void **state)
{
	struct rig *r = *state;
	uint8_t gratuitous[ARP_LEN] = { 0 };
	static const uint8_t other[6] = { 0x02, 0, 0, 0, 0, 0x55 };
	struct iface gateway = { .net.ip = GATEWAY_IP };

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	memcpy(gateway.net.mac, other, 6);
	neigh_request(gratuitous, &gateway, GATEWAY_IP, NULL);
	rig_send(r, 1, gratuitous, sizeof(gratuitous));
	assert_int_equal(r->outs, 0);
	client_channel_data(r, &alice, 0x4001, "x", 1, 0);
	assert_int_equal(r->outs, 1);
	assert_memory_equal(r->out[0].bytes, other, 6);
}

static void counters_of_the_allocation(void **state)
{
	struct rig *r = *state;
	struct alloc *a = table_by_port(r->relay->table, 0, alice.relayed);

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	for (unsigned i = 0; i < 3; i++)
		client_channel_data(r, &alice, 0x4001, "12345", 5, 0);
	peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, "123", 3);
	assert_int_equal(a->to_peer.packets, 3);
	assert_int_equal(a->to_peer.bytes, 15);
	assert_int_equal(a->to_client.packets, 1);
	assert_int_equal(a->to_client.bytes, 3);
	assert_int_equal(stats_get(&r->relay->stats[0].relayed_packets[RELAYED_TO_PEER]), 3);
	assert_int_equal(stats_get(&r->relay->stats[1].relayed_packets[RELAYED_TO_CLIENT]), 1);
}

/* Two ports: each client has a relayed address on the port it came in by; data between them crosses inside the relay, data to a peer goes by the
 * route to it and keeps its source. */
static void two_ports(void **state)
{
	struct rig *r;
	struct client c = client_new(CLIENT_IP, 1, "c", ""), d = client_new(IPV4(198, 41, 1, 50), 2, "d", "");

	rig_free(*state);
	*state = r = rig_new_ports(2, 2, 50000, 50099, rig_policy());
	d.server = SECOND_IP;
	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_allocate(r, &d), 0);
	assert_int_equal(table_capacity(r->relay->table), 200);
	assert_int_equal(client_bind(r, &c, 0x4001, SECOND_IP, d.relayed), 0);
	assert_int_equal(client_bind(r, &d, 0x4002, RELAY_IP, c.relayed), 0);
	client_channel_data(r, &c, 0x4001, "over", 4, 0);
	rig_expect_channel(r, &d, 0x4002, "over", 4);
	assert_int_equal(r->out[0].iface, 1);
	client_channel_data(r, &d, 0x4002, "back", 4, 0);
	rig_expect_channel(r, &c, 0x4001, "back", 4);
	assert_int_equal(r->out[0].iface, 0);
	/* The second port has no gateway: the first one's is the way to the world. */
	assert_int_equal(client_bind(r, &d, 0x4003, PEER_IP, 9), 0);
	client_channel_data(r, &d, 0x4003, "far", 3, 0);
	rig_expect(r, SECOND_IP, d.relayed, PEER_IP, 9, "far", 3);
	assert_int_equal(r->out[0].iface, 0);
	/* A relayed port belongs to one address: the other one's is another port. */
	peer_datagram(r, 0, PEER_IP, 9, d.relayed, "x", 1);
	assert_int_equal(r->outs, 0);
	/* The other port's service is no peer either. */
	assert_int_equal(client_bind(r, &c, 0x4004, SECOND_IP, TURN_PORT), 403);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(channel_all_lengths), T(channel_length_beyond_datagram), T(indications_all_lengths), T(indication_in_odd_order),
		T(indications_that_are_wrong), T(no_permission_no_data), T(unused_port_says_nothing), T(other_clients_channels_are_not_mine),
		T(absent_checksum_stays_absent), T(damage_is_carried_on), T(header_fields_are_carried), T(time_to_live_ends), T(too_big_is_dropped),
		T(hairpin_channel_to_channel), T(hairpin_by_indication), T(hairpin_to_itself_ends), T(service_is_no_peer),
		T(hairpin_to_a_freed_port), T(hairpin_permission_ends), T(forged_hairpin_is_dropped), T(permission_ends_after_300_s), T(channel_outlives_its_permission),
		T(channel_is_refreshed), T(allocation_ends), T(freed_port_is_closed_at_once), T(every_port_comes_back), T(grace_period_is_kept),
		T(data_waits_for_the_neighbour), T(silent_neighbour_costs_its_frames), T(changed_mac_is_followed), T(counters_of_the_allocation), T(two_ports),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
