/* Which peers a client may reach (RFC 8656 §21.1.4, and the list of holes in turn servers): a pure decision
 * over an address and the operator's rules. */
#ifndef DUPLEX_RELAY_FILTER_H
#define DUPLEX_RELAY_FILTER_H

#include "relay/addr.h"

#define FILTER_RULES_MAX 256u
#define FILTER_HOSTS_MAX 128u

struct filter {
	struct cidr allow[FILTER_RULES_MAX], deny[FILTER_RULES_MAX];
	unsigned allows, denies;
	struct addr host[FILTER_HOSTS_MAX]; /* addresses of this machine: what listens there is no peer, unless `allow` names it */
	unsigned hosts;
	bool relays_only; /* no peer but relayed addresses */
};

/* Reads both lists (blank- or comma-separated prefixes). ERR_INVALID, ERR_TOO_LARGE; *bad is then the word at
 * fault. */
enum err filter_parse(const char *allow, const char *deny, bool relays_only, struct filter *out, struct str *bad);

/* True if `peer` may be relayed to. Every IPv6 form that carries an IPv4 address (mapped, compatible, 6to4,
 * NAT64, Teredo, ISATAP) is also judged as that address. Order: what no rule can open (loopback, link-local,
 * multicast, "this network", reserved, broadcast, metadata services), `deny`, `allow`, then private and other
 * special ranges and the machine's own addresses are denied and the rest is allowed. The relay's own addresses are the caller's business. */
bool filter_permits(const struct filter *f, const struct addr *peer);

#endif
