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
	struct alloc *a;        /* the client's allocation or NULL; its locks are held */
	bool by_stand_in;       /* it was found by the 5-tuple that its client is moving to */
	bool by_ticket;         /* it was found by a MOBILITY-TICKET; the 5-tuple is nobody's */
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

/* RFC 8016, turn_move.c. The allocation that the request's MOBILITY-TICKET names, not checked; NULL if there is none. */
struct alloc *turn_move_named(const struct turn_req *q);
/* Whether its ticket is that allocation's. Under the locks. */
bool turn_move_ticket_ok(const struct turn_req *q, const struct alloc *a);
/* What is wrong with the MOBILITY-TICKET of an Allocate; TURN_OK also if there is none. */
enum turn_code turn_move_check_wish(const struct turn_req *q);
/* What is wrong with a Refresh that has a ticket. */
enum turn_code turn_move_check(const struct turn_req *q);
/* From now on its 5-tuple leads to the allocation. */
enum turn_code turn_move(struct turn_req *q);
/* Adds the ticket that the client needs for its next move. */
void turn_move_put_ticket(struct turn_req *q);
/* Exposed for tests. */
#define TURN_TICKET_LEN 20u
void turn_move_ticket(const struct policy *p, const struct alloc *a, uint16_t number, char out[TURN_TICKET_LEN]);

/* Handlers: decide, act, add attributes, say the outcome. In turn_alloc.c and turn_peer.c. */
enum turn_code turn_allocate(struct turn_req *q);
enum turn_code turn_refresh(struct turn_req *q);
enum turn_code turn_create_permission(struct turn_req *q);
enum turn_code turn_channel_bind(struct turn_req *q);

#endif
