/* Free huge pages, read from folders like the kernel's. */
#include "relay/hugepages.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cm.h"

static char root[] = "/tmp/duplex-test-huge-XXXXXX";
static const char *const folders[] = { "", "/sys", "/sys/kernel", "/sys/kernel/mm", "/sys/kernel/mm/hugepages",
				       "/sys/kernel/mm/hugepages/hugepages-2048kB", "/sys/kernel/mm/hugepages/hugepages-1048576kB",
				       "/sys/kernel/mm/hugepages/other" };

static void put(const char *folder, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/sys/kernel/mm/hugepages/%s/free_hugepages", root, folder);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void sums_all_sizes(void **state)
{
	char path[256];

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(hugepages_free_mb(root), 0);
	for (size_t i = 1; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put("hugepages-2048kB", "64\n");
	put("hugepages-1048576kB", "1\n");
	put("other", "1000\n");
	assert_int_equal(hugepages_free_mb(root), 128 + 1024);
	put("hugepages-1048576kB", "many\n");
	assert_int_equal(hugepages_free_mb(root), 128);

	for (size_t i = ARRAY_LEN(folders); i-- > 5;) {
		(void)snprintf(path, sizeof(path), "%s%s/free_hugepages", root, folders[i]);
		(void)unlink(path);
	}
	for (size_t i = ARRAY_LEN(folders); i-- > 0;) {
		(void)snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		assert_int_equal(rmdir(path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sums_all_sizes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
