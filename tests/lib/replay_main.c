/* Runs a fuzzer over stored inputs without libFuzzer, for `make check`: each file of each folder given, and of each file every prefix. The
 * input lies at the end of its own page before a page without access, so that a read past its end is a crash even without a sanitizer.
 * Prints TAP: one test a file. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)
#define PREFIX_MAX 4096u /* of longer files only the first prefixes are tried, and the whole */

static uint8_t *guard; /* first byte that may not be touched */
static unsigned tests;

static void guard_init(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map = mmap(NULL, INPUT_MAX + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || mprotect(map + INPUT_MAX, page, PROT_NONE) != 0) {
		perror("mmap");
		exit(2);
	}
	guard = map + INPUT_MAX;
}

static void replay(const uint8_t *data, size_t size)
{
	uint8_t *at = guard - size;

	memcpy(at, data, size);
	(void)LLVMFuzzerTestOneInput(at, size);
}

static void replay_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *f = fopen(path, "re");

	tests++;
	if (f == NULL) {
		printf("not ok %u - %s: %s\n", tests, path, strerrordesc_np(errno));
		return;
	}
	size_t size = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	/* Named before it runs: after a crash the last line says which input did it. */
	printf("# %s\n", path);
	(void)fflush(stdout);
	for (size_t n = 0; n < MIN(size, PREFIX_MAX); n++)
		replay(data, n);
	replay(data, size);
	printf("ok %u - %s\n", tests, path);
}

static void replay_folder(const char *folder)
{
	struct dirent **entries;
	char path[4096];
	int n = scandir(folder, &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			replay_file(path);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	guard_init();
	for (int i = 1; i < argc; i++)
		replay_folder(argv[i]);
	/* The empty input always. */
	replay((const uint8_t *)"", 0);
	printf("ok %u - the empty input\n1..%u\n", tests + 1, tests + 1);
	return 0;
}
