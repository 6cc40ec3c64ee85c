/* Between the stream thread, which owns the TCP and TLS connections, and the workers, which own what TURN is: messages
 * travel in packet buffers over rings without locks, one ring to each worker and one back. All messages of a connection
 * go to the same worker, so their order is kept. Whoever sleeps is woken by an eventfd; whoever is awake costs nobody a
 * system call. */
#ifndef DUPLEX_RELAY_STREAM_LINK_H
#define DUPLEX_RELAY_STREAM_LINK_H

#include "relay/alloc.h"
#include "relay/stream_queue.h"

struct stream_link;
struct rte_mbuf;
struct rte_mempool;

enum stream_what {
	STREAM_MESSAGE, /* a STUN message or channel data, either way */
	STREAM_PROBE,   /* has this client an allocation? The answer is a PROBE too, `alive` says it */
	STREAM_END,     /* the connection is gone: so is its allocation (RFC 8656 §5) */
};

/* Stands at the start of a buffer on its way; the message lies behind it with room for headers in between. */
struct stream_meta {
	struct flow_key key; /* to a worker: the client */
	uint32_t handle;     /* to the stream thread: the connection */
	uint8_t what;        /* enum stream_what */
	uint8_t kind;        /* enum stream_kind, to the stream thread */
	bool alive;
};
static_assert(sizeof(struct stream_meta) <= 40, "room that the workers' headers do not need");

#define STREAM_META_LEN 64u /* set aside at the start of a buffer */

/* A handle names one use of a connection's slot: index and generation. It is part of the client's key in the table, in
 * place of the service port, so that two connections are two clients whatever their addresses are. `iface`: the port
 * that a relayed address is taken from first. */
static inline struct flow_key stream_key(const struct addr *client, uint16_t client_port, unsigned iface, uint32_t handle)
{
	return (struct flow_key){ .client = *client,
				  .client_port = __builtin_bswap16(client_port),
				  .relay_port = (uint16_t)handle,
				  .local = (uint8_t)(2 * iface + 1), /* off the packet path's usual way, like IPv6 */
				  .proto = 6,
				  .zero = { (uint8_t)(handle >> 16), (uint8_t)(handle >> 24) } };
}

static inline bool flow_is_stream(const struct flow_key *k)
{
	return k->proto == 6;
}

static inline uint32_t flow_stream(const struct flow_key *k)
{
	return (uint32_t)k->relay_port | (uint32_t)k->zero[0] << 16 | (uint32_t)k->zero[1] << 24;
}

/* `pool` is borrowed for good: it must be the one the ports use, because what a client sends leaves by a port. */
enum err stream_link_new(unsigned workers, struct rte_mempool *pool, struct stream_link **out);
void stream_link_free(struct stream_link *l);

/* The stream thread's side. */

/* False if the ring or the pool has no room now. `p` and `len` only with STREAM_MESSAGE, at most STREAM_MESSAGE_MAX. */
bool stream_link_send(struct stream_link *l, const struct flow_key *key, enum stream_what what, const uint8_t *p, uint32_t len);
/* What was sent reaches the workers at the latest now. */
void stream_link_flush(struct stream_link *l);
/* One message from the workers, until stream_link_done; false if there is none. */
bool stream_link_next(struct stream_link *l, struct stream_meta *meta, const uint8_t **p, uint32_t *len);
void stream_link_done(struct stream_link *l);
/* An eventfd that becomes readable when a worker has sent something after stream_link_sleep said yes. */
int stream_link_fd(const struct stream_link *l);
/* Before waiting: false if there is something to do already. Afterwards call stream_link_awake. */
bool stream_link_sleep(struct stream_link *l);
void stream_link_awake(struct stream_link *l);

/* A worker's side. */

unsigned stream_link_poll(struct stream_link *l, unsigned worker, struct rte_mbuf **out, unsigned max);
static inline struct stream_meta *stream_link_meta(void *buf_addr)
{
	return buf_addr;
}
/* False when the ring back is so full that only answers should still go into it. */
bool stream_link_has_room(const struct stream_link *l);
/* Hands over buffers whose meta is filled in; returns how many found room, the rest stays the caller's. */
unsigned stream_link_answer(struct stream_link *l, struct rte_mbuf **m, unsigned n);
int stream_link_worker_fd(const struct stream_link *l, unsigned worker);
bool stream_link_worker_sleep(struct stream_link *l, unsigned worker);
void stream_link_worker_awake(struct stream_link *l, unsigned worker);

#endif
