/* Test input before a page without access: a parser that reads one byte past its end dies, with or without a sanitizer. */
#ifndef DUPLEX_TESTS_GUARD_H
#define DUPLEX_TESTS_GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
	unsigned char *map;
	size_t size; /* usable bytes in front of the forbidden page */
};

static inline struct guard guard_new(size_t max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (max + page - 1) / page * page;
	unsigned char *map = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || mprotect(map + size, page, PROT_NONE) != 0)
		abort();
	return (struct guard){ map, size };
}

static inline void guard_free(struct guard *g)
{
	(void)munmap(g->map, g->size + (size_t)sysconf(_SC_PAGESIZE));
}

/* Copies `len` bytes so that they end where the forbidden page begins. */
static inline void *guard_put(struct guard *g, const void *p, size_t len)
{
	unsigned char *at = g->map + g->size - len;

	if (len > g->size)
		abort();
	if (len > 0)
		memcpy(at, p, len);
	return at;
}

#endif
