/* Datagrams that come in fragments (RFC 791, RFC 8200 §4.5) are put together here, in bounded memory and time, by each
 * worker for itself: fragments that a device hands to different workers find no whole and are given up. Only UDP is
 * put together. Nothing is accepted twice: fragments that overlap end their datagram (RFC 5722); exact copies are
 * ignored. When all places are taken newcomers are dropped, and no source has more than a share of them.
 *
 * Not DPDK's librte_ip_frag: that works on its buffers, which this path does not know, and takes what overlaps. */
#ifndef DUPLEX_RELAY_REASM_H
#define DUPLEX_RELAY_REASM_H

#include "relay/net.h"

#define REASM_SLOTS 32u          /* datagrams under way in a worker */
#define REASM_SLOTS_OF_SOURCE 4u
#define REASM_MS 1000u           /* how long one may take: later, media is of no use */
#define REASM_UDP_MAX 4096u      /* bytes of UDP; and no more than a buffer holds */

struct reasm_slot {
	struct addr src, dst;
	uint32_t id;
	uint32_t until_ms;
	uint32_t total;      /* bytes of UDP; 0 = the last fragment has not come */
	uint32_t have;       /* bytes that have come */
	uint32_t top;        /* where the furthest of them ends */
	uint64_t got[REASM_UDP_MAX / 8 / 64]; /* which units of eight */
	struct pkt pkt;      /* its buffer, if `owned`; kept for the next datagram */
	bool owned, used;
	uint8_t in_if;
};

struct reasm {
	struct reasm_slot at[REASM_SLOTS];
	unsigned used;
};

/* Takes a fragment that came as NET_FRAGMENT. True: `p` is now the whole datagram, in another buffer and with
 * unknown checksum, to be parsed again; what was its buffer stays here. False: it is dropped, its content may have been
 * taken. `new_buf` as in struct path. *failed counts datagrams that were given up. */
bool reasm_take(struct reasm *r, struct pkt *p, uint32_t now_ms, bool (*new_buf)(void *user, struct pkt *p), void *user,
		uint64_t *failed);
/* Gives up what has taken too long; returns how many. */
unsigned reasm_sweep(struct reasm *r, uint32_t now_ms);

#endif
