/* A slice: pointer and length, passed by value, never NUL-terminated by promise. It borrows; who owns the bytes is said where a
 * slice is stored. */
#ifndef DUPLEX_COMMON_STR_H
#define DUPLEX_COMMON_STR_H

#include <string.h>

#include "common/base.h"
#include "common/err.h"

struct str {
	const char *p;
	size_t len;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
#define STR_FMT(s) (int)(s).len, (s).p /* for "%.*s" */

static inline struct str str_from(const char *z)
{
	return (struct str){ z, z != NULL ? strlen(z) : 0 };
}

static inline struct str str_of(const void *p, size_t len)
{
	return (struct str){ p, len };
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ASCII case-insensitive. */
static inline bool str_ieq(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];

		if (x != y && ((x ^ y) != 0x20 || (x | 0x20) - 'a' > 25))
			return false;
	}
	return true;
}

static inline bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.p, prefix.p, prefix.len) == 0);
}

/* The part of `s` from `from` on, at most `len` bytes; empty when `from` lies behind the end. */
static inline struct str str_sub(struct str s, size_t from, size_t len)
{
	if (s.p == NULL)
		return s;
	if (s.len == 0)
		return s; /* perhaps NULL, to which not even 0 may be added */
	if (from > s.len)
		return (struct str){ s.p + s.len, 0 };
	return (struct str){ s.p + from, MIN(len, s.len - from) };
}

/* Index of the first `c`, or s.len. */
static inline size_t str_find(struct str s, char c)
{
	const char *at = s.len > 0 ? memchr(s.p, c, s.len) : NULL;

	return at != NULL ? (size_t)(at - s.p) : s.len;
}

/* Without leading and trailing blanks (SP, HTAB, CR, LF). */
struct str str_trim(struct str s);

/* Cuts the token before the first `sep` off the front of *rest and returns it; the separator is dropped. The last token is all that
 * is left; *rest is then {NULL, 0}. Call while rest->p != NULL. */
struct str str_cut(struct str *rest, char sep);

/* Decimal digits only, the whole slice. ERR_INVALID on anything else, ERR_TOO_LARGE above `max`. */
enum err str_to_u64(struct str s, uint64_t max, uint64_t *out);

/* Copies with a NUL into dst[size]. ERR_TOO_LARGE (dst untouched) if it does not fit, ERR_INVALID if `s` holds a NUL. */
enum err str_copy(struct str s, char *dst, size_t size);

/* Copies to *at, which moves behind the copy, and gives the copy: for several texts that live in one block with what they belong to. The block has room
 * for all of them. */
static inline struct str str_keep(char **at, struct str s)
{
	struct str kept = { *at, s.len };

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return kept;
}

#endif
