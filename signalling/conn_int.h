/* Inside of a connection: what conn.c (table and life), conn_tx.c (to the client), conn_rx.c (from the client),
 * conn_session.c (is its session still there) and conn_drain.c (all of them go) share. */
#ifndef DUPLEX_SIGNALLING_CONN_INT_H
#define DUPLEX_SIGNALLING_CONN_INT_H

#include "common/device.h"
#include "signalling/budget.h"
#include "signalling/conn.h"
#include "signalling/digest.h"
#include "signalling/location.h"
#include "signalling/usermap.h"
#include "signalling/worker.h"
#include "signalling/ws_frame.h"

#define CONN_SCRATCH 65536u

enum conn_phase { PHASE_UPGRADE, PHASE_OPEN, PHASE_CLOSING };

struct link;

/* What a connection has that is no WebSocket but a user of a phone's link (edge.h): conn_line.c. */
struct line {
	struct conn *conn;
	struct link *link;          /* outlives the line */
	struct list by_link;
	char ha1[2][DEVICE_HA1_MAX + 1]; /* by enum digest_algorithm; "" = not known */
	struct nonces nonces;       /* what its credentials have used: digest.h */
	char instance[INSTANCE_MAX + 1]; /* that was registered, or "" */
	struct buf held;            /* what came by a token and waits for Redis to know its session: each message behind its length */
};

struct conn {
	struct worker *w;
	struct loop_fd lf;          /* fd -1 for a line */
	struct line *line;          /* owned; NULL for a WebSocket */
	enum conn_phase phase;
	struct flow flow;
	char *identity;             /* owns the text of the four below */
	struct str user, session, address;
	struct str revision;        /* of the user's record that `perms` come from; empty once compared */
	perm_set perms;
	struct buf in;              /* the upgrade request while it is partial */
	struct ws_rx rx;
	struct buf tx;              /* what the socket did not take; released when empty */
	size_t tx_done;
	struct list gathered;       /* on conns.gathered while `tx` has messages of which the socket has not been told */
	struct timer timer;         /* the upgrade's end, then pings, then the wait for the client's close */
	struct timer resume;        /* reading goes on when the budget is there again */
	struct timer session_due;   /* when the session is asked for again */
	struct budget bytes, messages;
	unsigned misses;
	bool heard;                 /* something came since the last ping */
	bool arriving;              /* counted in conns.arriving */
	bool admitted;              /* Redis has said that the session is there: from then on its SIP is read */
	bool asking, asked_again;   /* Redis is being asked; for the second time before admission */
	bool gone;                  /* the socket is of no use any more */
	uint16_t code;              /* it was closed with */
	uint64_t settles_ms;        /* draining: what was under way is over by then, its ACK too */
	struct list by_user;
	struct loop_job ended;
};

struct slot {
	struct conn *conn;          /* owned; NULL while free */
	uint32_t generation;
	uint32_t next_free;
};

struct conns {
	struct worker *w;
	struct slot *slots;
	size_t size, max, open;
	size_t arriving;            /* not admitted yet */
	uint32_t free_head;         /* 1 + index, 0 = none */
	struct usermap users;
	struct list gathered;       /* connections whose messages go out together: those that one input has led to, at the latest at the end of the turn */
	struct loop_job flush;
	struct {
		struct timer timer;
		size_t next, batch;    /* slot to look at next; how many a tick */
		uint64_t patience_ms;  /* until then (monotonic) a connection with a transaction under way stays */
		bool passed_over;      /* one stayed in this pass */
	} drain;
	char scratch[CONN_SCRATCH];      /* what is read in a turn; one connection at a time */
};

/* conn.c */
/* A connection with a slot and timers, in phase UPGRADE; `mark` is 0 or FLOW_UNRELIABLE. NULL: no room. The caller owns `fd` then. */
struct conn *conn_make(struct conns *cs, int fd, uint32_t mark);
/* It is that user's from now on, and can be sent to. */
void conn_opened(struct conn *c);
/* Open connections of the user. */
size_t conn_count_user(struct conns *cs, struct str user);
/* Its texts are copied. */
enum err conn_adopt(struct conn *c, struct str user, struct str session, struct str address, struct str revision, perm_set perms);
/* The socket is of no use: what is left of the connection goes at the end of the turn. */
void conn_abandon(struct conn *c, uint16_t code);

/* It is admitted, or gone. */
void conn_arrived(struct conn *c);

/* conn_session.c */
/* Asks Redis for the session, if that is not under way. The answer admits the connection or closes it. */
void conn_session_ask(struct conn *c);
/* timer_fn of `session_due`. */
void conn_session_on_due(struct timer *t, uint64_t now_ms);
/* The connection is freed. */
void conn_session_forget(struct conn *c);

/* conn_drain.c */
/* timer_fn of `drain`. */
void conn_drain_on_tick(struct timer *t, uint64_t now_ms);

/* conn_tx.c */
bool conn_tx_empty(const struct conn *c);
/* Waits for what there is to wait for: input unless the client is beyond its budget or not admitted yet, room if something is to be written. */
void conn_want(struct conn *c);
/* Writes what waits, as much as the socket takes; abandons the connection when the socket is broken. */
void conn_flush(struct conn *c);
/* All that has been gathered goes out. */
void conns_flush(struct conns *cs);
/* Two slices in a row: at once if the socket takes them, the rest later. */
enum err conn_send_two(struct conn *c, struct str head, struct str body);
/* One whole frame (RFC 6455 §5.2), not masked. Errors as conn_send. */
enum err conn_send_frame(struct conn *c, enum ws_op op, struct str payload);

/* conn_rx.c */
void conn_on_ready(struct loop_fd *lf, uint32_t events);

#endif
