/* duplexctl: what an administrator does on the server itself, over the same library as the API. Exit status: 0 done,
 * 1 refused, 2 used wrongly.
 *
 *   duplexctl [--config FILE] user add NAME --display-name TEXT [--role user|admin] --password-stdin
 *   duplexctl [--config FILE] user list
 *   duplexctl [--config FILE] user disable|enable NAME
 *   duplexctl [--config FILE] user role NAME user|admin
 *   duplexctl [--config FILE] user password NAME --password-stdin
 *   duplexctl [--config FILE] relay status|list|top|end|capture|drain|serve|doctor …   (ctl/relay.c)
 *   duplexctl [--config FILE] signal status|registrations|calls|connections|stats|trace …   (ctl/signal.c)
 */
#include <stdio.h>
#include <stdlib.h>

#include "api/ctl/ctl.h"

static const struct {
	const char *verb;
	int args; /* positional, behind the verb */
	int (*run)(struct ctl *c, char **args);
	const char *usage;
} verbs[] = {
	{ "add", 1, ctl_user_add, "user add NAME --display-name TEXT [--role user|admin] --password-stdin" },
	{ "list", 0, ctl_user_list, "user list" },
	{ "disable", 1, ctl_user_disable, "user disable NAME" },
	{ "enable", 1, ctl_user_enable, "user enable NAME" },
	{ "role", 2, ctl_user_role, "user role NAME user|admin" },
	{ "password", 1, ctl_user_password, "user password NAME --password-stdin" },
};

#define ARGS_MAX 2

static void usage(FILE *out)
{
	(void)fprintf(out, "usage:\n");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		(void)fprintf(out, "  duplexctl [--config FILE] %s\n", verbs[i].usage);
	ctl_relay_usage(out);
	ctl_signal_usage(out);
}

int ctl_usage(void)
{
	usage(stderr);
	return CTL_USAGE;
}

/* Splits options from positional arguments. */
static int parse(int argc, char **argv, struct ctl *c, char *args[ARGS_MAX], int *count)
{
	*count = 0;
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--password-stdin") == 0)
			c->password_stdin = true;
		else if (strcmp(argv[i], "--display-name") == 0 && i + 1 < argc)
			c->display_name = argv[++i];
		else if (strcmp(argv[i], "--role") == 0 && i + 1 < argc)
			c->role = argv[++i];
		else if (argv[i][0] != '-' && *count < ARGS_MAX)
			args[(*count)++] = argv[i];
		else
			return -1;
	}
	return 0;
}

static int run_user(struct ctl *c, int argc, char **argv)
{
	char *args[ARGS_MAX] = { NULL };
	int count;

	if (argc < 2 || parse(argc - 2, argv + 2, c, args, &count) != 0)
		return ctl_usage();
	if (rds_new(c->set->redis, c->set->redis_timeout_ms, &c->rds) != ERR_OK) {
		(void)fprintf(stderr, "duplexctl: out of memory\n");
		return CTL_REFUSED;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(argv[1], verbs[i].verb) == 0 && count == verbs[i].args)
			return verbs[i].run(c, args);
	}
	return ctl_usage();
}

/* The first argument behind the configuration; empty when there is none. */
static const char *first_word(int argc, char **argv)
{
	int i = 1;

	while (i + 1 < argc && strcmp(argv[i], "--config") == 0)
		i += 2;
	return i < argc ? argv[i] : "";
}

static int ctl_users(int argc, char **argv)
{
	struct settings set = { 0 };
	struct ctl c = { .set = &set, .role = "user" };
	char why[512] = "out of memory", **rest;
	int count;

	int status = conf_main(argc, argv, "duplexctl", settings_table, settings_count, &set, &count, &rest);
	if (status < 0) {
		status = CTL_USAGE;
		log_init("duplexctl", LOG_ERROR);
		if (settings_check(&set, why, sizeof(why)) != ERR_OK)
			(void)fprintf(stderr, "duplexctl: %s\n", why);
		else if (count == 0 || strcmp(rest[0], "user") != 0)
			status = ctl_usage();
		else
			status = run_user(&c, count, rest);
	}
	rds_free(c.rds);
	settings_free(&set);
	return status;
}

int main(int argc, char **argv)
{
	const char *word = first_word(argc, argv);

	if (word[0] == '\0')
		return ctl_usage();
	if (strcmp(word, "--help") == 0) {
		usage(stdout);
		printf("FILE, by default /etc/duplex/duplex.conf, is the one of duplex-api; its options: duplex-api --help\n");
		return 0;
	}
	if (strcmp(word, "signal") == 0)
		return ctl_signal(argc, argv);
	return strcmp(word, "relay") == 0 ? ctl_relay(argc, argv) : ctl_users(argc, argv);
}
