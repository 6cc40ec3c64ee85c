#include "common/conf.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct load {
	const struct conf_option *table;
	size_t count;
	char *into;
	bool *seen;
	char *why;
	size_t why_size;
	enum err err;
};

static char **string_field(const struct conf_option *o, char *into)
{
	return (char **)(void *)(into + o->offset);
}

static enum err read_secret(const char *path, char **out, char *why, size_t why_size)
{
	char line[512];
	struct stat st;
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		(void)snprintf(why, why_size, "the secret file %s cannot be opened: %m", path);
		return ERR_NOT_FOUND;
	}
	enum err e = ERR_INVALID;
	if (fstat(fileno(f), &st) != 0 || (st.st_mode & S_IRWXO) != 0)
		(void)snprintf(why, why_size, "the secret file %s must not be readable by others (chmod 640)", path);
	else if (fgets(line, sizeof(line), f) == NULL || line[strcspn(line, "\r\n")] == '\0' || strcspn(line, "\r\n") < 16)
		(void)snprintf(why, why_size, "the first line of the secret file %s must have 16 to 500 characters", path);
	else
		e = ERR_OK;
	(void)fclose(f);
	if (e != ERR_OK)
		return e;
	line[strcspn(line, "\r\n")] = '\0';
	*out = strdup(line);
	explicit_bzero(line, sizeof(line));
	return *out != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static enum err to_bool(const char *value, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
			*out = strcasecmp(value, yes[i]) == 0;
			return ERR_OK;
		}
	}
	return ERR_INVALID;
}

static enum err set(struct load *l, const struct conf_option *o, const char *value)
{
	char **text = string_field(o, l->into);
	uint64_t n;

	switch (o->type) {
	case CONF_STRING:
	case CONF_LIST:
		free(*text);
		*text = strdup(value);
		return *text != NULL ? ERR_OK : ERR_NO_MEMORY;
	case CONF_SECRET:
		free(*text);
		*text = NULL;
		return read_secret(value, text, l->why, l->why_size);
	case CONF_BOOL:
		if (to_bool(value, (bool *)(void *)(l->into + o->offset)) == ERR_OK)
			return ERR_OK;
		(void)snprintf(l->why, l->why_size, "[%s] %s must be yes or no, not '%s'", o->section, o->key, value);
		return ERR_INVALID;
	case CONF_UINT:
		if (str_to_u64(str_from(value), o->max, &n) != ERR_OK || n < o->min) {
			(void)snprintf(l->why, l->why_size, "[%s] %s must be a number from %llu to %llu, not '%s'", o->section,
				       o->key, (unsigned long long)o->min, (unsigned long long)o->max, value);
			return ERR_INVALID;
		}
		memcpy(l->into + o->offset, &n, sizeof(n));
		return ERR_OK;
	}
	return ERR_INTERNAL;
}

static bool ours(const struct load *l, const char *section)
{
	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(l->table[i].section, section) == 0 && strcmp(section, "common") != 0)
			return true;
	}
	return false;
}

static int on_pair(void *user, const char *section, const char *key, const char *value)
{
	struct load *l = user;

	if (l->err != ERR_OK)
		return 1;
	for (size_t i = 0; i < l->count; i++) {
		const struct conf_option *o = &l->table[i];

		if (strcmp(o->section, section) != 0 || strcmp(o->key, key) != 0)
			continue;
		l->seen[i] = true;
		l->err = set(l, o, value);
		return 1;
	}
	/* [common] holds what some programs share: a key there that is not ours may be another's. */
	if (ours(l, section)) {
		(void)snprintf(l->why, l->why_size, "[%s] %s is not a known option", section, key);
		l->err = ERR_INVALID;
	}
	return 1;
}

enum err conf_load(const char *path, const struct conf_option *table, size_t count, void *into, char *why, size_t why_size)
{
	struct load l = { .table = table, .count = count, .into = into, .why = why, .why_size = why_size };

	(void)snprintf(why, why_size, "out of memory");
	l.seen = calloc(count, sizeof(*l.seen));
	if (l.seen == NULL)
		return ERR_NO_MEMORY;
	int line = ini_parse(path, on_pair, &l);
	if (line < 0) {
		(void)snprintf(why, why_size, "the configuration %s cannot be read: %s", path, strerrordesc_np(errno));
		l.err = ERR_NOT_FOUND;
	} else if (line > 0 && l.err == ERR_OK) {
		(void)snprintf(why, why_size, "%s line %d is neither a [section] nor key = value", path, line);
		l.err = ERR_INVALID;
	}
	for (size_t i = 0; i < count && l.err == ERR_OK; i++) {
		if (l.seen[i])
			continue;
		if (table[i].preset == NULL) {
			(void)snprintf(why, why_size, "[%s] %s is missing in %s", table[i].section, table[i].key, path);
			l.err = ERR_NOT_FOUND;
		} else if (table[i].type != CONF_SECRET || table[i].preset[0] != '\0') {
			l.err = set(&l, &table[i], table[i].preset);
		}
	}
	free(l.seen);
	return l.err;
}

void conf_free(const struct conf_option *table, size_t count, void *into)
{
	for (size_t i = 0; i < count; i++) {
		if (table[i].type == CONF_UINT || table[i].type == CONF_BOOL)
			continue;
		char **text = string_field(&table[i], into);

		if (table[i].type == CONF_SECRET && *text != NULL)
			explicit_bzero(*text, strlen(*text));
		free(*text);
		*text = NULL;
	}
}

static void print_value(const struct conf_option *o, const void *from)
{
	const char *at = (const char *)from + (from != NULL ? o->offset : 0);
	char *text;
	uint64_t n;
	bool yes;

	if (from == NULL) {
		printf("%s%s = %s\n", o->preset == NULL ? "" : "# ", o->key, o->preset != NULL ? o->preset : "");
		return;
	}
	switch (o->type) {
	case CONF_SECRET:
		printf("# %s is set\n", o->key);
		return;
	case CONF_UINT:
		memcpy(&n, at, sizeof(n));
		printf("%s = %llu\n", o->key, (unsigned long long)n);
		return;
	case CONF_BOOL:
		memcpy(&yes, at, sizeof(yes));
		printf("%s = %s\n", o->key, yes ? "yes" : "no");
		return;
	case CONF_STRING:
	case CONF_LIST:
		memcpy(&text, at, sizeof(text));
		printf("%s = %s\n", o->key, text != NULL ? text : "");
		return;
	}
}

void conf_print(const struct conf_option *table, size_t count, const void *from)
{
	const char *section = "";

	for (size_t i = 0; i < count; i++) {
		const struct conf_option *o = &table[i];

		if (strcmp(section, o->section) != 0)
			printf("%s[%s]\n", i > 0 ? "\n" : "", section = o->section);
		printf("; %s", o->help);
		if (o->type == CONF_UINT)
			printf(" (%llu to %llu%s%s)", (unsigned long long)o->min, (unsigned long long)o->max,
			       o->unit[0] != '\0' ? " " : "", o->unit);
		printf("%s%s\n", o->preset == NULL ? "; required" : "", o->reloadable ? "; reloadable" : "");
		print_value(o, from);
	}
}

int conf_main(int argc, char **argv, const char *program, const struct conf_option *table, size_t count, void *into,
	      int *extra_argc, char ***extra_argv)
{
	const char *path = "/etc/duplex/duplex.conf";
	bool check = false, print = false;
	char why[512];
	int i = 1;

	for (; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
			path = argv[++i];
		} else if (strcmp(argv[i], "--check-config") == 0) {
			check = true;
		} else if (strcmp(argv[i], "--print-config") == 0) {
			print = true;
		} else if (strcmp(argv[i], "--version") == 0) {
			printf("%s %s\n", program, DUPLEX_VERSION);
			return 0;
		} else if (strcmp(argv[i], "--help") == 0) {
			printf("usage: %s [--config FILE] [--check-config | --print-config | --version | --help]\n\n", program);
			conf_print(table, count, NULL);
			return 0;
		} else {
			break;
		}
	}
	if (extra_argc == NULL && i < argc) {
		(void)fprintf(stderr, "%s: %s is not an option; see --help\n", program, argv[i]);
		return 2;
	}
	if (extra_argc != NULL) {
		*extra_argc = argc - i;
		*extra_argv = argv + i;
	}
	if (conf_load(path, table, count, into, why, sizeof(why)) != ERR_OK) {
		(void)fprintf(stderr, "%s: %s\n", program, why);
		return 2;
	}
	if (print)
		conf_print(table, count, into);
	if (check && !print)
		printf("%s: the configuration %s is valid\n", program, path);
	return check || print ? 0 : -1;
}
