/* The small parsers and validators: cookies, queries, media types, session cookies, names, passwords, routes.
 * Properties that must hold for any text are checked, beside not reading past it. */
#include <stdlib.h>

#include "api/auth.h"
#include "api/input.h"
#include "api/names.h"
#include "api/password.h"
#include "api/route.h"
#include "api/throttle.h"
#include "api/utf8.h"

static void http_parsers(struct str s)
{
	char mem[256], id[SESSION_ID_SIZE], prefix[64];
	struct buf b = buf_fixed(mem, sizeof(mem));
	struct str value, user;

	if (http_cookie(s, STR("a"), &value) == ERR_OK && (value.p < s.p || value.p + value.len > s.p + s.len))
		abort();
	if (http_query(s, STR("a"), &b) == ERR_OK && memchr(mem, '\0', b.len) != NULL)
		abort();
	(void)http_is_json(s);
	(void)http_accepts_json(s);
	(void)http_etag_in(s, STR("\"r1\""));
	if (sessions_parse_cookie(s, &user, id) == ERR_OK && !user_name_valid(user))
		abort();
	throttle_prefix(s, prefix);
}

static void routes(struct str s)
{
	struct str param[ROUTE_PARAMS_MAX];
	const struct route *r;
	unsigned allowed;

	for (unsigned m = 0; m <= HTTP_OTHER; m++) {
		if (route_find(route_table, route_count, (enum http_method)m, s, &r, param, &allowed) == ERR_OK && r->method != m &&
		    m != HTTP_HEAD)
			abort();
	}
}

static void names(struct str s)
{
	struct names_words words;
	char mem[2048];
	struct buf folded = buf_fixed(mem, sizeof(mem));

	utf8_fold(s, &folded);
	if (utf8_length(buf_view(&folded)) == SIZE_MAX && !folded.overflow)
		abort();
	names_words_of(s, STR("alice"), &words);
	for (size_t i = 0; i < words.count; i++) {
		if (!str_eq(names_user(words.word[i]), STR("alice")))
			abort();
	}
	/* What is accepted as a name is UTF-8 and fits where it is kept. */
	if (check_display_name(s) == NULL && (utf8_length(s) > DISPLAY_NAME_CHARS || s.len >= DISPLAY_NAME_SIZE))
		abort();
	if (check_new_password(s) == NULL)
		(void)password_weak(s, STR("alice"), STR("Alice Example"));
	(void)check_password_given(s);
	(void)check_new_username(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_of(data, size);

	http_parsers(s);
	routes(s);
	names(s);
	return 0;
}
