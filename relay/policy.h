/* What the operator decided and may change while the relay runs: immutable once made; a reload makes another
 * and swaps the pointer, and the old one goes after a grace period. */
#ifndef DUPLEX_RELAY_POLICY_H
#define DUPLEX_RELAY_POLICY_H

#include "relay/accounts.h"
#include "relay/drain.h"
#include "relay/filter.h"
#include "relay/media.h"

#define POLICY_REALM_MAX 127u

struct policy {
	char realm[POLICY_REALM_MAX + 1];
	char secret[512];               /* of the TURN-REST credentials */
	uint8_t nonce_key[SHA256_LEN];  /* derived from the secret, so that all relays of a fleet know each other's nonces */
	uint8_t ticket_key[SHA256_LEN]; /* of MOBILITY-TICKETs, likewise */
	uint8_t algorithms[8];          /* value of PASSWORD-ALGORITHMS in challenges */
	uint8_t algorithms_len;         /* 0 = none is offered */
	bool anonymity;                 /* challenges ask for USERHASH instead of USERNAME */
	struct accounts *accounts;      /* owned; NULL = only time-limited user names */
	struct filter filter;
	struct alternates alternates;   /* where clients are sent instead; none = they are served */
	struct alternates drain_to;     /* the same while draining; none = refused */
	char alternate_domain[256];     /* of all of them, for clients over TLS; empty = none */
	uint32_t drain_time_s;
	uint32_t lifetime_s, lifetime_max_s, nonce_lifetime_s;
	uint32_t max_allocations, user_allocations, address_allocations, max_peers;
	uint32_t challenge_rate, challenge_burst; /* per second and /24; rate 0 = no limit */
	uint16_t channel_max;           /* highest channel number */
	bool mobility;                  /* clients may move (RFC 8016) */
	uint32_t allocation_rate, user_rate; /* bandwidth, bytes a second of payload; 0 = no limit */
	uint8_t dscp[MEDIA_KINDS];      /* set on packets without one, as it stands in the IP header; 0 = none */
	bool expiry_ends;               /* credential expiry also stops what a live allocation wants to renew */
};

struct relay_conf;
/* From the configuration; the caller frees it with policy_free. On failure `why` holds one sentence. */
enum err policy_new(const struct relay_conf *conf, struct policy **out, char *why, size_t why_size);
void policy_free(struct policy *p);

static inline struct str policy_realm(const struct policy *p)
{
	return str_from(p->realm);
}

static inline struct str policy_algorithms(const struct policy *p)
{
	return str_of(p->algorithms, p->algorithms_len);
}

static inline struct str policy_secret(const struct policy *p)
{
	return str_from(p->secret);
}

#endif
