#include "common/rds_async.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/rds_link.h"

/* An answer that is this many deadlines late will hardly come: the connection is made again. */
#define DEAD_FACTOR 20u
#define LOG_AGAIN_MS 5000u

/* A command that was sent, or that failed before it could be sent. */
struct cmd {
	struct list order;   /* in `sent`: the order of replies; or in `failed` */
	struct list waiting; /* in `waiting`: the order of deadlines; off the list once the callback has run */
	rds_async_fn fn;     /* NULL = nobody asks any more */
	void *user;
	uint64_t due_ms, sent_us;
	enum err err;        /* of one in `failed` */
	struct rds_script *script;
	size_t tail_len;     /* EVALSHA only: the formatted arguments behind the SHA, for a second attempt as EVAL */
	char tail[];
};

struct rds_async {
	struct rds_link link;
	struct rds_async_conf conf;
	struct list sent, waiting, failed;
	struct list failing; /* of `failed`: those whose callbacks this turn runs */
	struct timer deadline;
	struct loop_job fail_job;
	struct rds_async_stats stats;
	uint64_t logged_ms, logged_errors; /* the last error that was logged: when, and how many there were then */
};

static struct rds_async *of_link(struct rds_link *k)
{
	return CONTAINER_OF(k, struct rds_async, link);
}

static struct cmd *cmd_new(rds_async_fn fn, void *user, size_t tail_len)
{
	struct cmd *c = malloc(sizeof(*c) + tail_len);

	if (c == NULL)
		return NULL;
	*c = (struct cmd){ 0 };
	list_init(&c->order);
	list_init(&c->waiting);
	c->fn = fn;
	c->user = user;
	c->tail_len = tail_len;
	return c;
}

static void answer(struct cmd *c, enum err e, const struct redisReply *reply)
{
	rds_async_fn fn = c->fn;

	c->fn = NULL;
	if (fn != NULL)
		fn(c->user, e, reply);
}

static void arm_deadline(struct rds_async *r)
{
	if (list_empty(&r->waiting)) {
		timer_stop(loop_timers(r->link.loop), &r->deadline);
		return;
	}
	uint64_t due = CONTAINER_OF(r->waiting.next, struct cmd, waiting)->due_ms;
	uint64_t now = loop_now(r->link.loop);

	timer_arm(loop_timers(r->link.loop), &r->deadline, due > now ? due - now : 1);
}

static void on_deadline(struct timer *t, uint64_t now_ms)
{
	struct rds_async *r = CONTAINER_OF(t, struct rds_async, deadline);

	while (!list_empty(&r->waiting)) {
		struct cmd *c = CONTAINER_OF(r->waiting.next, struct cmd, waiting);

		if (c->due_ms > now_ms)
			break;
		list_remove(&c->waiting);
		r->stats.timeouts++;
		answer(c, ERR_TIMEOUT, NULL);
	}
	/* The oldest one without a reply; it may be off `waiting` already. */
	if (!list_empty(&r->sent)) {
		struct cmd *oldest = CONTAINER_OF(r->sent.next, struct cmd, order);

		if (oldest->due_ms + r->conf.deadline_ms * DEAD_FACTOR <= now_ms) {
			rds_link_drop(&r->link, "no answer");
			return;
		}
		if (list_empty(&r->waiting)) {
			timer_arm(loop_timers(r->link.loop), &r->deadline, r->conf.deadline_ms);
			return;
		}
	}
	arm_deadline(r);
}

static void on_failed(struct loop_job *job)
{
	struct rds_async *r = CONTAINER_OF(job, struct rds_async, fail_job);

	/* A callback may queue again, and fail again: that is for the next turn. It may forget others that are about to be called. */
	while (!list_empty(&r->failed)) {
		struct list *node = r->failed.next;

		list_remove(node);
		list_append(&r->failing, node);
	}
	while (!list_empty(&r->failing)) {
		struct cmd *c = CONTAINER_OF(r->failing.next, struct cmd, order);

		list_remove(&c->order);
		answer(c, c->err, NULL);
		free(c);
	}
}

static void queue_failed(struct rds_async *r, struct cmd *c, enum err e)
{
	r->stats.errors++;
	c->err = e;
	list_append(&r->failed, &c->order);
	loop_defer(r->link.loop, &r->fail_job);
}

static void queue_sent(struct rds_async *r, struct cmd *c)
{
	c->sent_us = clock_mono_us();
	c->due_ms = loop_now(r->link.loop) + r->conf.deadline_ms;
	list_append(&r->sent, &c->order);
	list_append(&r->waiting, &c->waiting);
	r->stats.commands++;
	if (!timer_armed(&r->deadline))
		arm_deadline(r);
}

static void on_up(struct rds_link *k)
{
	struct rds_async *r = of_link(k);

	r->stats.connects++;
	if (r->conf.state != NULL)
		r->conf.state(r->conf.user, true);
}

static void fail_all(struct rds_async *r, enum err e)
{
	while (!list_empty(&r->sent)) {
		struct cmd *c = CONTAINER_OF(r->sent.next, struct cmd, order);

		list_remove(&c->order);
		list_remove(&c->waiting);
		answer(c, e, NULL);
		free(c);
	}
	timer_stop(loop_timers(r->link.loop), &r->deadline);
}

static void on_down(struct rds_link *k)
{
	struct rds_async *r = of_link(k);

	r->stats.losses++;
	fail_all(r, ERR_CLOSED);
	if (r->conf.state != NULL)
		r->conf.state(r->conf.user, false);
}

/* "$LEN\r\nTEXT\r\n" */
/* Redis has lost the script (restart, SCRIPT FLUSH): the whole of it is sent once, with the arguments kept. */
static void eval_again(struct rds_async *r, struct cmd *c)
{
	struct buf b = buf_growing(64u << 20);

	/* The kept tail starts with its number of words, see rds_async_eval. */
	struct str tail = { c->tail, c->tail_len };
	struct str words = str_cut(&tail, '\n');
	buf_char(&b, '*');
	buf_str(&b, words);
	buf_z(&b, "\r\n");
	rds_link_bulk_put(&b, STR("EVAL"));
	rds_link_bulk_put(&b, str_from(c->script->source));
	buf_str(&b, tail);
	c->script = NULL;
	list_remove(&c->order);
	enum err e = b.overflow ? ERR_NO_MEMORY : rds_link_send_raw(&r->link, b.p, b.len, RDS_NOW);
	buf_fini(&b);
	if (e != ERR_OK) {
		list_remove(&c->waiting);
		queue_failed(r, c, e);
		return;
	}
	list_append(&r->sent, &c->order);
}

/* Not the master any more, or about to load another's data: whoever is the master now is looked for. */
static bool demoted(struct str text)
{
	return str_starts(text, STR("READONLY")) || str_starts(text, STR("LOADING")) || str_starts(text, STR("MASTERDOWN"));
}

static enum err error_of(struct rds_async *r, const struct redisReply *reply)
{
	struct str text = str_of(reply->str, reply->len);
	bool full = str_starts(text, STR("OOM")) || str_starts(text, STR("MISCONF")) || str_starts(text, STR("READONLY"));
	uint64_t now = loop_now(r->link.loop);

	/* A full Redis says so to every command: once in a while is enough for the log, the counter has them all. */
	if (r->logged_ms == 0 || now >= r->logged_ms + LOG_AGAIN_MS) {
		log_event(full ? LOG_ERROR : LOG_WARN, "redis-error", "text=%s since_last=%llu", log_value(text),
			  (unsigned long long)(r->stats.errors - r->logged_errors));
		r->logged_ms = now;
		r->logged_errors = r->stats.errors;
	}
	if (demoted(text))
		rds_link_drop(&r->link, "no master any more");
	return full ? ERR_FULL : ERR_INVALID;
}

static void on_reply(struct rds_link *k, const struct redisReply *reply)
{
	struct rds_async *r = of_link(k);

	if (list_empty(&r->sent)) {
		rds_link_drop(k, "a reply that nobody asked for");
		return;
	}
	struct cmd *c = CONTAINER_OF(r->sent.next, struct cmd, order);
	enum err e = ERR_OK;

	if (reply->type == REDIS_REPLY_ERROR && c->script != NULL && c->fn != NULL &&
	    str_starts(str_of(reply->str, reply->len), STR("NOSCRIPT"))) {
		eval_again(r, c);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		e = error_of(r, reply);
		r->stats.errors++;
	}
	uint64_t us = clock_mono_us() - c->sent_us;
	r->stats.answered++;
	r->stats.latency_us_sum += us;
	r->stats.latency_us_max = MAX(r->stats.latency_us_max, us);
	list_remove(&c->order);
	list_remove(&c->waiting);
	answer(c, e, e == ERR_OK ? reply : NULL);
	free(c);
}

static const struct rds_link_ops link_ops = { .up = on_up, .down = on_down, .reply = on_reply };

enum err rds_async_new(struct loop *l, const struct rds_async_conf *conf, struct rds_async **out)
{
	struct rds_async *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ERR_NO_MEMORY;
	r->conf = *conf;
	r->conf.address = NULL;
	list_init(&r->sent);
	list_init(&r->waiting);
	list_init(&r->failed);
	list_init(&r->failing);
	timer_init(&r->deadline, on_deadline);
	loop_job_init(&r->fail_job, on_failed);
	enum err e = rds_link_init(&r->link, l, &link_ops, conf->address, conf->retry_min_ms, conf->retry_max_ms);
	if (e != ERR_OK) {
		free(r);
		return e;
	}
	*out = r;
	return ERR_OK;
}

void rds_async_free(struct rds_async *r)
{
	if (r == NULL)
		return;
	r->conf.state = NULL;
	rds_link_fini(&r->link);
	fail_all(r, ERR_CLOSED);
	while (!list_empty(&r->failed))
		on_failed(&r->fail_job);
	loop_undefer(&r->fail_job);
	free(r);
}

bool rds_async_up(const struct rds_async *r)
{
	return r->link.up;
}

struct rds_async_stats rds_async_stats(const struct rds_async *r)
{
	struct rds_async_stats s = r->stats;

	s.pending = s.commands - s.answered;
	return s;
}

static void lose(struct rds_async *r, rds_async_fn fn, void *user)
{
	/* Without memory even for the failure there is no way to call back later: the one case in which it happens at once. */
	r->stats.errors++;
	if (fn != NULL)
		fn(user, ERR_NO_MEMORY, NULL);
}

static void send_command(struct rds_async *r, rds_async_fn fn, void *user, size_t argc, const struct str *argv, enum rds_when when)
{
	struct cmd *c = cmd_new(fn, user, 0);

	if (c == NULL) {
		lose(r, fn, user);
		return;
	}
	enum err e = rds_link_send(&r->link, argc, argv, when);
	if (e == ERR_OK)
		queue_sent(r, c);
	else
		queue_failed(r, c, e);
}

void rds_async_do(struct rds_async *r, rds_async_fn fn, void *user, size_t argc, const struct str *argv)
{
	send_command(r, fn, user, argc, argv, RDS_NOW);
}

void rds_async_soon(struct rds_async *r, rds_async_fn fn, void *user, size_t argc, const struct str *argv)
{
	send_command(r, fn, user, argc, argv, RDS_SOON);
}

static void script_name(struct rds_script *s)
{
	uint8_t sum[SHA1_LEN];
	struct buf b = buf_fixed(s->sha, sizeof(s->sha) - 1);

	if (s->sha[0] != '\0')
		return;
	crypto_sha1(str_from(s->source), sum);
	hex_put(&b, sum, sizeof(sum));
}

static void send_script(struct rds_async *r, struct rds_script *s, rds_async_fn fn, void *user, size_t keys, size_t argc,
			const struct str *argv, enum rds_when when)
{
	char digits[24], first[128];
	struct buf count = buf_fixed(digits, sizeof(digits)), head = buf_fixed(first, sizeof(first));
	size_t need = 64;

	for (size_t i = 0; i < argc; i++)
		need += argv[i].len + 32;
	struct cmd *c = cmd_new(fn, user, need);
	if (c == NULL) {
		lose(r, fn, user);
		return;
	}
	script_name(s);
	buf_u64(&count, keys);
	/* For a second attempt: the number of words, then the words behind the name of the script. */
	struct buf tail = buf_fixed(c->tail, need);
	buf_u64(&tail, argc + 3);
	buf_char(&tail, '\n');
	size_t words = tail.len;
	rds_link_bulk_put(&tail, buf_view(&count));
	for (size_t i = 0; i < argc; i++)
		rds_link_bulk_put(&tail, argv[i]);
	c->tail_len = tail.len;
	c->script = s;

	rds_link_count_put(&head, argc + 3);
	rds_link_bulk_put(&head, STR("EVALSHA"));
	rds_link_bulk_put(&head, str_from(s->sha));
	enum err e = rds_link_send_two(&r->link, buf_view(&head), str_sub(buf_view(&tail), words, tail.len), when);
	if (e == ERR_OK)
		queue_sent(r, c);
	else
		queue_failed(r, c, e);
}

void rds_async_eval(struct rds_async *r, struct rds_script *s, rds_async_fn fn, void *user, size_t keys, size_t argc,
		    const struct str *argv)
{
	send_script(r, s, fn, user, keys, argc, argv, RDS_NOW);
}

void rds_async_eval_soon(struct rds_async *r, struct rds_script *s, rds_async_fn fn, void *user, size_t keys, size_t argc,
			 const struct str *argv)
{
	send_script(r, s, fn, user, keys, argc, argv, RDS_SOON);
}

static void forget_in(struct list *l, const void *user)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, l) {
		struct cmd *c = CONTAINER_OF(it, struct cmd, order);

		if (c->user == user)
			c->fn = NULL;
	}
}

void rds_async_forget(struct rds_async *r, const void *user)
{
	forget_in(&r->sent, user);
	forget_in(&r->failed, user);
}
