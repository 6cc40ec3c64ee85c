#include "relay/media_redis.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/rkeys.h"

#define AT_A_TIME 32u
#define COMMANDS_MAX 18u /* of one record: four streams with four fields, one field more, and the lease */
#define US_PER_MS 1000.0

struct batch {
	struct rds *redis;
	size_t queued;
	enum err err;
};

static void add(struct batch *b, struct str key, const char *name, uint64_t n)
{
	char text[24];

	if (b->err != ERR_OK || n == 0)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIu64, n);
	b->err = RDS_QUEUE(b->redis, STR("HINCRBY"), key, str_from(name), str_from(text));
	b->queued += b->err == ERR_OK;
}

static void put(struct batch *b, struct str key, const char *name, uint64_t n)
{
	char text[24];

	if (b->err != ERR_OK)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIu64, n);
	b->err = RDS_QUEUE(b->redis, STR("HSET"), key, str_from(name), str_from(text));
	b->queued += b->err == ERR_OK;
}

/* The counts add up over the allocations of a side; jitter is that of the last. */
static void add_stream(struct batch *b, struct str key, const char *direction, enum media_kind kind, const struct media_report *m)
{
	char name[48];

	if (m->packets == 0)
		return;
	(void)snprintf(name, sizeof(name), "%s.%s.packets", direction, media_kind_names[kind]);
	add(b, key, name, m->packets);
	(void)snprintf(name, sizeof(name), "%s.%s.bytes", direction, media_kind_names[kind]);
	add(b, key, name, m->bytes);
	(void)snprintf(name, sizeof(name), "%s.%s.lost", direction, media_kind_names[kind]);
	add(b, key, name, m->lost);
	(void)snprintf(name, sizeof(name), "%s.%s.jitter_us", direction, media_kind_names[kind]);
	put(b, key, name, (uint64_t)(m->jitter_ms * US_PER_MS));
}

static void add_record(struct batch *b, const struct media_record *m)
{
	struct turn_cred cred;

	if (turn_cred_parse(str_of(m->username, m->username_len), 0, &cred) != ERR_OK || !user_name_valid(cred.user))
		return;
	struct rkey key = rkey_media(cred.user, cred.call);
	for (unsigned k = MEDIA_AUDIO; k < MEDIA_KINDS; k++) {
		add_stream(b, rkey_str(&key), "sent", (enum media_kind)k, &m->media.sent[k]);
		add_stream(b, rkey_str(&key), "received", (enum media_kind)k, &m->media.received[k]);
	}
	put(b, rkey_str(&key), "one_way_audio", m->media.one_way);
	if (b->err == ERR_OK)
		b->err = RDS_QUEUE(b->redis, STR("EXPIRE"), rkey_str(&key), STR(MEDIA_TTL_S));
	b->queued += b->err == ERR_OK;
}

enum err media_redis_write(struct records *records, struct rds *redis)
{
	struct redisReply *replies[AT_A_TIME * COMMANDS_MAX];
	struct media_record record;

	for (;;) {
		struct batch b = { .redis = redis, .err = ERR_OK };
		unsigned taken = 0;

		while (taken < AT_A_TIME && records_take(records, &record)) {
			add_record(&b, &record);
			taken++;
		}
		if (b.err == ERR_OK && b.queued > 0)
			b.err = rds_collect(redis, replies, b.queued);
		for (size_t i = 0; b.err == ERR_OK && i < b.queued; i++)
			rds_reply_free(replies[i]);
		if (b.err != ERR_OK || taken < AT_A_TIME)
			return b.err;
	}
}
