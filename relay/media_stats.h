/* The media of all live allocations, summed up for the metrics; and of one, for lists and records. */
#ifndef DUPLEX_RELAY_MEDIA_STATS_H
#define DUPLEX_RELAY_MEDIA_STATS_H

#include "common/buf.h"
#include "relay/relay.h"

/* One direction of an allocation. */
struct media_direction {
	struct media_report audio, video;
};
struct media_summary {
	struct media_direction sent, received; /* by the client */
	bool one_way; /* audio */
};
/* May be called from any thread while the allocation lives. */
struct media_summary media_summary(const struct alloc *a);
bool media_any(const struct media_summary *m);

/* {"audio":{"packets":…,"bytes":…,"lost":…,"jitter_ms":…},"video":{…}} */
void media_direction_json(struct buf *b, const struct media_direction *d);
/* Prometheus text. */
void media_stats_write(struct buf *out, const struct relay *r, uint32_t now_s);

#endif
