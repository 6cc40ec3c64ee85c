/* A small certificate authority for the users' client certificates, over OpenSSL 3: no Redis, no HTTP. RFC
 * 5280, RFC 2986 (CSR), RFC 7292 (PKCS#12). The subject of a request is ignored: the certificate names the user
 * who is logged in, and no one else. */
#ifndef DUPLEX_API_CA_H
#define DUPLEX_API_CA_H

#include "common/buf.h"

struct ca;

#define CA_SERIAL_SIZE 33u /* 128 bits in lower-case hex, with NUL */
#define CA_CSR_MAX 8192u
#define CA_PEM_MAX 16384u
#define CA_P12_MAX 32768u

struct ca_order {
	struct str user, domain; /* CN=user; SAN URI sip:user@domain */
	uint64_t now_s, days;
};

struct ca_issued {
	char serial[CA_SERIAL_SIZE];
	uint64_t not_after_s;
};

/* Loads certificate and key (PEM files) and checks that they belong together and may sign. On failure `why`
 * holds one sentence. */
enum err ca_new(const char *cert_file, const char *key_file, struct ca **out, char *why, size_t why_size);
void ca_free(struct ca *c);

/* Signs the key of a PKCS#10 request; appends the PEM certificate. ERR_INVALID with a phrase in *wrong: not a
 * request, its signature does not prove possession of the key, or the key is weak. */
enum err ca_sign_csr(struct ca *c, const struct ca_order *o, struct str csr, struct buf *pem, struct ca_issued *out, const char **wrong);
/* Makes a P-256 key and certificate and appends them as PKCS#12 (DER), encrypted with AES-256-CBC under
 * PBKDF2-HMAC-SHA-256. */
enum err ca_make_p12(struct ca *c, const struct ca_order *o, const char *passphrase, struct str name, struct buf *der,
		     struct ca_issued *out);

struct ca_revoked {
	char serial[CA_SERIAL_SIZE];
	uint64_t revoked_s;
};
/* Writes a signed CRL (PEM) to `path`, in one step for whoever reads it meanwhile. */
enum err ca_write_crl(struct ca *c, const char *path, const struct ca_revoked *list, size_t count, uint64_t now_s);

#endif
