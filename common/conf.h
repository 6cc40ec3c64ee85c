/* Configuration: one INI file for the whole system, one section a program, one table of options a program. Unknown keys in the program's
 * own section or in [common], values out of range and unreadable secret files are errors with file, key and reason. */
#ifndef DUPLEX_COMMON_CONF_H
#define DUPLEX_COMMON_CONF_H

#include "common/str.h"

enum conf_type {
	CONF_STRING,   /* char *, owned by the conf */
	CONF_UINT,     /* uint64_t within min…max */
	CONF_BOOL,     /* bool: yes/no, true/false, on/off, 1/0 */
	CONF_LIST,     /* char *, blank- or comma-separated words as given */
	CONF_SECRET,   /* char *: the value names a file whose first line is the secret; must not be readable by others */
};

struct conf_option {
	const char *section; /* "common" or the program's */
	const char *key;
	enum conf_type type;
	size_t offset;       /* of the field in the program's struct */
	const char *preset;  /* default as text; NULL = required */
	uint64_t min, max;   /* CONF_UINT only */
	const char *unit;    /* "ms", "s", "bytes", "" */
	bool reloadable;
	const char *help;
};

/* Fills `into` (a zeroed struct of the program) from `path` by `table`. On failure `why` holds one sentence for a person.
 * All strings are owned by `into` until conf_free. */
enum err conf_load(const char *path, const struct conf_option *table, size_t count, void *into, char *why, size_t why_size);
void conf_free(const struct conf_option *table, size_t count, void *into);
/* Prints the table as a documented sample file; with `from` the values in force instead of the presets (secrets never). */
void conf_print(const struct conf_option *table, size_t count, const void *from);
/* The usual command line: `--config FILE`, `--check-config`, `--print-config`, `--version`, `--help`. Returns the exit status when the
 * program shall end now, or -1 to go on with `into` filled. Arguments it does not know are left to the caller: extra_argv gets them. */
int conf_main(int argc, char **argv, const char *program, const struct conf_option *table, size_t count, void *into,
	      int *extra_argc, char ***extra_argv);

#endif
