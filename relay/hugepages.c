#include "relay/hugepages.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/str.h"

#define FOLDER "/sys/kernel/mm/hugepages"

static uint64_t number_in(const char *path)
{
	char text[32] = "";
	uint64_t n = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL || str_to_u64(str_trim(str_from(text)), UINT32_MAX, &n) != ERR_OK)
		n = 0;
	(void)fclose(f);
	return n;
}

uint64_t hugepages_free_mb(const char *root)
{
	char path[512];
	uint64_t kb, sum = 0;

	(void)snprintf(path, sizeof(path), "%s" FOLDER, root);
	DIR *d = opendir(path);
	if (d == NULL)
		return 0;
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		/* hugepages-2048kB */
		struct str name = str_from(e->d_name), rest = str_sub(name, 10, name.len);

		if (!str_starts(name, STR("hugepages-")) || str_to_u64(str_cut(&rest, 'k'), UINT32_MAX, &kb) != ERR_OK)
			continue;
		(void)snprintf(path, sizeof(path), "%s" FOLDER "/%s/free_hugepages", root, e->d_name);
		sum += number_in(path) * kb / 1024;
	}
	(void)closedir(d);
	return sum;
}
