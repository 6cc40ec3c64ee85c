/* Who is online, and telling those who watch: SUBSCRIBE to one's own contact list, NOTIFY with RLMI and PIDF.
 * RFC 6665 (events), RFC 4662 (lists), RFC 3856/3863 (presence). */
#ifndef DUPLEX_SIGNALLING_PRESENCE_H
#define DUPLEX_SIGNALLING_PRESENCE_H

#include "signalling/flow.h"

/* The user of one of our calls is (not) in an answered or ringing-out call. Calls are counted: each true needs its false. Watchers on every
 * worker are told. */
void presence_set_busy(struct worker *w, struct str user, bool busy);

#endif
