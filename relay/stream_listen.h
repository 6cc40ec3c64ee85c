/* Where clients on streams come in: the words of [relay] stream-listen, and the sockets made of them. */
#ifndef DUPLEX_RELAY_STREAM_LISTEN_H
#define DUPLEX_RELAY_STREAM_LISTEN_H

#include <sys/socket.h>
#include <sys/un.h>

#include "relay/addr.h"

#define STREAM_LISTEN_MAX 16u

struct stream_listen {
	bool tls, proxy;         /* proxy: each connection starts with a PROXY header */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of a unix socket; empty for TCP */
	struct addr addr;        /* of TCP; :: = every address, IPv4 and IPv6 */
	uint16_t port;           /* host order */
};

/* Blank-separated words: KIND:PLACE. KIND is tcp, tls, tcp-proxy or tls-proxy; PLACE is ADDRESS:PORT, [IPv6]:PORT, *:PORT
 * or unix:PATH. ERR_INVALID and the word, ERR_TOO_LARGE beyond STREAM_LISTEN_MAX. */
enum err stream_listen_parse(const char *words, struct stream_listen out[STREAM_LISTEN_MAX], unsigned *count, struct str *bad);

/* A listening socket, not blocking; the caller owns *out. A unix socket takes the place of one that is left over and is
 * open to `group` (empty = to root only). On failure `why` holds one sentence. */
enum err stream_listen_open(const struct stream_listen *l, const char *group, int *out, char *why, size_t why_size);
/* Takes a unix socket's name away; the descriptor is the caller's affair. */
void stream_listen_unlink(const struct stream_listen *l);
/* What a connection of ours is told: small messages go out at once, and little waits in the kernel, where nothing can be
 * dropped any more. */
void stream_listen_tune(int fd);
/* The address of the other side; false for a unix socket. */
bool stream_listen_peer(const struct sockaddr_storage *from, struct addr *addr, uint16_t *port);

#endif
