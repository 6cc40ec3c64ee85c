/* One client connection on a stream: PROXY header, TLS handshake, then messages both ways until either side ends it. The
 * record is of fixed size; what a client can add to it before it has proved who it is are the bytes of one unfinished
 * message and, with TLS, OpenSSL's state. */
#ifndef DUPLEX_RELAY_STREAM_CONN_H
#define DUPLEX_RELAY_STREAM_CONN_H

#include "common/loop.h"
#include "relay/relay.h"
#include "relay/stream_link.h"
#include "relay/stream_listen.h"
#include "relay/stream_peers.h"
#include "relay/stream_stats.h"
#include "relay/stream_tls.h"

#define STREAM_CONNECTIONS_MAX 65536u /* a handle has 16 bits for the index */
#define STREAM_READ 16384u            /* bytes read at a time: a TLS record */

enum stream_state { STREAM_FREE, STREAM_PROXY, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_ENDING };

struct stream_conn {
	struct loop_fd lf;
	struct timer timer;
	struct stream_core *core;    /* borrowed */
	struct list node;            /* in one of the core's lists: free, ending, stalled or again */
	struct list dirty;           /* in core->dirty: has messages to write */
	struct flow_key key;         /* once the client's address is known */
	struct addr counted;         /* the address it counts for */
	SSL *ssl;                    /* owned; NULL = plain TCP */
	uint8_t *part;               /* owned: bytes that are no whole message yet */
	uint32_t part_len;
	uint32_t skip;               /* bytes of a message that is too long, still to come */
	uint32_t promised;           /* bytes of the message whose TLS record is under way */
	struct stream_queue queue;
	uint64_t since_ms;           /* in this state */
	uint64_t part_ms;            /* when the message begun began; 0 = none is */
	uint64_t allocation_ms;      /* when it last had an allocation, or was opened */
	uint16_t generation;
	uint8_t state;               /* enum stream_state */
	bool tls;                    /* as its listener is */
	bool addressed;              /* `counted` is */
	bool known;                  /* a worker has heard of it */
	bool spoke;                  /* something that looks like STUN has come */
	bool stalled;                /* nothing is read for now */
};

/* What can be changed by a reload. */
struct stream_settings {
	struct stream_limits queue;
	uint32_t address_max;        /* connections of one address */
	uint32_t handshake_ms, idle_ms;
	struct stream_tls *tls;      /* owned; NULL = no TLS listener */
};

/* What connections share: the stream thread's. */
struct stream_core {
	struct loop *loop;
	struct stream_link *link;
	struct stream_stats *stats;
	struct stats *drops;         /* a block like a worker's: for drops */
	const struct relay *relay;
	struct stream_settings *set; /* owned by the thread */
	struct stream_peers peers;
	struct stream_conn *at;      /* owned */
	uint32_t max, open;
	struct list free;            /* oldest first, so that a handle is not used again soon */
	struct list ending;          /* closed, their END is still to be sent */
	struct list stalled;         /* read again when there is room */
	struct list again;           /* TLS may hold more that was not asked for */
	struct list dirty;
	uint64_t queued;             /* bytes in all queues */
	uint8_t read[STREAM_READ + 2048]; /* what is being cut, the part before it included */
};

enum err stream_core_init(struct stream_core *c, uint32_t max);
/* Closes all and frees. */
void stream_core_fini(struct stream_core *c);

/* A connection just accepted, whose descriptor becomes ours; closed at once if there are too many. */
void stream_conn_open(struct stream_core *c, int fd, const struct stream_listen *from, const struct sockaddr_storage *peer);
/* A message from a worker. */
void stream_conn_deliver(struct stream_core *c, const struct stream_meta *meta, const uint8_t *p, uint32_t len);
/* At the end of a turn: writes what was delivered, reads again where reading paused, sends the ENDs that found no room.
 * True if some of that could not be done and time alone will help. */
bool stream_conn_settle(struct stream_core *c);

#endif
