/* Mutual TLS 1.3 between the workers of different nodes, by OpenSSL. Every node has a certificate of the cluster's authority, which signs for nothing
 * else, with the node's name as DNS name in subjectAltName; both sides show theirs. Files that are replaced are read again within seconds: streams that
 * are up go on, new ones use the new certificate. */
#ifndef DUPLEX_SIGNALLING_PEER_TLS_H
#define DUPLEX_SIGNALLING_PEER_TLS_H

#include <openssl/types.h>

#include "common/str.h"

struct peer_tls;

/* PEM files: chain (leaf first), key, authorities. Borrowed for as long as the peer_tls lives. */
struct peer_tls_files {
	const char *certificate, *key, *ca;
};

/* On failure (unreadable, key of another certificate, or not the certificate of `node`) `why` holds one sentence. */
enum err peer_tls_new(const struct peer_tls_files *files, const char *node, struct peer_tls **out, char *why, size_t why_size);
void peer_tls_free(struct peer_tls *t);
/* Looks whether a file was replaced and takes the new ones if they are good; else the old ones stay in force, with a line in the log. */
void peer_tls_refresh(struct peer_tls *t);

/* Over the connected socket `fd`, which stays the caller's. With `node` we are the client and that is who must answer; NULL: we are the server and
 * take every node of the cluster. NULL without memory. */
SSL *peer_tls_start(struct peer_tls *t, int fd, const char *node);
/* After the handshake: whether the other side's certificate names `node`. */
bool peer_tls_names(const SSL *ssl, struct str node);

/* What became of a step. Errors are taken out of OpenSSL's queue. */
enum peer_tls_result { PEER_TLS_DONE, PEER_TLS_READ, PEER_TLS_WRITE, PEER_TLS_CLOSED };

/* With PEER_TLS_CLOSED, `why` (may be NULL) gets static text. */
enum peer_tls_result peer_tls_handshake(SSL *ssl, const char **why);
/* *done: bytes read or written, with PEER_TLS_DONE. */
enum peer_tls_result peer_tls_read(SSL *ssl, void *p, size_t size, size_t *done);
/* After READ or WRITE the same bytes must be tried again (at any address). */
enum peer_tls_result peer_tls_write(SSL *ssl, const void *p, size_t len, size_t *done);
/* Says good-bye if that goes without waiting, and frees. NULL is fine. */
void peer_tls_end(SSL *ssl);

#endif
