/* The directory search, shared by users and administrators: people whose user name, or a word of whose display
 * name, begins with a text. */
#ifndef DUPLEX_API_SEARCH_H
#define DUPLEX_API_SEARCH_H

#include "api/input.h"
#include "api/users.h"

struct search {
	struct str query;   /* as typed; empty: everyone, by user name */
	bool with_disabled; /* administrators see them */
	bool with_online;   /* ask for bindings too */
};

typedef void (*search_fn)(void *arg, const struct user *u, bool online);

/* Calls `fn` for at most page->limit people from page->cursor on, and writes the next cursor (length 0: that
 * was all). */
enum err search_run(struct rds *r, const struct search *s, const struct page *page, search_fn fn, void *arg, struct buf *next);

#endif
