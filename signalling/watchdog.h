/* A thread that looks at the worker's loop from outside: a turn that takes longer than a second is logged while it lasts, for afterwards it may be
 * too late. */
#ifndef DUPLEX_SIGNALLING_WATCHDOG_H
#define DUPLEX_SIGNALLING_WATCHDOG_H

#include "common/loop.h"

struct watchdog;

/* `name` of the worker and `l` are borrowed until watchdog_stop. ERR_NO_MEMORY, ERR_IO. */
enum err watchdog_start(const struct loop *l, const char *name, struct watchdog **out);
/* Not from the thread itself. NULL is fine. */
void watchdog_stop(struct watchdog *d);

#endif
