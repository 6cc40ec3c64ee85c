/* Connections of the load generator: SIP over WebSocket (RFC 7118, frames masked as a client's must be) on a unix socket, TCP or TLS, and SIP over TCP or
 * TLS. Nothing blocks. One thread. */
#ifndef DUPLEX_BENCH_SIPLOAD_NET_H
#define DUPLEX_BENCH_SIPLOAD_NET_H

#include <sys/epoll.h>

#include "common/buf.h"

#define LINK_HEAD_MAX 14u /* of a frame: room before each message that is sent */
#define LINK_OUT_MAX 16384u
#define LINK_IN_MAX 65536u

struct ssl_ctx_st;
struct ssl_st;

enum link_scheme { LINK_UNIX, LINK_TCP, LINK_TLS };
enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_SHAKING, LINK_UPGRADING, LINK_OPEN };

/* Where all connections of a run go. */
struct link_target {
	enum link_scheme scheme;
	bool websocket;
	char path[108];            /* unix socket */
	uint32_t ip;               /* host byte order */
	uint16_t port;
	struct str host;           /* of the upgrade request and TLS; borrowed */
	struct ssl_ctx_st *tls;    /* owned */
	int epfd;
	uint32_t source, sources, per_source; /* loopback addresses to come from: `sources` many from `source` on, each for so many connections */
	char in[LINK_IN_MAX];      /* what is read in a turn, one connection at a time */
	char out[LINK_HEAD_MAX + LINK_OUT_MAX];
	uint64_t bytes_in, bytes_out, pings;
};

struct link;
/* `message` is one SIP message, borrowed; the link may be closed from inside. */
struct link_ops {
	void (*open)(struct link *l);
	void (*message)(struct link *l, struct str message);
	void (*closed)(struct link *l, const char *why); /* the descriptor is closed already */
	/* Lines for the upgrade request ("Name: value\r\n"), appended. */
	void (*upgrade_headers)(struct link *l, struct buf *b);
};

struct link {
	struct link_target *target; /* borrowed */
	const struct link_ops *ops;
	int fd;
	struct ssl_st *ssl;         /* owned */
	enum link_state state;
	uint32_t index;             /* chooses the source address */
	uint32_t events;
	struct buf rx, tx;
	size_t tx_done;
	bool doomed;                /* closed from inside a callback */
};

/* "unix:PATH", "tcp:IP:PORT", "tls:IP:PORT"; `websocket`: frames, or SIP as a stream. ERR_INVALID. */
enum err link_target_init(struct link_target *t, const char *text, bool websocket, struct str host);
void link_target_fini(struct link_target *t);

void link_init(struct link *l, struct link_target *t, const struct link_ops *ops, uint32_t index);
/* ERR_AGAIN: the server's queue is full, try again; ERR_IO. Else `open` or `closed` follows. */
enum err link_connect(struct link *l);
/* At once, without a word to the server; no callback. */
void link_cut(struct link *l);
/* A message is built in link_out and sent by link_send; it is masked where it lies. */
struct buf link_out(struct link_target *t);
enum err link_send(struct link *l, const struct buf *message);
void link_on_ready(struct link *l, uint32_t events);

/* --- frames (RFC 6455 §5) --- */
/* Writes the head of a client's frame right before `payload` and masks the payload in place; gives the first byte of the frame. There are LINK_HEAD_MAX
 * bytes before `payload`. */
char *frame_put(char *payload, size_t len, uint8_t op, uint32_t key);
/* A server's frame at the start of `in`: ERR_OK, ERR_AGAIN (more is needed), ERR_INVALID (masked, reserved bits, fragments of which SIP peers
 * send none). *used: bytes of the frame. */
enum err frame_get(struct str in, uint8_t *op, struct str *payload, size_t *used);

#endif
