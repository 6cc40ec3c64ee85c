#include "relay/nd.h"

enum { ND_SOLICIT = 135, ND_ADVERTISE = 136, ND_FIRST = 133, ND_LAST = 137, MLD2_REPORT = 143 };
enum { OPT_SOURCE_MAC = 1, OPT_TARGET_MAC = 2 };
enum { AT_FLAGS = 4, AT_TARGET = 8, AT_OPTIONS = 24 };
#define FLAG_SOLICITED 0x40u
#define FLAG_OVERRIDE 0x20u
#define HOPS 255u
#define MESSAGE_LEN 32u /* with one option */

static struct addr all_nodes(void)
{
	return (struct addr){ { __builtin_bswap32(0xff020000), 0, 0, __builtin_bswap32(1) } };
}

static bool is_group(const struct addr *a)
{
	return *(const uint8_t *)a->w == 0xff;
}

static bool is_link_local(const struct addr *a)
{
	return __builtin_bswap32(a->w[0]) >> 22 == 0xfe80u >> 6;
}

static bool is_ours(const struct iface *self, const struct addr *a)
{
	return addr_eq(a, &self->net.ip6) || addr_eq(a, &self->net.link);
}

/* The MAC in option `kind`, NULL if there is none. False if the options are no options. */
static bool find_mac(const uint8_t *icmp, uint32_t len, uint8_t kind, const uint8_t **mac)
{
	*mac = NULL;
	for (uint32_t at = AT_OPTIONS; at < len;) {
		uint32_t size = len - at >= 2 ? icmp[at + 1] * 8u : 0;

		if (size == 0 || size > len - at)
			return false;
		if (icmp[at] == kind && *mac == NULL)
			*mac = icmp + at + 2;
		at += size;
	}
	return true;
}

/* Ethernet, IPv6 and ICMPv6 around a message that has its flags; the checksum last. */
static void complete(uint8_t *frame, const struct iface *self, uint8_t type, const struct addr *src, const struct addr *dst,
		     const uint8_t *mac, const struct addr *target)
{
	uint8_t *ip = frame + ETH_LEN, *icmp = ip + IP6_LEN;

	if (mac != NULL)
		memcpy(frame, mac, ETH_ADDR_LEN);
	else
		net_group_mac(dst, frame);
	memcpy(frame + ETH_ADDR_LEN, self->net.mac, ETH_ADDR_LEN);
	be16_put(frame + 2 * ETH_ADDR_LEN, ETHERTYPE_V6);
	ip6_put(ip, 0, 0, MESSAGE_LEN, IPPROTO_ICMP_V6, HOPS, src, dst);
	icmp[0] = type;
	memcpy(icmp + AT_TARGET, target, sizeof(*target));
	icmp[AT_OPTIONS] = type == ND_SOLICIT ? OPT_SOURCE_MAC : OPT_TARGET_MAC;
	icmp[AT_OPTIONS + 1] = 1;
	memcpy(icmp + AT_OPTIONS + 2, self->net.mac, ETH_ADDR_LEN);
	ne16_set(icmp + 2, icmp6_sum(ip, MESSAGE_LEN));
}

void nd_solicit(uint8_t *frame, const struct iface *self, const struct addr *target, const uint8_t *mac)
{
	struct addr group = net_solicited_node(target);

	memset(frame, 0, ND_LEN);
	complete(frame, self, ND_SOLICIT, &self->net.ip6, mac != NULL ? target : &group, mac, target);
}

void nd_probe(uint8_t *frame, const struct iface *self)
{
	struct addr group = net_solicited_node(&self->net.ip6), none = { 0 };
	uint8_t *ip = frame + ETH_LEN, *icmp = ip + IP6_LEN;
	const uint16_t len = ND_PROBE_LEN - ETH_LEN - IP6_LEN;

	memset(frame, 0, ND_PROBE_LEN);
	net_group_mac(&group, frame);
	memcpy(frame + ETH_ADDR_LEN, self->net.mac, ETH_ADDR_LEN);
	be16_put(frame + 2 * ETH_ADDR_LEN, ETHERTYPE_V6);
	ip6_put(ip, 0, 0, len, IPPROTO_ICMP_V6, HOPS, &none, &group);
	icmp[0] = ND_SOLICIT;
	memcpy(icmp + AT_TARGET, &self->net.ip6, sizeof(self->net.ip6));
	ne16_set(icmp + 2, icmp6_sum(ip, len));
}

void nd_announce(uint8_t *frame, const struct iface *self)
{
	struct addr nodes = all_nodes();

	memset(frame, 0, ND_LEN);
	frame[ETH_LEN + IP6_LEN + AT_FLAGS] = FLAG_OVERRIDE;
	complete(frame, self, ND_ADVERTISE, &self->net.ip6, &nodes, NULL, &self->net.ip6);
}

void nd_report(uint8_t *frame, const struct iface *self)
{
	static const uint8_t hop_by_hop[8] = { IPPROTO_ICMP_V6, 0, 5, 2, 0, 0, 1, 0 }; /* router alert: MLD, RFC 2711 */
	struct addr groups[2] = { net_solicited_node(&self->net.ip6), net_solicited_node(&self->net.link) },
		    routers = { { __builtin_bswap32(0xff020000), 0, 0, __builtin_bswap32(0x16) } };
	uint8_t *ip = frame + ETH_LEN, *icmp = ip + IP6_LEN + sizeof(hop_by_hop);
	size_t len = ND_REPORT_LEN - ETH_LEN - IP6_LEN - sizeof(hop_by_hop);

	memset(frame, 0, ND_REPORT_LEN);
	net_group_mac(&routers, frame);
	memcpy(frame + ETH_ADDR_LEN, self->net.mac, ETH_ADDR_LEN);
	be16_put(frame + 2 * ETH_ADDR_LEN, ETHERTYPE_V6);
	icmp[0] = MLD2_REPORT;
	icmp[7] = ARRAY_LEN(groups);
	for (unsigned i = 0; i < ARRAY_LEN(groups); i++) {
		icmp[8 + 20 * i] = 4; /* CHANGE_TO_EXCLUDE_MODE of nobody: listen to all */
		memcpy(icmp + 12 + 20 * i, &groups[i], sizeof(groups[i]));
	}
	/* The checksum knows nothing of the header in between: it is made where the message stands behind IPv6's
	 * own, then both are moved apart. */
	ip6_put(ip, 0, 0, (uint16_t)len, IPPROTO_ICMP_V6, 1, &self->net.link, &routers);
	memmove(ip + IP6_LEN, icmp, len);
	ne16_set(ip + IP6_LEN + 2, icmp6_sum(ip, len));
	memmove(icmp, ip + IP6_LEN, len);
	memcpy(ip + IP6_LEN, hop_by_hop, sizeof(hop_by_hop));
	be16_put(ip + IP6_TOTAL, (uint16_t)(len + sizeof(hop_by_hop)));
	ip[IP6_NEXT] = 0;
}

/* What RFC 4861 §7.1 asks of both kinds, and that the MAC they tell is the one they come from. */
static bool well_formed(const struct pkt *p, uint8_t kind, const uint8_t **mac)
{
	const uint8_t *ip = p->data + ETH_LEN, *icmp = ip + IP6_LEN;
	uint32_t len = p->len - ETH_LEN - IP6_LEN;

	return ip[IP6_HOPS] == HOPS && icmp[1] == 0 && len >= AT_OPTIONS && icmp[AT_TARGET] != 0xff &&
	       find_mac(icmp, len, kind, mac) &&
	       (*mac == NULL || (memcmp(*mac, p->data + ETH_ADDR_LEN, ETH_ADDR_LEN) == 0 && ((*mac)[0] & 1) == 0));
}

static bool on_link(const struct iface *self, const struct addr *a)
{
	return is_link_local(a) || addr_in(a, &self->ip[1].subnet);
}

static void solicitation(struct neigh *n, struct pkt *p, const struct iface *self, uint32_t now_s)
{
	uint8_t *ip = p->data + ETH_LEN, *icmp = ip + IP6_LEN;
	struct addr src = ip6_addr(ip + IP6_SRC), dst = ip6_addr(ip + IP6_DST), target = ip6_addr(icmp + AT_TARGET), nodes = all_nodes();
	bool probe = addr_is_none(&src); /* for duplicates: answered to all, and it names nobody */
	struct addr group = net_solicited_node(&target);
	const uint8_t *mac;

	if (!well_formed(p, OPT_SOURCE_MAC, &mac) || (probe && (mac != NULL || !addr_eq(&dst, &group))) || (!probe && is_group(&dst) && mac == NULL)) {
		pkt_drop(p, DROP_ND_MALFORMED);
		return;
	}
	bool asks_us = is_ours(self, &target);
	if (mac != NULL && on_link(self, &src))
		neigh_learn(n, p->in_if, &src, mac, asks_us, NEIGH_REPLACE, now_s);
	if (!asks_us) {
		pkt_drop(p, DROP_ND_DONE);
		return;
	}
	uint8_t to[ETH_ADDR_LEN];
	memcpy(to, p->data + ETH_ADDR_LEN, sizeof(to));
	memset(icmp, 0, MESSAGE_LEN);
	icmp[AT_FLAGS] = FLAG_OVERRIDE | (probe ? 0 : FLAG_SOLICITED);
	complete(p->data, self, ND_ADVERTISE, &target, probe ? &nodes : &src, probe ? NULL : to, &target);
	p->len = ND_LEN;
	p->out_if = p->in_if;
	p->verdict = PKT_SEND;
}

static void advertisement(struct neigh *n, struct pkt *p, const struct iface *self, uint32_t now_s)
{
	const uint8_t *ip = p->data + ETH_LEN, *icmp = ip + IP6_LEN;
	struct addr src = ip6_addr(ip + IP6_SRC), dst = ip6_addr(ip + IP6_DST), target = ip6_addr(icmp + AT_TARGET);
	uint8_t flags = icmp[AT_FLAGS];
	const uint8_t *mac;

	if (!well_formed(p, OPT_TARGET_MAC, &mac) || addr_is_none(&src) || (is_group(&dst) && (flags & FLAG_SOLICITED) != 0)) {
		pkt_drop(p, DROP_ND_MALFORMED);
		return;
	}
	if (is_ours(self, &target)) {
		neigh_note_claim(n, p->data + ETH_ADDR_LEN, 2u * p->in_if + 1);
		pkt_drop(p, DROP_ADDRESS_CLAIMED);
		return;
	}
	/* A direct answer may leave its MAC out: then it confirms the one we know, and no more. */
	enum neigh_word word = mac == NULL ? NEIGH_CONFIRM : (flags & FLAG_OVERRIDE) != 0 ? NEIGH_REPLACE : NEIGH_FILL;
	if (on_link(self, &target))
		neigh_learn(n, p->in_if, &target, mac != NULL ? mac : p->data + ETH_ADDR_LEN, false, word, now_s);
	pkt_drop(p, DROP_ND_DONE);
}

bool nd_message(struct neigh *n, struct pkt *p, const struct iface *self, uint32_t now_s)
{
	/* What does not come from a single host, or says to come from us, is no neighbour. */
	const uint8_t *from = p->data + ETH_ADDR_LEN;
	uint8_t type = p->data[ETH_LEN + IP6_LEN];

	if (type < ND_FIRST || type > ND_LAST)
		return false;
	if (p->len < ND_LEN - 8 || (from[0] & 1) != 0 || memcmp(from, self->net.mac, ETH_ADDR_LEN) == 0 ||
	    (size_t)(p->end - p->data) < ND_LEN)
		pkt_drop(p, type == ND_SOLICIT || type == ND_ADVERTISE ? DROP_ND_MALFORMED : DROP_ICMP_OTHER);
	else if (type == ND_SOLICIT)
		solicitation(n, p, self, now_s);
	else if (type == ND_ADVERTISE)
		advertisement(n, p, self, now_s);
	else
		pkt_drop(p, DROP_ICMP_OTHER);
	return true;
}
