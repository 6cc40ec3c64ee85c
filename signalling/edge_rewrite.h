/* What changes in a SIP message at the edge to a phone. Inside Duplex a Via of ours is "WSS WORKER.invalid" and a Record-Route of ours names the domain
 * (RFC 7118 has no other names for a browser's server); a phone wants a transport and an address that it can reach. So on the way out the top Via and our
 * Record-Routes get those of the link, and on the way in they get their inner form back. The worker that waits for the answer, and the slot of the line
 * that was asked, travel in the branch, which every client must give back unchanged (RFC 3261 §8.2.6.2). */
#ifndef DUPLEX_SIGNALLING_EDGE_REWRITE_H
#define DUPLEX_SIGNALLING_EDGE_REWRITE_H

#include "signalling/flow.h"
#include "signalling/sip_msg.h"

/* How the two ends of a link are called. All borrowed. */
struct edge_names {
	struct str domain;      /* of all users */
	struct str host;        /* what the phone knows us by: "192.0.2.1:5060", "[2001:db8::1]:5060", "sip.example.com:5061" */
	const char *transport;  /* "UDP", "TCP" or "TLS" */
	struct str source;      /* the phone's IP address without brackets */
	uint16_t source_port;
};

/* To whom a response of a phone goes. */
struct edge_answer {
	char worker[WORKER_NAME_MAX + 1];
	uint32_t slot;
};

/* A request of a phone: `received` and `rport` in its top Via (RFC 3261 §18.2.1, RFC 3581 §4), its Route to us in the inner form; a first Route that only
 * names us (an outbound proxy, §16.4) is taken out. Errors of the buffer; ERR_TOO_LARGE also when there is too much to edit. */
enum err edge_request_in_put(struct buf *out, const struct sip_msg *m, const struct edge_names *n);
/* A response of a phone. ERR_INVALID: its top Via is not one that edge_out_put made. */
enum err edge_response_in_put(struct buf *out, const struct sip_msg *m, const struct edge_names *n, struct edge_answer *to);
/* Anything to a phone. `slot`: of its line, for requests. */
enum err edge_out_put(struct buf *out, const struct sip_msg *m, const struct edge_names *n, uint32_t slot);

/* Where the response `m` goes on UDP: the port of `rport`, else that of sent-by, else 5060 (RFC 3581 §4, RFC 3261 §18.2.2). The address is always the one
 * that the request came from. */
uint16_t edge_response_port(const struct sip_msg *m);

#endif
