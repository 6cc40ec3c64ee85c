#include "api/profile.h"

#include "api/reply.h"

json_t *profile_perms(perm_set set)
{
	json_t *list = json_array();

	for (size_t i = 0; i < PERM_COUNT; i++) {
		if (perm_has(set, (enum perm)i))
			(void)json_array_append_new(list, json_string(perm_name((enum perm)i)));
	}
	return list;
}

json_t *profile_json(const struct user *u)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "username", u->name, "display_name", u->display_name, "role", u->role,
			 "permissions", profile_perms(users_perms(u)), "created_at", reply_time_json(u->created_ms));
}

json_t *profile_admin_json(const struct user *u, bool online)
{
	json_t *doc = profile_json(u);

	(void)json_object_set_new(doc, "state", json_string(u->disabled ? "disabled" : "active"));
	(void)json_object_set_new(doc, "denied_permissions", profile_perms(u->denied));
	(void)json_object_set_new(doc, "online", json_boolean(online));
	return doc;
}
