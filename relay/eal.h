/* Brings DPDK's environment up from the configuration, and nothing else of DPDK: memory, threads, devices. Its messages go to our log. */
#ifndef DUPLEX_RELAY_EAL_H
#define DUPLEX_RELAY_EAL_H

#include "relay/conf.h"

/* Call once, from the main thread, which becomes the control thread. Checks first what EAL would explain badly. On failure `why` holds one sentence. */
enum err eal_start(const struct relay_conf *conf, const struct relay_plan *plan, char *why, size_t why_size);
void eal_stop(void);

#endif
