/* Bearer tokens for SIP (RFC 8898): what the API gives a client that has a session and cannot send its cookie, and a signalling worker takes over TLS in
 * place of a password. They say all that a login says, under a MAC of the cluster's secret, for a short time; nothing is stored. The session behind a
 * token is still asked for, so one that has ended makes its tokens worthless at once.
 *
 *   VERSION USER SESSION REVISION EXPIRES PERMISSIONS   in base64url, a dot, 128 bits of HMAC-SHA256 in base64url */
#ifndef DUPLEX_COMMON_SIP_TOKEN_H
#define DUPLEX_COMMON_SIP_TOKEN_H

#include "common/perm.h"
#include "common/user.h"

#define SIP_TOKEN_MAX 768u  /* characters */
#define SIP_TOKEN_TTL_S 300u

struct sip_token {
	char user[USER_NAME_SIZE];
	char session[65];
	uint64_t revision;  /* of the user's record that `perms` come from */
	uint64_t expires_s; /* wall clock */
	perm_set perms;
};

/* Appends the token. `secret`: [common] turn-secret. */
void sip_token_put(struct buf *to, const struct sip_token *t, struct str secret);
/* ERR_INVALID: not one of ours. ERR_EXPIRED. */
enum err sip_token_get(struct str text, struct str secret, uint64_t now_s, struct sip_token *out);

#endif
