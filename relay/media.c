#include "relay/media.h"

#define AUDIO_LIKE_BYTES 400u /* on average */

const char *const media_kind_names[MEDIA_KINDS] = { [MEDIA_OTHER] = "other", [MEDIA_AUDIO] = "audio", [MEDIA_VIDEO] = "video" };

static uint64_t get64(const _Atomic uint64_t *field)
{
	return atomic_load_explicit(field, memory_order_relaxed);
}

static void set64(_Atomic uint64_t *field, uint64_t v)
{
	atomic_store_explicit(field, v, memory_order_relaxed);
}

static int32_t missing_of(const struct media_stream *s)
{
	return atomic_load_explicit(&s->missing, memory_order_relaxed);
}

static void set_missing(struct media_stream *s, int32_t n)
{
	atomic_store_explicit(&s->missing, n, memory_order_relaxed);
}

static void set_range(struct media_stream *s, uint32_t before, uint32_t highest)
{
	set64(&s->range, (uint64_t)highest << 32 | before);
}

static uint32_t packets_of(const struct media_stream *s)
{
	return media_get(&s->others) + media_seen(s);
}

static void add_other(struct media_stream *s)
{
	media_set(&s->others, media_get(&s->others) + 1);
}

void media_reset(struct media_stream *s)
{
	media_set(&s->ssrc, 0);
	media_set(&s->others, 0);
	set64(&s->bytes, 0);
	set_range(s, 0, 0);
	set_missing(s, 0);
	media_set(&s->lost_before, 0);
	media_set(&s->transit, 0);
	media_set(&s->jitter, 0);
	media_set(&s->timestamp, 0);
	media_set(&s->last_ms, 0);
}

static bool is_stream(const struct media_stream *s, const struct rtp *rtp)
{
	return media_seen(s) > 0 && media_get(&s->ssrc) == rtp->ssrc;
}

/* A stream and its counts, out of the place it stands in. */
struct moved {
	uint32_t ssrc, packets, others, lost_before, timestamp, last_ms;
	int32_t missing;
	uint64_t bytes, range;
};

static struct moved take(struct media_stream *s)
{
	struct moved m = { .ssrc = media_get(&s->ssrc), .packets = packets_of(s), .others = media_get(&s->others),
			   .range = media_range(s), .missing = missing_of(s), .lost_before = media_get(&s->lost_before),
			   .timestamp = media_get(&s->timestamp), .last_ms = media_get(&s->last_ms), .bytes = get64(&s->bytes) };

	media_reset(s);
	return m;
}

/* What has been counted there already (probes) stays. The clock of the other kind is another, so jitter begins anew. */
static void place(struct media_stream *s, enum media_kind kind, const struct moved *m)
{
	media_set(&s->ssrc, m->ssrc);
	media_set(&s->others, packets_of(s) + m->others);
	set64(&s->bytes, get64(&s->bytes) + m->bytes);
	set_missing(s, m->missing);
	set64(&s->range, m->range);
	media_set(&s->lost_before, m->lost_before);
	media_set(&s->timestamp, m->timestamp);
	media_set(&s->last_ms, m->last_ms);
	media_set(&s->transit, m->last_ms * media_clock(kind) - m->timestamp);
	media_set(&s->jitter, 0);
}

/* The stream taken for audio is video. If what stands in the place of video looks like audio, the two change places; if it is video as well,
 * the new one is counted there and no more. */
static void make_video(struct media_stream *audio, struct media_stream *video)
{
	bool none = media_seen(video) == 0, small = !none && get64(&video->bytes) <= (uint64_t)packets_of(video) * AUDIO_LIKE_BYTES;
	struct moved was_audio = take(audio);

	if (small) {
		struct moved was_video = take(video);

		place(audio, MEDIA_AUDIO, &was_video);
	}
	if (none || small) {
		place(video, MEDIA_VIDEO, &was_audio);
		return;
	}
	media_set(&video->others, media_get(&video->others) + was_audio.packets);
	set64(&video->bytes, get64(&video->bytes) + was_audio.bytes);
}

static bool is_silent(const struct media_stream *s, uint32_t now_ms)
{
	return media_seen(s) == 0 || now_ms - media_get(&s->last_ms) >= MEDIA_SILENT_MS;
}

/* An unknown SSRC is audio only where it can be: while the audio stream itself lives it is a retransmission or probe of video. */
static enum media_kind kind_of(struct media_stream *audio, struct media_stream *video, const struct rtp *rtp, uint32_t len, uint32_t now_ms)
{
	bool large = len > MEDIA_VIDEO_BYTES, heard = is_stream(audio, rtp);
	/* The next packet with the timestamp of the one before: a frame in several packets. Repeated sequence numbers are duplicates. */
	bool frame = rtp->timestamp == media_get(&audio->timestamp) && (uint16_t)(rtp_sequence(rtp) - media_highest(audio)) == 1;

	/* Asked first: the video stream lies in another cache line, which audio alone never needs. */
	if (heard && !large && !frame)
		return MEDIA_AUDIO;
	if (is_stream(video, rtp))
		return MEDIA_VIDEO;
	if (!heard)
		return large || rtp_padded(rtp) || !is_silent(audio, now_ms) ? MEDIA_VIDEO : MEDIA_AUDIO;
	make_video(audio, video);
	return MEDIA_VIDEO;
}

static uint32_t lost_of(const struct media_stream *s)
{
	int32_t missing = missing_of(s);

	return missing > 0 ? (uint32_t)missing : 0;
}

/* The first packet of a stream. What was lost of the one before stays on the account. */
static void begin(struct media_stream *s, enum media_kind kind, const struct rtp *rtp, uint32_t now_ms)
{
	media_set(&s->lost_before, media_get(&s->lost_before) + lost_of(s));
	uint32_t packets = packets_of(s);

	/* In this order, so that whoever reads meanwhile sees fewer packets and never more. */
	set_range(s, rtp_sequence(rtp), rtp_sequence(rtp));
	set_missing(s, 0);
	media_set(&s->others, packets);
	if (media_get(&s->ssrc) != rtp->ssrc)
		media_set(&s->jitter, 0);
	media_set(&s->ssrc, rtp->ssrc);
	set_range(s, rtp_sequence(rtp) - 1u, rtp_sequence(rtp));
	media_set(&s->transit, now_ms * media_clock(kind) - rtp->timestamp * media_scale(kind, rtp_payload_type(rtp)));
	media_set(&s->timestamp, rtp->timestamp);
}

static void transit(struct media_stream *s, enum media_kind kind, const struct rtp *rtp, uint32_t now_ms)
{
	if (rtp->timestamp != media_get(&s->timestamp))
		media_transit(s, kind, rtp, now_ms);
}

static void count(struct media_stream *s, enum media_kind kind, const struct rtp *rtp, uint32_t len, uint32_t now_ms)
{
	bool same = is_stream(s, rtp);

	media_add_bytes(s, len);
	/* Retransmissions (RFC 4588) and probes have an SSRC of their own: while the stream itself lives they are counted, and no more. */
	if (!same && (rtp_padded(rtp) || !is_silent(s, now_ms))) {
		add_other(s);
		return;
	}
	media_set(&s->last_ms, now_ms);
	uint32_t highest = media_highest(s);
	int16_t step = (int16_t)(rtp_sequence(rtp) - (uint16_t)highest);
	if (!same || step > (int16_t)MEDIA_JUMP || step < -(int16_t)MEDIA_JUMP) {
		begin(s, kind, rtp, now_ms);
		return;
	}
	set_missing(s, missing_of(s) + (step > 0 ? step : 0) - 1);
	if (step > 0) {
		set64(&s->range, media_range(s) + ((uint64_t)(uint32_t)step << 32));
		transit(s, kind, rtp, now_ms);
	}
}

enum media_kind media_other_pass(struct media_stream *audio, struct media_stream *video, struct rtp rtp, uint32_t len, uint32_t now_ms)
{
	if (media_get(&audio->ssrc) != rtp.ssrc && media_is_next(video, &rtp)) {
		media_next(video, len, now_ms);
		transit(video, MEDIA_VIDEO, &rtp, now_ms);
		return MEDIA_VIDEO;
	}
	enum media_kind kind = kind_of(audio, video, &rtp, len, now_ms);

	count(kind == MEDIA_VIDEO ? video : audio, kind, &rtp, len, now_ms);
	return kind;
}

struct media_report media_report(const struct media_stream *s, enum media_kind kind)
{
	return (struct media_report){
		.packets = packets_of(s),
		.bytes = get64(&s->bytes),
		.lost = (uint64_t)media_get(&s->lost_before) + lost_of(s),
		.jitter_ms = (double)media_get(&s->jitter) / 16 / media_clock(kind),
	};
}

struct media_report media_sum(struct media_report a, struct media_report b)
{
	return (struct media_report){ .packets = a.packets + b.packets, .bytes = a.bytes + b.bytes, .lost = a.lost + b.lost,
				      .jitter_ms = MAX(a.jitter_ms, b.jitter_ms) };
}
