/* One non-blocking connection to Redis in a loop: connects, reconnects with jittered backoff, writes what was queued in one go at the end of the
 * turn, and hands over replies in order. What the replies mean is the business of rds_async.c and rds_stream.c. */
#ifndef DUPLEX_COMMON_RDS_LINK_H
#define DUPLEX_COMMON_RDS_LINK_H

#include "common/buf.h"
#include "common/loop.h"

struct rds_link;
struct redisReader;
struct redisReply;

struct rds_link_ops {
	void (*up)(struct rds_link *k);
	void (*down)(struct rds_link *k);
	/* Owned by the link. The callee may call rds_link_drop, but not free the link. */
	void (*reply)(struct rds_link *k, const struct redisReply *reply);
};

struct rds_link {
	struct loop *loop;
	const struct rds_link_ops *ops;
	struct loop_fd lf;
	bool up, connecting;
	char address[256];
	uint64_t retry_min_ms, retry_max_ms, wait_ms;
	struct timer retry;           /* next attempt; while connecting: the attempt's end */
	struct loop_job flush;
	struct buf out;
	size_t out_done;              /* bytes of `out` already written */
	struct redisReader *reader;   /* owned; NULL while down */
	bool reading;                 /* inside the reader: dropping waits */
	bool drop_wanted;
};

/* Starts to connect. */
enum err rds_link_init(struct rds_link *k, struct loop *l, const struct rds_link_ops *ops, const char *address, uint64_t retry_min_ms,
		       uint64_t retry_max_ms);
void rds_link_fini(struct rds_link *k);
/* ERR_CLOSED while down, ERR_FULL when too much waits to be written. */
enum err rds_link_send(struct rds_link *k, size_t argc, const struct str *argv);
/* The same with bytes that are a formatted command already. */
enum err rds_link_send_raw(struct rds_link *k, const void *p, size_t len);
/* Closes and tries again later. */
void rds_link_drop(struct rds_link *k, const char *why);

#endif
