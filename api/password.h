/* Passwords that are guessed first: common ones and what an attacker derives from the account. NIST SP
 * 800-63B-4 §3.1.1.2: a blocklist instead of rules about character kinds. */
#ifndef DUPLEX_API_PASSWORD_H
#define DUPLEX_API_PASSWORD_H

#include "common/str.h"

/* A phrase that says why, or NULL if nothing speaks against it. `password` has passed check_new_password. */
const char *password_weak(struct str password, struct str username, struct str display_name);

#endif
