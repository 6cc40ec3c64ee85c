/* Blocking Redis access with a deadline, over hiredis; for the API's threads, the relay's control thread and the command-line tools. One
 * connection, one thread. A lost connection is noticed before a command is sent and made again, so that a restarted Redis costs no failed
 * request; a command whose fate is unknown is never repeated. (Signalling has its own asynchronous client: signalling never waits.) */
#ifndef DUPLEX_COMMON_RDS_H
#define DUPLEX_COMMON_RDS_H

#include "common/str.h"

#define RDS_ARGS_MAX 64u /* words of one command */

struct rds;
struct redisReply;

/* `address`: path of a unix socket, or host:port, or several (rds_addr.h), of which the master is looked for. Does not connect yet.
 * `timeout_ms` bounds connecting and each command. */
enum err rds_new(const char *address, uint64_t timeout_ms, struct rds **out);
void rds_free(struct rds *r);

/* One command. On ERR_OK *reply is owned by the caller (rds_reply_free). ERR_TIMEOUT and ERR_CLOSED: Redis is not there; ERR_INVALID: Redis
 * answered with an error (logged); ERR_FULL: Redis is out of memory or refuses writes. */
enum err rds_do(struct rds *r, struct redisReply **reply, size_t argc, const struct str *argv);
#define RDS(r, reply, ...) \
	rds_do((r), (reply), sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str), (struct str[]){ __VA_ARGS__ })

/* A Lua script; its SHA-1 is filled at first use. Falls back to EVAL when Redis does not know it. */
struct rds_script {
	const char *source;
	char sha[41];
};
enum err rds_eval(struct rds *r, struct rds_script *s, struct redisReply **reply, size_t keys, size_t argc, const struct str *argv);
#define RDS_EVAL(r, script, reply, keys, ...)                                                                     \
	rds_eval((r), (script), (reply), (keys), sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str),        \
		 (struct str[]){ __VA_ARGS__ })

/* Pipelining: queue commands, then rds_collect reads one reply each, in order, into replies[count]. On failure none is owned. */
enum err rds_queue(struct rds *r, size_t argc, const struct str *argv);
#define RDS_QUEUE(r, ...) \
	rds_queue((r), sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str), (struct str[]){ __VA_ARGS__ })
enum err rds_collect(struct rds *r, struct redisReply **replies, size_t count);

/* Reading replies; all accept NULL (as nil). Slices borrow from the reply. */
void rds_reply_free(struct redisReply *reply);
bool rds_nil(const struct redisReply *reply);
struct str rds_text(const struct redisReply *reply);   /* STR_NONE if it is not a text */
int64_t rds_int(const struct redisReply *reply);       /* also of a text; 0 otherwise */
size_t rds_len(const struct redisReply *reply);        /* elements of an array */
const struct redisReply *rds_at(const struct redisReply *reply, size_t i);
/* The value of `field` in a flat field-value array, as HGETALL gives it. */
struct str rds_field(const struct redisReply *reply, const char *field);

#endif
