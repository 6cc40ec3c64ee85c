/* STUN on the service port: requests are checked, authenticated, decided and answered here, through one reply
 * function. RFC 8489, RFC 8656. */
#ifndef DUPLEX_RELAY_TURN_H
#define DUPLEX_RELAY_TURN_H

#include "relay/path.h"

/* A request on its way to its answer. */
struct turn_req {
	struct path *c;
	const struct pkt *p;
	const struct stun_msg *m;
	const struct flow_key *key;
	struct addr client;
	uint16_t client_port;   /* host order */
	struct alloc *a;        /* the client's allocation or NULL; the stripe lock is held */
	struct turn_cred cred;  /* of the user name; valid once authenticated */
	struct str username;
	struct turn_key auth;   /* the user's key */
	bool keyed;             /* the answer carries an integrity attribute made with it */
	const struct stun_addr *alternate; /* with TURN_TRY_ALTERNATE */
	bool sha256;            /* MESSAGE-INTEGRITY-SHA256, else MESSAGE-INTEGRITY */
	struct wr w;            /* the answer: a handler adds its attributes */
};

/* A STUN message in the payload of `p`; `a` is the client's allocation as far as known. */
void turn_message(struct path *c, struct pkt *p, const struct flow_key *key, struct alloc *a);

/* Handlers: decide, act, add attributes, say the outcome. In turn_alloc.c and turn_peer.c. */
enum turn_code turn_allocate(struct turn_req *q);
enum turn_code turn_refresh(struct turn_req *q);
enum turn_code turn_create_permission(struct turn_req *q);
enum turn_code turn_channel_bind(struct turn_req *q);

#endif
