#include "common/user.h"

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool user_name_valid(struct str name)
{
	if (name.len < 2 || name.len > USER_NAME_MAX || !alnum(name.p[0]) || !alnum(name.p[name.len - 1]))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (!alnum(name.p[i]) && name.p[i] != '.' && name.p[i] != '_' && name.p[i] != '-')
			return false;
	}
	return true;
}

bool user_name_reserved(struct str name)
{
	static const char *const taken[] = { "contacts", "me", "admin", "root", "system", "anonymous", "duplex" };

	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		if (str_eq(name, str_from(taken[i])))
			return true;
	}
	return false;
}
