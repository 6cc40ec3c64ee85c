/* What a person on the machine asks a running relay: a socket with HTTP and JSON, `control.relay.sock` in the run folder, for `duplexctl
 * relay`. Nothing here is on the packet path; each request has a thread of its own.
 *
 *   GET    /status                               state, workers, ports
 *   GET    /allocations?user=&relayed=&limit=    what lives; relayed = "192.0.2.1:50000" or a port alone
 *   GET    /top?count=&seconds=                  who sends most, over so many seconds
 *   DELETE /allocations?user=&call=  or ?relayed=  ends them
 *   GET    /capture?relayed=&seconds=&frames=&snap=  a pcap file, as it grows
 *   POST   /drain?mode=refuse|redirect|off&to=&seconds=  see drain.h
 */
#ifndef DUPLEX_RELAY_CONTROL_H
#define DUPLEX_RELAY_CONTROL_H

#include "relay/relay.h"

struct control;

/* `path` is the socket (mode 0660). The relay is borrowed until control_stop. ERR_IO, ERR_NO_MEMORY. */
enum err control_start(const char *path, struct relay *relay, struct control **out);
/* Ends a capture under way, too. Accepts NULL. */
void control_stop(struct control *c);

#endif
