#include "common/perm.h"

static const char *const names[] = {
#define PERM_NAME(id, name) [id] = name,
	PERM_LIST(PERM_NAME)
#undef PERM_NAME
};

#define BIT(p) (1u << (p))
#define USER_SET                                                                                                       \
	(BIT(PERM_CALL_AUDIO) | BIT(PERM_CALL_VIDEO) | BIT(PERM_CHAT_SEND) | BIT(PERM_DIRECTORY_SEARCH) | BIT(PERM_CERT_ISSUE))

static const struct {
	const char *name;
	perm_set set;
} roles[] = {
	{ "user", USER_SET },
	{ "admin", BIT(PERM_COUNT) - 1 },
};

const char *perm_name(enum perm p)
{
	return names[p];
}

enum err perm_from(struct str name, enum perm *out)
{
	for (size_t i = 0; i < PERM_COUNT; i++) {
		if (str_eq(name, str_from(names[i]))) {
			*out = (enum perm)i;
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}

perm_set perm_parse(struct str list)
{
	perm_set set = 0;

	while (list.p != NULL) {
		struct str words = str_cut(&list, ',');

		while (words.p != NULL) {
			struct str word = str_cut(&words, ' ');
			enum perm p;

			if (perm_from(word, &p) == ERR_OK)
				set |= BIT(p);
		}
	}
	return set;
}

void perm_put(struct buf *to, perm_set s)
{
	const char *sep = "";

	for (size_t i = 0; i < PERM_COUNT; i++) {
		if (!perm_has(s, (enum perm)i))
			continue;
		buf_z(to, sep);
		buf_z(to, names[i]);
		sep = ",";
	}
}

enum err perm_role(struct str role, perm_set *out)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		if (str_eq(role, str_from(roles[i].name))) {
			*out = roles[i].set;
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}
