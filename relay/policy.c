#include "relay/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "relay/conf.h"
#include "relay/host.h"

/* RFC 8837 table 1, for the usual priority ("medium") of audio and of interactive video. */
#define DSCP_EF 46u
#define DSCP_AF42 36u

static enum err mode(const char *name, bool *relays_only)
{
	if (strcmp(name, "any") != 0 && strcmp(name, "relays-only") != 0)
		return ERR_INVALID;
	*relays_only = strcmp(name, "relays-only") == 0;
	return ERR_OK;
}

/* Words in order of preference to the value of PASSWORD-ALGORITHMS (RFC 8489 §14.11): number and length of its
 * parameters, which these have none of. */
static enum err algorithms(const char *words, struct policy *p)
{
	const char *at = words;

	for (;;) {
		at += strspn(at, " \t,");
		struct str w = str_of(at, strcspn(at, " \t,"));
		uint16_t number = str_ieq(w, STR("SHA-256")) ? STUN_PASSWORD_SHA256 : str_ieq(w, STR("MD5")) ? STUN_PASSWORD_MD5 : 0;

		if (w.len == 0)
			return ERR_OK;
		if (number == 0 || p->algorithms_len + 4u > sizeof(p->algorithms))
			return ERR_INVALID;
		be16_put(p->algorithms + p->algorithms_len, number);
		p->algorithms_len = (uint8_t)(p->algorithms_len + 4u);
		at += w.len;
	}
}

static enum err elsewhere(const struct relay_conf *c, struct policy *p, char *why, size_t size)
{
	struct str bad = STR_NONE;

	if (alternates_parse(c->alternate_server, &p->alternates, &bad) != ERR_OK ||
	    alternates_parse(c->drain_to, &p->drain_to, &bad) != ERR_OK) {
		(void)snprintf(why, size,
			       "[relay] alternate-server and drain-to are lists of at most %u servers like 192.0.2.1:3478 or "
			       "[2001:db8::1]:3478, not '%.*s'", ALTERNATES_MAX, STR_FMT(bad));
		return ERR_INVALID;
	}
	if (str_copy(str_from(c->alternate_domain), p->alternate_domain, sizeof(p->alternate_domain)) != ERR_OK) {
		(void)snprintf(why, size, "[relay] alternate-domain has at most 255 characters");
		return ERR_INVALID;
	}
	p->drain_time_s = (uint32_t)c->drain_time_s;
	return ERR_OK;
}

static enum err build(const struct relay_conf *c, struct policy *p, char *why, size_t size)
{
	bool relays_only;
	struct str bad = STR_NONE;

	if (c->secret == NULL || c->secret[0] == '\0') {
		(void)snprintf(
			why, size,
			"[common] turn-secret is missing: it names the file with the secret of the TURN credentials");
		return ERR_NOT_FOUND;
	}
	if (str_copy(str_from(c->domain), p->realm, sizeof(p->realm)) != ERR_OK || p->realm[0] == '\0' ||
	    str_copy(str_from(c->secret), p->secret, sizeof(p->secret)) != ERR_OK) {
		(void)snprintf(why, size, "[common] domain must have 1 to %u characters", POLICY_REALM_MAX);
		return ERR_INVALID;
	}
	if (mode(c->peer_mode, &relays_only) != ERR_OK) {
		(void)snprintf(why, size, "[relay] peer-mode must be any or relays-only, not '%s'", c->peer_mode);
		return ERR_INVALID;
	}
	if (filter_parse(c->peer_allow, c->peer_deny, relays_only, &p->filter, &bad) != ERR_OK) {
		(void)snprintf(
			why, size,
			"[relay] peer-allow and peer-deny are lists of at most %u prefixes like 10.0.0.0/8, not '%.*s'",
			FILTER_RULES_MAX, STR_FMT(bad));
		return ERR_INVALID;
	}
	/* Whoever administers this machine listens there, and a client of the relay comes from inside. */
	p->filter.hosts = host_addresses(p->filter.host, FILTER_HOSTS_MAX);
	if (strcmp(c->credential_expiry, "allocate") != 0 && strcmp(c->credential_expiry, "always") != 0) {
		(void)snprintf(why, size, "[relay] credential-expiry must be allocate or always, not '%s'", c->credential_expiry);
		return ERR_INVALID;
	}
	if (algorithms(c->password_algorithms, p) != ERR_OK) {
		(void)snprintf(why, size, "[relay] password-algorithms is a list of SHA-256 and MD5, not '%s'", c->password_algorithms);
		return ERR_INVALID;
	}
	if (c->lifetime_max_s < c->lifetime_s) {
		(void)snprintf(why, size, "[relay] lifetime-max must not be less than lifetime");
		return ERR_INVALID;
	}
	enum err e = elsewhere(c, p, why, size);
	if (e == ERR_OK && c->users[0] != '\0')
		e = accounts_load(c->users, policy_realm(p), &p->accounts, why, size);
	if (e != ERR_OK)
		return e;
	p->channel_max = (uint16_t)(c->old_channels ? STUN_CHANNEL_MAX_5766 : STUN_CHANNEL_MAX);
	p->allocation_rate = (uint32_t)(c->allocation_kbits * 125);
	p->user_rate = (uint32_t)(c->user_kbits * 125);
	if (c->mark_dscp) {
		p->dscp[MEDIA_AUDIO] = DSCP_EF << 2;
		p->dscp[MEDIA_VIDEO] = DSCP_AF42 << 2;
	}
	p->expiry_ends = strcmp(c->credential_expiry, "always") == 0;
	p->anonymity = c->anonymity;
	p->mobility = c->mobility;
	p->lifetime_s = (uint32_t)c->lifetime_s;
	p->lifetime_max_s = (uint32_t)c->lifetime_max_s;
	p->nonce_lifetime_s = (uint32_t)c->nonce_lifetime_s;
	p->max_allocations = (uint32_t)c->max_allocations;
	p->user_allocations = (uint32_t)c->user_allocations;
	p->address_allocations = (uint32_t)c->address_allocations;
	p->max_peers = (uint32_t)c->max_peers;
	p->challenge_rate = (uint32_t)c->challenge_rate;
	p->challenge_burst = (uint32_t)c->challenge_burst;
	crypto_hmac_sha256(policy_secret(p), STR("duplex relay nonce"), p->nonce_key);
	crypto_hmac_sha256(policy_secret(p), STR("duplex relay ticket"), p->ticket_key);
	return ERR_OK;
}

enum err policy_new(const struct relay_conf *conf, struct policy **out, char *why, size_t why_size)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		(void)snprintf(why, why_size, "out of memory");
		return ERR_NO_MEMORY;
	}
	enum err e = build(conf, p, why, why_size);
	if (e != ERR_OK) {
		policy_free(p);
		return e;
	}
	*out = p;
	return ERR_OK;
}

void policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	accounts_free(p->accounts);
	explicit_bzero(p, sizeof(*p));
	free(p);
}
