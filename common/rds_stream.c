#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/rds_async.h"
#include "common/rds_link.h"

#define BLOCK_MS 5000u
#define STREAM_ID_MAX 47u

enum phase { PHASE_IDS, PHASE_READ };

struct rds_stream {
	struct rds_link link;
	struct rds_async_conf conf;
	const char *names[RDS_STREAMS_MAX]; /* literals */
	char ids[RDS_STREAMS_MAX][STREAM_ID_MAX + 1]; /* last entry seen; "" = not known yet */
	size_t count;
	enum phase phase;
	size_t next;           /* PHASE_IDS: whose newest id comes next */
	struct timer overdue;
	rds_stream_fn fn;
	void *user;
};

static struct rds_stream *of_link(struct rds_link *k)
{
	return CONTAINER_OF(k, struct rds_stream, link);
}

static void lost(struct rds_stream *s, enum err e)
{
	rds_link_drop(&s->link, err_text(e));
}

static void send_read(struct rds_stream *s)
{
	struct str argv[6 + 2 * RDS_STREAMS_MAX] = { STR("XREAD"), STR("COUNT"), STR("200"), STR("BLOCK"), STR("5000"), STR("STREAMS") };

	static_assert(BLOCK_MS == 5000, "the text above");
	for (size_t i = 0; i < s->count; i++) {
		argv[6 + i] = str_from(s->names[i]);
		argv[6 + s->count + i] = str_from(s->ids[i]);
	}
	s->phase = PHASE_READ;
	enum err e = rds_link_send(&s->link, 6 + 2 * s->count, argv, RDS_NOW);
	if (e != ERR_OK) {
		lost(s, e);
		return;
	}
	timer_arm(loop_timers(s->link.loop), &s->overdue, BLOCK_MS + MAX(s->conf.deadline_ms * 10, (uint64_t)1000));
}

/* Asks for the newest id of the streams of which none is known; then reads. */
static void go_on(struct rds_stream *s)
{
	while (s->next < s->count && s->ids[s->next][0] != '\0')
		s->next++;
	if (s->next == s->count) {
		send_read(s);
		return;
	}
	struct str argv[] = { STR("XREVRANGE"), str_from(s->names[s->next]), STR("+"), STR("-"), STR("COUNT"), STR("1") };
	s->phase = PHASE_IDS;
	enum err e = rds_link_send(&s->link, ARRAY_LEN(argv), argv, RDS_NOW);
	if (e != ERR_OK)
		lost(s, e);
	else
		timer_arm(loop_timers(s->link.loop), &s->overdue, MAX(s->conf.deadline_ms * 10, (uint64_t)1000));
}

static void on_up(struct rds_link *k)
{
	struct rds_stream *s = of_link(k);

	s->next = 0;
	go_on(s);
	if (s->conf.state != NULL)
		s->conf.state(s->conf.user, true);
}

static void on_down(struct rds_link *k)
{
	struct rds_stream *s = of_link(k);

	timer_stop(loop_timers(k->loop), &s->overdue);
	if (s->conf.state != NULL)
		s->conf.state(s->conf.user, false);
}

static void on_overdue(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	rds_link_drop(&CONTAINER_OF(t, struct rds_stream, overdue)->link, "no answer");
}

static void take_entries(struct rds_stream *s, size_t stream, const struct redisReply *entries)
{
	for (size_t i = 0; i < rds_len(entries); i++) {
		const struct redisReply *entry = rds_at(entries, i);

		/* The id is noted first: an entry that cannot be handled must not come again for ever. */
		if (str_copy(rds_text(rds_at(entry, 0)), s->ids[stream], sizeof(s->ids[0])) != ERR_OK)
			continue;
		s->fn(s->user, s->names[stream], rds_at(entry, 1));
	}
}

static void on_reply(struct rds_link *k, const struct redisReply *reply)
{
	struct rds_stream *s = of_link(k);

	timer_stop(loop_timers(k->loop), &s->overdue);
	if (reply->type == REDIS_REPLY_ERROR) {
		log_event(LOG_WARN, "redis-error", "text=%s", log_value(str_of(reply->str, reply->len)));
		rds_link_drop(k, "XREAD failed");
		return;
	}
	if (s->phase == PHASE_IDS) {
		struct str id = rds_text(rds_at(rds_at(reply, 0), 0));

		if (id.len == 0 || str_copy(id, s->ids[s->next], sizeof(s->ids[0])) != ERR_OK)
			(void)snprintf(s->ids[s->next], sizeof(s->ids[0]), "0-0");
		go_on(s);
		return;
	}
	for (size_t i = 0; i < rds_len(reply); i++) {
		const struct redisReply *one = rds_at(reply, i);

		for (size_t n = 0; n < s->count; n++) {
			if (str_eq(rds_text(rds_at(one, 0)), str_from(s->names[n])))
				take_entries(s, n, rds_at(one, 1));
		}
	}
	send_read(s);
}

static const struct rds_link_ops link_ops = { .up = on_up, .down = on_down, .reply = on_reply };

enum err rds_stream_new(struct loop *l, const struct rds_async_conf *conf, const char *const *names, size_t count, rds_stream_fn fn,
			void *user, struct rds_stream **out)
{
	if (count > RDS_STREAMS_MAX)
		return ERR_TOO_LARGE;
	struct rds_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NO_MEMORY;
	s->conf = *conf;
	s->conf.address = NULL;
	s->count = count;
	s->fn = fn;
	s->user = user;
	for (size_t i = 0; i < count; i++)
		s->names[i] = names[i];
	timer_init(&s->overdue, on_overdue);
	enum err e = rds_link_init(&s->link, l, &link_ops, conf->address, conf->retry_min_ms, conf->retry_max_ms);
	if (e != ERR_OK) {
		free(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

void rds_stream_free(struct rds_stream *s)
{
	if (s == NULL)
		return;
	timer_stop(loop_timers(s->link.loop), &s->overdue);
	rds_link_fini(&s->link);
	free(s);
}
