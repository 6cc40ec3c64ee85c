/* The edge to phones: SIP over UDP, TCP and TLS for desk phones and other standard clients (RFC 3261 §18, RFC 5626). All workers of a node listen on the
 * same addresses (SO_REUSEPORT); the kernel gives each connection, and each source address of datagrams, to one of them.
 *
 * A *link* is how bytes go to a phone: a TCP or TLS connection, or a UDP socket and the address of a phone that has logged in. A *line* is a user on a
 * link (several accounts of one telephone may share a connection); to the rest of Duplex it is a connection like a WebSocket, with a flow of its own
 * (conn.h). A line is made by a login: digest (RFC 8760) with the secret of a device, or over TLS a bearer token (RFC 8898). From then on a stream is trusted
 * for that user; on UDP, where the source may be forged, every request is challenged but for those that an outsider cannot know: retransmissions, CANCEL and
 * ACK of what is under way, and requests inside a dialog by our Route.
 *
 *   edge.c          life, listening addresses, links and lines
 *   edge_gate.c     what may come in, and as whom: challenges, logins
 *   edge_rewrite.c  the names in Via, Route and Record-Route
 *   edge_udp.c      datagrams, STUN keep-alives, request size
 *   edge_stream.c   TCP and TLS connections, cut by stream_frame.c
 *   edge_tls.c      certificates and OpenSSL
 *   source.c        what an address may cost before it has logged in */
#ifndef DUPLEX_SIGNALLING_EDGE_H
#define DUPLEX_SIGNALLING_EDGE_H

#include "common/err.h"
#include "common/str.h"

struct conn;
struct edge;
struct worker;

/* Listens where the configuration says. *out stays NULL when it says nowhere. Errors are in the log. */
enum err edge_new(struct worker *w, struct edge **out);
/* Closes everything without a word; all connections must have been freed. NULL is fine. */
void edge_free(struct edge *e);
/* No new clients; streams without a login are closed. NULL is fine. */
void edge_stop(struct edge *e);
/* After edge_stop: listens again. ERR_IO if it cannot. NULL is fine. */
enum err edge_serve(struct edge *e);
/* Reads the certificates again; connections that are up keep theirs. If the new ones are no good the old ones stay, and the log says so. NULL is fine. */
void edge_reload(struct edge *e);

/* To the phone of a line. ERR_CLOSED: its link is gone. ERR_FULL: it does not read; its link is being closed. ERR_TOO_LARGE: a request that UDP cannot
 * carry, to a device without a stream (RFC 3261 §18.1.1): answer 513. */
enum err edge_send(struct conn *c, struct str message);

#endif
