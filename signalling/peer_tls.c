#include "signalling/peer_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/log.h"

#define NAME_FLAGS (X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

/* What tells one file from another that took its place. */
struct mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct peer_tls {
	struct peer_tls_files files;
	const char *node; /* borrowed */
	SSL_CTX *ctx;
	struct mark mark[3];
};

static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "no reason given";
}

static void look(const struct peer_tls_files *files, struct mark mark[3])
{
	const char *const names[3] = { files->certificate, files->key, files->ca };

	memset(mark, 0, 3 * sizeof(*mark));
	for (size_t i = 0; i < 3; i++) {
		struct stat st;

		if (stat(names[i], &st) != 0)
			continue;
		mark[i].dev = st.st_dev;
		mark[i].ino = st.st_ino;
		mark[i].size = st.st_size;
		mark[i].changed = st.st_ctim;
	}
}

static SSL_CTX *make_ctx(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (ctx == NULL)
		return NULL;
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* Streams are few and long: nothing is resumed, so each one shows its certificate. */
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return ctx;
}

static enum err load(const struct peer_tls_files *f, const char *node, SSL_CTX **out, char *why, size_t why_size)
{
	SSL_CTX *ctx = make_ctx();
	enum err e = ERR_INVALID;

	ERR_clear_error();
	if (ctx == NULL) {
		(void)snprintf(why, why_size, "out of memory");
		return ERR_NO_MEMORY;
	}
	if (SSL_CTX_use_certificate_chain_file(ctx, f->certificate) != 1)
		(void)snprintf(why, why_size, "peer-certificate: %s cannot be used: %s", f->certificate, reason());
	else if (SSL_CTX_use_PrivateKey_file(ctx, f->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		(void)snprintf(why, why_size, "peer-key: %s cannot be used with %s: %s", f->key, f->certificate, reason());
	else if (SSL_CTX_load_verify_file(ctx, f->ca) != 1)
		(void)snprintf(why, why_size, "peer-ca: %s cannot be used: %s", f->ca, reason());
	else if (X509_check_host(SSL_CTX_get0_certificate(ctx), node, 0, NAME_FLAGS, NULL) != 1)
		(void)snprintf(why, why_size, "peer-certificate: %s does not name this node, %s, as DNS name", f->certificate, node);
	else
		e = ERR_OK;
	ERR_clear_error();
	if (e != ERR_OK) {
		SSL_CTX_free(ctx);
		return e;
	}
	*out = ctx;
	return ERR_OK;
}

enum err peer_tls_new(const struct peer_tls_files *files, const char *node, struct peer_tls **out, char *why, size_t why_size)
{
	struct peer_tls *t = calloc(1, sizeof(*t));

	(void)snprintf(why, why_size, "out of memory");
	if (t == NULL)
		return ERR_NO_MEMORY;
	t->files = *files;
	t->node = node;
	look(files, t->mark);
	enum err e = load(files, node, &t->ctx, why, why_size);
	if (e != ERR_OK) {
		free(t);
		return e;
	}
	*out = t;
	return ERR_OK;
}

void peer_tls_free(struct peer_tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

void peer_tls_refresh(struct peer_tls *t)
{
	struct mark now[3];
	char why[512];
	SSL_CTX *ctx;

	look(&t->files, now);
	if (memcmp(now, t->mark, sizeof(now)) == 0)
		return;
	memcpy(t->mark, now, sizeof(now));
	if (load(&t->files, t->node, &ctx, why, sizeof(why)) != ERR_OK) {
		log_event(LOG_ERROR, "peer-certificate-kept", "error=%s", log_value(str_from(why)));
		return;
	}
	SSL_CTX_free(t->ctx);
	t->ctx = ctx;
	log_event(LOG_INFO, "peer-certificate-loaded", "file=%s", log_value(str_from(t->files.certificate)));
}

SSL *peer_tls_start(struct peer_tls *t, int fd, const char *node)
{
	SSL *ssl = SSL_new(t->ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || (node != NULL && SSL_set1_host(ssl, node) != 1)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_hostflags(ssl, NAME_FLAGS);
	if (node != NULL)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	return ssl;
}

bool peer_tls_names(const SSL *ssl, struct str node)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);

	return cert != NULL && node.len > 0 && X509_check_host(cert, node.p, node.len, NAME_FLAGS, NULL) == 1;
}

static enum peer_tls_result judge(SSL *ssl, int result)
{
	enum peer_tls_result r = PEER_TLS_CLOSED;

	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_NONE:
		r = PEER_TLS_DONE;
		break;
	case SSL_ERROR_WANT_READ:
		r = PEER_TLS_READ;
		break;
	case SSL_ERROR_WANT_WRITE:
		r = PEER_TLS_WRITE;
		break;
	default:
		break;
	}
	return r;
}

enum peer_tls_result peer_tls_handshake(SSL *ssl, const char **why)
{
	ERR_clear_error();
	enum peer_tls_result r = judge(ssl, SSL_do_handshake(ssl));

	if (why != NULL && r == PEER_TLS_CLOSED) {
		long verdict = SSL_get_verify_result(ssl);

		*why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : reason();
	}
	ERR_clear_error();
	return r;
}

enum peer_tls_result peer_tls_read(SSL *ssl, void *p, size_t size, size_t *done)
{
	ERR_clear_error();
	enum peer_tls_result r = judge(ssl, SSL_read_ex(ssl, p, size, done));

	ERR_clear_error();
	return r;
}

enum peer_tls_result peer_tls_write(SSL *ssl, const void *p, size_t len, size_t *done)
{
	ERR_clear_error();
	enum peer_tls_result r = judge(ssl, SSL_write_ex(ssl, p, len, done));

	ERR_clear_error();
	return r;
}

void peer_tls_end(SSL *ssl)
{
	if (ssl == NULL)
		return;
	ERR_clear_error();
	if (SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	ERR_clear_error();
}
