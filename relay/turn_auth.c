#include "relay/turn_auth.h"

#define NONCE_TIME 4u
#define NONCE_MAC 8u

static void nonce_mac(const struct policy *p, const struct addr *client, uint16_t port, const uint8_t time[NONCE_TIME],
		      uint8_t out[SHA256_LEN])
{
	uint8_t text[NONCE_TIME + sizeof(*client) + sizeof(port)];

	memcpy(text, time, NONCE_TIME);
	memcpy(text + NONCE_TIME, client, sizeof(*client));
	be16_put(text + NONCE_TIME + sizeof(*client), port);
	crypto_hmac_sha256(str_of(p->nonce_key, sizeof(p->nonce_key)), str_of(text, sizeof(text)), out);
}

void turn_auth_nonce(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, char out[TURN_NONCE_LEN])
{
	uint8_t raw[NONCE_TIME + NONCE_MAC], mac[SHA256_LEN];
	struct buf b = buf_fixed(out, TURN_NONCE_LEN);

	be32_put(raw, (uint32_t)wall_s);
	nonce_mac(p, client, port, raw, mac);
	memcpy(raw + NONCE_TIME, mac, NONCE_MAC);
	base64url_put(&b, raw, sizeof(raw));
}

bool turn_auth_nonce_fresh(const struct policy *p, const struct addr *client, uint16_t port, uint64_t wall_s, struct str nonce)
{
	uint8_t raw[NONCE_TIME + NONCE_MAC], mac[SHA256_LEN];
	size_t len;

	if (nonce.len != TURN_NONCE_LEN || base64url_get(nonce, raw, sizeof(raw), &len) != ERR_OK || len != sizeof(raw))
		return false;
	nonce_mac(p, client, port, raw, mac);
	/* Both ways, so that a clock that was set back does not make nonces live for ever. */
	int32_t age = (int32_t)((uint32_t)wall_s - be32_get(raw));
	return crypto_equal(raw + NONCE_TIME, mac, NONCE_MAC) && age >= -5 && age < (int32_t)p->nonce_lifetime_s;
}

void turn_auth_challenge(struct turn_req *q)
{
	char nonce[TURN_NONCE_LEN];

	turn_auth_nonce(q->c->policy, &q->client, q->client_port, q->c->clock.wall_s, nonce);
	stun_put(&q->w, STUN_REALM, policy_realm(q->c->policy));
	stun_put(&q->w, STUN_NONCE, str_of(nonce, sizeof(nonce)));
}

/* The key for this user name: a live allocation keeps the one it was made with, whatever becomes of the secret. */
static enum turn_code find_key(struct turn_req *q)
{
	const struct policy *p = q->c->policy;
	bool owner = q->a != NULL && str_eq(q->username, alloc_username(q->a));
	enum err e = turn_cred_parse(q->username, q->c->clock.wall_s, &q->cred);

	if (owner && !p->expiry_ends) {
		memcpy(q->key_md5, q->a->key_md5, sizeof(q->key_md5));
		return TURN_OK;
	}
	if (e != ERR_OK || turn_cred_key(policy_secret(p), q->username, policy_realm(p), q->key_md5) != ERR_OK)
		return TURN_UNAUTHENTICATED;
	return TURN_OK;
}

enum turn_code turn_auth_check(struct turn_req *q)
{
	const struct policy *p = q->c->policy;

	/* RFC 8489 §9.2.4, in its order. */
	if (!stun_has(q->m, STUN_MESSAGE_INTEGRITY))
		return TURN_UNAUTHENTICATED;
	if (!stun_has(q->m, STUN_USERNAME) || !stun_has(q->m, STUN_REALM) || !stun_has(q->m, STUN_NONCE))
		return TURN_BAD_REQUEST;
	if (!turn_auth_nonce_fresh(p, &q->client, q->client_port, q->c->clock.wall_s, stun_bytes(q->m, STUN_NONCE)))
		return TURN_STALE_NONCE;
	q->username = stun_bytes(q->m, STUN_USERNAME);
	if (!str_eq(stun_bytes(q->m, STUN_REALM), policy_realm(p)) || find_key(q) != TURN_OK ||
	    !stun_integrity_ok(q->m, str_of(q->key_md5, sizeof(q->key_md5))))
		return TURN_UNAUTHENTICATED;
	q->keyed = true;
	/* RFC 8656 §5: all requests of an allocation carry the user name that made it. An Allocate is none of them: its
	 * 5-tuple is taken, which turn_allocate says. */
	if (q->m->method != STUN_ALLOCATE && q->a != NULL && !str_eq(q->username, alloc_username(q->a)))
		return TURN_WRONG_CREDENTIALS;
	return TURN_OK;
}
