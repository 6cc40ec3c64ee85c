/* TLS of the edge, over OpenSSL. The context is replaced as a whole when certificates are read again; connections hold the one they began with. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/log.h"
#include "signalling/edge_int.h"

static void log_failure(const char *file)
{
	char text[160];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	log_event(LOG_ERROR, "certificate-not-loaded", "file=%s error=%s", log_value(str_from(file)), log_value(str_from(text)));
}

enum err tls_load(struct edge *e)
{
	const struct signalling_conf *conf = e->w->conf;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return ERR_NO_MEMORY;
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->sip_certificate) != 1) {
		log_failure(conf->sip_certificate);
		SSL_CTX_free(ctx);
		return ERR_INVALID;
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, conf->sip_key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
		log_failure(conf->sip_key);
		SSL_CTX_free(ctx);
		return ERR_INVALID;
	}
	tls_unload(e);
	e->tls = ctx;
	return ERR_OK;
}

void tls_unload(struct edge *e)
{
	SSL_CTX_free(e->tls);
	e->tls = NULL;
}

static SSL *ssl_of(struct tls *t)
{
	return (SSL *)t;
}

struct tls *tls_new(struct edge *e, int fd)
{
	SSL *s = SSL_new(e->tls);

	if (s != NULL && SSL_set_fd(s, fd) != 1) {
		SSL_free(s);
		s = NULL;
	}
	if (s != NULL)
		SSL_set_accept_state(s);
	return (struct tls *)s;
}

void tls_free(struct tls *t)
{
	SSL_free(ssl_of(t));
}

static enum tls_io outcome(struct tls *t, int result)
{
	int why = SSL_get_error(ssl_of(t), result);

	ERR_clear_error();
	return why == SSL_ERROR_WANT_READ ? TLS_WANT_READ : why == SSL_ERROR_WANT_WRITE ? TLS_WANT_WRITE : TLS_ENDED;
}

enum tls_io tls_handshake(struct tls *t)
{
	int r = SSL_do_handshake(ssl_of(t));

	return r == 1 ? TLS_OK : outcome(t, r);
}

enum tls_io tls_read(struct tls *t, void *p, size_t size, size_t *n)
{
	int r = SSL_read_ex(ssl_of(t), p, size, n);

	return r == 1 ? TLS_OK : outcome(t, r);
}

enum tls_io tls_write(struct tls *t, const void *p, size_t size, size_t *n)
{
	int r = SSL_write_ex(ssl_of(t), p, size, n);

	return r == 1 ? TLS_OK : outcome(t, r);
}

void tls_bye(struct tls *t)
{
	(void)SSL_shutdown(ssl_of(t));
	ERR_clear_error();
}
