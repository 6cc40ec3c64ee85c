/* What each source address may cost us before it has shown who it is: a fixed number of token buckets, shared by addresses that fall into the same one under
 * a secret hash. So nothing is kept for a sender, and a flood of forged addresses takes no memory. An address is a /32, or a /64 of IPv6. */
#ifndef DUPLEX_SIGNALLING_SOURCE_H
#define DUPLEX_SIGNALLING_SOURCE_H

#include <sys/socket.h>

#include "common/err.h"
#include "signalling/budget.h"

struct sources;

/* `per_s` and `burst`: what a bucket gets. ERR_NO_MEMORY. */
enum err sources_new(uint64_t per_s, uint64_t burst, uint64_t now_ms, struct sources **out);
void sources_free(struct sources *s);
/* Takes `cost` from the bucket of `from`; false (and nothing taken) if it is empty. */
bool sources_take(struct sources *s, const struct sockaddr_storage *from, unsigned cost, uint64_t now_ms);
/* Streams that the bucket has: +1 or -1. Returns the new number. */
unsigned sources_streams(struct sources *s, const struct sockaddr_storage *from, int change);

#endif
