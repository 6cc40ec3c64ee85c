/* GET /users?q=: find people. */
#include "api/check.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/search.h"

static void add_item(void *arg, const struct user *u, bool online)
{
	(void)online;
	(void)json_array_append_new(arg, json_pack("{s:s, s:s}", "username", u->name, "display_name", u->display_name));
}

enum err h_directory(struct req *r)
{
	char query[DISPLAY_NAME_SIZE], next_mem[CURSOR_MAX];
	struct buf next = buf_fixed(next_mem, sizeof(next_mem));
	struct search s = { 0 };
	struct page page;

	if (!input_page(r, &page) || !input_query(r, "q", check_search, query, sizeof(query), &s.query))
		return ERR_OK;
	if (s.query.p == NULL)
		return problem_field(r, "?q", "is missing");
	json_t *items = json_array();
	enum err e = search_run(r->rds, &s, &page, add_item, items, &next);
	if (e == ERR_OK)
		e = buf_err(&next);
	if (e != ERR_OK) {
		json_decref(items);
		return e;
	}
	return reply_list(r, items, buf_view(&next));
}
