/* The user name: immutable, the id of a person everywhere (Redis keys, SIP user part, REST paths, TURN user names, certificates). */
#ifndef DUPLEX_COMMON_USER_H
#define DUPLEX_COMMON_USER_H

#include "common/str.h"

#define USER_NAME_MAX 32u
#define USER_NAME_SIZE (USER_NAME_MAX + 1u) /* with NUL */

/* 2 to 32 of a-z 0-9 . _ -, first and last a letter or digit. Such a name is a valid SIP user part without escapes (RFC 3261 §25.1), and can
 * never leave its Redis hash tag or be taken for another key. */
bool user_name_valid(struct str name);

/* Names that no one can sign up with: they have a meaning of their own ("contacts" is the contact list, RFC 4662). */
bool user_name_reserved(struct str name);

#endif
