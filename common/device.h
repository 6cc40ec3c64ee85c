/* A device: a desk phone or another standard SIP client of a user, with a secret of its own. It logs in by digest (RFC 7616, RFC 8760) under the name
 * USER+ID, so that which secret is meant is known before any is looked up. The API makes the secret and shows it once; what is kept are two hashes of it. */
#ifndef DUPLEX_COMMON_DEVICE_H
#define DUPLEX_COMMON_DEVICE_H

#include "common/buf.h"
#include "common/user.h"

#define DEVICE_ID_LEN 16u                                   /* lower-case hex */
#define DEVICE_LOGIN_MAX (USER_NAME_MAX + 1u + DEVICE_ID_LEN) /* USER+ID */
#define DEVICE_SECRET_LEN 24u                               /* characters: 120 bits */
#define DEVICE_HA1_MAX 64u                                  /* hex of SHA-256 */

/* Where a session's id is wanted (events, bindings, records of calls) a device stands as "d-ID": no login session has such an id. */
#define DEVICE_SESSION_PREFIX "d-"
#define DEVICE_SESSION_LEN (2u + DEVICE_ID_LEN)

/* A random ID, and a random secret of letters and digits that cannot be mistaken for each other; NUL-terminated. */
void device_id_make(char id[DEVICE_ID_LEN + 1]);
void device_secret_make(char secret[DEVICE_SECRET_LEN + 1]);
/* DEVICE_ID_LEN lower-case hex digits. */
bool device_id_valid(struct str id);

/* Appends USER+ID. */
void device_login_put(struct buf *to, struct str user, struct str id);
/* ERR_INVALID for anything that is not exactly that. Slices borrow from `login`. */
enum err device_login_get(struct str login, struct str *user, struct str *id);

/* The ID, if `session` stands for a device. */
bool device_of_session(struct str session, struct str *id);

/* Appends HA1 as hex: the hash of login:realm:secret (RFC 7616 §3.4.2), which answers every challenge of that realm and must be kept like a password. */
void device_ha1_sha256_put(struct buf *to, struct str login, struct str realm, struct str secret);
/* The same for clients that know nothing better (RFC 2617). */
void device_ha1_md5_put(struct buf *to, struct str login, struct str realm, struct str secret);

#endif
