#include "common/str.h"

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.len > 0 && blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct str str_cut(struct str *rest, char sep)
{
	size_t at = str_find(*rest, sep);
	struct str head = { rest->p, at };

	if (at < rest->len)
		*rest = str_sub(*rest, at + 1, rest->len);
	else
		*rest = STR_NONE;
	return head;
}

enum err str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0)
		return ERR_INVALID;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

		if (digit > 9)
			return ERR_INVALID;
		/* 19 digits always fit. */
		if (i >= 19 && n > (UINT64_MAX - digit) / 10)
			return ERR_TOO_LARGE;
		n = n * 10 + digit;
	}
	if (n > max)
		return ERR_TOO_LARGE;
	*out = n;
	return ERR_OK;
}

enum err str_copy(struct str s, char *dst, size_t size)
{
	if (s.len >= size)
		return ERR_TOO_LARGE;
	if (s.len > 0) {
		if (memchr(s.p, '\0', s.len) != NULL)
			return ERR_INVALID;
		memcpy(dst, s.p, s.len);
	}
	dst[s.len] = '\0';
	return ERR_OK;
}
