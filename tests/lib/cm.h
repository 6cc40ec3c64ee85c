/* cmocka with the headers it forgets, and checks for our own types. */
#ifndef DUPLEX_TESTS_CM_H
#define DUPLEX_TESTS_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/str.h"

#define assert_ok(expr) assert_int_equal((expr), ERR_OK)
#define assert_err(expr, e) assert_int_equal((expr), (e))
#define assert_str(s, literal) assert_str_at((s), (literal), __FILE__, __LINE__)

static inline void assert_str_at(struct str s, const char *want, const char *file, int line)
{
	size_t len = strlen(want);

	if (s.len == len && (len == 0 || memcmp(s.p, want, len) == 0))
		return;
	print_error("%s:%d: '%.*s' is not '%s'\n", file, line, STR_FMT(s), want);
	_fail(file, line);
}

#endif
