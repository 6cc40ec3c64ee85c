/* UDP checksums that were left for a card to fill in. A frame that never leaves a machine (from a container, from a
 * virtual machine of the same host) comes with the sum over its pseudo-header alone (RFC 768) where the kernel marks it,
 * but the mark does not reach a packet socket's or XDP's reader. */
#ifndef DUPLEX_RELAY_PARTIAL_H
#define DUPLEX_RELAY_PARTIAL_H

#include "relay/net.h"

/* If the frame is UDP, whole and in one piece, and its checksum is that sum, puts the full one in its place; true then.
 * A frame with a full sum that looks the same gets the sum it has; of those damaged on a wire one in 65,536 passes. */
bool partial_complete(struct pkt *p);

#endif
