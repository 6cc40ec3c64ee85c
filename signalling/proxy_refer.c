/* Transfer: REFER, Referred-By and Replaces (RFC 3515, RFC 3891, RFC 3892). Owner: the worker's thread.
 *
 * A REFER travels inside the call of the two people it concerns; the new call it asks for is an INVITE like any other, with
 * the permissions of who makes it. Who asked for it is only believed because we have said so ourselves: a REFER that passes
 * gets a Referred-By with a MAC over the three people and the time, and an INVITE's Referred-By counts if it is that one. */
#include "signalling/proxy_int.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/crypto.h"

#define TOKEN_PARAM "duplex-by" /* of Referred-By: SECONDS~MAC */
#define TOKEN_AGE_S 300u        /* a person may have to be asked before the new call is made */
#define MAC_BYTES   15u
#define TOKEN_SIZE  64u

static void token_put(const struct proxy *p, uint64_t made_s, const char *referrer, const char *referee, const char *target, struct buf *out)
{
	char mem[4 * USER_NAME_SIZE + 64];
	struct buf text = buf_fixed(mem, sizeof(mem));
	uint8_t mac[SHA256_LEN];

	buf_printf(&text, "referred-by\n%" PRIu64 "\n%s\n%s\n%s", made_s, referrer, referee, target);
	crypto_hmac_sha256(p->config.secret, buf_view(&text), mac);
	buf_printf(out, "%" PRIu64 "~", made_s);
	base64url_put(out, mac, MAC_BYTES);
}

static uint64_t now_s(const struct proxy *p)
{
	return p->ops->wall_ms(p->host) / MS_PER_S;
}

/* Only Replaces may be asked of the new INVITE (RFC 3261 §19.1.5: anything else is dangerous). */
static bool harmless_headers(struct str headers)
{
	struct str rest = str_starts(headers, STR("?")) ? str_sub(headers, 1, headers.len) : headers;

	while (rest.len > 0) {
		struct str one = str_cut(&rest, '&');

		if (!str_ieq(str_cut(&one, '='), STR("Replaces")))
			return false;
	}
	return true;
}

/* The user whom the REFER wants to be called. */
static enum err target_of(const struct proxy *p, const struct sip_msg *m, char name[USER_NAME_SIZE])
{
	struct sip_addr a;
	struct sip_uri u;
	struct str method;

	if (sip_msg_addr(m, SIP_H_REFER_TO, &a) != ERR_OK || sip_uri_parse(a.uri, &u) != ERR_OK || !harmless_headers(u.headers) ||
	    (sip_uri_param(&u, STR("method"), &method) && !str_ieq(method, STR("INVITE"))))
		return ERR_INVALID;
	return sip_uri_user_name(&u, p->config.domain, name, USER_NAME_SIZE);
}

unsigned proxy_refer_check(const struct proxy *p, const struct sip_msg *m, const char **phrase)
{
	char target[USER_NAME_SIZE], sender[USER_NAME_SIZE], by[USER_NAME_SIZE];
	struct sip_addr a;

	if (sip_msg_addr(m, SIP_H_REFER_TO, &a) != ERR_OK) {
		*phrase = "Bad Refer-To"; /* RFC 3515 §2.4.2 */
		return 400;
	}
	if (target_of(p, m, target) != ERR_OK) {
		*phrase = "Refer-To is nobody to be called";
		return 403;
	}
	enum err e = proxy_user_of(p, m, SIP_H_REFERRED_BY, by);

	if (e == ERR_NOT_FOUND)
		return 0;
	*phrase = "Referred-By is not you";
	return e == ERR_OK && proxy_user_of(p, m, SIP_H_FROM, sender) == ERR_OK && strcmp(by, sender) == 0 ? 0 : 403;
}

void proxy_refer_edit(const struct proxy *p, struct sip_edit *e, const struct sip_msg *m, const char *referrer, const char *referee)
{
	char target[USER_NAME_SIZE], mem[TOKEN_SIZE];
	struct buf token = buf_fixed(mem, sizeof(mem));

	if (target_of(p, m, target) != ERR_OK)
		return;
	token_put(p, now_s(p), referrer, referee, target, &token);
	sip_edit_drop(e, SIP_H_REFERRED_BY);
	sip_edit_append(e, "Referred-By: <sip:%s@%.*s>;" TOKEN_PARAM "=%.*s\r\n", referrer, STR_FMT(p->config.domain), STR_FMT(buf_view(&token)));
}

bool proxy_referred_by(const struct proxy *p, const struct sip_msg *m, const char *caller, const char *callee, char name[USER_NAME_SIZE])
{
	char mem[TOKEN_SIZE];
	struct buf token = buf_fixed(mem, sizeof(mem));
	struct sip_addr a;
	struct str given, rest;
	uint64_t made_s;

	if (sip_msg_addr(m, SIP_H_REFERRED_BY, &a) != ERR_OK || proxy_user_of(p, m, SIP_H_REFERRED_BY, name) != ERR_OK ||
	    !sip_param(a.params, STR(TOKEN_PARAM), &given))
		return false;
	rest = given;
	if (str_to_u64(str_cut(&rest, '~'), UINT64_MAX / 2, &made_s) != ERR_OK || made_s + TOKEN_AGE_S < now_s(p))
		return false;
	token_put(p, made_s, name, caller, callee, &token);
	return !token.overflow && token.len == given.len && crypto_equal(given.p, mem, given.len);
}

struct call *proxy_replaced(const struct proxy *p, const struct sip_msg *m, enum call_side *side)
{
	struct str value = sip_msg_value(m, SIP_H_REPLACES), call_id = value, to, from;
	size_t at = str_find(value, ';');

	if (at == value.len)
		return NULL;
	call_id = str_trim(str_sub(value, 0, at));
	if (!sip_param(value, STR("to-tag"), &to) || !sip_param(value, STR("from-tag"), &from))
		return NULL;
	return calls_by_tags(p->calls, call_id, to, from, side);
}
