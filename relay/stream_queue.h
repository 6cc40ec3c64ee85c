/* What waits to be written to one client on a stream: whole messages in order. Media that has waited too long is worth
 * nothing to anybody, so the oldest goes first, video before audio; answers to requests are never dropped, because on a
 * stream nobody repeats a request (RFC 8489 §6.2.2). What has been begun is completed. */
#ifndef DUPLEX_RELAY_STREAM_QUEUE_H
#define DUPLEX_RELAY_STREAM_QUEUE_H

#include <sys/uio.h>

#include "common/base.h"

/* In the order in which they are given up when there is no room: the last first. */
enum stream_kind {
	STREAM_CONTROL, /* answers: never dropped */
	STREAM_AUDIO,
	STREAM_MEDIA,   /* other data: checks, handshakes, reports, data channels */
	STREAM_VIDEO,
	STREAM_KINDS,
};

struct queued;

/* The queue and what it may hold. All zero but the limits is an empty one. */
struct stream_queue {
	struct queued *first, *last;                                  /* owned: in the order of sending */
	struct queued *oldest[STREAM_KINDS], *newest[STREAM_KINDS];   /* the same by kind, what has been begun left out */
	uint32_t bytes;                                               /* of everything in the queue */
	uint32_t control_bytes;                                       /* of that, answers */
	uint32_t begun;                                               /* bytes of `first` that have been written */
	uint64_t *all_bytes;                                          /* borrowed: over all queues, memory included; NULL = not kept */
};

struct stream_limits {
	uint32_t bytes;     /* of one queue */
	uint32_t media_ms;  /* media that has waited longer is dropped; video after half the time, so that audio gets through a line too narrow for both */
	uint64_t all_bytes; /* over all queues */
};

/* What a call dropped, for the counters. */
struct stream_dropped {
	uint32_t late; /* had waited too long */
	uint32_t full; /* made room, or found none */
};

/* Copies a message (in two parts, the second may be padding) to the end. Media finds or makes room within the limits, or
 * is dropped itself; control is always taken. False if there is no memory: of control that means the connection must end. */
bool stream_queue_add(struct stream_queue *q, const struct stream_limits *l, enum stream_kind kind, const void *p, uint32_t len,
		      uint32_t padding, uint64_t now_ms, struct stream_dropped *dropped);
/* Drops media that has waited too long. */
void stream_queue_age(struct stream_queue *q, const struct stream_limits *l, uint64_t now_ms, struct stream_dropped *dropped);
/* What is to be written next: up to `max` parts and about `bytes` bytes. They stay in place until stream_queue_written. */
unsigned stream_queue_peek(const struct stream_queue *q, struct iovec *out, unsigned max, uint32_t bytes);
/* `bytes` of what peek showed have been written. `promised` more from there on must be written next and may not be dropped
 * (a TLS record under way; 0 = only the message that has been begun). Returns how many messages are complete. */
unsigned stream_queue_written(struct stream_queue *q, uint32_t bytes, uint32_t promised);
void stream_queue_clear(struct stream_queue *q);

static inline bool stream_queue_empty(const struct stream_queue *q)
{
	return q->first == NULL;
}

#endif
