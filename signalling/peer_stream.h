/* A SIP byte stream between workers (RFC 3261 §18.3): a unix socket within a node, TCP with mutual TLS between nodes. We write on what we have connected and
 * read what we have accepted; on TLS both ways are open, so that two nodes of which only one can reach the other still talk.
 *
 * Who speaks on a stream is proven, and stays the same for its whole life: by the mode of the socket and the uid of the process within the node, by
 * the node's certificate between nodes.
 *
 * TLS streams are kept up: who connected sends CRLF CRLF every 1.5 s, which the other side answers with CRLF (RFC 5626 §4.4.1); after three without a sign of
 * life the stream has broken, sooner if the kernel gives up on what it has sent (TCP_USER_TIMEOUT). */
#ifndef DUPLEX_SIGNALLING_PEER_STREAM_H
#define DUPLEX_SIGNALLING_PEER_STREAM_H

#include "common/buf.h"
#include "common/loop.h"
#include "signalling/peer.h"
#include "signalling/peer_address.h"
#include "signalling/peer_tls.h"

enum peer_stream_state { PEER_CLOSED, PEER_CONNECTING, PEER_HANDSHAKE, PEER_UP };

struct peer_stream {
	struct worker *w;
	struct loop_fd lf;
	struct list node;    /* accepted ones: on peers.in */
	enum peer_stream_state state;
	SSL *ssl;            /* owned; NULL on a unix socket */
	struct timer due;    /* end of the wait for connection and handshake; then pings */
	const char *failed;  /* static text: it has broken, but is being read from and goes when that is done */
	bool reading;
	bool used;           /* messages were sent on it: who waits for answers must know when it breaks */
	unsigned unheard;    /* pings since the last sign of life */
	unsigned crlfs;      /* between messages, up to the two of a ping */
	char sender[WORKER_NAME_MAX + 1]; /* who speaks here; "" until proven */
	struct buf in;       /* a message that has not come whole */
	struct buf out;      /* what the socket did not take */
	size_t out_done, out_max;
	struct loop_job *broken; /* borrowed: queued when the stream breaks, but not by peer_stream_close; may be NULL */
	struct loop_job gone;    /* of an accepted one: frees it */
};

/* The node of a worker: "n1" of "n1.0". */
struct str peer_node_of(struct str worker);

/* A closed stream, in memory of the caller's; `out_max`: bytes that may wait. */
void peer_stream_init(struct peer_stream *s, struct worker *w, size_t out_max);
/* It has a socket; that it works is known when it is used. */
bool peer_stream_open(const struct peer_stream *s);
/* To the worker `name` of our node. ERR_CLOSED if nobody listens. */
enum err peer_stream_connect(struct peer_stream *s, struct str name, const char *path);
/* To the worker `name` of another node; goes on in the background, and what is sent meanwhile waits. ERR_CLOSED, ERR_NO_MEMORY. */
enum err peer_stream_connect_tls(struct peer_stream *s, struct str name, const struct peer_address *a, struct peer_tls *tls);
/* Takes over `fd`, of a process of our node. The stream frees itself when it ends. NULL (and fd closed) if that fails. */
struct peer_stream *peer_stream_accept(struct worker *w, int fd);
/* The same, from another node; `out_max` as above. */
struct peer_stream *peer_stream_accept_tls(struct worker *w, int fd, struct peer_tls *tls, size_t out_max);
/* What waits is lost. The stream can be connected again. */
void peer_stream_close(struct peer_stream *s);
/* Of an accepted one. */
void peer_stream_free(struct peer_stream *s);
/* ERR_FULL when too much waits; ERR_CLOSED. Does not count as use. */
enum err peer_stream_send(struct peer_stream *s, struct str bytes);

#endif
