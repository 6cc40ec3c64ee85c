#include "relay/flow.h"

#include <rte_errno.h>
#include <rte_flow.h>
#include <stdio.h>

static struct rte_flow *make(uint16_t port, const struct local *ip, const struct steer_rule *r, struct rte_flow_error *e)
{
	bool v4 = addr_is_v4(&ip->addr);
	struct rte_flow_item_ipv4 ip4 = { .hdr.dst_addr = v4 ? addr_v4_of(&ip->addr) : 0 }, ip4_mask = { .hdr.dst_addr = UINT32_MAX };
	struct rte_flow_item_ipv6 ip6 = { 0 }, ip6_mask = { 0 };
	struct rte_flow_item_udp udp = { .hdr.dst_port = swap16(r->value) }, udp_mask = { .hdr.dst_port = swap16(r->mask) };
	struct rte_flow_action_queue queue = { .index = r->queue };
	const struct rte_flow_attr attr = { .ingress = 1 };
	const struct rte_flow_item pattern[] = {
		{ .type = RTE_FLOW_ITEM_TYPE_ETH },
		v4 ? (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &ip4, .mask = &ip4_mask } :
		     (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_IPV6, .spec = &ip6, .mask = &ip6_mask },
		{ .type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &udp_mask },
		{ .type = RTE_FLOW_ITEM_TYPE_END },
	};
	const struct rte_flow_action actions[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};

	memcpy(ip6.hdr.dst_addr, ip->addr.w, sizeof(ip6.hdr.dst_addr));
	memset(ip6_mask.hdr.dst_addr, 0xff, sizeof(ip6_mask.hdr.dst_addr));
	if (rte_flow_validate(port, &attr, pattern, actions, e) != 0)
		return NULL;
	return rte_flow_create(port, &attr, pattern, actions, e);
}

bool flow_steer(uint16_t port, const struct iface *f, const struct steer *s, struct flows *out, char *why, size_t why_size)
{
	struct rte_flow_error e = { 0 };

	out->count = 0;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		if (addr_is_none(&f->ip[v6].addr))
			continue;
		for (unsigned i = 0; i < steer_rules(s); i++) {
			struct steer_rule r = steer_rule(s, i);
			struct rte_flow *flow = make(port, &f->ip[v6], &r, &e);

			if (flow == NULL) {
				(void)snprintf(why, why_size, "%s", e.message != NULL ? e.message : rte_strerror(rte_errno));
				flow_clear(port, out);
				return false;
			}
			out->at[out->count++] = flow;
		}
	}
	return out->count > 0;
}

void flow_clear(uint16_t port, struct flows *f)
{
	struct rte_flow_error e;

	while (f->count > 0)
		(void)rte_flow_destroy(port, f->at[--f->count], &e);
}
