/* /me/certificates: client certificates of the user. */
#include <stdlib.h>

#include "api/app.h"
#include "api/certs.h"
#include "api/check.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/reply.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

static void add_item(void *arg, struct str serial, uint64_t not_after_s, struct str label)
{
	(void)json_array_append_new(arg, json_pack("{s:o, s:o, s:o}", "serial", reply_str(serial), "label", reply_str(label), "not_after",
						   reply_time_json(not_after_s * MS_PER_S)));
}

enum err h_certificates(struct req *r)
{
	json_t *items = json_array();
	enum err e = certs_list(r->rds, req_user(r), r->now_ms / MS_PER_S, add_item, items);

	if (e != ERR_OK) {
		json_decref(items);
		return e;
	}
	return reply_list(r, items, STR(""));
}

struct certificate_post {
	struct str label, csr, passphrase;
};

static const char *check_passphrase(struct str s)
{
	return s.len < 8 ? "must have at least 8 characters" : s.len > 128 ? "is longer than 128 bytes" : NULL;
}

static const struct field fields[] = {
	{ "label", INPUT_TEXT, true, check_display_name, offsetof(struct certificate_post, label) },
	{ "csr", INPUT_TEXT, false, check_csr, offsetof(struct certificate_post, csr) },
	{ "passphrase", INPUT_TEXT, false, check_passphrase, offsetof(struct certificate_post, passphrase) },
};

/* Signs; *text is the PEM certificate or the PKCS#12 in base64. A problem with the request is answered here:
 * *text is then NULL. */
static enum err issue(struct req *r, const struct certificate_post *in, struct ca_issued *issued, json_t **text)
{
	const struct ca_order order = { .user = req_user(r),
					.domain = str_from(r->set->domain),
					.now_s = r->now_ms / MS_PER_S,
					.days = r->set->certificate_days };
	struct buf made = buf_growing(CA_P12_MAX), base64 = buf_growing(2 * CA_P12_MAX);
	const char *wrong = NULL;
	enum err e;

	if (in->csr.p != NULL) {
		e = ca_sign_csr(r->app->ca, &order, in->csr, &made, issued, &wrong);
		if (e == ERR_OK)
			*text = reply_str(buf_view(&made));
	} else {
		e = ca_make_p12(r->app->ca, &order, in->passphrase.p, in->label, &made, issued);
		if (e == ERR_OK) {
			base64_put(&base64, made.p, made.len);
			*text = reply_str(buf_view(&base64));
		}
	}
	buf_fini(&made);
	buf_fini(&base64);
	return wrong != NULL ? problem_field(r, "/csr", wrong) : e;
}

enum err h_certificate_issue(struct req *r)
{
	struct certificate_post in = { 0 };
	struct ca_issued issued;
	json_t *text = NULL;

	if (r->app->ca == NULL)
		return problem_send(r, PROBLEM_NO_CERTIFICATES, NULL);
	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	if ((in.csr.p == NULL) == (in.passphrase.p == NULL))
		return problem_field(r, "/csr", "or passphrase is needed, and not both");
	enum err e = issue(r, &in, &issued, &text);
	if (e != ERR_OK || text == NULL)
		return e;
	e = certs_add(r->rds, req_user(r), &issued, in.label, r->now_ms / MS_PER_S);
	if (e != ERR_OK)
		json_decref(text);
	if (e == ERR_FULL)
		return problem_send(r, PROBLEM_LIMIT, "Revoke a certificate that is not used any more");
	if (e != ERR_OK)
		return e;
	stats_add(r->app->stats, STAT_CERTIFICATES);
	log_event(LOG_INFO, "certificate-issued", "user=%s serial=%s", r->who.user, issued.serial);
	return reply_json(r, 201, json_pack("{s:s, s:o, s:o, s:o}", "serial", issued.serial, "label", reply_str(in.label), "not_after",
					    reply_time_json(issued.not_after_s * MS_PER_S), in.csr.p != NULL ? "certificate" : "pkcs12",
					    text));
}

enum err h_certificate_revoke(struct req *r)
{
	enum err e = certs_revoke(r->rds, req_user(r), r->param[0], r->now_ms / MS_PER_S);

	if (e != ERR_OK)
		return e;
	stats_add(r->app->stats, STAT_REVOKED);
	log_event(LOG_INFO, "certificate-revoked", "user=%s serial=%.*s", r->who.user, STR_FMT(r->param[0]));
	/* It is refused from now on whatever becomes of the file, which is for nginx only. */
	if (r->app->ca != NULL && r->set->crl_file[0] != '\0') {
		e = certs_write_crl(r->rds, r->app->ca, r->set->crl_file, r->now_ms / MS_PER_S);
		if (e != ERR_OK)
			log_event(LOG_ERROR, "crl-not-written", "file=%s error=%s", log_value(str_from(r->set->crl_file)), err_text(e));
	}
	return reply_empty(r, 204);
}
