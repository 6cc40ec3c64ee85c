/* Addresses of the streams between nodes, as text in the configuration and in peers:WORKER: "192.0.2.1:7100" or "[2001:db8::1]:7100". */
#ifndef DUPLEX_SIGNALLING_PEER_ADDRESS_H
#define DUPLEX_SIGNALLING_PEER_ADDRESS_H

#include <sys/socket.h>

#include "common/buf.h"

#define PEER_ADDRESS_MAX 64u /* characters of one as text */

struct peer_address {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* The port is that of the text plus `offset` (workers of a node have one behind the other). ERR_INVALID for all that is not an IP address with a
 * port of 1 to 65535. */
enum err peer_address_parse(struct str text, unsigned offset, struct peer_address *out);
void peer_address_put(struct buf *to, const struct peer_address *a);
/* 0.0.0.0 or ::, where one can listen but not connect to. */
bool peer_address_any(const struct peer_address *a);

#endif
