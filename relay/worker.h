/* A worker core: receive a burst from each port, handle, send, sweep, and sleep when there is nothing to do. */
#ifndef DUPLEX_RELAY_WORKER_H
#define DUPLEX_RELAY_WORKER_H

#include "relay/path.h"
#include "relay/port.h"

struct workers;

/* Starts one worker on each worker core. All arguments are borrowed until workers_stop. */
enum err workers_start(struct relay *relay, const struct ports *ports, const struct relay_plan *plan,
		       uint32_t idle_after_us, struct workers **out);
/* Ends them and waits. */
void workers_stop(struct workers *w);
/* Logs workers whose present loop turn has lasted too long. Called by the control thread about twice a second. */
void workers_watch(struct workers *w);

#endif
