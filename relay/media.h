/* What the relay knows of the media it carries without decrypting it: the header of an SRTP packet is in clear (RFC 3711 §3.1), so kind, loss
 * (RFC 3550 appendix A.3) and jitter (A.8) are read from it. One audio and one video stream for each direction of an allocation: those of a
 * call of two. All of it is written by the worker that carries the packet; readers elsewhere may see a packet more in one field than in
 * another. */
#ifndef DUPLEX_RELAY_MEDIA_H
#define DUPLEX_RELAY_MEDIA_H

#include <stdatomic.h>

#include "common/base.h"
#include "common/wire.h"

#define RTP_LEN 12u
#define MEDIA_VIDEO_BYTES 700u /* no audio packet of a call is as large */
#define MEDIA_SILENT_MS 1000u  /* a stream that was silent so long may be replaced by another SSRC */
#define MEDIA_JUMP 3000u       /* RFC 3550 A.1, MAX_DROPOUT: a larger step in sequence numbers begins anew */

enum media_kind {
	MEDIA_OTHER, /* STUN, DTLS, RTCP, anything else */
	MEDIA_AUDIO,
	MEDIA_VIDEO,
	MEDIA_KINDS
};

/* One RTP stream as it passed. */
struct media_stream {
	_Atomic uint32_t ssrc;
	_Atomic uint32_t others;         /* packets of this kind beside those of the present SSRC that are in its account */
	_Atomic uint64_t bytes;          /* of UDP payload, of all packets of this kind */
	_Atomic uint64_t range;          /* extended sequence numbers of the present SSRC (RFC 3550 A.1): its highest << 32 | that before its first */
	_Atomic int32_t missing;         /* of the numbers in between; below 0 where some came twice */
	_Atomic uint32_t lost_before;    /* of earlier SSRCs */
	_Atomic uint32_t transit, jitter; /* in units of the RTP clock, 8 kHz scaled to 48; jitter is 16 times as large */
	_Atomic uint32_t timestamp, last_ms;
};
static_assert(sizeof(struct media_stream) == 48, "shares a cache line with the counts of its direction");

/* The header of an RTP packet (RFC 3550 §5.1), its words in host order. */
struct rtp {
	uint32_t first, timestamp, ssrc;
};

static inline uint16_t rtp_sequence(const struct rtp *r)
{
	return (uint16_t)r->first;
}

static inline uint32_t rtp_payload_type(const struct rtp *r)
{
	return r->first >> 16 & 0x7f;
}

/* Probes for bandwidth are padding only; no audio packet has any. */
static inline bool rtp_padded(const struct rtp *r)
{
	return (r->first >> 29 & 1) != 0;
}

/* True if the payload is RTP by RFC 7983 §7 and RFC 5761 §4: first byte 128 to 191, and not the types of RTCP. */
static inline bool rtp_read(const uint8_t *p, uint32_t len, struct rtp *out)
{
	if (len < RTP_LEN)
		return false;
	*out = (struct rtp){ .first = be32_get(p), .timestamp = be32_get(p + 4), .ssrc = be32_get(p + 8) };
	return out->first >> 30 == 2 && (out->first >> 16 & 0xff) - 192u >= 32u;
}

static inline uint32_t media_get(const _Atomic uint32_t *field)
{
	return atomic_load_explicit(field, memory_order_relaxed);
}

static inline void media_set(_Atomic uint32_t *field, uint32_t v)
{
	atomic_store_explicit(field, v, memory_order_relaxed);
}

/* Units of the RTP clock in a millisecond: video, and Opus (RFC 7587 §4.1). The static payload types of RFC 3551 §6 have a clock of 8 kHz;
 * their timestamps are made six times as large. */
static inline uint32_t media_clock(enum media_kind kind)
{
	return kind == MEDIA_VIDEO ? 90 : 48;
}

static inline uint32_t media_scale(enum media_kind kind, uint32_t payload_type)
{
	return kind == MEDIA_AUDIO && payload_type < 20 ? 6 : 1;
}

static inline void media_add_bytes(struct media_stream *s, uint32_t len)
{
	atomic_store_explicit(&s->bytes, atomic_load_explicit(&s->bytes, memory_order_relaxed) + len, memory_order_relaxed);
}

static inline uint64_t media_range(const struct media_stream *s)
{
	return atomic_load_explicit(&s->range, memory_order_relaxed);
}

static inline uint32_t media_highest(const struct media_stream *s)
{
	return (uint32_t)(media_range(s) >> 32);
}

/* Packets of the present SSRC; 0 = there is none yet. So a packet that is just the next one needs one count. Who reads while the SSRC changes may
 * see fewer, and what it lost among them, but nothing else. */
static inline uint32_t media_seen(const struct media_stream *s)
{
	uint64_t range = media_range(s);
	int64_t n = (int64_t)(uint32_t)((uint32_t)(range >> 32) - (uint32_t)range) - atomic_load_explicit(&s->missing, memory_order_relaxed);

	return n > 0 ? (uint32_t)n : 0;
}

/* RFC 3550 A.8, with the estimate kept 16 times as large. Packets of one video frame have one timestamp and are sent one after the other: only
 * the first counts, so this is for packets whose timestamp is new. */
static inline void media_transit(struct media_stream *s, enum media_kind kind, const struct rtp *rtp, uint32_t now_ms)
{
	uint32_t timestamp = rtp->timestamp * media_scale(kind, rtp_payload_type(rtp));
	uint32_t transit = now_ms * media_clock(kind) - timestamp, jitter = media_get(&s->jitter);
	int32_t d = (int32_t)(transit - media_get(&s->transit));

	media_set(&s->transit, transit);
	media_set(&s->timestamp, rtp->timestamp);
	media_set(&s->jitter, jitter + (uint32_t)(d < 0 ? -d : d) - ((jitter + 8) >> 4));
}

/* For every packet that is not just the next of the audio stream that is known. The header by value: what the inlined way holds stays in registers. */
enum media_kind media_other_pass(struct media_stream *audio, struct media_stream *video, struct rtp rtp, uint32_t len, uint32_t now_ms);

/* Whether it is just the next packet of this stream. Never one of SSRC 0, which stands where there is no stream yet. */
static inline bool media_is_next(const struct media_stream *s, const struct rtp *rtp)
{
	return media_get(&s->ssrc) == rtp->ssrc && rtp->ssrc != 0 && (uint16_t)(rtp_sequence(rtp) - media_highest(s)) == 1;
}

static inline __attribute__((always_inline)) void media_next(struct media_stream *s, uint32_t len, uint32_t now_ms)
{
	media_add_bytes(s, len);
	media_set(&s->last_ms, now_ms);
	atomic_store_explicit(&s->range, media_range(s) + (UINT64_C(1) << 32), memory_order_relaxed);
}

/* One RTP packet of `len` bytes that passes at now_ms: says what it is, and counts it in the stream it belongs to. A stream is audio or video
 * by what its packets look like; one taken for audio that turns out to be video (large, or several packets of one timestamp) changes place,
 * and its counts with it. */
static inline __attribute__((always_inline)) enum media_kind media_pass_rtp(struct media_stream *audio, struct media_stream *video,
									    const struct rtp *rtp, uint32_t len, uint32_t now_ms)
{
	if (!media_is_next(audio, rtp) || len > MEDIA_VIDEO_BYTES || rtp->timestamp == media_get(&audio->timestamp))
		return media_other_pass(audio, video, *rtp, len, now_ms);
	media_next(audio, len, now_ms);
	media_transit(audio, MEDIA_AUDIO, rtp, now_ms);
	return MEDIA_AUDIO;
}

/* The same for any UDP payload; MEDIA_OTHER if it is not RTP, else *rtp is its header. */
static inline __attribute__((always_inline)) enum media_kind media_pass(struct media_stream *audio, struct media_stream *video,
									const uint8_t *p, uint32_t len, uint32_t now_ms, struct rtp *rtp)
{
	return rtp_read(p, len, rtp) ? media_pass_rtp(audio, video, rtp, len, now_ms) : MEDIA_OTHER;
}

/* A new allocation begins with nothing. */
void media_reset(struct media_stream *s);

/* For reports. */
struct media_report {
	uint64_t packets, bytes;
	uint64_t lost;      /* that never came, or have not come yet */
	double jitter_ms;
};
struct media_report media_report(const struct media_stream *s, enum media_kind kind);

/* Of two streams of one kind and direction, as the halves of a dual allocation have them: counts added, the larger jitter. */
struct media_report media_sum(struct media_report a, struct media_report b);

/* Audio that goes one way only: a second of it at least one way, nothing the other. */
#define MEDIA_ONE_WAY_PACKETS 50u
static inline bool media_one_way(uint64_t audio_there, uint64_t audio_back)
{
	return (audio_there >= MEDIA_ONE_WAY_PACKETS && audio_back == 0) || (audio_back >= MEDIA_ONE_WAY_PACKETS && audio_there == 0);
}

extern const char *const media_kind_names[MEDIA_KINDS];

#endif
