/* Neighbour discovery (RFC 4861) and multicast listening (RFC 3810), as a host with configured addresses needs
 * them: solicitations are answered, the neighbour cache asks and learns, the groups we are asked in are joined.
 * Routers are configured, so advertisements of theirs and redirects are ignored. Nobody waits
 * at start for an answer to the search for duplicates of our addresses; whoever claims one, then or later, is counted and told. */
#ifndef DUPLEX_RELAY_ND_H
#define DUPLEX_RELAY_ND_H

#include "relay/neigh.h"

#define ND_LEN (ETH_LEN + IP6_LEN + 32u)            /* a solicitation or advertisement with one option */
#define ND_PROBE_LEN (ND_LEN - 8u)                  /* a solicitation without option */
#define ND_REPORT_LEN (ETH_LEN + IP6_LEN + 56u)     /* a report on two groups, with its hop-by-hop header */

/* Handles an ICMPv6 message in place: verdict SEND (it became our advertisement) or DROP. False, and nothing
 * done, if it is no neighbour discovery. `p` came as NET_ICMP6. */
bool nd_message(struct neigh *n, struct pkt *p, const struct iface *self, uint32_t now_s);
/* Writes a solicitation for `target` (ND_LEN bytes) to `frame`; to its group if `mac` is NULL. It comes from our
 * configured address even if the target is link-local: where the kernel shares the device, only what is sent to that
 * address is handed to us. */
void nd_solicit(uint8_t *frame, const struct iface *self, const struct addr *target, const uint8_t *mac);
/* Writes the question whether anybody has our address (RFC 4862 §5.4.2; ND_PROBE_LEN bytes): who has it answers to all. */
void nd_probe(uint8_t *frame, const struct iface *self);
/* Writes an advertisement of our address to all nodes (RFC 4861 §7.2.6; ND_LEN bytes). */
void nd_announce(uint8_t *frame, const struct iface *self);
/* Writes a report that we listen to our solicited-node groups (RFC 3810 §5.2; ND_REPORT_LEN bytes). */
void nd_report(uint8_t *frame, const struct iface *self);

#endif
