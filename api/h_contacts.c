/* /contacts: the user's contact list. Each change tells the signalling workers, whose watchers are notified. */
#include <stdio.h>
#include <stdlib.h>

#include "api/event.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/check.h"
#include "api/reply.h"
#include "api/users.h"
#include "common/rkeys.h"

/* KEYS contacts; ARGV contact, now, most. Returns when it was added, or 0 if the list is full. */
static const char add_source[] =
	"local have = redis.call('HGET', KEYS[1], ARGV[1])\n"
	"if have then return {have, 0} end\n"
	"if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return {'0', 0} end\n"
	"redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
	"return {ARGV[2], 1}\n";

struct contact {
	struct str name; /* borrows from the reply */
	uint64_t added_ms;
};

static int by_name(const void *a, const void *b)
{
	const struct contact *x = a, *y = b;
	int order = memcmp(x->name.p, y->name.p, MIN(x->name.len, y->name.len));

	return order != 0 ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static json_t *contact_json(struct str name, struct str display_name, uint64_t added_ms)
{
	return json_pack("{s:o, s:o, s:o}", "username", reply_str(name), "display_name",
			 display_name.len > 0 ? reply_str(display_name) : reply_str(name), "added_at", reply_time_json(added_ms));
}

struct listing {
	json_t *items;
	const struct contact *contacts;
};

static void add_item(void *arg, size_t i, struct str display_name)
{
	struct listing *l = arg;

	(void)json_array_append_new(l->items, contact_json(l->contacts[i].name, display_name, l->contacts[i].added_ms));
}

/* The page's part of the sorted list: those behind the cursor, at most `limit`. */
static size_t take(const struct redisReply *reply, struct contact *all, const struct page *page, size_t *first)
{
	size_t count = rds_len(reply) / 2;

	for (size_t i = 0; i < count; i++) {
		all[i] = (struct contact){ .name = rds_text(rds_at(reply, 2 * i)),
					   .added_ms = (uint64_t)rds_int(rds_at(reply, 2 * i + 1)) };
	}
	qsort(all, count, sizeof(*all), by_name);
	struct contact after = { .name = { page->cursor, page->cursor_len } };
	*first = 0;
	while (page->cursor_len > 0 && *first < count && by_name(&all[*first], &after) <= 0)
		(*first)++;
	return count;
}

enum err h_contacts(struct req *r)
{
	struct rkey key = rkey_contacts(req_user(r));
	struct redisReply *reply;
	struct page page;
	size_t first;

	if (!input_page(r, &page))
		return ERR_OK;
	enum err e = RDS(r->rds, &reply, STR("HGETALL"), rkey_str(&key));
	if (e != ERR_OK)
		return e;
	struct contact *all = calloc(rds_len(reply) / 2 + 1, sizeof(*all));
	json_t *items = json_array();
	if (all == NULL) {
		e = ERR_NO_MEMORY;
		goto out;
	}
	size_t count = take(reply, all, &page, &first), n = MIN(count - first, page.limit);
	struct str names[LIMIT_MAX];
	for (size_t i = 0; i < n; i++)
		names[i] = all[first + i].name;
	struct listing l = { items, all + first };
	e = users_display_names(r->rds, names, n, add_item, &l);
	if (e == ERR_OK) {
		e = reply_list(r, items, first + n < count ? names[n - 1] : STR(""));
		items = NULL;
	}
out:
	json_decref(items);
	free(all);
	rds_reply_free(reply);
	return e;
}

static enum err add(struct req *r, struct str contact, uint64_t *added_ms, bool *fresh)
{
	struct rkey key = rkey_contacts(req_user(r));
	struct redisReply *replies[2];
	size_t queued = 1;
	char now[24], most[24];

	(void)snprintf(now, sizeof(now), "%llu", (unsigned long long)r->now_ms);
	(void)snprintf(most, sizeof(most), "%u", CONTACTS_MAX);
	enum err e = RDS_QUEUE(r->rds, STR("EVAL"), str_from(add_source), STR("1"), rkey_str(&key), contact, str_from(now),
			       str_from(most));
	if (e == ERR_OK)
		e = event_queue_contacts_changed(r->rds, req_user(r), &queued);
	if (e == ERR_OK)
		e = rds_collect(r->rds, replies, queued);
	if (e != ERR_OK)
		return e;
	*added_ms = (uint64_t)rds_int(rds_at(replies[0], 0));
	*fresh = rds_int(rds_at(replies[0], 1)) == 1;
	rds_reply_free(replies[0]);
	rds_reply_free(replies[1]);
	return ERR_OK;
}

struct contact_post {
	struct str username;
};

static const struct field fields[] = {
	{ "username", INPUT_TEXT, true, check_username, offsetof(struct contact_post, username) },
};

enum err h_contact_add(struct req *r)
{
	struct contact_post in = { 0 };
	struct user u;
	uint64_t added_ms;
	bool fresh;

	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	if (str_eq(in.username, req_user(r)))
		return problem_field(r, "/username", "is yourself");
	enum err e = users_get(r->rds, in.username, &u);
	if (e == ERR_NOT_FOUND)
		return problem_send(r, PROBLEM_NO_SUCH_USER, NULL);
	if (e != ERR_OK)
		return e;
	users_wipe(&u);
	e = add(r, in.username, &added_ms, &fresh);
	if (e != ERR_OK)
		return e;
	if (added_ms == 0) {
		char text[64];

		(void)snprintf(text, sizeof(text), "A contact list holds at most %u people", CONTACTS_MAX);
		return problem_send(r, PROBLEM_LIMIT, text);
	}
	return reply_json(r, fresh ? 201 : 200, contact_json(in.username, str_from(u.display_name), added_ms));
}

enum err h_contact_remove(struct req *r)
{
	struct rkey key = rkey_contacts(req_user(r));
	struct redisReply *replies[2];
	size_t queued = 1;

	if (!user_name_valid(r->param[0]))
		return problem_send(r, PROBLEM_NOT_FOUND, NULL);
	enum err e = RDS_QUEUE(r->rds, STR("HDEL"), rkey_str(&key), r->param[0]);
	if (e == ERR_OK)
		e = event_queue_contacts_changed(r->rds, req_user(r), &queued);
	if (e == ERR_OK)
		e = rds_collect(r->rds, replies, queued);
	if (e != ERR_OK)
		return e;
	bool was_there = rds_int(replies[0]) == 1;
	rds_reply_free(replies[0]);
	rds_reply_free(replies[1]);
	return was_there ? reply_empty(r, 204) : problem_send(r, PROBLEM_NOT_FOUND, NULL);
}
