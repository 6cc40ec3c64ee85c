/* One worker process: threads that take requests from the shared socket until they are told to stop. */
#ifndef DUPLEX_API_WORKER_H
#define DUPLEX_API_WORKER_H

#include "api/settings.h"
#include "api/stats.h"

/* Runs until SIGTERM; requests under way are finished. Returns the exit status. */
int worker_run(const struct settings *set, struct stats *stats, int listen_fd);
/* The process that serves /metrics, likewise. */
int worker_run_metrics(const struct settings *set, struct stats *stats);

#endif
