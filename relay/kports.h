/* Whose a UDP port is when relay and kernel share an address: the kernel gives those of a range to its own sockets
 * (a resolver's question leaves from one), and the relay must not take their answers. */
#ifndef DUPLEX_RELAY_KPORTS_H
#define DUPLEX_RELAY_KPORTS_H

#include "common/str.h"

#define KPORTS_MIN 256u /* fewer relayed ports are not worth a start */

struct kports {
	uint16_t first, last;         /* what the kernel gives out, net.ipv4.ip_local_port_range */
	uint64_t reserved[65536 / 64]; /* but for these, net.ipv4.ip_local_reserved_ports */
	uint64_t bound[65536 / 64];    /* sockets have these now */
};

/* Reads the three from /proc of this network namespace. ERR_IO if the range cannot be read. */
enum err kports_read(struct kports *k);
/* For tests: the texts of the files. ERR_INVALID if one does not look as proc(5) says. */
enum err kports_parse_range(struct str text, struct kports *k);
enum err kports_parse_reserved(struct str text, struct kports *k);
enum err kports_parse_sockets(struct str text, struct kports *k);

/* Checks the service port and the relayed ports. With `narrow`, the relayed ports shrink to the longest run that is
 * free; without, ERR_CONFLICT and one sentence in `why`, as in any case for the service port. */
enum err kports_choose(const struct kports *k, uint16_t turn_port, uint16_t *min, uint16_t *max, bool narrow, char *why,
		       size_t why_size);

#endif
