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

enum err turn_cred_key(struct str secret, struct str username, struct str realm, uint8_t key[MD5_LEN])
{
	char password[TURN_PASSWORD_LEN + 1], text[TURN_USERNAME_MAX + 256 + TURN_PASSWORD_LEN];
	struct buf b = buf_fixed(text, sizeof(text));

	turn_cred_password(secret, username, password);
	buf_str(&b, username);
	buf_char(&b, ':');
	buf_str(&b, realm);
	buf_char(&b, ':');
	buf_put(&b, password, TURN_PASSWORD_LEN);
	if (b.overflow)
		return ERR_TOO_LARGE;
	crypto_md5(buf_view(&b), key);
	return ERR_OK;
}
