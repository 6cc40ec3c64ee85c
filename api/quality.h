/* How the media of one side of a call went, by what the relays measured: added up over the allocations of that side. */
#ifndef DUPLEX_API_QUALITY_H
#define DUPLEX_API_QUALITY_H

#include <jansson.h>

#include "common/rds.h"

enum quality_kind {
	QUALITY_AUDIO,
	QUALITY_VIDEO,
	QUALITY_KINDS,
};

struct quality_stream {
	uint64_t packets, bytes, lost;
	double jitter_ms;
};

struct quality {
	struct quality_stream sent[QUALITY_KINDS], received[QUALITY_KINDS]; /* by the user */
	bool one_way; /* audio */
	bool known;   /* something was measured */
};

/* From the hash media:{u}:CALL: what the relays wrote when allocations ended. */
struct quality quality_of_ended(const struct redisReply *hash);
/* Adds what one relay says of the allocations that live (common/events.h). Their jitter and one-way audio are newer, so they replace those of the
 * ended. What is missing or of another type counts as nothing. Returns the number of allocations. */
uint64_t quality_add_living(struct quality *q, const json_t *side);
/* {sent, received, one_way_audio}, null for what nobody measured; streams without packets are null. */
json_t *quality_json(const struct quality *q);

#endif
