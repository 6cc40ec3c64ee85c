/* Media as it passes: statistics of each direction, DSCP by kind, and limits of bandwidth that drop video before audio. */
#include "relay/call_media.h"
#include "relay/media_stats.h"

#include "tests/flow/relay/rig.h"

static struct client alice, bob;

static int start(void **state)
{
	struct rig *r = rig_new(2, 50000, 50099, rig_policy());

	*state = r;
	alice = client_new(CLIENT_IP, 4000, "alice", "0123456789abcdef0123456789abcdef");
	bob = client_new(IPV4(8, 8, 1, 2), 4000, "bob", "");
	return client_allocate(r, &alice) == 0 && client_allocate(r, &bob) == 0 && client_bind(r, &alice, 0x4001, PEER_IP, 9000) == 0 ? 0 : -1;
}

static int stop(void **state)
{
	rig_free(*state);
	return 0;
}

static struct policy *policy_of(struct rig *r)
{
	return (struct policy *)(uintptr_t)atomic_load(&r->relay->policy);
}

/* An RTP packet of `len` bytes. */
static const uint8_t *rtp(uint8_t *to, uint8_t type, uint32_t ssrc, uint32_t sequence, uint32_t timestamp, size_t len)
{
	memset(to, 0xaa, len);
	to[0] = 0x80;
	to[1] = type;
	be16_put(to + 2, (uint16_t)sequence);
	be32_put(to + 4, timestamp);
	be32_put(to + 8, ssrc);
	return to;
}

static void speak(struct rig *r, uint32_t from, uint32_t count)
{
	uint8_t p[160];

	for (uint32_t i = from; i < from + count; i++) {
		client_channel_data(r, &alice, 0x4001, rtp(p, 111, 0x1111, i, i * 960, 120), 120, 0);
		rig_pass(r, 20);
	}
}

static struct media_summary summary(struct rig *r, const struct client *c)
{
	return media_summary(table_by_port(r->relay->table, 0, c->relayed), NULL);
}

static void each_direction_has_its_figures(void **state)
{
	struct rig *r = *state;
	uint8_t p[1300];

	speak(r, 100, 30);
	speak(r, 133, 30); /* three never came */
	for (uint32_t i = 0; i < 10; i++) {
		peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, rtp(p, 96, 0x2222, i, i / 2 * 3000, 1200), 1200);
		rig_pass(r, 15);
	}
	struct media_summary m = summary(r, &alice);
	assert_int_equal(m.sent[MEDIA_AUDIO].packets, 60);
	assert_int_equal(m.sent[MEDIA_AUDIO].bytes, 60 * 120);
	assert_int_equal(m.sent[MEDIA_AUDIO].lost, 3);
	assert_int_equal(m.sent[MEDIA_VIDEO].packets, 0);
	assert_int_equal(m.received[MEDIA_VIDEO].packets, 10);
	assert_int_equal(m.received[MEDIA_VIDEO].lost, 0);
	assert_int_equal(m.received[MEDIA_AUDIO].packets, 0);
	assert_true(m.one_way);
	peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, rtp(p, 111, 0x3333, 1, 960, 100), 100);
	assert_false(summary(r, &alice).one_way);
	assert_int_equal(stats_get(&r->relay->stats[0].media_packets[MEDIA_AUDIO]), 60);
	assert_int_equal(stats_get(&r->relay->stats[1].media_packets[MEDIA_VIDEO]), 10);
}

/* Both ends on this relay: what one sends the other receives, and both know. */
static void hairpin_counts_at_both_ends(void **state)
{
	struct rig *r = *state;
	uint8_t p[160];

	assert_int_equal(client_bind(r, &alice, 0x4002, RELAY_IP, bob.relayed), 0);
	assert_int_equal(client_bind(r, &bob, 0x4002, RELAY_IP, alice.relayed), 0);
	for (uint32_t i = 0; i < 5; i++)
		client_channel_data(r, &alice, 0x4002, rtp(p, 111, 0x1111, i, i * 960, 120), 120, 0);
	assert_int_equal(summary(r, &alice).sent[MEDIA_AUDIO].packets, 5);
	assert_int_equal(summary(r, &bob).received[MEDIA_AUDIO].packets, 5);
	assert_int_equal(summary(r, &bob).sent[MEDIA_AUDIO].packets, 0);
}

static void a_new_allocation_of_the_slot_begins_with_nothing(void **state)
{
	struct rig *r = *state;

	speak(r, 0, 5);
	for (unsigned i = 0; i < 200; i++) {
		struct client again = client_new(IPV4(8, 8, 1, 3), (uint16_t)(5000 + i), "carol", "");

		assert_int_equal(client_allocate(r, &again), 0);
		struct media_summary m = summary(r, &again);

		assert_false(media_any(&m));
		assert_int_equal(client_refresh(r, &again, 0), 0);
		rig_pass(r, 5);
	}
}

/* What a datagram of alice's with this TOS has when it leaves. */
static unsigned tos_after(struct rig *r, unsigned tos, const void *payload, size_t len)
{
	uint8_t frame[RIG_FRAME], data[4 + 1300], *ip = frame + ETH_LEN;

	be16_put(data, 0x4001);
	be16_put(data + 2, (uint16_t)len);
	memcpy(data + 4, payload, len);
	size_t size = rig_udp(frame, CLIENT_IP, 4000, RELAY_IP, TURN_PORT, data, 4 + len);
	ip[IP_TOS] = (uint8_t)tos;
	ne16_set(ip + IP_SUM, 0);
	ne16_set(ip + IP_SUM, (uint16_t)~sum_fold(sum_bytes(ip, IP_LEN)));
	rig_send(r, 0, frame, size);
	assert_int_equal(r->outs, 1);
	return r->out[0].bytes[ETH_LEN + IP_TOS];
}

static void dscp_by_kind(void **state)
{
	static const uint8_t stun[8] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
	struct rig *r = *state;
	uint8_t p[1300];

	assert_int_equal(tos_after(r, 0, rtp(p, 111, 0x1111, 1, 960, 120), 120), 0);
	policy_of(r)->dscp[MEDIA_AUDIO] = 46 << 2;
	policy_of(r)->dscp[MEDIA_VIDEO] = 36 << 2;
	assert_int_equal(tos_after(r, 0, rtp(p, 111, 0x1111, 2, 1920, 120), 120), 46 << 2);
	assert_int_equal(tos_after(r, 0, rtp(p, 96, 0x2222, 1, 3000, 1200), 1200), 36 << 2);
	/* STUN between the browsers is neither. */
	assert_int_equal(tos_after(r, 0, stun, sizeof(stun)), 0);
	/* What is marked keeps its mark, and ECN is kept in any case. */
	assert_int_equal(tos_after(r, 40 << 2 | 1, rtp(p, 111, 0x1111, 3, 2880, 120), 120), 40 << 2 | 1);
	assert_int_equal(tos_after(r, 2, rtp(p, 111, 0x1111, 4, 3840, 120), 120), 46 << 2 | 2);
}

static void limits_drop_video_first(void **state)
{
	struct rig *r = *state;
	uint8_t p[1300];

	policy_of(r)->allocation_rate = 50000; /* 400 kbit/s */
	for (uint32_t i = 0; i < 200; i++) {
		client_channel_data(r, &alice, 0x4001, rtp(p, 111, 0x1111, i, i * 960, 120), 120, 0);
		for (uint32_t k = 0; k < 2; k++) /* 960 kbit/s */
			client_channel_data(r, &alice, 0x4001, rtp(p, 96, 0x2222, 2 * i + k, i * 1800, 1200), 1200, 0);
		rig_pass(r, 20);
	}
	assert_int_equal(rig_drops(r, DROP_LIMIT_AUDIO), 0);
	assert_int_equal(rig_drops(r, DROP_LIMIT_OTHER), 0);
	uint64_t dropped = rig_drops(r, DROP_LIMIT_VIDEO);
	assert_true(dropped > 200 && dropped < 300);
	/* Without video there is room for all; far beyond the limit audio goes, too. */
	rig_pass(r, 1000);
	for (uint32_t i = 200; i < 1200; i++)
		client_channel_data(r, &alice, 0x4001, rtp(p, 111, 0x1111, i, i * 960, 120), 120, 0);
	assert_true(rig_drops(r, DROP_LIMIT_AUDIO) > 700);
	assert_int_equal(rig_drops(r, DROP_LIMIT_VIDEO), dropped);
}

/* Two allocations of one user share the user's limit; another user has one of their own. */
static void limits_of_a_user(void **state)
{
	struct rig *r = *state;
	struct client second = client_new(CLIENT_IP, 4001, "alice", "fedcba9876543210fedcba9876543210");
	const uint8_t data[1000] = { 0x16 };

	assert_int_equal(client_allocate(r, &second), 0);
	assert_int_equal(client_bind(r, &second, 0x4001, PEER_IP, 9000), 0);
	assert_int_equal(client_bind(r, &bob, 0x4001, PEER_IP, 9000), 0);
	policy_of(r)->user_rate = 100000;
	for (unsigned i = 0; i < 40; i++) {
		client_channel_data(r, &alice, 0x4001, data, sizeof(data), 0);
		client_channel_data(r, &second, 0x4001, data, sizeof(data), 0);
	}
	/* The bucket holds half a second. */
	assert_int_equal(rig_drops(r, DROP_LIMIT_OTHER), 30);
	for (unsigned i = 0; i < 50; i++)
		client_channel_data(r, &bob, 0x4001, data, sizeof(data), 0);
	assert_int_equal(rig_drops(r, DROP_LIMIT_OTHER), 30);
	/* The user's last allocation gone, the next one begins anew. */
	assert_int_equal(client_refresh(r, &alice, 0), 0);
	assert_int_equal(client_refresh(r, &second, 0), 0);
	assert_int_equal(client_allocate(r, &second), 0);
	assert_int_equal(client_bind(r, &second, 0x4001, PEER_IP, 9000), 0);
	for (unsigned i = 0; i < 50; i++)
		client_channel_data(r, &second, 0x4001, data, sizeof(data), 0);
	assert_int_equal(rig_drops(r, DROP_LIMIT_OTHER), 30);
}

/* What is left when an allocation has ended, however it ended. */
static void records_of_what_has_ended(void **state)
{
	struct rig *r = *state;
	struct media_record m;
	uint8_t p[160];

	speak(r, 0, 60);
	assert_false(records_take(r->relay->records, &m));
	assert_int_equal(client_refresh(r, &alice, 0), 0);
	assert_true(records_take(r->relay->records, &m));
	assert_str(str_of(m.username, m.username_len), alice.username);
	assert_int_equal(m.media.sent[MEDIA_AUDIO].packets, 60);
	assert_int_equal(m.media.received[MEDIA_AUDIO].packets, 0);
	assert_true(m.media.one_way);
	/* None for what had no media, or no call. */
	assert_int_equal(client_allocate(r, &alice), 0);
	assert_int_equal(client_refresh(r, &alice, 0), 0);
	assert_int_equal(client_bind(r, &bob, 0x4001, PEER_IP, 9000), 0);
	client_channel_data(r, &bob, 0x4001, rtp(p, 111, 0x1111, 1, 960, 120), 120, 0);
	assert_int_equal(client_refresh(r, &bob, 0), 0);
	assert_false(records_take(r->relay->records, &m));
	/* When nobody takes them the oldest are lost, and counted. */
	assert_int_equal(client_allocate(r, &alice), 0);
	assert_int_equal(client_bind(r, &alice, 0x4001, PEER_IP, 9000), 0);
	client_channel_data(r, &alice, 0x4001, rtp(p, 111, 0x1111, 1, 960, 120), 120, 0);
	const struct alloc *a = table_by_port(r->relay->table, 0, alice.relayed);
	for (unsigned i = 0; i < RECORDS_MAX + 5; i++)
		records_put(r->relay->records, a, NULL);
	assert_int_equal(r->relay->records->lost, 5);
	unsigned taken = 0;
	while (records_take(r->relay->records, &m))
		taken++;
	assert_int_equal(taken, RECORDS_MAX);
}

static void metrics_sum_up(void **state)
{
	struct rig *r = *state;
	struct buf out = buf_growing(1u << 20);

	speak(r, 0, 60);
	speak(r, 62, 1);
	media_stats_write(&out, r->relay, r->path[0].now_s);
	buf_char(&out, '\0');
	assert_non_null(strstr(out.p, "duplex_relay_media_streams{kind=\"audio\"} 1\n"));
	assert_non_null(strstr(out.p, "duplex_relay_media_stream_packets{kind=\"audio\"} 61\n"));
	assert_non_null(strstr(out.p, "duplex_relay_media_stream_lost{kind=\"audio\"} 2\n"));
	assert_non_null(strstr(out.p, "duplex_relay_media_stream_lost{kind=\"video\"} 0\n"));
	assert_non_null(strstr(out.p, "duplex_relay_one_way_audio 1\n"));
	buf_fini(&out);
}

static struct side_media side_of(struct rig *r, const char *user, struct str call)
{
	return call_media(r->relay->table, str_from(user), call, path_seconds(r->clock.mono_ms));
}

/* All that lives of one side of a call, and nothing else. */
static void media_of_one_call(void **state)
{
	struct rig *r = *state;
	struct str call = STR("0123456789abcdef0123456789abcdef");
	struct client more = client_new(IPV4(8, 8, 1, 4), 4000, "alice", call.p), other = client_new(IPV4(8, 8, 1, 5), 4000, "alice", "other");
	uint8_t p[160];

	struct side_media side = side_of(r, "alice", call);
	assert_int_equal(side.allocations, 1);
	assert_false(media_any(&side.media));
	speak(r, 0, 60);
	assert_int_equal(client_allocate(r, &more), 0);
	assert_int_equal(client_allocate(r, &other), 0);
	assert_int_equal(client_bind(r, &more, 0x4001, PEER_IP, 9001), 0);
	assert_int_equal(client_bind(r, &other, 0x4001, PEER_IP, 9002), 0);
	client_channel_data(r, &more, 0x4001, rtp(p, 111, 0x5555, 1, 960, 120), 120, 0);
	client_channel_data(r, &other, 0x4001, rtp(p, 111, 0x6666, 1, 960, 120), 120, 0);
	side = side_of(r, "alice", call);
	assert_int_equal(side.allocations, 2);
	assert_int_equal(side.media.sent[MEDIA_AUDIO].packets, 61);
	assert_true(side.media.one_way);
	peer_datagram(r, 1, PEER_IP, 9000, alice.relayed, rtp(p, 111, 0x3333, 1, 960, 100), 100);
	assert_false(side_of(r, "alice", call).media.one_way);

	assert_int_equal(side_of(r, "bob", call).allocations, 0);
	assert_int_equal(side_of(r, "alice", STR("")).allocations, 0);
	assert_int_equal(side_of(r, "nobody", call).allocations, 0);
	assert_int_equal(client_refresh(r, &alice, 0), 0);
	side = side_of(r, "alice", call);
	assert_int_equal(side.allocations, 1);
	assert_int_equal(side.media.sent[MEDIA_AUDIO].packets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_direction_has_its_figures, start, stop),
		cmocka_unit_test_setup_teardown(hairpin_counts_at_both_ends, start, stop),
		cmocka_unit_test_setup_teardown(a_new_allocation_of_the_slot_begins_with_nothing, start, stop),
		cmocka_unit_test_setup_teardown(dscp_by_kind, start, stop),
		cmocka_unit_test_setup_teardown(limits_drop_video_first, start, stop),
		cmocka_unit_test_setup_teardown(limits_of_a_user, start, stop),
		cmocka_unit_test_setup_teardown(records_of_what_has_ended, start, stop),
		cmocka_unit_test_setup_teardown(metrics_sum_up, start, stop),
		cmocka_unit_test_setup_teardown(media_of_one_call, start, stop),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
