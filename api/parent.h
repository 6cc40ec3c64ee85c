/* The parent process: starts the workers, starts again those that end unasked, and stops all of them. It serves
 * nothing itself. */
#ifndef DUPLEX_API_PARENT_H
#define DUPLEX_API_PARENT_H

#include "api/settings.h"

/* Reads the configuration again, at SIGHUP. NULL: it is not valid (logged), the old one stays. */
typedef struct settings *(*parent_reload_fn)(void);

/* Runs until SIGTERM or SIGINT. Takes `set`. Returns the exit status. */
int parent_run(struct settings *set, parent_reload_fn reload);

#endif
