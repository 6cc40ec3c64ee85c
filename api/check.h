/* The validators of the field tables: one a kind of value. Each says what is wrong in a phrase that follows the
 * field's name, or NULL. */
#ifndef DUPLEX_API_CHECK_H
#define DUPLEX_API_CHECK_H

#include "common/str.h"

#define DISPLAY_NAME_CHARS 64u
#define DISPLAY_NAME_SIZE (DISPLAY_NAME_CHARS * 4 + 1)
#define PASSWORD_MIN 10u
#define PASSWORD_MAX 128u
#define LABEL_CHARS 64u

const char *check_username(struct str s);
/* As check_username, and not reserved: for new accounts. */
const char *check_new_username(struct str s);
/* Any printable text of 1 to 64 characters, without blanks at its ends and without characters that hide or
 * reverse text. */
const char *check_display_name(struct str s);
/* Length only: for a password that is to be compared. */
const char *check_password_given(struct str s);
/* NIST SP 800-63B: length, no composition rules; what is common or guessed from the user is found by password_weak. */
const char *check_new_password(struct str s);
const char *check_ticket(struct str s);
const char *check_csr(struct str s);
const char *check_state(struct str s);
const char *check_role(struct str s);
const char *check_drain_state(struct str s);
/* "available" or "do_not_disturb". */
const char *check_availability(struct str s);
/* A search: 1 to 64 printable characters. */
const char *check_search(struct str s);

#endif
