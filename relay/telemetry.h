/* DPDK's telemetry (its socket, its protocol): commands of our own beside those of its libraries. Other tools than ours
 * read it; what they get is also in the metrics. */
#ifndef DUPLEX_RELAY_TELEMETRY_H
#define DUPLEX_RELAY_TELEMETRY_H

#include "relay/relay.h"

/* Adds /duplex/relay/info and /duplex/relay/stats. Once EAL is up; `relay` is borrowed until telemetry_stop. */
enum err telemetry_start(const struct relay *relay);
/* From now on both answer that there is no relay; DPDK cannot forget a command. */
void telemetry_stop(void);

#endif
