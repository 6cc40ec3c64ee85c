#include "api/ca.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"

#define SERIAL_LEN 16u
#define BACKDATE_S 300u        /* clocks differ */
#define P12_ITERATIONS 100000

struct ca {
	X509 *cert;    /* owned */
	EVP_PKEY *key; /* owned */
};

static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "not readable";
}

static enum err load_key(const char *path, EVP_PKEY **out, char *why, size_t why_size)
{
	struct stat st;
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		(void)snprintf(why, why_size, "the key %s cannot be opened: %m", path);
		return ERR_NOT_FOUND;
	}
	EVP_PKEY *key = NULL;
	if (fstat(fileno(f), &st) != 0 || (st.st_mode & S_IRWXO) != 0)
		(void)snprintf(why, why_size, "the key %s must not be readable by others (chmod 640)", path);
	else if ((key = PEM_read_PrivateKey(f, NULL, NULL, NULL)) == NULL)
		(void)snprintf(why, why_size, "the key %s: %s", path, reason());
	(void)fclose(f);
	if (key == NULL)
		return ERR_INVALID;
	*out = key;
	return ERR_OK;
}

static enum err load_cert(const char *path, X509 **out, char *why, size_t why_size)
{
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		(void)snprintf(why, why_size, "the certificate %s cannot be opened: %m", path);
		return ERR_NOT_FOUND;
	}
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
	(void)fclose(f);
	if (cert == NULL) {
		(void)snprintf(why, why_size, "the certificate %s: %s", path, reason());
		return ERR_INVALID;
	}
	*out = cert;
	return ERR_OK;
}

enum err ca_new(const char *cert_file, const char *key_file, struct ca **out, char *why, size_t why_size)
{
	struct ca *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NO_MEMORY;
	enum err e = load_cert(cert_file, &c->cert, why, why_size);
	if (e == ERR_OK)
		e = load_key(key_file, &c->key, why, why_size);
	if (e == ERR_OK && X509_check_private_key(c->cert, c->key) != 1) {
		(void)snprintf(why, why_size, "%s is not the key of %s", key_file, cert_file);
		e = ERR_INVALID;
	}
	if (e == ERR_OK && X509_check_ca(c->cert) != 1) {
		(void)snprintf(why, why_size, "%s is not the certificate of an authority (basicConstraints CA:TRUE)", cert_file);
		e = ERR_INVALID;
	}
	ERR_clear_error();
	if (e != ERR_OK) {
		ca_free(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void ca_free(struct ca *c)
{
	if (c == NULL)
		return;
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
	free(c);
}

/* What a key must be: RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519. */
static const char *weak_key(EVP_PKEY *key)
{
	char group[64] = "";
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "ED25519") == 1)
		return NULL;
	if (EVP_PKEY_is_a(key, "RSA") == 1)
		return bits >= 2048 && bits <= 8192 ? NULL : "has an RSA key of less than 2048 or more than 8192 bits";
	if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	    (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0))
		return NULL;
	return "has a key that is neither RSA, P-256, P-384 nor Ed25519";
}

static const EVP_MD *digest_for(EVP_PKEY *key)
{
	/* EdDSA brings its own hash. */
	if (EVP_PKEY_is_a(key, "ED25519") == 1 || EVP_PKEY_is_a(key, "ED448") == 1)
		return NULL;
	return EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool done = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return done;
}

static bool set_serial(X509 *cert, uint8_t serial[SERIAL_LEN])
{
	crypto_random(serial, SERIAL_LEN);
	/* RFC 5280 §4.1.2.2: positive; and never with a leading zero, so that each serial has one spelling. */
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	BIGNUM *n = BN_bin2bn(serial, (int)SERIAL_LEN, NULL);
	bool done = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
	BN_free(n);
	return done;
}

static bool set_names(struct ca *c, X509 *cert, const struct ca_order *o)
{
	X509_NAME *subject = X509_NAME_new();
	char san[400];

	int n = snprintf(san, sizeof(san), "URI:sip:%.*s@%.*s", STR_FMT(o->user), STR_FMT(o->domain));
	bool done = subject != NULL && n > 0 && (size_t)n < sizeof(san) &&
		    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)o->user.p, (int)o->user.len,
					       -1, 0) == 1 &&
		    X509_set_subject_name(cert, subject) == 1 && X509_set_issuer_name(cert, X509_get_subject_name(c->cert)) == 1 &&
		    add_extension(cert, c->cert, NID_subject_alt_name, san);
	X509_NAME_free(subject);
	return done;
}

/* RFC 5280 §4.1.2.5: no later than the authority itself. */
static bool set_dates(struct ca *c, X509 *cert, const struct ca_order *o, uint64_t *not_after_s)
{
	time_t end = (time_t)(o->now_s + o->days * 86400);
	struct tm ca_end;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(c->cert), &ca_end) == 1)
		end = MIN(end, timegm(&ca_end));
	*not_after_s = (uint64_t)end;
	return end > (time_t)o->now_s && ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(o->now_s - BACKDATE_S)) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), end) != NULL;
}

static bool set_usage(struct ca *c, X509 *cert)
{
	return add_extension(cert, c->cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(cert, c->cert, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(cert, c->cert, NID_ext_key_usage, "clientAuth") &&
	       add_extension(cert, c->cert, NID_subject_key_identifier, "hash") &&
	       add_extension(cert, c->cert, NID_authority_key_identifier, "keyid");
}

static enum err sign(struct ca *c, const struct ca_order *o, EVP_PKEY *key, X509 **out, struct ca_issued *issued)
{
	uint8_t serial[SERIAL_LEN];
	struct ca_issued got = { 0 };
	struct buf hex = buf_fixed(got.serial, sizeof(got.serial) - 1);
	X509 *cert = X509_new();

	if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert, serial) ||
	    !set_dates(c, cert, o, &got.not_after_s) || X509_set_pubkey(cert, key) != 1 || !set_names(c, cert, o) || !set_usage(c, cert) ||
	    X509_sign(cert, c->key, digest_for(c->key)) == 0) {
		X509_free(cert);
		ERR_clear_error();
		return ERR_INTERNAL;
	}
	hex_put(&hex, serial, sizeof(serial));
	*issued = got;
	*out = cert;
	return ERR_OK;
}

static enum err append_bio(BIO *bio, struct buf *to)
{
	char *p;
	long len = BIO_get_mem_data(bio, &p);

	if (len <= 0)
		return ERR_INTERNAL;
	buf_put(to, p, (size_t)len);
	return buf_err(to);
}

static enum err append_pem(X509 *cert, struct buf *to)
{
	BIO *bio = BIO_new(BIO_s_mem());
	enum err e = bio != NULL && PEM_write_bio_X509(bio, cert) == 1 ? append_bio(bio, to) : ERR_INTERNAL;

	BIO_free(bio);
	return e;
}

static X509_REQ *read_csr(struct str csr)
{
	if (csr.len > CA_CSR_MAX)
		return NULL;
	BIO *bio = BIO_new_mem_buf(csr.p, (int)csr.len);
	X509_REQ *req = bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return req;
}

enum err ca_sign_csr(struct ca *c, const struct ca_order *o, struct str csr, struct buf *pem, struct ca_issued *out, const char **wrong)
{
	struct ca_issued issued = { 0 };
	X509 *cert = NULL;
	X509_REQ *req = read_csr(csr);
	EVP_PKEY *key = req != NULL ? X509_REQ_get0_pubkey(req) : NULL;

	*wrong = NULL;
	if (req == NULL)
		*wrong = "is not a certificate request in PEM";
	else if (key == NULL)
		*wrong = "has a key that cannot be read";
	else
		*wrong = weak_key(key);
	if (*wrong == NULL && X509_REQ_verify(req, key) != 1)
		*wrong = "is not signed with its own key";
	enum err e = *wrong != NULL ? ERR_INVALID : sign(c, o, key, &cert, &issued);
	if (e == ERR_OK)
		e = append_pem(cert, pem);
	X509_free(cert);
	X509_REQ_free(req);
	ERR_clear_error();
	if (e == ERR_OK)
		*out = issued;
	return e;
}

enum err ca_make_p12(struct ca *c, const struct ca_order *o, const char *passphrase, struct str name, struct buf *der,
		     struct ca_issued *out)
{
	char label[300];
	struct ca_issued issued = { 0 };
	X509 *cert = NULL;
	PKCS12 *p12 = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	STACK_OF(X509) *chain = sk_X509_new_null();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	enum err e = ERR_NO_MEMORY;

	if (key == NULL || chain == NULL || bio == NULL || str_copy(name, label, sizeof(label)) != ERR_OK ||
	    sk_X509_push(chain, c->cert) == 0)
		goto out;
	e = sign(c, o, key, &cert, &issued);
	if (e != ERR_OK)
		goto out;
	e = ERR_INTERNAL;
	p12 = PKCS12_create(passphrase, label, key, cert, chain, NID_aes_256_cbc, NID_aes_256_cbc, P12_ITERATIONS, -1, 0);
	if (p12 == NULL || PKCS12_set_mac(p12, passphrase, -1, NULL, 0, P12_ITERATIONS, EVP_sha256()) != 1 || i2d_PKCS12_bio(bio, p12) != 1)
		goto out;
	e = append_bio(bio, der);
	if (e == ERR_OK)
		*out = issued;
out:
	PKCS12_free(p12);
	sk_X509_free(chain);
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return e;
}

static bool add_revoked(X509_CRL *crl, const struct ca_revoked *r)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	BIGNUM *n = NULL;
	ASN1_INTEGER *serial = BN_hex2bn(&n, r->serial) > 0 ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
	ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)r->revoked_s);
	bool done = entry != NULL && serial != NULL && when != NULL && X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
		    X509_REVOKED_set_revocationDate(entry, when) == 1 && X509_CRL_add0_revoked(crl, entry) == 1;

	if (!done)
		X509_REVOKED_free(entry);
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(when);
	BN_free(n);
	return done;
}

static X509_CRL *make_crl(struct ca *c, const struct ca_revoked *list, size_t count, uint64_t now_s)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)(now_s - BACKDATE_S));
	/* The list lasts as long as its authority: nginx refuses every certificate once its list is out of date. */
	bool done = crl != NULL && from != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
		    X509_CRL_set_issuer_name(crl, X509_get_subject_name(c->cert)) == 1 && X509_CRL_set1_lastUpdate(crl, from) == 1 &&
		    X509_CRL_set1_nextUpdate(crl, X509_get0_notAfter(c->cert)) == 1;

	for (size_t i = 0; i < count && done; i++)
		done = add_revoked(crl, &list[i]);
	done = done && X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, c->key, digest_for(c->key)) != 0;
	ASN1_TIME_free(from);
	if (!done) {
		X509_CRL_free(crl);
		crl = NULL;
	}
	return crl;
}

enum err ca_write_crl(struct ca *c, const char *path, const struct ca_revoked *list, size_t count, uint64_t now_s)
{
	char temporary[512];
	int n = snprintf(temporary, sizeof(temporary), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return ERR_TOO_LARGE;
	X509_CRL *crl = make_crl(c, list, count, now_s);
	if (crl == NULL) {
		ERR_clear_error();
		return ERR_INTERNAL;
	}
	FILE *f = fopen(temporary, "we");
	bool done = f != NULL && PEM_write_X509_CRL(f, crl) == 1 && fflush(f) == 0 && fchmod(fileno(f), 0644) == 0 && fsync(fileno(f)) == 0;
	if (f != NULL && fclose(f) != 0)
		done = false;
	X509_CRL_free(crl);
	if (!done || rename(temporary, path) != 0) {
		(void)unlink(temporary);
		return ERR_IO;
	}
	return ERR_OK;
}
