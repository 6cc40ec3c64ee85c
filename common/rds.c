#include "common/rds.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/rds_addr.h"

struct rds {
	char addresses[RDS_ADDRESSES_MAX];
	char address[256]; /* the one in use or tried last */
	size_t turn;       /* which of the addresses is the one */
	uint64_t timeout_ms;
	redisContext *c; /* owned; NULL while not connected */
	bool demoted;    /* it answered that it is no master any more */
	size_t queued;   /* commands sent in this pipeline whose replies are still to come */
};

enum err rds_new(const char *address, uint64_t timeout_ms, struct rds **out)
{
	struct rds *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ERR_NO_MEMORY;
	r->timeout_ms = timeout_ms;
	enum err e = str_copy(str_from(address), r->addresses, sizeof(r->addresses));
	if (e != ERR_OK) {
		free(r);
		return e;
	}
	*out = r;
	return ERR_OK;
}

static void drop(struct rds *r)
{
	if (r->c != NULL)
		redisFree(r->c);
	r->c = NULL;
	r->queued = 0;
}

void rds_free(struct rds *r)
{
	if (r == NULL)
		return;
	drop(r);
	free(r);
}

static enum err failed(struct rds *r)
{
	bool late = r->c != NULL && r->c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);

	log_event(LOG_WARN, "redis-lost", "address=%s error=%s", log_value(str_from(r->address)),
		  log_value(str_from(r->c != NULL ? r->c->errstr : "no connection")));
	drop(r);
	return late ? ERR_TIMEOUT : ERR_CLOSED;
}

static redisContext *dial(const char *address, struct timeval t)
{
	char host[256];
	const char *colon = strrchr(address, ':');
	uint64_t port;

	if (address[0] == '/' || colon == NULL)
		return redisConnectUnixWithTimeout(address, t);
	if (str_copy(str_of(address, (size_t)(colon - address)), host, sizeof(host)) != ERR_OK ||
	    str_to_u64(str_from(colon + 1), 65535, &port) != ERR_OK)
		return NULL;
	return redisConnectWithTimeout(host, (int)port, t);
}

/* Of several only the master serves; one that may not be asked for its role is believed to be it. */
static bool is_master(struct rds *r)
{
	redisReply *reply = redisCommand(r->c, "ROLE");
	struct str role = rds_text(rds_at(reply, 0));
	bool yes = reply != NULL && (role.len == 0 || str_eq(role, STR("master")));

	if (reply != NULL)
		freeReplyObject(reply);
	return yes;
}

static enum err ready(struct rds *r)
{
	struct timeval t = { .tv_sec = (time_t)(r->timeout_ms / 1000), .tv_usec = (suseconds_t)(r->timeout_ms % 1000 * 1000) };

	/* An idle connection that can be read has been closed by the other side: make a new one rather than lose a command on it. */
	if (r->c != NULL && r->queued == 0) {
		struct pollfd p = { .fd = r->c->fd, .events = POLLIN };

		if (r->demoted || poll(&p, 1, 0) != 0)
			drop(r);
		r->turn += r->demoted ? 1 : 0;
		r->demoted = false;
	}
	if (r->c != NULL)
		return ERR_OK;
	size_t count = MAX(rds_addr_count(str_from(r->addresses)), (size_t)1);
	enum err e = ERR_CLOSED;

	for (size_t i = 0; i < count && e != ERR_OK; i++) {
		if (rds_addr_at(str_from(r->addresses), r->turn, r->address, sizeof(r->address)) != ERR_OK)
			return ERR_CLOSED;
		r->c = dial(r->address, t);
		e = r->c == NULL || r->c->err != 0 || redisSetTimeout(r->c, t) != REDIS_OK ? failed(r) : ERR_OK;
		if (e == ERR_OK && count > 1 && !is_master(r))
			e = failed(r);
		if (e != ERR_OK)
			r->turn++;
	}
	return e;
}

/* A server that was demoted: the next command looks for the master. */
static void note_demotion(struct rds *r, const struct redisReply *reply)
{
	struct str text = reply->type == REDIS_REPLY_ERROR ? str_of(reply->str, reply->len) : STR_NONE;

	r->demoted |= str_starts(text, STR("READONLY")) || str_starts(text, STR("MASTERDOWN"));
}

static enum err reply_err(const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ERROR)
		return ERR_OK;
	struct str text = str_of(reply->str, reply->len);
	bool full = str_starts(text, STR("OOM")) || str_starts(text, STR("MISCONF")) || str_starts(text, STR("READONLY"));

	if (!str_starts(text, STR("NOSCRIPT")))
		log_event(full ? LOG_ERROR : LOG_WARN, "redis-error", "text=%s", log_value(text));
	return full ? ERR_FULL : ERR_INVALID;
}

enum err rds_queue(struct rds *r, size_t argc, const struct str *argv)
{
	const char *p[RDS_ARGS_MAX];
	size_t len[RDS_ARGS_MAX];
	enum err e = ready(r);

	if (e != ERR_OK)
		return e;
	if (argc > RDS_ARGS_MAX)
		return ERR_TOO_LARGE;
	for (size_t i = 0; i < argc; i++) {
		p[i] = argv[i].p != NULL ? argv[i].p : "";
		len[i] = argv[i].len;
	}
	if (redisAppendCommandArgv(r->c, (int)argc, p, len) != REDIS_OK)
		return failed(r);
	r->queued++;
	return ERR_OK;
}

enum err rds_collect(struct rds *r, struct redisReply **replies, size_t count)
{
	enum err e = r->queued == count && r->c != NULL ? ERR_OK : ERR_CLOSED;

	for (size_t i = 0; i < count; i++) {
		replies[i] = NULL;
		if (e != ERR_OK)
			continue;
		void *got = NULL;
		if (redisGetReply(r->c, &got) != REDIS_OK || got == NULL) {
			e = failed(r);
			continue;
		}
		r->queued--;
		replies[i] = got;
	}
	/* All replies are read even when one is an error, so that the connection stays in step. */
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		note_demotion(r, replies[i]);
		e = reply_err(replies[i]);
	}
	if (e == ERR_OK)
		return ERR_OK;
	for (size_t i = 0; i < count; i++) {
		rds_reply_free(replies[i]);
		replies[i] = NULL;
	}
	if (r->queued > 0)
		drop(r);
	return e;
}

enum err rds_do(struct rds *r, struct redisReply **reply, size_t argc, const struct str *argv)
{
	struct redisReply *got = NULL;
	enum err e = rds_queue(r, argc, argv);

	if (e == ERR_OK)
		e = rds_collect(r, &got, 1);
	if (e != ERR_OK)
		return e;
	if (reply != NULL)
		*reply = got;
	else
		rds_reply_free(got);
	return ERR_OK;
}

static enum err eval_as(struct rds *r, struct str verb, struct str script, struct redisReply **reply, size_t keys, size_t argc,
			const struct str *argv, bool *unknown)
{
	struct str all[RDS_ARGS_MAX];
	char digits[24];
	struct buf count = buf_fixed(digits, sizeof(digits));

	if (argc + 3 > RDS_ARGS_MAX)
		return ERR_TOO_LARGE;
	buf_u64(&count, keys);
	all[0] = verb;
	all[1] = script;
	all[2] = buf_view(&count);
	memcpy(all + 3, argv, argc * sizeof(*argv));

	enum err e = rds_queue(r, argc + 3, all);
	void *got = NULL;
	if (e != ERR_OK)
		return e;
	if (redisGetReply(r->c, &got) != REDIS_OK || got == NULL)
		return failed(r);
	r->queued--;
	struct redisReply *rep = got;
	note_demotion(r, rep);
	*unknown = rep->type == REDIS_REPLY_ERROR && str_starts(str_of(rep->str, rep->len), STR("NOSCRIPT"));
	e = reply_err(rep);
	if (e != ERR_OK) {
		rds_reply_free(rep);
		return e;
	}
	*reply = rep;
	return ERR_OK;
}

enum err rds_eval(struct rds *r, struct rds_script *s, struct redisReply **reply, size_t keys, size_t argc, const struct str *argv)
{
	bool unknown = false;

	if (s->sha[0] == '\0') {
		/* Redis names scripts by SHA-1. Threads may fill this at the same time: they write the same bytes. */
		uint8_t sum[SHA1_LEN];
		struct buf b = buf_fixed(s->sha, sizeof(s->sha) - 1);

		crypto_sha1(str_from(s->source), sum);
		hex_put(&b, sum, sizeof(sum));
	}
	enum err e = eval_as(r, STR("EVALSHA"), str_from(s->sha), reply, keys, argc, argv, &unknown);
	if (!unknown)
		return e;
	return eval_as(r, STR("EVAL"), str_from(s->source), reply, keys, argc, argv, &unknown);
}

void rds_reply_free(struct redisReply *reply)
{
	if (reply != NULL)
		freeReplyObject(reply);
}

bool rds_nil(const struct redisReply *reply)
{
	return reply == NULL || reply->type == REDIS_REPLY_NIL;
}

struct str rds_text(const struct redisReply *reply)
{
	if (reply == NULL || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS))
		return STR_NONE;
	return str_of(reply->str, reply->len);
}

int64_t rds_int(const struct redisReply *reply)
{
	uint64_t n;

	if (reply == NULL)
		return 0;
	if (reply->type == REDIS_REPLY_INTEGER)
		return reply->integer;
	return str_to_u64(rds_text(reply), INT64_MAX, &n) == ERR_OK ? (int64_t)n : 0;
}

size_t rds_len(const struct redisReply *reply)
{
	return reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
}

const struct redisReply *rds_at(const struct redisReply *reply, size_t i)
{
	return i < rds_len(reply) ? reply->element[i] : NULL;
}

struct str rds_field(const struct redisReply *reply, const char *field)
{
	for (size_t i = 0; i + 1 < rds_len(reply); i += 2) {
		if (str_eq(rds_text(rds_at(reply, i)), str_from(field)))
			return rds_text(rds_at(reply, i + 1));
	}
	return STR_NONE;
}
