/* duplex-api: the REST control plane. Configuration, then the parent process. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/parent.h"

static const char *config_path = "/etc/duplex/duplex.conf";

static struct settings *reload(void)
{
	struct settings *s = calloc(1, sizeof(*s));
	char why[512] = "out of memory";

	if (s == NULL)
		return NULL;
	if (conf_load(config_path, settings_table, settings_count, s, why, sizeof(why)) == ERR_OK &&
	    settings_check(s, why, sizeof(why)) == ERR_OK)
		return s;
	log_event(LOG_ERROR, "reload-refused", "reason=%s", log_value(str_from(why)));
	settings_free(s);
	free(s);
	return NULL;
}

int main(int argc, char **argv)
{
	struct settings *set = calloc(1, sizeof(*set));
	char why[512];

	if (set == NULL)
		return EXIT_FAILURE;
	int status = conf_main(argc, argv, "duplex-api", settings_table, settings_count, set, NULL, NULL);
	if (status >= 0) {
		settings_free(set);
		free(set);
		return status;
	}
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--config") == 0)
			config_path = argv[i + 1];
	}
	if (settings_check(set, why, sizeof(why)) != ERR_OK) {
		(void)fprintf(stderr, "duplex-api: %s\n", why);
		settings_free(set);
		free(set);
		return 2;
	}
	log_init("api", set->level);
	json_object_seed(0);
	return parent_run(set, reload);
}
