#include "api/search.h"

#include <stdio.h>

#include "api/names.h"
#include "api/utf8.h"
#include "common/rkeys.h"

#define BATCH 50u
#define ROUNDS_MAX 8u /* of BATCH entries each: bounds the work of one request when most hints lead nowhere */

/* Two phases: the set of user names, then that of display names. A cursor is the phase's letter and the last
 * entry that was looked at. */
enum phase { BY_USER = 'u', BY_NAME = 'n', DONE = 0 };

struct walk {
	struct rds *rds;
	const struct search *search;
	char folded_mem[NAMES_TEXT_MAX];
	struct str folded;
	enum phase phase;
	char last_mem[NAMES_TEXT_MAX];
	struct buf last; /* empty: from the beginning of the phase */
	size_t left;     /* people still wanted */
	search_fn fn;
	void *arg;
};

static enum err fetch(struct walk *w, size_t count, struct redisReply **out)
{
	char from_mem[NAMES_TEXT_MAX + 1], to_mem[NAMES_TEXT_MAX + 2], n[24];
	struct buf from = buf_fixed(from_mem, sizeof(from_mem)), to = buf_fixed(to_mem, sizeof(to_mem));

	if (w->last.len > 0) {
		buf_char(&from, '(');
		buf_str(&from, buf_view(&w->last));
	} else if (w->folded.len > 0) {
		buf_char(&from, '[');
		buf_str(&from, w->folded);
	} else {
		buf_char(&from, '-');
	}
	if (w->folded.len > 0) {
		/* 0xff is in no UTF-8 text: behind every entry that begins with the query. */
		buf_char(&to, '[');
		buf_str(&to, w->folded);
		buf_char(&to, (char)0xff);
	} else {
		buf_char(&to, '+');
	}
	(void)snprintf(n, sizeof(n), "%zu", count);
	return RDS(w->rds, out, STR("ZRANGEBYLEX"), w->phase == BY_USER ? STR(RKEY_USERS) : STR(RKEY_NAMES), buf_view(&from),
		   buf_view(&to), STR("LIMIT"), STR("0"), str_from(n));
}

static bool wanted(const struct walk *w, const struct user *u, struct str entry)
{
	struct names_words words;

	if (u->disabled && !w->search->with_disabled)
		return false;
	if (w->phase == BY_USER)
		return true;
	/* Found by user name already, or the entry is another word of theirs, or it is a left-over of an old name. */
	if (str_starts(str_from(u->name), w->folded))
		return false;
	names_words_of(str_from(u->display_name), str_from(u->name), &words);
	return str_eq(names_first_match(&words, w->folded), entry);
}

static enum err load(struct walk *w, const struct redisReply *entries, struct redisReply **replies)
{
	size_t count = rds_len(entries);
	enum err e = ERR_OK;

	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct str entry = rds_text(rds_at(entries, i));
		struct str name = w->phase == BY_USER ? entry : names_user(entry);
		struct rkey record = rkey_user(name), location = rkey_location(name);

		e = RDS_QUEUE(w->rds, STR("HGETALL"), rkey_str(&record));
		if (e == ERR_OK && w->search->with_online)
			e = RDS_QUEUE(w->rds, STR("EXISTS"), rkey_str(&location));
	}
	return e == ERR_OK ? rds_collect(w->rds, replies, count * (w->search->with_online ? 2 : 1)) : e;
}

static enum err one_batch(struct walk *w)
{
	struct redisReply *entries, *replies[2 * BATCH];
	size_t asked = MIN(w->left, (size_t)BATCH), step = w->search->with_online ? 2 : 1;

	enum err e = fetch(w, asked, &entries);
	if (e != ERR_OK)
		return e;
	size_t count = MIN(rds_len(entries), (size_t)BATCH);
	e = count > 0 ? load(w, entries, replies) : ERR_OK;
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct str entry = rds_text(rds_at(entries, i));
		struct user u;

		if (users_from_reply(w->phase == BY_USER ? entry : names_user(entry), replies[i * step], &u) == ERR_OK) {
			users_wipe(&u);
			if (wanted(w, &u, entry)) {
				w->fn(w->arg, &u, step == 2 && rds_int(replies[i * step + 1]) == 1);
				w->left--;
			}
		}
		buf_reset(&w->last);
		buf_str(&w->last, entry);
	}
	for (size_t i = 0; i < count * step && e == ERR_OK; i++)
		rds_reply_free(replies[i]);
	rds_reply_free(entries);
	if (e == ERR_OK && count < asked) {
		/* Everyone is found by user name when there is no query. */
		w->phase = w->phase == BY_USER && w->folded.len > 0 ? BY_NAME : DONE;
		buf_reset(&w->last);
	}
	return e;
}

enum err search_run(struct rds *r, const struct search *s, const struct page *page, search_fn fn, void *arg, struct buf *next)
{
	struct walk w = { .rds = r, .search = s, .phase = BY_USER, .left = page->limit, .fn = fn, .arg = arg };
	struct buf folded = buf_fixed(w.folded_mem, sizeof(w.folded_mem));
	enum err e = ERR_OK;

	w.last = buf_fixed(w.last_mem, sizeof(w.last_mem));
	utf8_fold(s->query, &folded);
	w.folded = buf_view(&folded);
	if (page->cursor_len > 0) {
		w.phase = page->cursor[0] == BY_NAME && w.folded.len > 0 ? BY_NAME : BY_USER;
		buf_put(&w.last, page->cursor + 1, page->cursor_len - 1);
	}
	for (unsigned round = 0; round < ROUNDS_MAX && w.left > 0 && w.phase != DONE && e == ERR_OK; round++)
		e = one_batch(&w);
	if (e == ERR_OK && w.phase != DONE) {
		buf_char(next, (char)w.phase);
		buf_str(next, buf_view(&w.last));
	}
	return e;
}
