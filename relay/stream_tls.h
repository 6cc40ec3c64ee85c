/* TLS 1.2 and 1.3 for TURN over TLS, by OpenSSL: the certificates, chosen by server name, and ALPN (RFC 7443). A set of
 * certificates is made anew at a reload; connections that began with the old one keep it. */
#ifndef DUPLEX_RELAY_STREAM_TLS_H
#define DUPLEX_RELAY_STREAM_TLS_H

#include <openssl/types.h>
#include <sys/types.h>

#include "common/str.h"

#define STREAM_TLS_CERTS_MAX 8u

struct stream_tls; /* used and freed by one thread; may be made by another */

/* `certs` and `keys`: as many blank-separated PEM files (chains, leaf first) as each other. The first is for clients that
 * ask for no name or one that no certificate has. On failure `why` holds one sentence. */
enum err stream_tls_new(const char *certs, const char *keys, struct stream_tls **out, char *why, size_t why_size);
void stream_tls_free(struct stream_tls *t);

/* The server's side over `fd`, which stays the caller's. NULL without memory. */
SSL *stream_tls_accept(struct stream_tls *t, int fd);

/* What became of a step. Errors are taken out of OpenSSL's queue. */
enum stream_tls_result { STREAM_TLS_DONE, STREAM_TLS_READ, STREAM_TLS_WRITE, STREAM_TLS_CLOSED, STREAM_TLS_FAILED };

enum stream_tls_result stream_tls_handshake(SSL *ssl);
/* *done: bytes read or written, with STREAM_TLS_DONE. */
enum stream_tls_result stream_tls_read(SSL *ssl, void *p, size_t size, size_t *done);
/* After READ or WRITE the same bytes must be tried again (at any address). */
enum stream_tls_result stream_tls_write(SSL *ssl, const void *p, size_t len, size_t *done);
/* Says good-bye if that goes without waiting, and frees. */
void stream_tls_close(SSL *ssl, bool orderly);

#endif
