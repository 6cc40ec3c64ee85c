/* Whose credentials no longer count although their time is not over: users that an administrator has disabled. A credential is known by the
 * time at which it ends; those made after the user was let in again end later. Asked for new allocations only, never on the packet path.
 * Of fixed size: where there is no room, the entry that ends first gives way, and is counted. */
#ifndef DUPLEX_RELAY_REVOKED_H
#define DUPLEX_RELAY_REVOKED_H

#include "common/crypto.h"
#include "relay/spin.h"

#define REVOKED_SETS 4096u
#define REVOKED_WAYS 8u

struct revoked {
	uint8_t key[16]; /* of the hash of names, random */
	_Atomic uint64_t forgotten; /* entries that gave way although they still counted */
	struct revoked_set {
		struct spin lock;
		struct revoked_entry {
			uint64_t user;    /* keyed hash; 0 = none */
			uint64_t until_s; /* credentials that end then or before do not count; seconds since 1970 */
		} e[REVOKED_WAYS];
	} set[REVOKED_SETS];
};

void revoked_init(struct revoked *r);
void revoked_note(struct revoked *r, struct str user, uint64_t until_s, uint64_t wall_s);
/* Whether a credential of `user` that ends at expires_s is one of those. */
bool revoked_is(struct revoked *r, struct str user, uint64_t expires_s);

#endif
