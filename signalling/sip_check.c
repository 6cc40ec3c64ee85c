/* See sip_check.h. One function a rule; the list below is the order in which they are asked. */
#include "signalling/sip_check.h"

#include "signalling/sip_build.h"
#include "signalling/sip_char.h"
#include "signalling/sip_uri.h"

/* A rule fills *why and returns ERR_INVALID when it is broken. */
typedef enum err (*rule_fn)(const struct sip_msg *m, struct sip_refusal *why, struct buf *headers);

static enum err refuse(struct sip_refusal *why, unsigned status, const char *phrase)
{
	*why = (struct sip_refusal){ status, phrase };
	return ERR_INVALID;
}

static enum err request_uri(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	struct sip_uri u;

	switch ((int)sip_uri_parse(m->uri, &u)) {
	case ERR_OK:
		break;
	case ERR_TOO_LARGE:
		return refuse(why, 414, "Request-URI Too Long");
	default:
		return refuse(why, 400, "Bad Request-URI");
	}
	if (u.scheme != SIP_SCHEME_SIP && u.scheme != SIP_SCHEME_SIPS)
		return refuse(why, 416, "Unsupported URI Scheme");
	if (u.headers.len > 0)
		return refuse(why, 400, "Headers in Request-URI");
	return ERR_OK;
}

static enum err via(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	struct sip_list it = sip_list(m, SIP_H_VIA);
	struct sip_via first, other;
	struct str v;

	if (!sip_list_next(&it, &v) || sip_via_parse(v, &first) != ERR_OK)
		return refuse(why, 400, "Bad Via");
	if (first.branch.len <= strlen(SIP_BRANCH_COOKIE) || !str_starts(first.branch, STR(SIP_BRANCH_COOKIE)))
		return refuse(why, 400, "Bad Via branch");
	while (sip_list_next(&it, &v))
		if (sip_via_parse(v, &other) != ERR_OK)
			return refuse(why, 400, "Bad Via");
	return ERR_OK;
}

static enum err party(const struct sip_msg *m, enum sip_hdr h, bool tag, const char *phrase, struct sip_refusal *why)
{
	struct sip_addr a;
	struct sip_uri u;

	if (sip_msg_addr_uri(m, h, &a, &u) != ERR_OK || (tag && a.tag.len == 0))
		return refuse(why, 400, phrase);
	return ERR_OK;
}

static enum err from(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	return party(m, SIP_H_FROM, true, "Bad From", why);
}

static enum err to(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	return party(m, SIP_H_TO, false, "Bad To", why);
}

static enum err max_forwards(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	uint32_t hops;

	if (m->first[SIP_H_MAX_FORWARDS] == 0)
		return ERR_OK;
	if (sip_msg_number(m, SIP_H_MAX_FORWARDS, 255, &hops) != ERR_OK)
		return refuse(why, 400, "Bad Max-Forwards");
	/* An OPTIONS that ends here is answered here (§11). */
	if (hops == 0 && m->method != SIP_OPTIONS)
		return refuse(why, 483, "Too Many Hops");
	return ERR_OK;
}

static enum err proxy_require(const struct sip_msg *m, struct sip_refusal *why, struct buf *headers)
{
	struct sip_list it = sip_list(m, SIP_H_PROXY_REQUIRE);
	struct str tag;
	bool any = false;

	/* Not for ACK and CANCEL (§8.2.2.3). We know no extension that a proxy must be asked for. */
	if (m->method == SIP_ACK || m->method == SIP_CANCEL)
		return ERR_OK;
	while (sip_list_next(&it, &tag)) {
		buf_z(headers, any ? ", " : "Unsupported: ");
		buf_str(headers, tag);
		any = true;
	}
	if (!any)
		return ERR_OK;
	buf_z(headers, "\r\n");
	return refuse(why, 420, "Bad Extension");
}

static enum err routes(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	static const enum sip_hdr lists[] = { SIP_H_ROUTE, SIP_H_RECORD_ROUTE, SIP_H_PATH };
	struct sip_addr a;
	struct sip_uri u;
	struct str v;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct sip_list it = sip_list(m, lists[i]);

		while (sip_list_next(&it, &v))
			if (sip_addr_uri_parse(v, &a, &u) != ERR_OK || !a.brackets)
				return refuse(why, 400, "Bad Route");
	}
	return ERR_OK;
}

static bool sip_contact(struct str v)
{
	struct sip_addr a;
	struct sip_uri u;

	return sip_addr_uri_parse(v, &a, &u) == ERR_OK && (u.scheme == SIP_SCHEME_SIP || u.scheme == SIP_SCHEME_SIPS);
}

/* Any number, of any scheme, or "*" for a registrar (§10.2.2), but each must be one. */
static enum err any_contacts(const struct sip_msg *m, struct sip_refusal *why)
{
	struct sip_list it = sip_list(m, SIP_H_CONTACT);
	struct sip_addr a;
	struct sip_uri u;
	struct str v;

	while (sip_list_next(&it, &v))
		if (!(m->method == SIP_REGISTER && str_eq(v, STR("*"))) && sip_addr_uri_parse(v, &a, &u) != ERR_OK)
			return refuse(why, 400, "Bad Contact");
	return ERR_OK;
}

static enum err contact(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	struct sip_list it = sip_list(m, SIP_H_CONTACT);
	struct str v;

	/* Requests that make or refresh a dialog: exactly one, a SIP URI (§8.1.1.8, RFC 6665 §8.2.1). */
	if (m->method != SIP_INVITE && m->method != SIP_SUBSCRIBE && m->method != SIP_REFER && m->method != SIP_NOTIFY)
		return any_contacts(m, why);
	/* Browsers that tell how a transfer goes leave it out: the dialog is the call's, its target is known. */
	if (m->method == SIP_NOTIFY && m->first[SIP_H_CONTACT] == 0)
		return ERR_OK;
	if (!sip_list_next(&it, &v) || !sip_contact(v) || sip_list_next(&it, &v))
		return refuse(why, 400, "Bad Contact");
	return ERR_OK;
}

/* type "/" subtype, and one that says what a body is (§20.15). */
static enum err content_type(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	struct str type = sip_msg_token(m, SIP_H_CONTENT_TYPE), sub = type;
	struct str head = str_cut(&sub, '/');

	if (m->body.len == 0 && type.len == 0)
		return ERR_OK;
	if (type.len == 0)
		return refuse(why, 400, "Body without Content-Type");
	head = str_trim(head);
	sub = str_trim(sub);
	if (head.len == 0 || sub.len == 0 || !sip_all(head, SIP_C_TOKEN) || !sip_all(sub, SIP_C_TOKEN))
		return refuse(why, 400, "Bad Content-Type");
	return ERR_OK;
}

static enum err content_encoding(const struct sip_msg *m, struct sip_refusal *why, struct buf *headers)
{
	/* A body that we cannot read is one whose media we cannot permit. */
	if (m->first[SIP_H_CONTENT_ENCODING] == 0 || sip_list_has(m, SIP_H_CONTENT_ENCODING, STR("identity")))
		return ERR_OK;
	buf_z(headers, "Accept-Encoding: identity\r\n");
	return refuse(why, 415, "Unsupported Media Type");
}

static enum err expires(const struct sip_msg *m, struct sip_refusal *why, UNUSED struct buf *headers)
{
	uint32_t s;

	/* Too large a number is as good as the largest (§20.19); no number is an error. */
	if (m->first[SIP_H_EXPIRES] != 0 && sip_msg_number(m, SIP_H_EXPIRES, UINT32_MAX, &s) == ERR_INVALID)
		return refuse(why, 400, "Bad Expires");
	return ERR_OK;
}

static const struct {
	const char *section;
	rule_fn fn;
} rules[] = {
	{ "RFC 3261 §8.1.1.7", via },
	{ "RFC 3261 §8.1.1.3", from },
	{ "RFC 3261 §8.1.1.2", to },
	{ "RFC 3261 §16.3 step 2", request_uri },
	{ "RFC 3261 §16.3 step 3", max_forwards },
	{ "RFC 3261 §16.3 step 5", proxy_require },
	{ "RFC 3261 §20.34", routes },
	{ "RFC 3261 §8.1.1.8", contact },
	{ "RFC 3261 §20.15", content_type },
	{ "RFC 3261 §20.12", content_encoding },
	{ "RFC 3261 §20.19", expires },
};

enum err sip_check_request(const struct sip_msg *m, struct sip_refusal *why, struct buf *headers)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		enum err e = rules[i].fn(m, why, headers);

		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

enum err sip_check_response(const struct sip_msg *m)
{
	struct sip_via v;
	struct sip_addr a;
	struct sip_uri u;

	if (sip_msg_via(m, &v) != ERR_OK || sip_msg_addr_uri(m, SIP_H_FROM, &a, &u) != ERR_OK ||
	    sip_msg_addr_uri(m, SIP_H_TO, &a, &u) != ERR_OK)
		return ERR_INVALID;
	return ERR_OK;
}
