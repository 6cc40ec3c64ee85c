#include "relay/nic.h"

#include <rte_ethdev.h>

struct nic nic_choose(const struct rte_eth_dev_info *info, const struct nic_wish *wish, struct rte_eth_conf *conf)
{
	const uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	const uint64_t tx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	const uint64_t hash = (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP) & info->flow_type_rss_offloads;
	struct nic n = { 0 };

	*conf = (struct rte_eth_conf){ .intr_conf.rxq = wish->interrupts };
	n.rx_sum = wish->hardware && (info->rx_offload_capa & rx) == rx;
	n.tx_sum = wish->hardware && (info->tx_offload_capa & tx) == tx;
	if (n.rx_sum)
		conf->rxmode.offloads |= rx;
	if (n.tx_sum)
		conf->txmode.offloads |= tx;
	/* All buffers come from one pool and are sent once. */
	conf->txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	n.rss = wish->workers > 1 && hash != 0;
	if (n.rss) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = hash;
	}
	return n;
}

struct steer steer_plan(uint16_t turn_port, uint16_t port_min, uint16_t port_max, unsigned workers)
{
	struct steer s = { .workers = workers };
	unsigned low = 1, differ = port_min ^ port_max, span = 1;

	if (workers < 2)
		return s;
	while (low < workers)
		low *= 2;
	while (span <= differ)
		span *= 2;
	/* The smallest aligned block of ports that holds all relayed ones. */
	s.prefix_mask = (uint16_t)~(span - 1);
	s.prefix = port_min & s.prefix_mask;
	if ((turn_port & s.prefix_mask) == s.prefix || low > span || low > 64)
		return (struct steer){ .workers = workers };
	s.low_mask = (uint16_t)(low - 1);
	return s;
}

struct steer_rule steer_rule(const struct steer *s, unsigned i)
{
	return (struct steer_rule){ .value = (uint16_t)(s->prefix | i),
				    .mask = s->prefix_mask | s->low_mask,
				    .queue = (uint16_t)(i % s->workers) };
}

uint64_t steer_ports(const struct steer *s, unsigned worker)
{
	uint64_t ports = 0;

	if (s->low_mask == 0 || worker >= s->workers)
		return UINT64_MAX;
	for (unsigned p = 0; p < 64; p++) {
		if ((p & s->low_mask) % s->workers == worker)
			ports |= UINT64_C(1) << p;
	}
	return ports;
}
