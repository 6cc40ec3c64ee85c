/* The PROXY protocol (version 2, binary; version 1, text): the header by which a proxy in front of us says whose
 * connection it hands on. It is believed, so it is looked for only where the configuration says that nobody but the
 * proxy can connect. */
#ifndef DUPLEX_RELAY_PROXY_H
#define DUPLEX_RELAY_PROXY_H

#include "relay/addr.h"

/* No longer header is taken: a version 2 header with addresses of a unix socket fits, with room for some extensions. */
#define PROXY_HEADER_MAX 536u

struct proxy_header {
	bool known;            /* false: the proxy speaks for itself (LOCAL, UNKNOWN) or of no IP connection */
	struct addr client, server;
	uint16_t client_port, server_port; /* host order */
	uint32_t len;          /* of the header; the connection's own bytes follow */
};

/* ERR_AGAIN: all so far is right, but there is more to come. ERR_INVALID: not a PROXY header, or a malformed one;
 * ERR_TOO_LARGE: longer than PROXY_HEADER_MAX. */
enum err proxy_parse(const uint8_t *p, size_t have, struct proxy_header *out);

#endif
