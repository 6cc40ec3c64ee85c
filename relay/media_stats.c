#include "relay/media_stats.h"

#include <inttypes.h>

#include "common/metrics.h"

#define US_PER_MS 1000.0

static void report_json(struct buf *b, const char *name, const struct media_report *r)
{
	buf_printf(b, "\"%s\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"jitter_ms\":%.1f}", name, r->packets, r->bytes,
		   r->lost, r->jitter_ms);
}

void media_direction_json(struct buf *b, const struct media_report kinds[MEDIA_KINDS])
{
	buf_char(b, '{');
	report_json(b, "audio", &kinds[MEDIA_AUDIO]);
	buf_char(b, ',');
	report_json(b, "video", &kinds[MEDIA_VIDEO]);
	buf_char(b, '}');
}

void media_summary_json(struct buf *b, const struct media_summary *m)
{
	buf_z(b, "\"sent\":");
	media_direction_json(b, m->sent);
	buf_z(b, ",\"received\":");
	media_direction_json(b, m->received);
	buf_printf(b, ",\"one_way_audio\":%s", m->one_way ? "true" : "false");
}

struct sums {
	uint64_t streams, packets, lost;
	double jitter_ms;
};

static void add(struct sums *s, const struct media_report *r)
{
	if (r->packets == 0)
		return;
	s->streams++;
	s->packets += r->packets;
	s->lost += r->lost;
	s->jitter_ms += r->jitter_ms;
}

void media_stats_write(struct buf *out, const struct relay *r, uint32_t now_s)
{
	struct sums sums[MEDIA_KINDS] = { 0 };
	uint64_t one_way = 0;

	for (uint32_t i = 0; i < r->table->slot_count; i++) {
		const struct alloc *a = &r->table->slots[i];

		uint32_t other = atomic_load_explicit(&a->other, memory_order_relaxed);

		if (!alloc_alive(a, now_s) || atomic_load_explicit(&a->second, memory_order_relaxed))
			continue;
		struct media_summary m = media_summary(a, other != 0 ? &r->table->slots[other - 1] : NULL);
		for (unsigned k = MEDIA_AUDIO; k < MEDIA_KINDS; k++) {
			add(&sums[k], &m.sent[k]);
			add(&sums[k], &m.received[k]);
		}
		one_way += m.one_way;
	}
	metrics_head(out, "duplex_relay_media_streams", "gauge", "RTP streams of live allocations, each direction one");
	for (unsigned k = MEDIA_AUDIO; k < MEDIA_KINDS; k++)
		metrics_line(out, "duplex_relay_media_streams", "kind", media_kind_names[k], sums[k].streams);
	metrics_head(out, "duplex_relay_media_stream_packets", "gauge", "RTP packets of these streams so far");
	for (unsigned k = MEDIA_AUDIO; k < MEDIA_KINDS; k++)
		metrics_line(out, "duplex_relay_media_stream_packets", "kind", media_kind_names[k], sums[k].packets);
	metrics_head(out, "duplex_relay_media_stream_lost", "gauge", "Packets of these streams that never reached the relay");
	for (unsigned k = MEDIA_AUDIO; k < MEDIA_KINDS; k++)
		metrics_line(out, "duplex_relay_media_stream_lost", "kind", media_kind_names[k], sums[k].lost);
	metrics_head(out, "duplex_relay_media_jitter_microseconds", "gauge", "Mean jitter of these streams on arrival");
	for (unsigned k = MEDIA_AUDIO; k < MEDIA_KINDS; k++)
		metrics_line(out, "duplex_relay_media_jitter_microseconds", "kind", media_kind_names[k],
			     sums[k].streams > 0 ? (uint64_t)(sums[k].jitter_ms * US_PER_MS / (double)sums[k].streams) : 0);
	metrics_head(out, "duplex_relay_media_records_lost_total", "counter", "Records of calls that could not be kept until Redis took them");
	metrics_line(out, "duplex_relay_media_records_lost_total", NULL, NULL, stats_get(&r->records->lost));
	metrics_head(out, "duplex_relay_one_way_audio", "gauge", "Live allocations whose audio goes one way only");
	metrics_line(out, "duplex_relay_one_way_audio", NULL, NULL, one_way);
}
