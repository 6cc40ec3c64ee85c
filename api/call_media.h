/* How the media of a call under way is: asked of all relays at once (media.ask, common/events.h). */
#ifndef DUPLEX_API_CALL_MEDIA_H
#define DUPLEX_API_CALL_MEDIA_H

#include "api/quality.h"
#include "api/settings.h"

#define CALL_MEDIA_WAIT_MS 300u /* at most, for the relays' answers */

struct call_side {
	struct str user, session; /* borrowed; the Session-ID is empty if it is not known */
	uint64_t allocations;     /* that live */
	struct quality media;     /* of these and of those that have ended */
};

struct call_media {
	struct call_side caller, callee;
	uint64_t asked, answered; /* relays; 0 asked: none is up, or there is no Session-ID to ask for */
	uint64_t measured_ms;     /* wall clock at which they answered; 0 = none did, and only what had ended before is known */
};

/* Fills in all but `user` and `session` of the sides. Waits until every relay that is up has answered, but no longer than CALL_MEDIA_WAIT_MS and
 * half of the time that Redis has. Errors are those of Redis. */
enum err call_media_ask(struct rds *r, const struct settings *set, uint64_t now_ms, struct call_media *m);

#endif
