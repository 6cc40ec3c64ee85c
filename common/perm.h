/* Permissions: what a user may do, as data. The API decides the set of a session (role, minus what an administrator denied the user) and
 * hands it to the signalling worker at the upgrade, as names separated by commas; both check, deny by default. */
#ifndef DUPLEX_COMMON_PERM_H
#define DUPLEX_COMMON_PERM_H

#include "common/buf.h"

#define PERM_LIST(X)                              \
	X(PERM_CALL_AUDIO, "call.audio")          \
	X(PERM_CALL_VIDEO, "call.video")          \
	X(PERM_CHAT_SEND, "chat.send")            \
	X(PERM_DIRECTORY_SEARCH, "directory.search") \
	X(PERM_CERT_ISSUE, "certificates.issue")  \
	X(PERM_USERS_READ, "users.read")          \
	X(PERM_USERS_WRITE, "users.write")        \
	X(PERM_CALLS_READ, "calls.read")          \
	X(PERM_CALLS_HANGUP, "calls.hangup")      \
	X(PERM_RELAYS_READ, "relays.read")        \
	X(PERM_RELAYS_DRAIN, "relays.drain")      \
	X(PERM_NODES_READ, "nodes.read")          \
	X(PERM_NODES_DRAIN, "nodes.drain")

enum perm {
#define PERM_ENUM(id, name) id,
	PERM_LIST(PERM_ENUM)
#undef PERM_ENUM
	PERM_COUNT
};

typedef uint32_t perm_set; /* bit per enum perm */

static inline bool perm_has(perm_set s, enum perm p)
{
	return (s >> p & 1u) != 0;
}

const char *perm_name(enum perm p);
/* ERR_NOT_FOUND for a name that is not on the list. */
enum err perm_from(struct str name, enum perm *out);
/* Names separated by commas or blanks. Unknown names are left out, so that an older worker denies what it does not know. */
perm_set perm_parse(struct str names);
void perm_put(struct buf *to, perm_set s);
/* The set of a built-in role: "user", "admin". ERR_NOT_FOUND for any other. */
enum err perm_role(struct str role, perm_set *out);

#endif
