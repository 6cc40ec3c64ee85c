/* Clients on streams, as the workers see them: the same requests and data as over UDP, without headers; whole checksums
 * towards peers; the end of the connection is the end of the allocation. */
#include "tests/flow/relay/rig.h"

static struct client alice, bob;

/* Alice is on a stream, Bob on UDP. */
static int set_up(void **state)
{
	struct rig *r = rig_new(2, 50000, 50099, rig_policy());

	alice = client_new(CLIENT_IP, 1234, "alice", "");
	bob = client_new(IPV4(8, 8, 2, 2), 4321, "bob", "");
	bob.worker = 1;
	client_on_stream(r, &alice);
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

static const uint8_t *out_ip(const struct rig *r)
{
	return r->out[0].bytes + ETH_LEN;
}

/* Both ways over a channel; every frame that goes out is checked by the rig, here that its checksum is there at all. */
static void channel_all_lengths(void **state)
{
	struct rig *r = *state;
	uint8_t data[1400];

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	for (size_t len = 0; len <= 1400; len += len < 40 ? 1 : 97) {
		fill(data, len);
		client_channel_data(r, &alice, 0x4001, data, len, 0);
		rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 9000, data, len);
		assert_int_not_equal(ne16(out_ip(r) + UDP_SUM), 0);
		assert_int_equal(out_ip(r)[IP_TTL_AT], 64);
		assert_int_equal(out_ip(r)[IP_TOS], 0);
		assert_int_equal(be16_get(out_ip(r) + IP_FRAG), 0);
		peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, data, len);
		rig_expect_channel(r, &alice, 0x4001, data, len);
	}
}

/* RFC 768: a sum of zero is sent as all ones. One of these datagrams has it. */
static void checksum_never_zero(void **state)
{
	struct rig *r = *state;
	unsigned ones = 0;

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	for (uint32_t i = 0; i <= UINT16_MAX; i++) {
		uint16_t word = (uint16_t)i;

		client_channel_data(r, &alice, 0x4001, &word, 2, 0);
		assert_int_not_equal(ne16(out_ip(r) + UDP_SUM), 0);
		ones += ne16(out_ip(r) + UDP_SUM) == UINT16_MAX;
	}
	assert_in_range(ones, 1, 2);
}

static void indications(void **state)
{
	struct rig *r = *state;
	uint8_t data[40];

	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	for (size_t len = 0; len <= sizeof(data); len++) {
		fill(data, len);
		client_send_indication(r, &alice, PEER_IP, 7000, data, len);
		rig_expect(r, RELAY_IP, alice.relayed, PEER_IP, 7000, data, len);
		peer_datagram(r, 0, PEER_IP, 7000, alice.relayed, data, len);
		rig_expect_data(r, &alice, PEER_IP, 7000, data, len);
	}
}

/* What is RTP is told apart for the queue towards the client. The rig sees to it that data is never taken for an answer. */
static void kinds(void **state)
{
	struct rig *r = *state;
	uint8_t rtp[1100] = { 0x80, 111 };

	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	for (uint16_t i = 1; i < 10; i++) {
		be16_put(rtp + 2, i);
		be32_put(rtp + 4, 960u * i);
		peer_datagram(r, 0, PEER_IP, 9000, alice.relayed, rtp, 120);
		assert_int_equal(r->media, STREAM_AUDIO);
	}
	rtp[1] = 96;
	rtp[8] = 7; /* another SSRC */
	for (uint16_t i = 1; i < 10; i++) {
		be16_put(rtp + 2, i);
		peer_datagram(r, 0, PEER_IP, 9000, alice.relayed, rtp, sizeof(rtp));
	}
	assert_int_equal(r->media, STREAM_VIDEO);
	peer_datagram(r, 0, PEER_IP, 9000, alice.relayed, "\x16\xfe\xfd handshake", 12);
	assert_int_equal(r->media, STREAM_MEDIA);
}

/* Over the relay from the stream to UDP and back. */
static void hairpin(void **state)
{
	struct rig *r = *state;
	uint8_t data[33];

	fill(data, sizeof(data));
	assert_int_equal(client_bind(r, &alice, 0x4001, RELAY_IP, bob.relayed), 0);
	assert_int_equal(client_bind(r, &bob, 0x4002, RELAY_IP, alice.relayed), 0);
	client_channel_data(r, &alice, 0x4001, data, sizeof(data), 0);
	rig_expect_channel(r, &bob, 0x4002, data, sizeof(data));
	assert_int_not_equal(ne16(out_ip(r) + UDP_SUM), 0);
	client_channel_data(r, &bob, 0x4002, data, sizeof(data), 0);
	rig_expect_channel(r, &alice, 0x4001, data, sizeof(data));
}

/* Two connections are two clients, even from the same address and port. */
static void connections_are_clients(void **state)
{
	struct rig *r = *state;
	struct client again = client_new(CLIENT_IP, 1234, "alice", ""), datagrams = again;

	client_on_stream(r, &again);
	assert_int_equal(client_allocate(r, &again), 0);
	assert_int_equal(client_allocate(r, &datagrams), 0);
	assert_int_not_equal(again.relayed, alice.relayed);
	assert_int_equal(table_count(r->relay->table), 4);
	path_message_end(&r->path[0], &alice.stream_key);
	assert_int_equal(table_count(r->relay->table), 3);
	assert_int_equal(client_permit(r, &again, PEER_IP), 0);
	assert_int_equal(client_permit(r, &datagrams, PEER_IP), 0);
}

static void the_end(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	assert_true(path_message_alive(&r->path[0], &alice.stream_key));
	path_message_end(&r->path[0], &alice.stream_key);
	assert_false(path_message_alive(&r->path[0], &alice.stream_key));
	assert_int_equal(table_count(r->relay->table), 1);
	peer_datagram(r, 0, PEER_IP, 7000, alice.relayed, "late", 4);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_PEER_PORT), 1);
	path_message_end(&r->path[0], &alice.stream_key); /* nothing is left to end */
	assert_int_equal(table_count(r->relay->table), 1);
	assert_int_equal(client_allocate(r, &alice), 0);
	rig_pass(r, 601000);
	assert_false(path_message_alive(&r->path[0], &alice.stream_key));
}

/* On a stream the sender is proven: its 401s cost nobody else's budget and are never withheld. */
static void challenges_are_answered(void **state)
{
	struct rig *r = *state;
	struct policy *p = (struct policy *)(uintptr_t)r->relay->policy;

	p->challenge_rate = 1;
	p->challenge_burst = 1;
	for (unsigned i = 0; i < 20; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(2000 + i), "mallory", "");
		uint8_t out[64];
		struct stun_msg m;

		c.stream = true;
		c.stream_key = alice.stream_key;
		c.port = alice.port;
		struct wr w = client_begin(r, out, sizeof(out), STUN_REFRESH);
		assert_int_equal(client_exchange(r, &c, out, stun_end(&w), &m), 401);
	}
	assert_int_equal(rig_drops(r, DROP_CHALLENGE_LIMIT), 0);
}

static void not_turn(void **state)
{
	struct rig *r = *state;

	client_message(r, &alice, "\x01\x01\0\0", 4);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_STUN_MALFORMED), 1);
	client_message(r, &alice, "\x4f\xff\0\1x", 5);
	assert_int_equal(rig_drops(r, DROP_NO_CHANNEL), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(channel_all_lengths), TEST(checksum_never_zero), TEST(indications), TEST(kinds), TEST(hairpin), TEST(connections_are_clients),
		TEST(the_end), TEST(challenges_are_answered), TEST(not_turn),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
