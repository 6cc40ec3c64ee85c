/* The relayed ports of one address: which are taken. A free one is found from a random start, so that ports
 * cannot be guessed from one another and a freed port rests as long as chance allows. Not thread-safe: the
 * table's lock guards it. */
#ifndef DUPLEX_RELAY_PORTMAP_H
#define DUPLEX_RELAY_PORTMAP_H

#include "common/base.h"
#include "common/err.h"

#define PORTMAP_WORDS (65536u / 64u)

enum port_want { PORT_ANY, PORT_EVEN, PORT_EVEN_PAIR }; /* EVEN-PORT with R=0, R=1: RFC 8656 §7.2 */

struct portmap {
	uint64_t taken[PORTMAP_WORDS]; /* by port */
	uint16_t min, max;
	uint32_t free;
};

void portmap_init(struct portmap *m, uint16_t min, uint16_t max);
/* Takes a port (and with PORT_EVEN_PAIR its successor). ERR_FULL if none is left. */
enum err portmap_take(struct portmap *m, enum port_want want, uint32_t random, uint16_t *port);
/* The same, and one of the ports p with bit p % 64 of `like` if there is such a one. */
enum err portmap_take_like(struct portmap *m, enum port_want want, uint64_t like, uint32_t random, uint16_t *port);
/* Takes this port. ERR_NOT_FOUND: outside the range; ERR_EXISTS: taken. */
enum err portmap_take_this(struct portmap *m, uint16_t port);
void portmap_give(struct portmap *m, uint16_t port);

static inline bool portmap_taken(const struct portmap *m, uint16_t port)
{
	return (m->taken[port / 64] >> (port % 64) & 1) != 0;
}

#endif
