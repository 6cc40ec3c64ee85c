/* Application data between client and peer (RFC 8656 §11, §12): the hot file. Headers are rewritten in place,
 * the payload stays where it is and is never read; the UDP checksum is carried over by what leaves and what
 * comes. */
#ifndef DUPLEX_RELAY_TURN_FWD_H
#define DUPLEX_RELAY_TURN_FWD_H

#include "relay/path.h"

/* A packet and the allocation it belongs to. */
struct fwd_item {
	struct pkt *p;
	struct alloc *a;
};

/* What clients sent, as long as it is channel data (by its first byte, RFC 7983 §7: 64-79, and up to 127 that of RFC 5766 clients); .a is the
 * allocation of the sender, or NULL. Returns how many it were. */
unsigned fwd_channels(struct path *c, const struct fwd_item *item, unsigned n);
/* A Send indication; `m` is the parsed message in the payload. */
void fwd_send(struct path *c, struct pkt *p, struct alloc *a, const struct stun_msg *m);
/* Datagrams to the relayed ports of the slots .a, which may be unused. */
void fwd_peers(struct path *c, const struct fwd_item *item, unsigned n);

/* An ICMP error about what an allocation sent to a peer. */
struct fwd_icmp {
	struct addr peer;
	uint16_t port;   /* network order */
	uint8_t type, code;
	uint32_t data;   /* ICMP's MTU, or 0 */
};

/* Turns `p` into a Data indication with the ICMP attribute to the client of `a` (RFC 8656 §11.6, §18.13). */
void fwd_icmp(struct path *c, struct pkt *p, struct alloc *a, const struct fwd_icmp *e);

#endif
