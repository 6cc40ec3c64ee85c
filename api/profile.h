/* How a user looks from outside: to themselves, and to administrators. */
#ifndef DUPLEX_API_PROFILE_H
#define DUPLEX_API_PROFILE_H

#include <jansson.h>

#include "api/users.h"

json_t *profile_perms(perm_set set);
/* {username, display_name, role, permissions, created_at} */
json_t *profile_json(const struct user *u);
/* The same with state, denied_permissions and online. */
json_t *profile_admin_json(const struct user *u, bool online);

#endif
