#include "common/turn_cred.h"

void turn_cred_username(struct buf *out, uint64_t expires_s, struct str user, struct str call)
{
	buf_u64(out, expires_s);
	buf_char(out, ':');
	buf_str(out, user);
	if (call.len > 0) {
		buf_char(out, ':');
		buf_str(out, call);
	}
}

void turn_cred_password(struct str secret, struct str username, char out[TURN_PASSWORD_LEN + 1])
{
	uint8_t mac[SHA1_LEN];
	struct buf b = buf_fixed(out, TURN_PASSWORD_LEN);

	crypto_hmac_sha1(secret, username, mac);
	base64_put(&b, mac, sizeof(mac));
	out[TURN_PASSWORD_LEN] = '\0';
}

enum err turn_cred_parse(struct str username, uint64_t now_s, struct turn_cred *out)
{
	struct turn_cred c = { 0 };
	struct str rest = username;
	struct str expiry = str_cut(&rest, ':');

	if (username.len > TURN_USERNAME_MAX || str_to_u64(expiry, UINT64_MAX / 1000, &c.expires_s) != ERR_OK)
		return ERR_INVALID;
	if (rest.p != NULL)
		c.user = str_cut(&rest, ':');
	if (rest.p != NULL)
		c.call = rest;
	if (c.expires_s <= now_s)
		return ERR_EXPIRED;
	*out = c;
	return ERR_OK;
}

enum err turn_key_make(enum stun_password_algorithm a, struct str username, struct str realm, struct str password,
		       struct turn_key *out)
{
	char text[TURN_KEY_TEXT];
	struct buf b = buf_fixed(text, sizeof(text));

	buf_str(&b, username);
	buf_char(&b, ':');
	buf_str(&b, realm);
	buf_char(&b, ':');
	buf_str(&b, password);
	if (!b.overflow && a == STUN_PASSWORD_SHA256) {
		crypto_sha256(buf_view(&b), out->bytes);
		out->len = SHA256_LEN;
	} else if (!b.overflow) {
		crypto_md5(buf_view(&b), out->bytes);
		out->len = MD5_LEN;
	}
	explicit_bzero(text, b.len);
	return buf_err(&b);
}

enum err turn_cred_key_as(enum stun_password_algorithm a, struct str secret, struct str username, struct str realm,
			  struct turn_key *out)
{
	char password[TURN_PASSWORD_LEN + 1];

	turn_cred_password(secret, username, password);
	return turn_key_make(a, username, realm, str_of(password, TURN_PASSWORD_LEN), out);
}

enum err turn_cred_key(struct str secret, struct str username, struct str realm, uint8_t key[MD5_LEN])
{
	struct turn_key k;
	enum err e = turn_cred_key_as(STUN_PASSWORD_MD5, secret, username, realm, &k);

	if (e == ERR_OK)
		memcpy(key, k.bytes, MD5_LEN);
	return e;
}

enum err turn_userhash(struct str username, struct str realm, uint8_t out[SHA256_LEN])
{
	char text[TURN_KEY_TEXT];
	struct buf b = buf_fixed(text, sizeof(text));

	buf_str(&b, username);
	buf_char(&b, ':');
	buf_str(&b, realm);
	if (b.overflow)
		return ERR_TOO_LARGE;
	crypto_sha256(buf_view(&b), out);
	return ERR_OK;
}
