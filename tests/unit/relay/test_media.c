/* relay/media and relay/bandwidth: kinds, loss, jitter, one-way audio, and who gives way. */
#include "relay/media.h"

#include "relay/bandwidth.h"
#include "tests/lib/cm.h"

static struct media_stream audio, video;
static uint32_t now_ms;

static int fresh(UNUSED void **state)
{
	media_reset(&audio);
	media_reset(&video);
	now_ms = 1000000;
	return 0;
}

static uint32_t packets(const struct media_stream *s)
{
	return (uint32_t)media_report(s, MEDIA_AUDIO).packets;
}

static struct rtp packet(uint32_t ssrc, uint32_t sequence, uint32_t timestamp)
{
	return (struct rtp){ .first = 2u << 30 | 111u << 16 | (uint16_t)sequence, .timestamp = timestamp, .ssrc = ssrc };
}

static enum media_kind pass(const struct rtp *rtp, uint32_t len)
{
	uint8_t p[RTP_LEN];

	be32_put(p, rtp->first);
	be32_put(p + 4, rtp->timestamp);
	be32_put(p + 8, rtp->ssrc);
	struct rtp read;

	return media_pass(&audio, &video, p, len, now_ms, &read);
}

/* Opus: a packet each 20 ms. */
static void speak(uint32_t ssrc, uint32_t from, uint32_t count)
{
	for (uint32_t i = from; i < from + count; i++, now_ms += 20) {
		struct rtp rtp = packet(ssrc, i, i * 960);

		assert_int_equal(pass(&rtp, 120), MEDIA_AUDIO);
	}
}

static void what_is_rtp(UNUSED void **state)
{
	struct rtp rtp;
	uint8_t p[12] = { 0x80, 111, 1, 2, 0, 0, 3, 4, 5, 6, 7, 8 };

	assert_true(rtp_read(p, 12, &rtp));
	assert_int_equal(rtp_sequence(&rtp), 0x102);
	assert_int_equal(rtp.timestamp, 0x304);
	assert_int_equal(rtp.ssrc, 0x5060708);
	assert_int_equal(rtp_payload_type(&rtp), 111);
	p[1] |= 0x80; /* marker */
	assert_true(rtp_read(p, 12, &rtp));
	assert_int_equal(rtp_payload_type(&rtp), 111);
	assert_false(rtp_read(p, 11, &rtp));
	for (unsigned type = 192; type < 224; type++) {
		p[1] = (uint8_t)type; /* RTCP */
		assert_false(rtp_read(p, 12, &rtp));
	}
	p[1] = 111;
	for (unsigned first = 0; first < 256; first++) {
		p[0] = (uint8_t)first;
		assert_int_equal(rtp_read(p, 12, &rtp), first >= 128 && first <= 191);
	}
}

static void loss_by_sequence_numbers(UNUSED void **state)
{
	speak(7, 65530, 3); /* 65530 to 65532 */
	speak(7, 65536 + 2, 4); /* 65533 to 1 of the next cycle missing: 5 */
	assert_int_equal(media_report(&audio, MEDIA_AUDIO).lost, 5);
	/* One of them comes late. */
	struct rtp late = packet(7, 65535, 65535 * 960);
	assert_int_equal(pass(&late, 120), MEDIA_AUDIO);
	struct media_report r = media_report(&audio, MEDIA_AUDIO);
	assert_int_equal(r.lost, 4);
	assert_int_equal(r.packets, 8);
	assert_int_equal(r.bytes, 8 * 120);
}

static void a_new_stream_keeps_what_the_old_one_lost(UNUSED void **state)
{
	speak(7, 100, 10);
	speak(7, 112, 10);
	now_ms += 2000;
	speak(8, 40000, 10);
	assert_int_equal(media_report(&audio, MEDIA_AUDIO).lost, 2);
	assert_int_equal(media_report(&audio, MEDIA_AUDIO).packets, 30);
	/* A jump is a restart, not a loss. */
	speak(8, 50000, 10);
	assert_int_equal(media_report(&audio, MEDIA_AUDIO).lost, 2);
}

static void jitter_is_that_of_the_rfc(UNUSED void **state)
{
	speak(7, 0, 200);
	assert_true(media_report(&audio, MEDIA_AUDIO).jitter_ms < 0.01);
	/* Alternately 10 ms early and late: |D| is 20 ms each time, to which the estimate converges. */
	for (uint32_t i = 200; i < 600; i++, now_ms += i % 2 == 0 ? 40 : 0) {
		struct rtp rtp = packet(7, i, i * 960);

		(void)pass(&rtp, 120);
	}
	double jitter = media_report(&audio, MEDIA_AUDIO).jitter_ms;
	assert_true(jitter > 19 && jitter < 21);
}

/* G.711: 160 units of 8 kHz in 20 ms, 5 ms early and late in turn. */
static void jitter_of_a_clock_of_8_khz(UNUSED void **state)
{
	for (uint32_t i = 0; i < 400; i++, now_ms += i % 2 == 0 ? 25 : 15) {
		struct rtp rtp = { .first = 2u << 30 | 8u << 16 | (uint16_t)i, .timestamp = i * 160, .ssrc = 5 };

		assert_int_equal(pass(&rtp, 172), MEDIA_AUDIO);
	}
	double jitter = media_report(&audio, MEDIA_AUDIO).jitter_ms;
	assert_true(jitter > 4.5 && jitter < 5.5);
}

static void video_by_size_or_by_frames(UNUSED void **state)
{
	struct rtp first = packet(9, 1, 3000), second = packet(9, 2, 3000);

	/* Small packets of one timestamp: taken for audio first, then all of it is video. */
	assert_int_equal(pass(&first, 300), MEDIA_AUDIO);
	assert_int_equal(pass(&second, 300), MEDIA_VIDEO);
	assert_int_equal(packets(&audio), 0);
	assert_int_equal(packets(&video), 2);
	speak(7, 0, 5);
	assert_int_equal(packets(&audio), 5);
	/* Retransmissions of another SSRC are counted as video and disturb nothing. */
	struct rtp again = packet(10, 40, 3000), third = packet(9, 3, 6000);
	assert_int_equal(pass(&again, 1200), MEDIA_VIDEO);
	assert_int_equal(pass(&third, 200), MEDIA_VIDEO);
	assert_int_equal(media_report(&video, MEDIA_VIDEO).lost, 0);
	assert_int_equal(media_report(&video, MEDIA_VIDEO).packets, 4);
	/* A duplicate is no frame. */
	struct rtp twin = packet(7, 4, 4 * 960);
	assert_int_equal(pass(&twin, 120), MEDIA_AUDIO);
}

/* SSRC 0 is one like any other, and number 1 of it a beginning, not a continuation. */
static void ssrc_of_zero(UNUSED void **state)
{
	now_ms = 5000;
	for (uint32_t i = 1; i <= 50; i++) {
		struct rtp rtp = packet(0, i, i * 960);

		assert_int_equal(pass(&rtp, 120), MEDIA_AUDIO);
		now_ms += 20;
	}
	assert_int_equal(packets(&audio), 50);
	assert_int_equal(media_report(&audio, MEDIA_AUDIO).lost, 0);
	assert_true(media_report(&audio, MEDIA_AUDIO).jitter_ms < 1);
}

/* As a browser begins: probes of padding before anything else, then the first, small packet of video, then audio, then the picture. */
static void the_first_packets_of_a_call(UNUSED void **state)
{
	uint8_t probe[230] = { 0xa0, 97 }, small[300] = { 0x80, 96 };
	struct rtp rtp;

	for (uint32_t i = 0; i < 8; i++) {
		be16_put(probe + 2, (uint16_t)(9000 + 3 * i));
		be32_put(probe + 4, 0x12345678 + i * 1000000);
		be32_put(probe + 8, 10);
		assert_int_equal(media_pass(&audio, &video, probe, sizeof(probe), now_ms++, &rtp), MEDIA_VIDEO);
	}
	be32_put(small + 8, 9);
	assert_int_equal(media_pass(&audio, &video, small, sizeof(small), now_ms, &rtp), MEDIA_AUDIO);
	struct rtp first = packet(7, 1, 960), second = packet(7, 2, 1920), picture = packet(9, 1, 3000);
	assert_int_equal(pass(&first, 120), MEDIA_VIDEO); /* not known better yet */
	now_ms += 20;
	assert_int_equal(pass(&picture, 1200), MEDIA_VIDEO);
	assert_int_equal(pass(&second, 120), MEDIA_AUDIO);
	speak(7, 3, 50);
	struct media_report a = media_report(&audio, MEDIA_AUDIO), v = media_report(&video, MEDIA_VIDEO);
	assert_int_equal(a.packets, 52 + 8);
	assert_int_equal(a.lost, 0);
	assert_true(a.jitter_ms < 1);
	assert_int_equal(v.packets, 2);
	assert_int_equal(v.lost, 0);
}

static void one_way(UNUSED void **state)
{
	struct media_stream back;

	media_reset(&back);
	assert_false(media_one_way(packets(&audio), packets(&back)));
	speak(7, 0, 49);
	assert_false(media_one_way(packets(&audio), packets(&back)));
	speak(7, 49, 1);
	assert_true(media_one_way(packets(&audio), packets(&back)));
	assert_true(media_one_way(packets(&back), packets(&audio)));
	back.others = 1;
	assert_false(media_one_way(packets(&audio), packets(&back)));
}

/* 1 Mbit/s offered as 30 kbit/s of audio and 1.5 Mbit/s of video. */
static void video_gives_way_before_audio(UNUSED void **state)
{
	bucket b = 0;
	unsigned heard = 0, seen = 0, sent = 0;
	uint64_t bytes = 0;
	const uint32_t rate = 125000;

	for (uint32_t ms = 1000000; ms < 1010000; ms++) {
		if (ms % 20 == 0 && bandwidth_take(&b, rate, MEDIA_AUDIO, 75, ms)) {
			heard++;
			bytes += 75;
		}
		if (ms % 5 == 0) {
			sent++;
			if (bandwidth_take(&b, rate, MEDIA_VIDEO, 938, ms)) {
				seen++;
				bytes += 938;
			}
		}
	}
	assert_int_equal(heard, 500);
	assert_true(seen > sent / 2 && seen < sent * 3 / 4);
	assert_true(bytes > 1200000 && bytes < 1320000);
}

static void a_limit_holds_for_audio_too(UNUSED void **state)
{
	bucket b = 0;
	uint64_t bytes = 0;

	for (uint32_t ms = 0; ms < 10000; ms++) {
		if (bandwidth_take(&b, 10000, MEDIA_AUDIO, 100, ms))
			bytes += 100;
	}
	/* Ten seconds and the bucket at the start. */
	assert_true(bytes >= 120000 && bytes <= 124200);
	assert_true(bandwidth_take(&b, 0, MEDIA_VIDEO, 1000000, 10000));
	/* A clock that is behind gives nothing. */
	while (bandwidth_take(&b, 10000, MEDIA_AUDIO, 100, 20000))
		;
	assert_false(bandwidth_take(&b, 10000, MEDIA_AUDIO, 100, 19990));
	assert_true(bandwidth_take(&b, 10000, MEDIA_AUDIO, 100, 20010));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_rtp, fresh),
		cmocka_unit_test_setup(loss_by_sequence_numbers, fresh), cmocka_unit_test_setup(ssrc_of_zero, fresh),
		cmocka_unit_test_setup(a_new_stream_keeps_what_the_old_one_lost, fresh),
		cmocka_unit_test_setup(jitter_is_that_of_the_rfc, fresh),
		cmocka_unit_test_setup(jitter_of_a_clock_of_8_khz, fresh),
		cmocka_unit_test_setup(video_by_size_or_by_frames, fresh),
		cmocka_unit_test_setup(the_first_packets_of_a_call, fresh),
		cmocka_unit_test_setup(one_way, fresh),
		cmocka_unit_test_setup(video_gives_way_before_audio, fresh),
		cmocka_unit_test_setup(a_limit_holds_for_audio_too, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
