/* The queue towards a client on a stream: what is given up first, what never is, and that begun things are completed. */
#include "relay/stream_queue.h"

#include "tests/lib/cm.h"

/* Any numbers, the same each time. */
static int next_random(void)
{
	static uint32_t x = 1;

	x = x * 1664525 + 1013904223;
	return (int)(x >> 8);
}

static uint64_t all;
static struct stream_queue q;
static struct stream_dropped dropped;
static const struct stream_limits limits = { .bytes = 1000, .media_ms = 200, .all_bytes = 1000000 };

static int set_up(void **state)
{
	(void)state;
	q = (struct stream_queue){ .all_bytes = &all };
	dropped = (struct stream_dropped){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stream_queue_clear(&q);
	assert_true(stream_queue_empty(&q));
	assert_int_equal(q.bytes, 0);
	assert_int_equal(q.control_bytes, 0);
	assert_int_equal(all, 0);
	return 0;
}

static void add(enum stream_kind kind, char name, uint32_t len, uint64_t now_ms)
{
	char text[2048];

	memset(text, name, sizeof(text));
	assert_true(stream_queue_add(&q, &limits, kind, text, len, -len & 3, now_ms, &dropped));
}

/* The first letter of each message that would be written, in order. */
static const char *order(void)
{
	static char text[64];
	struct iovec v[60];
	unsigned n = stream_queue_peek(&q, v, ARRAY_LEN(v), UINT32_MAX);

	for (unsigned i = 0; i < n; i++)
		text[i] = *(char *)v[i].iov_base;
	text[n] = '\0';
	return text;
}

static void in_order_with_padding(void **state)
{
	struct iovec v[4];

	(void)state;
	add(STREAM_MEDIA, 'a', 5, 0);
	add(STREAM_CONTROL, 'b', 4, 0);
	add(STREAM_VIDEO, 'c', 7, 0);
	assert_string_equal(order(), "abc");
	assert_int_equal(stream_queue_peek(&q, v, 4, 10), 2);
	assert_int_equal(v[0].iov_len, 8);
	assert_memory_equal(v[0].iov_base, "aaaaa\0\0\0", 8);
	assert_int_equal(v[1].iov_len, 2);
	assert_int_equal(stream_queue_written(&q, 10, 0), 1);
	assert_int_equal(stream_queue_peek(&q, v, 4, 100), 2);
	assert_int_equal(v[0].iov_len, 2);
	assert_int_equal(stream_queue_written(&q, 10, 0), 2);
	assert_true(stream_queue_empty(&q));
}

static void old_media_goes(void **state)
{
	(void)state;
	add(STREAM_MEDIA, 'a', 8, 0);
	add(STREAM_CONTROL, 'b', 8, 10);
	add(STREAM_AUDIO, 'c', 8, 20);
	add(STREAM_VIDEO, 'd', 8, 150);
	stream_queue_age(&q, &limits, 200, &dropped);
	assert_string_equal(order(), "abcd");
	stream_queue_age(&q, &limits, 201, &dropped);
	assert_string_equal(order(), "bcd");
	stream_queue_age(&q, &limits, 221, &dropped);
	assert_string_equal(order(), "bd");
	/* Adding ages as well, and control stays for ever. */
	add(STREAM_AUDIO, 'e', 8, 10000);
	assert_string_equal(order(), "be");
	assert_int_equal(dropped.late, 3);
	assert_int_equal(dropped.full, 0);
}

static void video_before_audio(void **state)
{
	(void)state;
	add(STREAM_AUDIO, 'a', 200, 0);
	add(STREAM_VIDEO, 'v', 200, 1);
	add(STREAM_MEDIA, 'm', 200, 2);
	add(STREAM_VIDEO, 'w', 200, 3);
	add(STREAM_AUDIO, 'b', 200, 4);
	add(STREAM_AUDIO, 'c', 200, 5); /* full: the oldest video goes */
	assert_string_equal(order(), "amwbc");
	add(STREAM_AUDIO, 'd', 400, 6); /* the other video, then what may be anything */
	assert_string_equal(order(), "abcd");
	add(STREAM_VIDEO, 'x', 400, 7); /* no audio goes for video */
	assert_string_equal(order(), "abcd");
	add(STREAM_AUDIO, 'e', 200, 8); /* audio for audio: the oldest */
	assert_string_equal(order(), "bcde");
	assert_int_equal(dropped.full, 5);
	assert_int_equal(dropped.late, 0);
}

/* A line of 60 kB/s, audio of 8 kB/s and video of 200 kB/s: the audio comes, all of it and soon; the video gives way. */
static void audio_through_a_narrow_line(void **state)
{
	const struct stream_limits wide = { .bytes = 262144, .media_ms = 200, .all_bytes = 1000000 };
	unsigned audio_in = 0, audio_out = 0, video_in = 0, video_out = 0, budget = 0;
	struct iovec v;

	(void)state;
	for (uint64_t ms = 0; ms < 20000; ms += 5) {
		uint8_t m[1000] = { 0 };

		memcpy(m + 1, &ms, sizeof(ms));
		if (ms < 19000) {
			m[0] = STREAM_VIDEO;
			assert_true(stream_queue_add(&q, &wide, STREAM_VIDEO, m, sizeof(m), 0, ms, &dropped));
			video_in++;
		}
		if (ms % 20 == 0 && ms < 19000) {
			m[0] = STREAM_AUDIO;
			assert_true(stream_queue_add(&q, &wide, STREAM_AUDIO, m, 160, 0, ms, &dropped));
			audio_in++;
		}
		stream_queue_age(&q, &wide, ms, &dropped);
		for (budget += 300; stream_queue_peek(&q, &v, 1, UINT32_MAX) == 1 && v.iov_len <= budget; budget -= (unsigned)v.iov_len) {
			uint64_t sent;

			memcpy(&sent, (uint8_t *)v.iov_base + 1, sizeof(sent));
			assert_true(ms - sent <= 120);
			audio_out += *(uint8_t *)v.iov_base == STREAM_AUDIO;
			video_out += *(uint8_t *)v.iov_base == STREAM_VIDEO;
			unsigned len = (unsigned)v.iov_len;
			assert_int_equal(stream_queue_written(&q, len, 0), 1);
			v.iov_len = len;
		}
		budget = MIN(budget, 1000u);
	}
	assert_int_equal(audio_out, audio_in);
	assert_in_range(video_out, video_in / 5, video_in / 3);
	assert_int_equal(video_in - video_out, dropped.late);
	assert_int_equal(dropped.full, 0);
}

static void answers_always(void **state)
{
	(void)state;
	add(STREAM_AUDIO, 'a', 1000, 0);
	for (unsigned i = 0; i < 10; i++)
		add(STREAM_CONTROL, 'c', 200, 1);
	assert_string_equal(order(), "acccccccccc");
	assert_int_equal(q.control_bytes, 2000);
	add(STREAM_AUDIO, 'b', 8, 2); /* no room, and none to be made */
	assert_string_equal(order(), "cccccccccc");
	assert_int_equal(dropped.full, 2);
}

static void begun_is_completed(void **state)
{
	(void)state;
	add(STREAM_VIDEO, 'a', 100, 0);
	add(STREAM_VIDEO, 'b', 100, 0);
	add(STREAM_VIDEO, 'c', 100, 0);
	assert_int_equal(stream_queue_written(&q, 40, 0), 0);
	stream_queue_age(&q, &limits, 1000, &dropped);
	assert_string_equal(order(), "a");
	assert_int_equal(q.bytes, 100);
	assert_int_equal(stream_queue_written(&q, 60, 0), 1);

	/* A TLS record over one and a half messages is under way: both stay, the third goes. */
	add(STREAM_VIDEO, 'd', 100, 2000);
	add(STREAM_AUDIO, 'e', 100, 2000);
	add(STREAM_VIDEO, 'f', 100, 2000);
	assert_int_equal(stream_queue_written(&q, 0, 150), 0);
	stream_queue_age(&q, &limits, 3000, &dropped);
	assert_string_equal(order(), "de");
	add(STREAM_AUDIO, 'g', 900, 3000); /* and they are no room to be made */
	assert_string_equal(order(), "de");
	assert_int_equal(stream_queue_written(&q, 150, 0), 1);
	assert_int_equal(stream_queue_written(&q, 50, 0), 1);
	assert_true(stream_queue_empty(&q));
}

static void bounded_over_all(void **state)
{
	struct stream_limits tight = { .bytes = 1000, .media_ms = 200, .all_bytes = 300 };
	struct stream_queue other = { .all_bytes = &all };

	(void)state;
	assert_true(stream_queue_add(&other, &tight, STREAM_MEDIA, "aaaa", 4, 0, 0, &dropped));
	for (unsigned i = 0; i < 100; i++)
		assert_true(stream_queue_add(&q, &tight, STREAM_MEDIA, "bbbb", 4, 0, 0, &dropped));
	assert_in_range(all, 100, 300);
	assert_in_range(dropped.full, 90, 99);
	assert_int_equal(other.bytes, 4); /* no queue takes from another */
	stream_queue_clear(&other);
}

/* Against a plain model: whatever happens, answers arrive all and in order, and what arrives is in order. */
static void at_random(void **state)
{
	uint32_t next = 1, control_in = 0, control_out = 0, last = 0, added = 0, complete = 0;
	uint64_t now = 0;

	(void)state;
	for (unsigned step = 0; step < 20000; step++) {
		int what = next_random() % 8;

		now += (uint64_t)(next_random() % 4);
		if (what < 5) {
			enum stream_kind kind = (enum stream_kind)(next_random() % STREAM_KINDS);
			uint32_t m[64] = { next++, kind };

			control_in += kind == STREAM_CONTROL;
			added++;
			assert_true(stream_queue_add(&q, &limits, kind, m, 8 + 4 * (uint32_t)(next_random() % 60), 0, now, &dropped));
		} else {
			struct iovec v[8];
			unsigned n = stream_queue_peek(&q, v, 8, 1 + (uint32_t)next_random() % 400);
			uint32_t whole = 0;

			/* Only whole messages, so that the model can read them here. */
			if (n > 0 && q.begun == 0) {
				uint32_t m[2];

				memcpy(m, v[0].iov_base, v[0].iov_len >= 8 ? 8 : 0);
				if (v[0].iov_len >= 8) {
					assert_true(m[0] > last);
					last = m[0];
					control_out += m[1] == STREAM_CONTROL;
					struct iovec one;
					(void)stream_queue_peek(&q, &one, 1, UINT32_MAX);
					whole = (uint32_t)one.iov_len;
				}
			}
			if (whole > 4 && what == 7) { /* in two steps, time passing between */
				complete += stream_queue_written(&q, 4, 0);
				now += 500;
				stream_queue_age(&q, &limits, now, &dropped);
				complete += stream_queue_written(&q, whole - 4, 0);
			} else {
				complete += stream_queue_written(&q, whole, 0);
			}
		}
	}
	while (!stream_queue_empty(&q)) {
		struct iovec one;
		uint32_t m[2];

		(void)stream_queue_peek(&q, &one, 1, UINT32_MAX);
		memcpy(m, one.iov_base, sizeof(m));
		control_out += m[1] == STREAM_CONTROL;
		complete += stream_queue_written(&q, (uint32_t)one.iov_len, 0);
	}
	assert_int_equal(control_out, control_in);
	assert_int_equal(complete + dropped.late + dropped.full, added);
	assert_in_range(dropped.late, 100, added);
	assert_in_range(dropped.full, 100, added);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(in_order_with_padding), TEST(old_media_goes),   TEST(video_before_audio), TEST(audio_through_a_narrow_line), TEST(answers_always),
		TEST(begun_is_completed),    TEST(bounded_over_all), TEST(at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
