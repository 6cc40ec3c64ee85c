/* Sending clients elsewhere: always (`alternate-server`), or while this relay is being emptied. New allocations are
 * refused or redirected (RFC 8489 §10); all that lives goes on. Who asked for what is one immutable block that
 * workers read without a lock. */
#ifndef DUPLEX_RELAY_DRAIN_H
#define DUPLEX_RELAY_DRAIN_H

#include "relay/addr.h"

#define ALTERNATES_MAX 8u

struct alternates {
	struct stun_addr at[ALTERNATES_MAX];
	unsigned count;
};

enum drain_mode {
	DRAIN_OFF,
	DRAIN_REFUSE,   /* 486 */
	DRAIN_REDIRECT, /* 300 with one of `to`; 486 for a client of a family that none of them has */
};

struct drain {
	enum drain_mode mode;
	struct alternates to;
	uint64_t deadline_ms; /* on the monotonic clock: over then, whoever is left; 0 = never */
};

/* Blank- or comma-separated IP:PORT, [IPv6]:PORT; the port may be left out (3478). ERR_INVALID, ERR_TOO_LARGE; *bad
 * is then the word at fault. */
enum err alternates_parse(const char *text, struct alternates *out, struct str *bad);
/* One of the client's own family, as RFC 8489 §14.15 demands, always the same for a client. NULL if there is none. */
const struct stun_addr *alternates_pick(const struct alternates *a, const struct addr *client);

struct relay;
/* Starts draining, changes how, or (DRAIN_OFF) takes clients again. Not from a worker.
 * ERR_INVALID: redirecting to nowhere. ERR_NO_MEMORY. */
enum err relay_set_drain(struct relay *r, const struct drain *d);
/* As the configuration says (drain-to, drain-time), from now on. */
enum err relay_drain_as_configured(struct relay *r, uint64_t mono_ms);
bool relay_draining(const struct relay *r);
/* Draining, and the last allocation has ended or the deadline is over: the program may end. */
bool relay_drained(struct relay *r, uint64_t mono_ms);

#endif
