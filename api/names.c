#include "api/names.h"

#include "api/utf8.h"

void names_words_of(struct str display_name, struct str user, struct names_words *out)
{
	struct buf b = buf_fixed(out->text, sizeof(out->text));

	out->count = 0;
	if (display_name.len == 0)
		return;
	utf8_fold(display_name, &b);
	size_t folded = b.len;
	buf_char(&b, '\n');
	buf_str(&b, user);
	if (b.overflow)
		return;
	/* Words begin at the front and behind blanks, hyphens and opening marks. */
	bool between = true;
	for (size_t i = 0; i < folded && out->count < NAMES_WORDS_MAX; i++) {
		bool sep = strchr(" -_.'\"(,/", b.p[i]) != NULL;

		if (!sep && between)
			out->word[out->count++] = str_sub(buf_view(&b), i, b.len);
		between = sep;
	}
}

struct str names_user(struct str entry)
{
	const char *at = entry.len > 0 ? memrchr(entry.p, '\n', entry.len) : NULL;

	return at != NULL ? str_sub(entry, (size_t)(at - entry.p) + 1, entry.len) : STR_NONE;
}

struct str names_first_match(const struct names_words *words, struct str folded)
{
	struct str best = STR_NONE;

	for (size_t i = 0; i < words->count; i++) {
		struct str w = words->word[i];

		if (!str_starts(w, folded))
			continue;
		if (best.p == NULL || memcmp(w.p, best.p, MIN(w.len, best.len)) < 0)
			best = w;
	}
	return best;
}
