/* Who is what: asks Redis for a user's devices and calls. */
#ifndef DUPLEX_SIGNALLING_PRESENCE_STATE_H
#define DUPLEX_SIGNALLING_PRESENCE_STATE_H

#include "common/rds.h"
#include "signalling/presence.h"
#include "signalling/usermap.h"

struct presence_ask;

/* `until_ms` (wall clock): when a binding ends by itself, 0 if there is none. On errors the state is unknown. Called once, never from inside. */
typedef void (*presence_ask_fn)(void *arg, enum err e, enum presence_status status, uint64_t until_ms);
/* Asks for `user`. *out is the question, for presence_ask_forget until `fn` is called; NULL without memory, and then `fn` is called at once. */
void presence_ask(struct worker *w, struct str user, presence_ask_fn fn, void *arg, struct presence_ask **out);
/* The asker goes away. */
void presence_ask_forget(struct presence_ask *a);

/* Users in calls of this worker. */
struct presence_busy {
	struct usermap users;
};
/* Nobody is busy; in memory of the caller's. */
void presence_busy_init(struct presence_busy *b);
/* Forgets all; Redis keeps what was written until it runs out, and nobody believes it once our epoch is over. */
void presence_busy_fini(struct presence_busy *b);
/* Writes all of them (again). */
void presence_busy_write(struct worker *w, struct presence_busy *b);
/* Counts one call more or less of `user`; the first and the last are written to Redis and published. */
void presence_busy_set(struct worker *w, struct presence_busy *b, struct str user, bool busy);

#endif
