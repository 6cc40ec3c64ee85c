/* Brings DPDK's environment up from the configuration, and nothing else of DPDK: memory, threads, devices. Its
 * messages go to our log. */
#ifndef DUPLEX_RELAY_EAL_H
#define DUPLEX_RELAY_EAL_H

#include "relay/conf.h"

/* Call once, from the main thread, which becomes the control thread. Checks first what EAL would explain badly.
 * On failure `why` holds one sentence. */
enum err eal_start(const struct relay_conf *conf, const struct relay_plan *plan, char *why, size_t why_size);
void eal_stop(void);
/* After the ports are open. The TAP driver has itself told of packets by a real-time signal each; workers poll,
 * or wait on the descriptor itself, so these signals are refused, and the driver then reads whenever it is
 * asked. They have been blocked since eal_start, because a single one that came through would put the driver
 * into the other mode. */
void eal_refuse_signals(void);

#endif
