#include "relay/turn_auth.h"

#define NONCE_TIME 3u
#define NONCE_MAC 5u /* what a guess would win is a replay on the same 5-tuple, one chance in 2^40 a datagram */
#define CLOCKS_APART_S 5

/* RFC 8489 §9.2 and §18.1: the 24 feature bits, the first of which is the highest, in base64. */
static size_t put_cookie(const struct policy *p, char out[TURN_COOKIE_LEN])
{
	uint8_t features[3] = { (uint8_t)((p->algorithms_len > 0 ? 0x80 : 0) | (p->anonymity ? 0x40 : 0)) };
	struct buf b = buf_fixed(out, TURN_COOKIE_LEN);

	if (features[0] == 0)
		return 0;
	buf_str(&b, STR("obMatJos2"));
	base64_put(&b, features, sizeof(features));
	return b.len;
}

/* Over the whole time, of which the nonce shows the low end; the cookie and the list are part of what was sent. */
static void nonce_mac(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, uint8_t out[SHA256_LEN])
{
	char text[64 + sizeof(p->algorithms)], cookie[TURN_COOKIE_LEN];
	struct buf b = buf_fixed(text, sizeof(text));
	uint8_t time[8];

	be32_put(time, (uint32_t)(wall_s >> 32));
	be32_put(time + 4, (uint32_t)wall_s);
	buf_put(&b, time, sizeof(time));
	buf_put(&b, client, sizeof(*client));
	buf_put(&b, &port, sizeof(port));
	buf_put(&b, cookie, put_cookie(p, cookie));
	buf_put(&b, p->algorithms, p->algorithms_len);
	crypto_hmac_sha256(str_of(p->nonce_key, sizeof(p->nonce_key)), buf_view(&b), out);
}

size_t turn_auth_nonce(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, char out[TURN_NONCE_MAX])
{
	uint8_t raw[NONCE_TIME + NONCE_MAC] = { (uint8_t)(wall_s >> 16), (uint8_t)(wall_s >> 8), (uint8_t)wall_s }, mac[SHA256_LEN];
	struct buf b = buf_fixed(out, TURN_NONCE_MAX);

	b.len = put_cookie(p, out);
	nonce_mac(p, client, port, wall_s, mac);
	memcpy(raw + NONCE_TIME, mac, NONCE_MAC);
	base64url_put(&b, raw, sizeof(raw));
	return b.len;
}

bool turn_auth_nonce_fresh(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, struct str nonce)
{
	uint8_t raw[NONCE_TIME + NONCE_MAC], mac[SHA256_LEN];
	char cookie[TURN_COOKIE_LEN];
	struct str head = str_of(cookie, put_cookie(p, cookie));
	size_t len;

	if (!str_starts(nonce, head) || base64url_get(str_sub(nonce, head.len, nonce.len), raw, sizeof(raw), &len) != ERR_OK ||
	    len != sizeof(raw))
		return false;
	/* Both ways, so that a clock that was set back does not make nonces live for ever: an age of 24 bits with a
	 * sign. */
	uint32_t shown = (uint32_t)raw[0] << 16 | (uint32_t)raw[1] << 8 | raw[2];
	int32_t age = (int32_t)(((uint32_t)wall_s - shown) << 8) >> 8;
	if (age < -CLOCKS_APART_S || age >= (int32_t)p->nonce_lifetime_s)
		return false;
	nonce_mac(p, client, port, wall_s - (uint64_t)(int64_t)age, mac);
	return crypto_equal(raw + NONCE_TIME, mac, NONCE_MAC);
}

void turn_auth_challenge(struct turn_req *q)
{
	const struct policy *p = q->c->policy;
	char nonce[TURN_NONCE_MAX];
	size_t len = turn_auth_nonce(p, &q->client, q->client_port, q->c->clock.wall_s, nonce);

	stun_put(&q->w, STUN_REALM, policy_realm(p));
	stun_put(&q->w, STUN_NONCE, str_of(nonce, len));
	if (p->algorithms_len > 0)
		stun_put(&q->w, STUN_PASSWORD_ALGORITHMS, policy_algorithms(p));
}

static bool nonce_fresh(const struct turn_req *q)
{
	return turn_auth_nonce_fresh(q->c->policy, &q->client, q->client_port, q->c->clock.wall_s, stun_bytes(q->m, STUN_NONCE));
}

static bool offered(const struct policy *p, struct str algorithm)
{
	for (unsigned i = 0; i < p->algorithms_len; i += 4) {
		if (str_eq(algorithm, str_of(p->algorithms + i, 4)))
			return true;
	}
	return false;
}

/* How the key is made, and how the answer will be sealed. A client that says nothing is one of RFC 5389. One that
 * does must send back what was offered to it with this nonce, unharmed: else somebody on the way has weakened the
 * offer. A nonce that was not ours, or was sent with another offer before a reload, is just no longer valid. */
static enum turn_code choose_algorithm(struct turn_req *q, enum stun_password_algorithm *out)
{
	const struct policy *p = q->c->policy;
	struct str one = stun_bytes(q->m, STUN_PASSWORD_ALGORITHM);
	bool listed = stun_has(q->m, STUN_PASSWORD_ALGORITHMS);

	*out = STUN_PASSWORD_MD5;
	if ((!stun_has(q->m, STUN_PASSWORD_ALGORITHM) && !listed) || p->algorithms_len == 0)
		return TURN_OK;
	if (!listed || !str_eq(stun_bytes(q->m, STUN_PASSWORD_ALGORITHMS), policy_algorithms(p)) || !offered(p, one))
		return nonce_fresh(q) ? TURN_BAD_REQUEST : TURN_STALE_NONCE;
	*out = (enum stun_password_algorithm)be16_get((const uint8_t *)one.p);
	q->sha256 = true;
	return TURN_OK;
}

/* The user name, in clear or as its hash. Only names that are known can be found by a hash: that of the
 * allocation, and those of the file of users. */
static enum turn_code find_user(struct turn_req *q, const struct account **account)
{
	const struct policy *p = q->c->policy;
	struct str hash = stun_bytes(q->m, STUN_USERHASH);
	uint8_t own[SHA256_LEN];

	*account = NULL;
	if (hash.len == 0) {
		q->username = stun_bytes(q->m, STUN_USERNAME);
		/* A time-limited user name has a colon, the others have none. */
		if (str_find(q->username, ':') == q->username.len)
			*account = accounts_by_name(p->accounts, q->username);
		return TURN_OK;
	}
	*account = accounts_by_hash(p->accounts, (const uint8_t *)hash.p);
	if (*account != NULL) {
		q->username = account_name(*account);
		return TURN_OK;
	}
	if (q->a == NULL || turn_userhash(alloc_username(q->a), policy_realm(p), own) != ERR_OK ||
	    !crypto_equal(hash.p, own, sizeof(own)))
		return TURN_UNAUTHENTICATED;
	q->username = alloc_username(q->a);
	return TURN_OK;
}

/* The key for this user name: a live allocation keeps the one it was made with, whatever becomes of the secret or
 * of the file. */
static enum turn_code find_key(struct turn_req *q, enum stun_password_algorithm algorithm, const struct account *account)
{
	const struct policy *p = q->c->policy;
	uint8_t len = algorithm == STUN_PASSWORD_SHA256 ? SHA256_LEN : MD5_LEN;
	bool owner = q->a != NULL && str_eq(q->username, alloc_username(q->a));
	enum err e = turn_cred_parse(q->username, q->c->clock.wall_s, &q->cred);

	if (owner && !p->expiry_ends && q->a->auth.len == len) {
		q->auth = q->a->auth;
		return TURN_OK;
	}
	if (account != NULL) {
		q->auth = algorithm == STUN_PASSWORD_SHA256 ? account->sha256 : account->md5;
		return q->auth.len == len ? TURN_OK : TURN_UNAUTHENTICATED;
	}
	if (e != ERR_OK || revoked_is(&q->c->relay->revoked, q->cred.user, q->cred.expires_s) ||
	    turn_cred_key_as(algorithm, policy_secret(p), q->username, policy_realm(p), &q->auth) != ERR_OK)
		return TURN_UNAUTHENTICATED;
	return TURN_OK;
}

static bool integrity_ok(const struct turn_req *q)
{
	struct str key = turn_key_view(&q->auth);

	/* RFC 8656 does not allow a shorter value (RFC 8489 §14.6). */
	if (stun_has(q->m, STUN_MESSAGE_INTEGRITY_SHA256))
		return stun_integrity256_ok(q->m, key, SHA256_LEN);
	return stun_integrity_ok(q->m, key);
}

enum turn_code turn_auth_check(struct turn_req *q)
{
	bool name = stun_has(q->m, STUN_USERNAME), hash = stun_has(q->m, STUN_USERHASH);
	enum stun_password_algorithm algorithm;
	const struct account *account;

	/* RFC 8489 §9.2.4, in its order. */
	if (!stun_has(q->m, STUN_MESSAGE_INTEGRITY) && !stun_has(q->m, STUN_MESSAGE_INTEGRITY_SHA256))
		return TURN_UNAUTHENTICATED;
	if (name == hash || !stun_has(q->m, STUN_REALM) || !stun_has(q->m, STUN_NONCE))
		return TURN_BAD_REQUEST;
	enum turn_code code = choose_algorithm(q, &algorithm);
	if (code != TURN_OK)
		return code;
	if (!str_eq(stun_bytes(q->m, STUN_REALM), policy_realm(q->c->policy)) || find_user(q, &account) != TURN_OK ||
	    find_key(q, algorithm, account) != TURN_OK || !integrity_ok(q))
		return TURN_UNAUTHENTICATED;
	if (!nonce_fresh(q))
		return TURN_STALE_NONCE;
	q->keyed = true;
	/* RFC 8656 §5: all requests of an allocation carry the user name that made it. An Allocate is none of them: its
	 * 5-tuple is taken, which turn_allocate says. */
	if (q->m->method != STUN_ALLOCATE && q->a != NULL && !str_eq(q->username, alloc_username(q->a)))
		return TURN_WRONG_CREDENTIALS;
	return TURN_OK;
}
