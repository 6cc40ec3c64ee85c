/* One non-blocking connection to Redis in a loop: connects, reconnects with jittered backoff, writes what was queued in one go at the end of the
 * turn, and hands over replies in order. What the replies mean is the business of rds_async.c and rds_stream.c.
 *
 * A server is taken only once it has answered PING (one that is stopped, or still reads its file, does not) and says that it is a master; else
 * the next of the addresses is tried. So `up` means: commands can be expected to work. */
#ifndef DUPLEX_COMMON_RDS_LINK_H
#define DUPLEX_COMMON_RDS_LINK_H

#include "common/buf.h"
#include "common/loop.h"
#include "common/rds_addr.h"

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
	unsigned greeting;            /* replies to our greeting that are still to come */
	char addresses[RDS_ADDRESSES_MAX];
	char address[256];            /* the one in use or tried last */
	size_t turn;                  /* which of the addresses comes next */
	uint64_t retry_min_ms, retry_max_ms, wait_ms;
	struct timer retry;           /* next attempt; until we are up: the attempt's end */
	struct loop_job flush;
	struct timer soon;            /* armed while something waits that need not go at once */
	struct buf out;
	size_t out_done;              /* bytes of `out` already written */
	struct redisReader *reader;   /* owned; NULL while down */
	bool reading;                 /* inside the reader: dropping waits */
	bool drop_wanted;
	char why[128];                /* of that drop */
};

/* Starts to connect. `addresses`: see rds_addr.h, but with IPv4 numbers for hosts: a name would have to be resolved by waiting. */
enum err rds_link_init(struct rds_link *k, struct loop *l, const struct rds_link_ops *ops, const char *addresses, uint64_t retry_min_ms,
		       uint64_t retry_max_ms);
void rds_link_fini(struct rds_link *k);
/* When a command is to be written. */
enum rds_when {
	RDS_NOW,   /* at the end of the turn, with all that waits */
	RDS_SOON,  /* within RDS_SOON_MS or once RDS_SOON_BYTES wait: what nobody waits for goes with others, in one write that wakes Redis once */
};
#define RDS_SOON_MS 2u
#define RDS_SOON_BYTES 8192u

/* ERR_CLOSED while down, ERR_FULL when too much waits to be written. */
enum err rds_link_send(struct rds_link *k, size_t argc, const struct str *argv, enum rds_when when);
/* The same with bytes that are a formatted command already; in two parts. */
enum err rds_link_send_raw(struct rds_link *k, const void *p, size_t len, enum rds_when when);
enum err rds_link_send_two(struct rds_link *k, struct str head, struct str tail, enum rds_when when);
/* "*N\r\n" and "$LEN\r\nBYTES\r\n" of the Redis protocol (RESP2), appended. */
void rds_link_count_put(struct buf *b, size_t argc);
void rds_link_bulk_put(struct buf *b, struct str s);
/* Closes and tries again later. */
void rds_link_drop(struct rds_link *k, const char *why);

#endif
