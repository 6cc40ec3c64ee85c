/* Changes to a user's record, each in one step with everything that follows from it: index entries, ended
 * sessions, events. */
#ifndef DUPLEX_API_USER_CHANGE_H
#define DUPLEX_API_USER_CHANGE_H

#include "api/users.h"

struct user_change {
	struct str display_name; /* NULL slice: as it is */
	struct str state;
	struct str role;
	bool deny;               /* `denied` is to be set */
	perm_set denied;
	uint64_t credentials_end_s; /* when the youngest TURN credential that the user may have ends, s since 1970 */
};

/* Applies it to the record that `u` was read from, and to `u`. Disabling ends all sessions; another set of
 * permissions closes the user's WebSockets, which come back with the new set. ERR_CONFLICT: the record has
 * another revision by now. */
enum err user_change_apply(struct rds *r, struct user *u, const struct user_change *change);

#endif
