/* The directory: how a display name is found by the beginning of any of its words. For "Alice van Dyke" (alice)
 * the set `names` holds "alice van dyke\nalice", "van dyke\nalice" and "dyke\nalice"; a search is one range of
 * the sorted set. */
#ifndef DUPLEX_API_NAMES_H
#define DUPLEX_API_NAMES_H

#include "common/buf.h"

#define NAMES_WORDS_MAX 8u
#define NAMES_TEXT_MAX 420u /* folded display name, newline, user name */

struct names_words {
	char text[NAMES_TEXT_MAX];
	struct str word[NAMES_WORDS_MAX]; /* suffixes of text, each from the beginning of a word */
	size_t count;
};

void names_words_of(struct str display_name, struct str user, struct names_words *out);
/* The user name behind the last newline of an entry. */
struct str names_user(struct str entry);
/* Of all entries of this person that begin with `folded`, the one that stands for them, so that a person is
 * listed once. Empty: none. */
struct str names_first_match(const struct names_words *words, struct str folded);

#endif
