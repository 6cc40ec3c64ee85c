#include "api/tickets.h"

#include <stdio.h>

#include "common/crypto.h"

#define SECRET_LEN 32u
#define LOGIN_MARK "certificate:"

static struct rkey key_of(struct str ticket)
{
	uint8_t sum[SHA256_LEN];
	char hex[SHA256_LEN * 2];
	struct buf b = buf_fixed(hex, sizeof(hex));

	crypto_sha256(ticket, sum);
	hex_put(&b, sum, sizeof(sum));
	return rkey_ticket(buf_view(&b));
}

enum err tickets_make(struct rds *r, const struct ticket *t, char out[TICKET_SIZE])
{
	uint8_t secret[SECRET_LEN];
	char text[TICKET_SIZE], value[160], ttl[16];
	struct buf b = buf_fixed(text, sizeof(text) - 1);

	crypto_random(secret, sizeof(secret));
	base64url_put(&b, secret, sizeof(secret));
	text[b.len] = '\0';
	explicit_bzero(secret, sizeof(secret));
	struct rkey key = key_of(buf_view(&b));
	int n = snprintf(value, sizeof(value), "%s %s%s", t->user, t->serial[0] != '\0' ? LOGIN_MARK : "",
			 t->serial[0] != '\0' ? t->serial : t->session);
	(void)snprintf(ttl, sizeof(ttl), "%u", TICKET_TTL_S);
	enum err e = RDS(r, NULL, STR("SET"), rkey_str(&key), str_of(value, (size_t)n), STR("EX"), str_from(ttl));
	if (e == ERR_OK)
		memcpy(out, text, sizeof(text));
	explicit_bzero(text, sizeof(text));
	return e;
}

static enum err parse(struct str value, struct ticket *out)
{
	struct ticket t = { 0 };
	struct str rest = value, user = str_cut(&rest, ' ');
	enum err e;

	if (!user_name_valid(user))
		return ERR_NOT_FOUND;
	e = str_copy(user, t.user, sizeof(t.user));
	if (e == ERR_OK && str_starts(rest, STR(LOGIN_MARK)))
		e = str_copy(str_sub(rest, sizeof(LOGIN_MARK) - 1, rest.len), t.serial, sizeof(t.serial));
	else if (e == ERR_OK)
		e = str_copy(rest, t.session, sizeof(t.session));
	if (e == ERR_OK)
		*out = t;
	return e;
}

enum err tickets_take(struct rds *r, struct str text, struct ticket *out)
{
	struct redisReply *reply;

	if (text.len != TICKET_SIZE - 1)
		return ERR_NOT_FOUND;
	struct rkey key = key_of(text);
	enum err e = RDS(r, &reply, STR("GETDEL"), rkey_str(&key));
	if (e != ERR_OK)
		return e;
	e = rds_nil(reply) ? ERR_NOT_FOUND : parse(rds_text(reply), out);
	rds_reply_free(reply);
	return e;
}
