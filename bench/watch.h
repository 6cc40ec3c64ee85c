/* How much of its core a server uses, from outside. */
#ifndef DUPLEX_BENCH_WATCH_H
#define DUPLEX_BENCH_WATCH_H

#include <stdbool.h>

/* Either may be missing (0, NULL). A relay that polls uses its core whole, and only its own account tells what it had work for: `metrics` is the
 * socket that it shows it on. Of other servers the kernel's account of the process `pid` counts. Both contain the kernel's work on the server's
 * behalf, and what it did on that core for the other end of a veth. */
struct watch {
	int pid;
	const char *metrics;
};

/* Nanoseconds of work so far, of all threads together; false if there is nothing to ask, or no answer. */
bool watch_busy_ns(const struct watch *w, double *ns);

#endif
