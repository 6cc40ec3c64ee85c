#include "common/sip_token.h"

#include "common/crypto.h"

#define VERSION "1"
#define PURPOSE "duplex sip token 1"
#define MAC_LEN 16u

static void mac(struct str body, struct str secret, uint8_t out[SHA256_LEN])
{
	uint8_t key[SHA256_LEN];

	crypto_hmac_sha256(secret, STR(PURPOSE), key);
	crypto_hmac_sha256(str_of(key, sizeof(key)), body, out);
	explicit_bzero(key, sizeof(key));
}

void sip_token_put(struct buf *to, const struct sip_token *t, struct str secret)
{
	char mem[SIP_TOKEN_MAX];
	struct buf body = buf_fixed(mem, sizeof(mem));
	uint8_t sum[SHA256_LEN];

	buf_printf(&body, VERSION " %s %s %llu %llu ", t->user, t->session, (unsigned long long)t->revision, (unsigned long long)t->expires_s);
	perm_put(&body, t->perms);
	mac(buf_view(&body), secret, sum);
	to->overflow = to->overflow || body.overflow;
	base64url_put(to, body.p, body.len);
	buf_char(to, '.');
	base64url_put(to, sum, MAC_LEN);
}

enum err sip_token_get(struct str text, struct str secret, uint64_t now_s, struct sip_token *out)
{
	uint8_t body[SIP_TOKEN_MAX], given[MAC_LEN], sum[SHA256_LEN];
	struct sip_token t = { 0 };
	size_t len, mac_len, dot = str_find(text, '.');

	if (text.len > SIP_TOKEN_MAX || dot == text.len || base64url_get(str_sub(text, 0, dot), body, sizeof(body), &len) != ERR_OK ||
	    base64url_get(str_sub(text, dot + 1, text.len), given, sizeof(given), &mac_len) != ERR_OK || mac_len != MAC_LEN)
		return ERR_INVALID;
	mac(str_of(body, len), secret, sum);
	if (!crypto_equal(sum, given, MAC_LEN))
		return ERR_INVALID;
	/* It is ours, so it is well formed, unless it is of another version. */
	struct str rest = str_of(body, len);
	if (!str_eq(str_cut(&rest, ' '), STR(VERSION)) || rest.p == NULL || str_copy(str_cut(&rest, ' '), t.user, sizeof(t.user)) != ERR_OK ||
	    !user_name_valid(str_from(t.user)) || rest.p == NULL || str_copy(str_cut(&rest, ' '), t.session, sizeof(t.session)) != ERR_OK ||
	    rest.p == NULL || str_to_u64(str_cut(&rest, ' '), UINT64_MAX, &t.revision) != ERR_OK || rest.p == NULL ||
	    str_to_u64(str_cut(&rest, ' '), UINT64_MAX, &t.expires_s) != ERR_OK || rest.p == NULL)
		return ERR_INVALID;
	t.perms = perm_parse(rest);
	if (now_s >= t.expires_s)
		return ERR_EXPIRED;
	*out = t;
	return ERR_OK;
}
