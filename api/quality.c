#include "api/quality.h"

#include <stdio.h>

#define US_PER_MS 1000.0

static const char *const kinds[QUALITY_KINDS] = { [QUALITY_AUDIO] = "audio", [QUALITY_VIDEO] = "video" };

static uint64_t hash_number(const struct redisReply *hash, const char *direction, const char *kind, const char *what)
{
	char name[48];
	uint64_t n = 0;

	(void)snprintf(name, sizeof(name), "%s.%s.%s", direction, kind, what);
	(void)str_to_u64(rds_field(hash, name), INT64_MAX, &n);
	return n;
}

static void read_hash(struct quality_stream to[QUALITY_KINDS], const struct redisReply *hash, const char *direction)
{
	for (unsigned k = 0; k < QUALITY_KINDS; k++)
		to[k] = (struct quality_stream){ .packets = hash_number(hash, direction, kinds[k], "packets"),
						 .bytes = hash_number(hash, direction, kinds[k], "bytes"),
						 .lost = hash_number(hash, direction, kinds[k], "lost"),
						 .jitter_ms = (double)hash_number(hash, direction, kinds[k], "jitter_us") / US_PER_MS };
}

struct quality quality_of_ended(const struct redisReply *hash)
{
	struct quality q = { .known = rds_len(hash) > 0, .one_way = str_eq(rds_field(hash, "one_way_audio"), STR("1")) };

	read_hash(q.sent, hash, "sent");
	read_hash(q.received, hash, "received");
	return q;
}

/* Below 0 is nothing, too. */
static uint64_t json_number_of(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}

/* Sums stay below what a reply can say, whatever was claimed. */
static uint64_t sum(uint64_t a, uint64_t b)
{
	return MIN(a + MIN(b, (uint64_t)INT64_MAX), (uint64_t)INT64_MAX);
}

static bool add_living(struct quality_stream to[QUALITY_KINDS], const json_t *direction)
{
	bool any = false;

	for (unsigned k = 0; k < QUALITY_KINDS; k++) {
		const json_t *stream = json_object_get(direction, kinds[k]);
		uint64_t packets = json_number_of(stream, "packets");
		double jitter_ms = json_number_value(json_object_get(stream, "jitter_ms"));

		if (packets == 0)
			continue;
		any = true;
		to[k].packets = sum(to[k].packets, packets);
		to[k].bytes = sum(to[k].bytes, json_number_of(stream, "bytes"));
		to[k].lost = sum(to[k].lost, json_number_of(stream, "lost"));
		to[k].jitter_ms = jitter_ms > 0 ? jitter_ms : 0;
	}
	return any;
}

uint64_t quality_add_living(struct quality *q, const json_t *side)
{
	bool sent = add_living(q->sent, json_object_get(side, "sent"));
	bool received = add_living(q->received, json_object_get(side, "received"));

	if (sent || received) {
		q->known = true;
		q->one_way = json_is_true(json_object_get(side, "one_way_audio"));
	}
	return json_number_of(side, "allocations");
}

/* null where nothing of that kind went that way. */
static json_t *stream_json(const struct quality_stream *s)
{
	if (s->packets == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:f}", "packets", (json_int_t)s->packets, "bytes", (json_int_t)s->bytes, "lost", (json_int_t)s->lost,
			 "jitter_ms", s->jitter_ms);
}

static json_t *direction_json(const struct quality_stream streams[QUALITY_KINDS])
{
	return json_pack("{s:o, s:o}", kinds[QUALITY_AUDIO], stream_json(&streams[QUALITY_AUDIO]), kinds[QUALITY_VIDEO],
			 stream_json(&streams[QUALITY_VIDEO]));
}

json_t *quality_json(const struct quality *q)
{
	if (!q->known)
		return json_null();
	return json_pack("{s:o, s:o, s:b}", "sent", direction_json(q->sent), "received", direction_json(q->received), "one_way_audio", (int)q->one_way);
}
