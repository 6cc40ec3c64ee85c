/* ICMP and ICMPv6 errors: those about what the relay sent are told to the client concerned (RFC 8656 §11.6), and
 * senders whose packets are too large for where they go are told so (RFC 1191, RFC 8201); what may be fragmented
 * is fragmented instead. */
#ifndef DUPLEX_RELAY_ICMP_H
#define DUPLEX_RELAY_ICMP_H

#include "relay/path.h"

#define ICMP_FRAGMENTS_MAX 8u /* of one datagram */

/* An ICMP error in `p` (which came as NET_ICMP or NET_ICMP6): verdict SEND, it became a Data indication with the
 * ICMP attribute, or DROP. False, and nothing done, if it is no error of a kind that clients are told of. */
bool icmp_error(struct path *c, struct pkt *p);

/* icmp_too_big (declared in path.h): the frame in `p` is complete and exceeds the MTU of p->out_if. If it may be
 * fragmented it becomes the first fragment, the others leave beside the burst; else it is dropped, and its sender told. */

#endif
