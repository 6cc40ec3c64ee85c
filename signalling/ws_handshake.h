/* The upgrade request (RFC 6455 §4.2, subprotocol of RFC 7118 §4) and our answer, without I/O. nginx has checked the request's form and set the identity
 * headers (ARCHITECTURE, "Identity, once"), erasing what the client sent under those names; we are strict all the same. */
#ifndef DUPLEX_SIGNALLING_WS_HANDSHAKE_H
#define DUPLEX_SIGNALLING_WS_HANDSHAKE_H

#include "common/buf.h"

#define WS_UPGRADE_MAX 8192u /* bytes of the request */

struct ws_upgrade {
	struct str key;         /* slices borrow from the request */
	struct str user;
	struct str session;
	struct str permissions;
	struct str address;
	struct str revision;    /* of the user's record; may be empty */
	size_t len;             /* of the request: WebSocket frames follow */
};

/* ERR_AGAIN: the end has not come yet. Otherwise *status is the answer: 101 with ERR_OK; 400, 403 (no identity), 405, 426, 431 with ERR_INVALID. */
enum err ws_upgrade_parse(struct str in, struct ws_upgrade *out, unsigned *status);
/* Appends the answer for `status`; `key` for 101. */
void ws_upgrade_reply(struct buf *to, unsigned status, struct str key);

#endif
