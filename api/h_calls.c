/* GET /calls: the user's call history, newest first; the cursor is the id in the stream. */
#include <stdio.h>
#include <stdlib.h>

#include "api/handlers.h"
#include "api/input.h"
#include "api/quality.h"
#include "api/reply.h"
#include "api/users.h"
#include "common/cdr.h"
#include "common/rkeys.h"

static json_t *time_of(const struct redisReply *fields, const char *name)
{
	uint64_t ms;

	return reply_time_json(str_to_u64(rds_field(fields, name), UINT64_MAX / 2, &ms) == ERR_OK ? ms : 0);
}

static struct str peer_of(const struct redisReply *fields, struct str me)
{
	struct str caller = rds_field(fields, CDR_CALLER);

	return str_eq(caller, me) ? rds_field(fields, CDR_CALLEE) : caller;
}

static json_t *call_json(const struct redisReply *fields, const struct redisReply *media, struct str me, struct str peer, struct str display_name)
{
	bool outgoing = str_eq(rds_field(fields, CDR_CALLER), me);
	struct str referrer = rds_field(fields, CDR_REFERRED_BY);
	struct quality quality = quality_of_ended(media);
	uint64_t status;

	return json_pack("{s:o, s:s, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", reply_str(rds_field(fields, CDR_ID)), "direction",
			 outgoing ? "outgoing" : "incoming", "peer", "username", reply_str(peer), "display_name",
			 reply_str(display_name.len > 0 ? display_name : peer), "media", reply_str(rds_field(fields, CDR_MEDIA)),
			 "started_at", time_of(fields, CDR_STARTED), "answered_at", time_of(fields, CDR_ANSWERED), "ended_at",
			 time_of(fields, CDR_ENDED), "end_reason", reply_str(rds_field(fields, CDR_REASON)), "sip_status",
			 str_to_u64(rds_field(fields, CDR_STATUS), 699, &status) == ERR_OK && status > 0 ? json_integer((json_int_t)status)
													  : json_null(),
			 "referred_by", referrer.len > 0 ? reply_str(referrer) : json_null(), "quality", quality_json(&quality));
}

struct listing {
	json_t *items;
	struct redisReply *const *media; /* of each */
	const struct redisReply *entries;
	const struct str *peers;
	struct str me;
};

static void add_item(void *arg, size_t i, struct str display_name)
{
	struct listing *l = arg;

	(void)json_array_append_new(l->items, call_json(rds_at(rds_at(l->entries, i), 1), l->media[i], l->me, l->peers[i], display_name));
}

/* A stream id, "MS-SEQ". */
static bool stream_id_ok(struct str s)
{
	struct str rest = s;
	uint64_t n;

	return str_to_u64(str_cut(&rest, '-'), UINT64_MAX, &n) == ERR_OK && rest.p != NULL && str_to_u64(rest, UINT64_MAX, &n) == ERR_OK;
}

static enum err fetch(struct req *r, const struct page *page, struct redisReply **out)
{
	struct rkey key = rkey_history(req_user(r));
	char from[CURSOR_MAX + 2], count[16];

	if (page->cursor_len > 0)
		(void)snprintf(from, sizeof(from), "(%s", page->cursor);
	else
		(void)snprintf(from, sizeof(from), "+");
	(void)snprintf(count, sizeof(count), "%zu", page->limit + 1);
	return RDS(r->rds, out, STR("XREVRANGE"), rkey_str(&key), str_from(from), STR("-"), STR("COUNT"), str_from(count));
}

/* What the relays say of this user's side of each call; an empty reply where they say nothing. On failure none is owned. */
static enum err fetch_media(struct req *r, const struct redisReply *entries, size_t count, struct redisReply **media)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		const struct redisReply *fields = rds_at(rds_at(entries, i), 1);
		bool outgoing = str_eq(rds_field(fields, CDR_CALLER), req_user(r));
		struct rkey key = rkey_media(req_user(r), rds_field(fields, outgoing ? CDR_CALLER_SESSION : CDR_CALLEE_SESSION));

		e = RDS_QUEUE(r->rds, STR("HGETALL"), rkey_str(&key));
	}
	return e == ERR_OK && count > 0 ? rds_collect(r->rds, media, count) : e;
}

enum err h_calls(struct req *r)
{
	struct redisReply *entries, *media[LIMIT_MAX];
	struct str peers[LIMIT_MAX];
	struct page page;

	if (!input_page(r, &page))
		return ERR_OK;
	if (page.cursor_len > 0 && !stream_id_ok(str_of(page.cursor, page.cursor_len)))
		return problem_field(r, "?cursor", "is not one of ours");
	enum err e = fetch(r, &page, &entries);
	if (e != ERR_OK)
		return e;
	size_t count = MIN(rds_len(entries), page.limit);
	for (size_t i = 0; i < count; i++)
		peers[i] = peer_of(rds_at(rds_at(entries, i), 1), req_user(r));
	e = fetch_media(r, entries, count, media);
	if (e != ERR_OK) {
		rds_reply_free(entries);
		return e;
	}
	struct listing l = { json_array(), media, entries, peers, req_user(r) };
	e = users_display_names(r->rds, peers, count, add_item, &l);
	if (e == ERR_OK)
		e = reply_list(r, l.items, rds_len(entries) > count ? rds_text(rds_at(rds_at(entries, count - 1), 0)) : STR(""));
	else
		json_decref(l.items);
	for (size_t i = 0; i < count; i++)
		rds_reply_free(media[i]);
	rds_reply_free(entries);
	return e;
}
