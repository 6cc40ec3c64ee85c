/* Redis for programs that never wait: pipelined commands over one non-blocking socket in a loop. hiredis 0.14 serves as formatter and reader
 * only; connecting, deadlines and reconnecting are ours.
 *
 * Every command ends in exactly one callback, never from inside the call that queued it:
 *   ERR_OK       `reply` is the answer (borrowed until the callback returns)
 *   ERR_INVALID  Redis answered with an error (logged);   ERR_FULL  out of memory or read-only
 *   ERR_TIMEOUT  no answer within the deadline; whether the command took effect is unknown
 *   ERR_CLOSED   Redis is not there; the command was not sent, or its answer was lost with the connection
 * A late answer is thrown away; a connection that stays silent for twenty deadlines is dropped and made again, as is one whose server is no
 * master any more: with several addresses the next one is tried.
 * One loop, one thread. */
#ifndef DUPLEX_COMMON_RDS_ASYNC_H
#define DUPLEX_COMMON_RDS_ASYNC_H

#include "common/loop.h"
#include "common/rds.h"

struct rds_async;

typedef void (*rds_async_fn)(void *user, enum err e, const struct redisReply *reply);
/* `up`: true after each (re)connect, false after each loss. */
typedef void (*rds_async_state_fn)(void *user, bool up);

struct rds_async_conf {
	const char *address;       /* one or several, see rds_addr.h; path of a unix socket, or IPv4:port (a host name would have to be resolved by
				    * waiting) */
	uint64_t deadline_ms;      /* of each command; 100 */
	uint64_t retry_min_ms;     /* first wait after a loss; doubles with jitter up to retry_max_ms */
	uint64_t retry_max_ms;
	rds_async_state_fn state;  /* may be NULL */
	void *user;
};

struct rds_async_stats {
	uint64_t commands, errors, timeouts, connects, losses;
	uint64_t latency_us_sum, latency_us_max; /* of answered commands; max since start */
	uint64_t answered;
	uint64_t pending;
};

/* Connects at once in the background. `conf` is copied, its address too. */
enum err rds_async_new(struct loop *l, const struct rds_async_conf *conf, struct rds_async **out);
/* Pending callbacks are called with ERR_CLOSED before this returns. */
void rds_async_free(struct rds_async *r);
bool rds_async_up(const struct rds_async *r);
struct rds_async_stats rds_async_stats(const struct rds_async *r);

/* `fn` may be NULL (fire and forget; errors are still logged and counted). Arguments are copied. */
void rds_async_do(struct rds_async *r, rds_async_fn fn, void *user, size_t argc, const struct str *argv);
#define RDS_ASYNC(r, fn, user, ...)                                                                                     \
	rds_async_do((r), (fn), (user), sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str),                   \
		     (struct str[]){ __VA_ARGS__ })
/* The same for what need not go at once: it waits up to 2 ms for others, so that many go in one write and their answers come in one read. Commands
 * keep their order whichever way they are queued. */
void rds_async_soon(struct rds_async *r, rds_async_fn fn, void *user, size_t argc, const struct str *argv);
#define RDS_ASYNC_SOON(r, fn, user, ...)                                                                                \
	rds_async_soon((r), (fn), (user), sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str),                 \
		       (struct str[]){ __VA_ARGS__ })
/* EVALSHA; when Redis does not know the script it is sent again as EVAL within the same deadline. `s` is borrowed for ever. */
void rds_async_eval(struct rds_async *r, struct rds_script *s, rds_async_fn fn, void *user, size_t keys, size_t argc,
		    const struct str *argv);
void rds_async_eval_soon(struct rds_async *r, struct rds_script *s, rds_async_fn fn, void *user, size_t keys, size_t argc,
			 const struct str *argv);
#define RDS_ASYNC_EVAL_SOON(r, s, fn, user, keys, ...)                                                                  \
	rds_async_eval_soon((r), (s), (fn), (user), (keys), sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str), \
			    (struct str[]){ __VA_ARGS__ })
#define RDS_ASYNC_EVAL(r, s, fn, user, keys, ...)                                                                       \
	rds_async_eval((r), (s), (fn), (user), (keys), sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str),     \
		       (struct str[]){ __VA_ARGS__ })
/* Whatever is pending for `user` will not be called back: for owners that go away. Linear in what is pending. */
void rds_async_forget(struct rds_async *r, const void *user);

/* Reading streams: a connection of its own that sits in XREAD BLOCK. At first it starts behind the newest entry of each stream; after a loss
 * it goes on behind the last entry seen, so that no event is missed while Redis keeps it. */
struct rds_stream;

/* `fields` is the flat field-value array of one entry: use rds_field. */
typedef void (*rds_stream_fn)(void *user, const char *stream, const struct redisReply *fields);

#define RDS_STREAMS_MAX 4u

/* `names` (literals, borrowed for ever) of `count` streams. `conf->deadline_ms` bounds the set-up commands; `conf->state` tells of losses. */
enum err rds_stream_new(struct loop *l, const struct rds_async_conf *conf, const char *const *names, size_t count, rds_stream_fn fn,
			void *user, struct rds_stream **out);
void rds_stream_free(struct rds_stream *s);

#endif
