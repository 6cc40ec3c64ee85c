#include "common/rds_addr.h"

static bool next(struct str *list, struct str *one)
{
	while (list->len > 0) {
		*one = str_trim(str_cut(list, ','));
		if (one->len > 0)
			return true;
	}
	return false;
}

size_t rds_addr_count(struct str list)
{
	struct str one;
	size_t n = 0;

	while (next(&list, &one))
		n++;
	return n;
}

enum err rds_addr_at(struct str list, size_t index, char *out, size_t size)
{
	size_t count = rds_addr_count(list);
	struct str one = STR_NONE;

	if (count == 0)
		return ERR_NOT_FOUND;
	for (size_t left = index % count + 1; left > 0; left--)
		(void)next(&list, &one);
	return str_copy(one, out, size);
}
