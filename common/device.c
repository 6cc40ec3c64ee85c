#include "common/device.h"

#include "common/crypto.h"

void device_id_make(char id[DEVICE_ID_LEN + 1])
{
	uint8_t raw[DEVICE_ID_LEN / 2];
	struct buf b = buf_fixed(id, DEVICE_ID_LEN);

	crypto_random(raw, sizeof(raw));
	hex_put(&b, raw, sizeof(raw));
	id[DEVICE_ID_LEN] = '\0';
}

/* 32 characters, so that each takes five bits: without i, l, o and u. It may have to be typed on a telephone. */
void device_secret_make(char secret[DEVICE_SECRET_LEN + 1])
{
	static const char letters[33] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint8_t raw[DEVICE_SECRET_LEN];

	crypto_random(raw, sizeof(raw));
	for (size_t i = 0; i < DEVICE_SECRET_LEN; i++)
		secret[i] = letters[raw[i] & 31];
	secret[DEVICE_SECRET_LEN] = '\0';
}

bool device_id_valid(struct str id)
{
	if (id.len != DEVICE_ID_LEN)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f')))
			return false;
	}
	return true;
}

void device_login_put(struct buf *to, struct str user, struct str id)
{
	buf_str(to, user);
	buf_char(to, '+');
	buf_str(to, id);
}

enum err device_login_get(struct str login, struct str *user, struct str *id)
{
	size_t plus = str_find(login, '+');
	struct str name = str_sub(login, 0, plus), rest = str_sub(login, plus + 1, login.len);

	if (plus == login.len || !user_name_valid(name) || !device_id_valid(rest))
		return ERR_INVALID;
	*user = name;
	*id = rest;
	return ERR_OK;
}

bool device_of_session(struct str session, struct str *id)
{
	struct str rest = str_sub(session, 2, session.len);

	if (!str_starts(session, STR(DEVICE_SESSION_PREFIX)) || !device_id_valid(rest))
		return false;
	*id = rest;
	return true;
}

static void joined(struct buf *b, struct str login, struct str realm, struct str secret)
{
	buf_str(b, login);
	buf_char(b, ':');
	buf_str(b, realm);
	buf_char(b, ':');
	buf_str(b, secret);
}

void device_ha1_sha256_put(struct buf *to, struct str login, struct str realm, struct str secret)
{
	uint8_t sum[SHA256_LEN];
	struct buf b = buf_growing(4096);

	joined(&b, login, realm, secret);
	crypto_sha256(buf_view(&b), sum);
	to->overflow = to->overflow || b.overflow;
	hex_put(to, sum, sizeof(sum));
	buf_fini(&b);
}

void device_ha1_md5_put(struct buf *to, struct str login, struct str realm, struct str secret)
{
	uint8_t sum[MD5_LEN];
	struct buf b = buf_growing(4096);

	joined(&b, login, realm, secret);
	crypto_md5(buf_view(&b), sum);
	to->overflow = to->overflow || b.overflow;
	hex_put(to, sum, sizeof(sum));
	buf_fini(&b);
}
