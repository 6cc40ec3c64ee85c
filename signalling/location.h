/* Where a user's devices are: the bindings of location:{user} in Redis, filtered to those that can be alive. Writing them is reg_save.c.
 * With Redis away the answer is what this worker's own connections know. RFC 3261 §10.3, RFC 5626 §6, RFC 5627 §5.1. */
#ifndef DUPLEX_SIGNALLING_LOCATION_H
#define DUPLEX_SIGNALLING_LOCATION_H

#include "signalling/flow.h"

#define INSTANCE_MAX 127u      /* +sip.instance without quotes and angle brackets, e.g. urn:uuid:… */
#define CONTACT_MAX 511u       /* contact URI as registered */
#define DEVICES_MAX 16u        /* hard limit of bindings a look-up returns; the configured one is lower or equal */

/* One device. Its public GRUU is sip:USER@DOMAIN;gr=INSTANCE. */
struct binding {
	char instance[INSTANCE_MAX + 1];
	uint32_t reg_id;
	char contact[CONTACT_MAX + 1]; /* URI only: the Request-URI to send to this device */
	struct flow flow;
	uint64_t expires_ms;           /* wall clock */
	uint64_t updated_ms;           /* wall clock of the last REGISTER: newest first in look-ups */
	bool video;                    /* Contact had the "video" feature parameter (RFC 3840); false = unknown */
	bool phone;                    /* no browser: its media is plain RTP, not DTLS-SRTP */
};

struct location {
	bool known;        /* the user exists and is active */
	bool dnd;          /* the user wants no calls: field dnd of user:{user} */
	bool lost;         /* a device has lost its connection a moment ago and may come back */
	bool uncertain;    /* Redis did not answer: local knowledge only (known is then true when a binding was found) */
	size_t count;
	const struct binding *binding; /* newest first; borrowed until the callback returns */
};

/* ERR_OK, or ERR_CLOSED/ERR_TIMEOUT when Redis did not answer and nothing local was found: answer 500 with Retry-After, not 404 or 480. */
typedef void (*location_fn)(void *user_data, enum err e, const struct location *loc);

/* All living bindings of `user` (a valid user name). `fn` is called exactly once, never from inside this call.
 * `instance` non-empty: only that device (a GRUU). */
void location_lookup(struct worker *w, struct str user, struct str instance, location_fn fn, void *user_data);
/* The same where a few milliseconds do not matter: Redis is asked together with others (rds_async_soon). */
void location_lookup_soon(struct worker *w, struct str user, struct str instance, location_fn fn, void *user_data);
/* The owner of `user_data` goes away: its look-ups will not be called back. */
void location_forget(struct worker *w, const void *user_data);

/* Compare-and-delete after a 430: after flow-grace removes the binding of this device if it still names `flow`. Presence follows. */
void location_remove(struct worker *w, struct str user, struct str instance, const struct flow *flow);

/* Value of the `gr` parameter is the instance itself (RFC 5627 §3.1.1 leaves it opaque). Appends sip:USER@DOMAIN;gr=INSTANCE. */
void location_gruu_put(struct buf *to, struct str domain, struct str user, struct str instance);

#endif
