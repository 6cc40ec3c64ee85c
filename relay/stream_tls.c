#include "relay/stream_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct stream_tls {
	SSL_CTX *ctx[STREAM_TLS_CERTS_MAX]; /* owned; the first is the one connections begin with */
	X509 *cert[STREAM_TLS_CERTS_MAX];   /* borrowed from ctx */
	unsigned count;
};

/* The suites of nginx/conf.d/tls.conf. */
#define CIPHERS                                                                                         \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"      \
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* RFC 7443: "stun.turn" if the client offers it. A client that offers only others may mean them, or may be a browser that
 * always does: it gets none, and what it says next shows whether it speaks TURN. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *user)
{
	static const unsigned char turn[] = "\x09stun.turn";

	(void)ssl;
	(void)user;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, turn, sizeof(turn) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

static int on_server_name(SSL *ssl, int *alert, void *user)
{
	const struct stream_tls *t = user;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	for (unsigned i = 0; name != NULL && i < t->count; i++) {
		if (X509_check_host(t->cert[i], name, 0, 0, NULL) == 1) {
			(void)SSL_set_SSL_CTX(ssl, t->ctx[i]);
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "no reason given";
}

static SSL_CTX *make_ctx(struct stream_tls *t)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_cipher_list(ctx, CIPHERS);
	/* Sessions are long and few: resuming them is not worth a cache or tickets. */
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	(void)SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	(void)SSL_CTX_set_tlsext_servername_arg(ctx, t);
	return ctx;
}

static enum err add(struct stream_tls *t, struct str cert, struct str key, char *why, size_t why_size)
{
	char cert_file[512], key_file[512];
	SSL_CTX *ctx = make_ctx(t);

	if (ctx == NULL)
		return ERR_NO_MEMORY;
	t->ctx[t->count++] = ctx;
	ERR_clear_error();
	if (str_copy(cert, cert_file, sizeof(cert_file)) != ERR_OK || SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
		(void)snprintf(why, why_size, "[relay] tls-cert: the certificate %.*s cannot be used: %s", STR_FMT(cert), reason());
		return ERR_INVALID;
	}
	if (str_copy(key, key_file, sizeof(key_file)) != ERR_OK || SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1) {
		(void)snprintf(why, why_size, "[relay] tls-key: the key %.*s cannot be used with %s: %s", STR_FMT(key), cert_file, reason());
		return ERR_INVALID;
	}
	t->cert[t->count - 1] = SSL_CTX_get0_certificate(ctx);
	return ERR_OK;
}

static struct str word(const char **p)
{
	*p += strspn(*p, " \t");
	struct str w = str_of(*p, strcspn(*p, " \t"));

	*p += w.len;
	return w;
}

enum err stream_tls_new(const char *certs, const char *keys, struct stream_tls **out, char *why, size_t why_size)
{
	struct stream_tls *t = calloc(1, sizeof(*t));
	enum err e = t != NULL ? ERR_OK : ERR_NO_MEMORY;

	(void)snprintf(why, why_size, "out of memory");
	while (e == ERR_OK) {
		struct str cert = word(&certs), key = word(&keys);

		if (cert.len == 0 && key.len == 0 && t->count > 0)
			break;
		if (cert.len == 0 || key.len == 0 || t->count == STREAM_TLS_CERTS_MAX) {
			(void)snprintf(why, why_size,
				       "[relay] tls-cert and tls-key must name as many files as each other, 1 to %u", STREAM_TLS_CERTS_MAX);
			e = ERR_INVALID;
			break;
		}
		e = add(t, cert, key, why, why_size);
	}
	ERR_clear_error();
	if (e != ERR_OK) {
		stream_tls_free(t);
		return e;
	}
	*out = t;
	return ERR_OK;
}

void stream_tls_free(struct stream_tls *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < t->count; i++) {
		/* Connections may keep it alive, but in a handshake none of them may ask us for a name any more. */
		(void)SSL_CTX_set_tlsext_servername_callback(t->ctx[i], NULL);
		SSL_CTX_free(t->ctx[i]);
	}
	free(t);
}

SSL *stream_tls_accept(struct stream_tls *t, int fd)
{
	SSL *ssl = SSL_new(t->ctx[0]);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

static enum stream_tls_result judge(SSL *ssl, int result)
{
	enum stream_tls_result r = STREAM_TLS_FAILED;

	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_NONE:
		r = STREAM_TLS_DONE;
		break;
	case SSL_ERROR_WANT_READ:
		r = STREAM_TLS_READ;
		break;
	case SSL_ERROR_WANT_WRITE:
		r = STREAM_TLS_WRITE;
		break;
	case SSL_ERROR_ZERO_RETURN:
		r = STREAM_TLS_CLOSED;
		break;
	default:
		break;
	}
	ERR_clear_error();
	return r;
}

enum stream_tls_result stream_tls_handshake(SSL *ssl)
{
	ERR_clear_error();
	return judge(ssl, SSL_do_handshake(ssl));
}

enum stream_tls_result stream_tls_read(SSL *ssl, void *p, size_t size, size_t *done)
{
	ERR_clear_error();
	return judge(ssl, SSL_read_ex(ssl, p, size, done));
}

enum stream_tls_result stream_tls_write(SSL *ssl, const void *p, size_t len, size_t *done)
{
	ERR_clear_error();
	return judge(ssl, SSL_write_ex(ssl, p, len, done));
}

void stream_tls_close(SSL *ssl, bool orderly)
{
	if (ssl == NULL)
		return;
	ERR_clear_error();
	if (orderly)
		(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	ERR_clear_error();
}
