/* api/ca: what is issued is exactly what was ordered; what proves nothing is refused. */
#include "api/ca.h"

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cm.h"

#define NOW 1790000000u

static char folder[] = "/tmp/duplex-ca-XXXXXX", cert_file[64], key_file[64];
static struct ca *ca;

static const struct ca_order order = { .user = { "alice", 5 }, .domain = { "example.org", 11 }, .now_s = NOW, .days = 60 };

static void write_root(EVP_PKEY *key, bool is_ca, uint64_t end_s)
{
	X509 *cert = X509_new();
	X509V3_CTX ctx;
	FILE *f;

	(void)X509_set_version(cert, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	(void)ASN1_TIME_set(X509_getm_notBefore(cert), NOW - 1000);
	(void)ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)end_s);
	(void)X509_set_pubkey(cert, key);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"Users", -1, -1,
					 0);
	(void)X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *ext =
	    X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	(void)X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
	(void)X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(cert, key, EVP_sha256()) != 0);
	f = fopen(cert_file, "we");
	assert_int_equal(PEM_write_X509(f, cert), 1);
	(void)fclose(f);
	X509_free(cert);
}

static void write_key(EVP_PKEY *key, mode_t mode)
{
	FILE *f = fopen(key_file, "we");

	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	(void)fchmod(fileno(f), mode);
	(void)fclose(f);
}

static void make_authority(uint64_t end_s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char why[256] = "";

	write_root(key, true, end_s);
	write_key(key, 0600);
	EVP_PKEY_free(key);
	ca_free(ca);
	ca = NULL;
	if (ca_new(cert_file, key_file, &ca, why, sizeof(why)) != ERR_OK)
		fail_msg("%s", why);
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(cert_file, sizeof(cert_file), "%s/ca.crt", folder);
	(void)snprintf(key_file, sizeof(key_file), "%s/ca.key", folder);
	make_authority(NOW + 365u * 86400u);
	return 0;
}

static int teardown(void **state)
{
	char path[80];

	(void)state;
	ca_free(ca);
	(void)unlink(cert_file);
	(void)unlink(key_file);
	(void)snprintf(path, sizeof(path), "%s/list.crl", folder);
	(void)unlink(path);
	return rmdir(folder);
}

static struct buf csr_of(EVP_PKEY *key, EVP_PKEY *signer)
{
	X509_REQ *req = X509_REQ_new();
	struct buf pem = buf_growing(CA_CSR_MAX);
	char *p;

	(void)X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_ASC, (const unsigned char *)"root", -1, -1,
					 0);
	(void)X509_REQ_set_pubkey(req, key);
	assert_true(X509_REQ_sign(req, signer, EVP_PKEY_is_a(signer, "ED25519") ? NULL : EVP_sha256()) != 0);
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509_REQ(bio, req), 1);
	long len = BIO_get_mem_data(bio, &p);
	buf_put(&pem, p, (size_t)len);
	BIO_free(bio);
	X509_REQ_free(req);
	return pem;
}

static X509 *read_cert(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(cert);
	return cert;
}

static void check_cert(X509 *cert, const struct ca_issued *issued)
{
	char name[64], *serial;
	struct tm end;
	FILE *f = fopen(cert_file, "re");
	X509 *root = PEM_read_X509(f, NULL, NULL, NULL);

	(void)fclose(f);
	EVP_PKEY *root_key = X509_get_pubkey(root);
	assert_int_equal(X509_verify(cert, root_key), 1);
	assert_int_equal(X509_check_issued(root, cert), X509_V_OK);
	assert_int_equal(X509_check_ca(cert), 0);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
	assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name)), 5);
	assert_string_equal(name, "alice");
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(cert)), 1);

	GENERAL_NAMES *san = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(san), 1);
	ASN1_IA5STRING *uri = sk_GENERAL_NAME_value(san, 0)->d.uniformResourceIdentifier;
	assert_str(str_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)), "sip:alice@example.org");
	GENERAL_NAMES_free(san);

	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	serial = BN_bn2hex(n);
	assert_true(str_ieq(str_from(serial), str_from(issued->serial)));
	assert_int_equal(strlen(issued->serial), 32);
	OPENSSL_free(serial);
	BN_free(n);
	assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end), 1);
	assert_int_equal(timegm(&end), issued->not_after_s);
	EVP_PKEY_free(root_key);
	X509_free(root);
}

static void a_request_becomes_a_certificate_of_the_user(void **state)
{
	EVP_PKEY *keys[] = { EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_RSA_gen(2048),
			     EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct buf csr = csr_of(keys[i], keys[i]), pem = buf_growing(CA_PEM_MAX);
		struct ca_issued issued;
		const char *wrong;

		assert_ok(ca_sign_csr(ca, &order, buf_view(&csr), &pem, &issued, &wrong));
		assert_int_equal(issued.not_after_s, NOW + 60u * 86400u);
		X509 *cert = read_cert(buf_view(&pem));
		check_cert(cert, &issued);
		assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), keys[i]), 1);
		X509_free(cert);
		buf_fini(&csr);
		buf_fini(&pem);
		EVP_PKEY_free(keys[i]);
	}
}

static const char *refused(struct str csr)
{
	struct buf pem = buf_growing(CA_PEM_MAX);
	struct ca_issued issued;
	const char *wrong = NULL;

	assert_err(ca_sign_csr(ca, &order, csr, &pem, &issued, &wrong), ERR_INVALID);
	assert_int_equal(pem.len, 0);
	assert_non_null(wrong);
	return wrong;
}

static void a_key_that_is_not_theirs_is_refused(void **state)
{
	EVP_PKEY *own = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	struct buf csr = csr_of(own, other);

	(void)state;
	assert_string_equal(refused(buf_view(&csr)), "is not signed with its own key");
	buf_fini(&csr);
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
}

static void weak_keys_are_refused(void **state)
{
	EVP_PKEY *keys[] = { EVP_RSA_gen(1024), EVP_EC_gen("P-224"), EVP_EC_gen("secp256k1") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct buf csr = csr_of(keys[i], keys[i]);

		assert_true(strncmp(refused(buf_view(&csr)), "has a", 5) == 0 ||
			    strncmp(refused(buf_view(&csr)), "has an", 6) == 0);
		buf_fini(&csr);
		EVP_PKEY_free(keys[i]);
	}
}

static void every_prefix_of_a_request_is_refused(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct buf csr = csr_of(key, key);
	static char big[CA_CSR_MAX + 1];

	(void)state;
	/* The last two bytes are a dash and a line end that PEM does not need. */
	for (size_t len = 0; len + 2 < csr.len; len++)
		(void)refused(str_sub(buf_view(&csr), 0, len));
	(void)refused(str_of(big, sizeof(big)));
	buf_fini(&csr);
	EVP_PKEY_free(key);
}

static void serials_do_not_repeat_and_have_32_digits(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct buf csr = csr_of(key, key);
	char seen[20][CA_SERIAL_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		struct buf pem = buf_growing(CA_PEM_MAX);
		struct ca_issued issued;
		const char *wrong;

		assert_ok(ca_sign_csr(ca, &order, buf_view(&csr), &pem, &issued, &wrong));
		memcpy(seen[i], issued.serial, sizeof(seen[i]));
		assert_in_range(issued.serial[0], '4', '7');
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(seen[k], seen[i]);
		buf_fini(&pem);
	}
	buf_fini(&csr);
	EVP_PKEY_free(key);
}

static void pkcs12_opens_with_its_passphrase(void **state)
{
	struct buf der = buf_growing(CA_P12_MAX);
	STACK_OF(X509) *chain = NULL;
	struct ca_issued issued;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;

	(void)state;
	assert_ok(ca_make_p12(ca, &order, "open sesame", STR("Laptop"), &der, &issued));
	const unsigned char *p = (const unsigned char *)der.p;
	PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)der.len);
	assert_non_null(p12);
	assert_int_equal(PKCS12_verify_mac(p12, "open sesam", -1), 0);
	assert_int_equal(PKCS12_parse(p12, "open sesame", &key, &cert, &chain), 1);
	check_cert(cert, &issued);
	assert_int_equal(X509_check_private_key(cert, key), 1);
	assert_int_equal(sk_X509_num(chain), 1);
	sk_X509_pop_free(chain, X509_free);
	X509_free(cert);
	EVP_PKEY_free(key);
	PKCS12_free(p12);
	buf_fini(&der);
}

static void none_outlives_the_authority(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct buf csr = csr_of(key, key), pem = buf_growing(CA_PEM_MAX);
	struct ca_issued issued;
	const char *wrong;

	(void)state;
	make_authority(NOW + 10u * 86400u);
	assert_ok(ca_sign_csr(ca, &order, buf_view(&csr), &pem, &issued, &wrong));
	assert_int_equal(issued.not_after_s, NOW + 10u * 86400u);
	make_authority(NOW - 1);
	assert_err(ca_sign_csr(ca, &order, buf_view(&csr), &pem, &issued, &wrong), ERR_INTERNAL);
	make_authority(NOW + 365u * 86400u);
	buf_fini(&csr);
	buf_fini(&pem);
	EVP_PKEY_free(key);
}

static void what_cannot_sign_is_no_authority(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	struct ca *c = NULL;
	char why[256];

	(void)state;
	write_root(key, false, NOW + 86400u);
	write_key(key, 0600);
	assert_err(ca_new(cert_file, key_file, &c, why, sizeof(why)), ERR_INVALID);
	assert_non_null(strstr(why, "not the certificate of an authority"));
	write_root(key, true, NOW + 86400u);
	write_key(other, 0600);
	assert_err(ca_new(cert_file, key_file, &c, why, sizeof(why)), ERR_INVALID);
	assert_non_null(strstr(why, "is not the key of"));
	write_key(key, 0644);
	assert_err(ca_new(cert_file, key_file, &c, why, sizeof(why)), ERR_INVALID);
	assert_non_null(strstr(why, "readable by others"));
	assert_err(ca_new("/nonexistent", key_file, &c, why, sizeof(why)), ERR_NOT_FOUND);
	assert_null(c);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	make_authority(NOW + 365u * 86400u);
}

static void the_list_names_the_revoked(void **state)
{
	const struct ca_revoked list[] = { { "4be1a3f0c2d94f5c8d7e6a5b4c3d2e1f", NOW - 5 },
					   { "7fffffffffffffffffffffffffffffff", NOW } };
	char path[80];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/list.crl", folder);
	assert_ok(ca_write_crl(ca, path, NULL, 0, NOW));
	assert_ok(ca_write_crl(ca, path, list, ARRAY_LEN(list), NOW));
	FILE *f = fopen(path, "re");
	X509_CRL *crl = PEM_read_X509_CRL(f, NULL, NULL, NULL);
	(void)fclose(f);
	f = fopen(cert_file, "re");
	X509 *root = PEM_read_X509(f, NULL, NULL, NULL);
	(void)fclose(f);
	EVP_PKEY *key = X509_get_pubkey(root);
	assert_int_equal(X509_CRL_verify(crl, key), 1);
	assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), 2);
	assert_int_equal(ASN1_TIME_compare(X509_CRL_get0_nextUpdate(crl), X509_get0_notAfter(root)), 0);
	EVP_PKEY_free(key);
	X509_free(root);
	X509_CRL_free(crl);
	assert_err(ca_write_crl(ca, "/nonexistent/x.crl", list, 1, NOW), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_becomes_a_certificate_of_the_user),
		cmocka_unit_test(a_key_that_is_not_theirs_is_refused),
		cmocka_unit_test(weak_keys_are_refused),
		cmocka_unit_test(every_prefix_of_a_request_is_refused),
		cmocka_unit_test(serials_do_not_repeat_and_have_32_digits),
		cmocka_unit_test(pkcs12_opens_with_its_passphrase),
		cmocka_unit_test(none_outlives_the_authority),
		cmocka_unit_test(what_cannot_sign_is_no_authority),
		cmocka_unit_test(the_list_names_the_revoked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
