/* The load generator's own state: users, what each has under way, and the streams of operations. */
#ifndef DUPLEX_BENCH_SIPLOAD_H
#define DUPLEX_BENCH_SIPLOAD_H

#include "bench/sipload_hist.h"
#include "bench/sipload_net.h"
#include "bench/sipload_sip.h"
#include "common/counter.h"
#include "common/list.h"

#define LOAD_DEADLINE_US 10000000u /* an operation without an end after this has failed */
#define LOAD_USER_SIZE 16u

enum load_kind { LOAD_REGISTER, LOAD_CALL, LOAD_MESSAGE, LOAD_KINDS };

#define LOAD_FAILURES(X)                                                    \
	X(FAIL_STATUS, "status", "another status than the right one")       \
	X(FAIL_MALFORMED, "malformed", "not a SIP message")                 \
	X(FAIL_CSEQ, "cseq", "CSeq is not the request's")                   \
	X(FAIL_TAG, "tag", "a tag is not what was sent")                    \
	X(FAIL_VIA, "via", "top Via is not ours, or there are more")        \
	X(FAIL_BODY, "body", "the body came out changed")                   \
	X(FAIL_ROUTE, "route", "a request came with a wrong target, or an answer without Contact") \
	X(FAIL_ORDER, "order", "out of order, or for something that is over") \
	X(FAIL_UNEXPECTED, "unexpected", "nobody asked for it")             \
	X(FAIL_TIMEOUT, "timeout", "no end within ten seconds")             \
	X(FAIL_LOST, "lost", "the connection was lost")                     \
	X(FAIL_SEND, "send", "could not be sent")

COUNTER_ENUM(load_failure, LOAD_FAILURES, FAIL_COUNT);
extern const struct counter_name load_failure_names[];

/* An operation as its initiator sees it; `serial` 0: none. */
struct load_op {
	enum load_kind kind;
	uint64_t serial;     /* part of the Call-ID */
	uint64_t due_us;     /* when it should have started: latencies count from here */
	uint64_t sent_us, branch;
	uint32_t cseq;
	bool rang, answered, bye;
	char *dialog;        /* owned, while a call is held: target, then routes, NUL after each, empty one last */
	struct list node;    /* among the free, the held or the busy */
};

struct load;

struct load_ua {
	struct load *load;
	struct link link;
	uint32_t n;              /* of the user */
	bool open, registered;
	uint64_t reg_serial;     /* Call-ID of its registration */
	uint32_t reg_cseq;       /* of the last one */
	char *gruu;              /* owned; NULL: its plain contact */
	struct load_op op[LOAD_KINDS];
	/* As callee. */
	uint64_t leg_serial;
	bool leg_acked, leg_over;
	struct list connect;     /* waits for its turn to connect */
};

struct load_stream {
	double rate;             /* per second; 0: closed loop */
	unsigned window;         /* operations under way in the closed loop; 0 and no rate: none */
	uint64_t limit;          /* operations, 0: any number */
	struct list idle;        /* ops of users that have none under way */
	size_t running;
	bool stuck;              /* no user is free; until one is */
	uint64_t issued;         /* since the load began */
	/* Since the measurement began. */
	uint64_t started, completed, late;
	uint64_t failed[FAIL_COUNT];
	struct hist latency;     /* to the last answer; of a call to its 200 */
	struct hist ringing, bye; /* calls: to 180; from BYE to its 200 */
};

struct load {
	struct link_target target;
	struct str domain, transport;
	bool duplex;             /* send the X-Duplex headers */
	unsigned setup_window;
	uint64_t hold_us;
	uint32_t first;          /* number of the first user */
	struct load_ua *ua;
	size_t users;
	struct load_stream stream[LOAD_KINDS];
	struct list connecting;  /* users that are to connect */
	struct list busy, held;  /* ops in the order in which they were sent, or answered */
	size_t opening;          /* connections that are being made */
	size_t open, registered;
	uint64_t next_serial, next_branch;
	uint64_t now_us, start_us, retry_us;
	bool running;            /* streams issue operations */
	bool counting;
	uint64_t lost, refused, again;
	uint64_t failed[FAIL_COUNT]; /* all, from the start */
	char first_failure[512];
};

/* sipload_load.c */
/* Users, not connected. ERR_NO_MEMORY. */
enum err load_init(struct load *L);
void load_fini(struct load *L);
/* All that are down are to connect and register, `setup_window` at once (0: all). */
void load_connect_all(struct load *L);
/* All connections go, without a word. */
void load_cut_all(struct load *L);
/* One turn: what is due, then what has come; waits at most until `until_us`. */
void load_turn(struct load *L, uint64_t until_us);
/* From here on operations are issued; they are due from now. */
void load_start(struct load *L);
/* Empties the figures. */
void load_count_from_here(struct load *L);

/* sipload_ops.c */
void ops_start(struct load_ua *u, enum load_kind k, uint64_t due_us);
void ops_message(struct load_ua *u, struct str raw);
/* The user's connection is gone: what it had under way has failed. */
void ops_lost(struct load_ua *u);
void ops_register(struct load_ua *u);
/* A held call ends. */
void ops_hang_up(struct load_ua *u);
void ops_fail(struct load_ua *u, enum load_kind k, enum load_failure why, struct str evidence);
struct str ops_user(const struct load_ua *u, char mem[LOAD_USER_SIZE]);
struct str ops_session(const struct load_ua *u, char mem[33]);

static inline struct load_ua *load_ua_of(struct load_op *op)
{
	return CONTAINER_OF(op - op->kind, struct load_ua, op);
}

#endif
