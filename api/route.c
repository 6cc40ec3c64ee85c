#include "api/route.h"

/* One table is small enough (some 40 rows) that comparing row by row costs less than a microsecond; see
 * tests/unit/api/test_route.c. */
static bool matches(const char *pattern, struct str path, struct str param[ROUTE_PARAMS_MAX])
{
	struct str want = str_from(pattern);
	size_t n = 0;

	while (want.p != NULL && path.p != NULL) {
		struct str w = str_cut(&want, '/'), p = str_cut(&path, '/');

		if (w.len > 0 && w.p[0] == '{') {
			if (p.len == 0 || n == ROUTE_PARAMS_MAX)
				return false;
			param[n++] = p;
		} else if (!str_eq(w, p)) {
			return false;
		}
	}
	return want.p == NULL && path.p == NULL;
}

enum err route_find(const struct route *table, size_t count, enum http_method method, struct str path, const struct route **out,
		    struct str param[ROUTE_PARAMS_MAX], unsigned *allowed)
{
	enum http_method want = method == HTTP_HEAD ? HTTP_GET : method;
	unsigned seen = 0;

	if (path.p == NULL || path.len > PATH_MAX_LEN)
		return ERR_NOT_FOUND;
	for (size_t i = 0; i < count; i++) {
		struct str found[ROUTE_PARAMS_MAX] = { STR_NONE };

		if (!matches(table[i].pattern, path, found))
			continue;
		if (table[i].method == want) {
			memcpy(param, found, sizeof(found));
			*out = &table[i];
			return ERR_OK;
		}
		seen |= 1u << table[i].method;
		if (table[i].method == HTTP_GET)
			seen |= 1u << HTTP_HEAD;
	}
	if (seen == 0)
		return ERR_NOT_FOUND;
	*allowed = seen | 1u << HTTP_OPTIONS;
	return ERR_UNSUPPORTED;
}
