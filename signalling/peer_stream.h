/* A SIP byte stream between workers (RFC 3261 §18.3), one direction of use: what we connect we write, what we accept we read. */
#ifndef DUPLEX_SIGNALLING_PEER_STREAM_H
#define DUPLEX_SIGNALLING_PEER_STREAM_H

#include "common/buf.h"
#include "common/loop.h"
#include "signalling/peer.h"

struct peer_stream {
	struct worker *w;
	struct loop_fd lf;
	struct list node;    /* accepted ones: on peers.in */
	struct buf in;       /* a message that has not come whole */
	struct buf out;      /* what the socket did not take */
	size_t out_done, out_max;
	struct loop_job *broken; /* borrowed: queued when the stream breaks, but not by peer_stream_close; may be NULL */
};

/* A closed stream, in memory of the caller's; `out_max`: bytes that may wait. */
void peer_stream_init(struct peer_stream *s, struct worker *w, size_t out_max);
/* It has a socket; that it works is known when it is used. */
bool peer_stream_open(const struct peer_stream *s);
/* ERR_CLOSED if nobody listens. */
enum err peer_stream_connect(struct peer_stream *s, const char *path);
/* Takes over `fd`; the stream frees itself when the other side closes. NULL (and fd closed) if that fails. */
struct peer_stream *peer_stream_accept(struct worker *w, int fd);
/* What waits is lost. The stream can be connected again. */
void peer_stream_close(struct peer_stream *s);
/* Of an accepted one. */
void peer_stream_free(struct peer_stream *s);
/* ERR_FULL when too much waits; ERR_CLOSED. */
enum err peer_stream_send(struct peer_stream *s, struct str bytes);

#endif
