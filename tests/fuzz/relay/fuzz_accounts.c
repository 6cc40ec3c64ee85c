/* The file of users: whatever stands in it, it is taken or refused; who is in can be found by name and by hash. */
#include <stdlib.h>

#include "relay/accounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_of(data, size);
	struct accounts *all;
	char why[256];

	if (size > 1 << 16 || accounts_parse(rest, STR("realm"), &all, why, sizeof(why)) != ERR_OK)
		return 0;
	size_t lines = 0;
	while (rest.p != NULL) {
		struct str line = str_cut(&rest, '\n'), name;
		uint8_t hash[SHA256_LEN];

		if (line.len == 0 || line.p[0] == '#' || str_eq(line, STR("\r")))
			continue;
		name = str_cut(&line, ':');
		const struct account *a = accounts_by_name(all, name);
		must(a != NULL && str_eq(account_name(a), name) && (a->md5.len > 0 || a->sha256.len > 0));
		must(turn_userhash(name, STR("realm"), hash) == ERR_OK && accounts_by_hash(all, hash) == a);
		lines++;
	}
	must(lines == accounts_count(all));
	accounts_free(all);
	return 0;
}
