#include "relay/call_media.h"

#include "common/rkeys.h"
#include "relay/media_stats.h"
#include "relay/table_walk.h"

#define ASK_LEN 32u /* hex digits */

struct look {
	const struct table *table;
	struct side_media *out;
	uint32_t generation;
};

static void add(struct media_report to[MEDIA_KINDS], const struct media_report more[MEDIA_KINDS])
{
	for (unsigned k = MEDIA_AUDIO; k < MEDIA_KINDS; k++)
		to[k] = media_sum(to[k], more[k]);
}

static void look_at(void *ctx, const struct alloc *a)
{
	struct look *l = ctx;
	uint32_t other = atomic_load(&a->other);

	/* Another may have the slot by now. */
	if (atomic_load(&a->generation) != l->generation)
		return;
	struct media_summary m = media_summary(a, other != 0 ? &l->table->slots[other - 1] : NULL);
	l->out->allocations++;
	add(l->out->media.sent, m.sent);
	add(l->out->media.received, m.received);
}

struct side_media call_media(struct table *t, struct str user, struct str call, uint32_t now_s)
{
	uint32_t slots[CALL_ALLOCATIONS_MAX], generations[CALL_ALLOCATIONS_MAX];
	struct side_media side = { 0 };

	if (call.len == 0)
		return side;
	unsigned n = table_of_call(t, user, call, slots, generations, CALL_ALLOCATIONS_MAX);
	for (unsigned i = 0; i < n; i++)
		table_look(t, slots[i], now_s, look_at, &(struct look){ .table = t, .out = &side, .generation = generations[i] });
	side.media.one_way = media_one_way(side.media.sent[MEDIA_AUDIO].packets, side.media.received[MEDIA_AUDIO].packets);
	return side;
}

static void put_side(struct buf *b, const char *name, const struct side_media *s)
{
	buf_printf(b, ",\"%s\":{\"allocations\":%u,", name, s->allocations);
	media_summary_json(b, &s->media);
	buf_char(b, '}');
}

enum err call_media_answer(struct rds *redis, struct str name, struct table *t, const struct redisReply *fields, uint32_t now_s)
{
	struct str ask = rds_field(fields, "ask");
	struct redisReply *replies[2];
	char text[2048];
	struct buf b = buf_fixed(text, sizeof(text));

	if (ask.len != ASK_LEN)
		return ERR_OK;
	struct rkey key = rkey_answer(ask);
	struct side_media caller = call_media(t, rds_field(fields, "caller"), rds_field(fields, "caller_call"), now_s);
	struct side_media callee = call_media(t, rds_field(fields, "callee"), rds_field(fields, "callee_call"), now_s);
	buf_z(&b, "{\"relay\":");
	buf_json(&b, name);
	put_side(&b, "caller", &caller);
	put_side(&b, "callee", &callee);
	buf_char(&b, '}');
	enum err e = b.overflow ? ERR_TOO_LARGE : RDS_QUEUE(redis, STR("RPUSH"), rkey_str(&key), buf_view(&b));
	if (e == ERR_OK)
		e = RDS_QUEUE(redis, STR("PEXPIRE"), rkey_str(&key), STR(ANSWER_TTL_MS));
	if (e == ERR_OK)
		e = rds_collect(redis, replies, ARRAY_LEN(replies));
	for (size_t i = 0; e == ERR_OK && i < ARRAY_LEN(replies); i++)
		rds_reply_free(replies[i]);
	return e;
}
