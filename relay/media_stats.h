/* The media of all live allocations, summed up for the metrics; and of one, for lists and records. */
#ifndef DUPLEX_RELAY_MEDIA_STATS_H
#define DUPLEX_RELAY_MEDIA_STATS_H

#include "common/buf.h"
#include "relay/relay.h"

/* {"audio":{"packets":…,"bytes":…,"lost":…,"jitter_ms":…},"video":{…}}: one direction of a summary. */
void media_direction_json(struct buf *b, const struct media_report kinds[MEDIA_KINDS]);
/* "sent":…,"received":…,"one_way_audio":…, without braces around it. */
void media_summary_json(struct buf *b, const struct media_summary *m);
/* Prometheus text. */
void media_stats_write(struct buf *out, const struct relay *r, uint32_t now_s);

#endif
