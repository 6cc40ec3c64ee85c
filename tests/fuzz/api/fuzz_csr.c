/* A certificate request from outside: whatever it is, it is refused with a reason or becomes a certificate that
 * names the user. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/ca.h"
#include "common/clock.h"

static struct ca *ca;

static void init(void)
{
	char folder[] = "/tmp/duplex-fuzz-XXXXXX", cert_file[64], key_file[64], why[256];
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509V3_CTX ctx;

	if (mkdtemp(folder) == NULL)
		abort();
	(void)snprintf(cert_file, sizeof(cert_file), "%s/c", folder);
	(void)snprintf(key_file, sizeof(key_file), "%s/k", folder);
	(void)X509_set_version(cert, X509_VERSION_3);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * 3650);
	(void)X509_set_pubkey(cert, key);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, "critical,CA:TRUE");
	(void)X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
	(void)X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	(void)X509_sign(cert, key, EVP_sha256());
	FILE *f = fopen(cert_file, "we");
	(void)PEM_write_X509(f, cert);
	(void)fclose(f);
	f = fopen(key_file, "we");
	(void)fchmod(fileno(f), 0600);
	(void)PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	(void)fclose(f);
	if (ca_new(cert_file, key_file, &ca, why, sizeof(why)) != ERR_OK)
		abort();
	(void)unlink(cert_file);
	(void)unlink(key_file);
	(void)rmdir(folder);
	X509_free(cert);
	EVP_PKEY_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ca_order order = {
		.user = STR("alice"), .domain = STR("localhost"), .now_s = clock_wall_ms() / 1000, .days = 30
	};
	struct buf pem = buf_growing(CA_PEM_MAX);
	struct ca_issued issued;
	const char *wrong = NULL;

	if (ca == NULL)
		init();
	enum err e = ca_sign_csr(ca, &order, str_of(data, size), &pem, &issued, &wrong);
	if ((e == ERR_OK) == (wrong != NULL) || (e == ERR_OK) != (pem.len > 0))
		abort();
	buf_fini(&pem);
	return 0;
}
