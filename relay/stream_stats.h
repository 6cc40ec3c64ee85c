/* What the stream thread counts, and why connections ended. */
#ifndef DUPLEX_RELAY_STREAM_STATS_H
#define DUPLEX_RELAY_STREAM_STATS_H

#include <stdatomic.h>

#include "common/buf.h"
#include "common/counter.h"

#define STREAM_CLOSES(X)                                                                        \
	X(STREAM_CLOSED_CLIENT, "client", "the client ended it, wholly or its sending half")    \
	X(STREAM_CLOSED_RESET, "reset", "reset, or the network gave up")                        \
	X(STREAM_CLOSED_TLS, "tls", "TLS handshake refused, or TLS broken later")               \
	X(STREAM_CLOSED_PROXY, "proxy", "no proper PROXY header where there must be one")       \
	X(STREAM_CLOSED_HTTP, "http", "HTTP on a TURN port")                                    \
	X(STREAM_CLOSED_TLS_PLAIN, "tls_on_plain", "TLS on a port without")                     \
	X(STREAM_CLOSED_GARBAGE, "garbage", "neither STUN nor channel data")                    \
	X(STREAM_CLOSED_HANDSHAKE, "handshake_timeout", "PROXY header or TLS handshake not complete in time") \
	X(STREAM_CLOSED_PARTIAL, "partial_timeout", "a message begun and not completed in time") \
	X(STREAM_CLOSED_IDLE, "idle", "no allocation for too long")                             \
	X(STREAM_CLOSED_TOTAL, "limit_total", "too many connections")                           \
	X(STREAM_CLOSED_ADDRESS, "limit_address", "too many connections of one address")        \
	X(STREAM_CLOSED_QUEUE, "queue", "answers that the client does not read, or no memory for them") \
	X(STREAM_CLOSED_STOP, "stop", "the relay ended")
COUNTER_ENUM(stream_close, STREAM_CLOSES, STREAM_CLOSE_COUNT);

/* One writer: the stream thread. */
struct stream_stats {
	_Alignas(64) _Atomic uint64_t connections; /* open now */
	_Atomic uint64_t accepted, accepted_tls;
	_Atomic uint64_t closed[STREAM_CLOSE_COUNT];
	_Atomic uint64_t messages_in, messages_out; /* cut out of streams and handed to workers; written whole */
	_Atomic uint64_t bytes_in, bytes_out;       /* as framed, inside TLS */
	_Atomic uint64_t queued_bytes;              /* now waiting for clients */
	_Atomic uint64_t stalls;                    /* times that reading paused: no room towards a worker, or answers unread */
	_Atomic uint64_t reloads;                   /* of certificates */
};

/* Prometheus text. */
void stream_stats_write(struct buf *out, const struct stream_stats *s);

#endif
