/* Guessing made slow: an attempt is paid for before it is made and given back when it succeeds, so that many at
 * once gain nothing. Delays grow and end by themselves; nothing is ever locked by failures alone (ASVS 6.1.1).
 * Counters live in Redis: all processes and nodes share them. */
#ifndef DUPLEX_API_THROTTLE_H
#define DUPLEX_API_THROTTLE_H

#include "common/rds.h"

#define THROTTLE_WHO_MAX 120u

/* Who asks, as far as an address tells: an IPv4 address, or the /64 of an IPv6 address. */
void throttle_prefix(struct str address, char out[64]);

/* Before a password is compared. *wait_s is 0 if it may be, else the seconds to wait. Three counters: this
 * account from this prefix (5 free, then 1, 2, 4… s up to 15 min), this account from anywhere (50 free, then up
 * to 10 s: a stranger cannot keep the owner out), this prefix (`prefix_max` in 10 minutes). */
enum err throttle_login(struct rds *r, struct str user, struct str prefix, uint64_t now_ms, uint64_t prefix_max, uint64_t *wait_s);
/* After a success. */
enum err throttle_login_done(struct rds *r, struct str user, struct str prefix);
/* At most `max` of `what` in `window_s` for `who`; *wait_s as above. */
enum err throttle_window(struct rds *r, const char *what, struct str who, uint64_t max, uint64_t window_s, uint64_t *wait_s);

#endif
