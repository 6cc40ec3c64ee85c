/* What is asked of devices with these and those abilities, and which rules send relayed ports to which worker. */
#include "relay/nic.h"

#include <rte_ethdev.h>

#include "tests/lib/cm.h"

static struct nic choose(const struct rte_eth_dev_info *info, unsigned workers, bool hardware, struct rte_eth_conf *conf)
{
	struct nic_wish wish = { .workers = workers, .hardware = hardware, .interrupts = true };

	return nic_choose(info, &wish, conf);
}

static const uint64_t rx_sums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM,
		      tx_sums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

static void a_nic_with_everything(void **state)
{
	struct rte_eth_dev_info info = { .rx_offload_capa = UINT64_MAX, .tx_offload_capa = UINT64_MAX, .flow_type_rss_offloads = UINT64_MAX };
	struct rte_eth_conf conf;

	(void)state;
	struct nic n = choose(&info, 4, true, &conf);
	assert_true(n.rx_sum && n.tx_sum && n.rss);
	assert_int_equal(conf.rxmode.offloads, rx_sums);
	assert_int_equal(conf.txmode.offloads, tx_sums | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
	assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
	assert_int_equal(conf.rx_adv_conf.rss_conf.rss_hf, RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
	assert_int_equal(conf.intr_conf.rxq, 1);
	n = choose(&info, 1, true, &conf);
	assert_false(n.rss);
	assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
}

static void a_nic_with_nothing(void **state)
{
	struct rte_eth_dev_info info = { 0 };
	struct rte_eth_conf conf;

	(void)state;
	struct nic n = choose(&info, 4, true, &conf);
	assert_false(n.rx_sum || n.tx_sum || n.rss);
	assert_int_equal(conf.rxmode.offloads | conf.txmode.offloads, 0);
	assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
}

/* Half a pair of offloads is none, and a hash of TCP alone is no hash for us. */
static void a_nic_with_halves(void **state)
{
	struct rte_eth_dev_info info = { .rx_offload_capa = RTE_ETH_RX_OFFLOAD_UDP_CKSUM,
					 .tx_offload_capa = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM,
					 .flow_type_rss_offloads = RTE_ETH_RSS_NONFRAG_IPV4_TCP & ~RTE_ETH_RSS_IP };
	struct rte_eth_conf conf;

	(void)state;
	struct nic n = choose(&info, 4, true, &conf);
	assert_false(n.rx_sum || n.tx_sum);
	assert_int_equal(conf.rxmode.offloads | conf.txmode.offloads, 0);
	info.flow_type_rss_offloads = RTE_ETH_RSS_NONFRAG_IPV4_UDP;
	n = choose(&info, 4, true, &conf);
	assert_true(n.rss);
	assert_int_equal(conf.rx_adv_conf.rss_conf.rss_hf, RTE_ETH_RSS_NONFRAG_IPV4_UDP);
}

static void software_computes_nothing(void **state)
{
	struct rte_eth_dev_info info = { .rx_offload_capa = UINT64_MAX, .tx_offload_capa = UINT64_MAX, .flow_type_rss_offloads = UINT64_MAX };
	struct rte_eth_conf conf;

	(void)state;
	struct nic n = choose(&info, 2, false, &conf);
	assert_false(n.rx_sum || n.tx_sum);
	assert_true(n.rss);
	assert_int_equal(conf.rxmode.offloads, 0);
	assert_int_equal(conf.txmode.offloads, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
}

/* Where a NIC with these rules sends a port; -1 if no rule is for it. Two rules for one port are a mistake. */
static int queue_of(const struct steer *s, unsigned port)
{
	int queue = -1;

	for (unsigned i = 0; i < steer_rules(s); i++) {
		struct steer_rule r = steer_rule(s, i);

		if ((port & r.mask) != r.value)
			continue;
		assert_int_equal(queue, -1);
		queue = r.queue;
	}
	return queue;
}

static void each_relayed_port_has_one_rule(void **state)
{
	static const struct {
		uint16_t min, max;
		unsigned workers;
	} cases[] = { { 49152, 65535, 2 }, { 49152, 65535, 3 }, { 61000, 65535, 4 }, { 50000, 50100, 7 }, { 49152, 65535, 64 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct steer s = steer_plan(3478, cases[i].min, cases[i].max, cases[i].workers);
		unsigned on[64] = { 0 };

		assert_true(steer_rules(&s) >= cases[i].workers);
		for (unsigned port = cases[i].min; port <= cases[i].max; port++) {
			int q = queue_of(&s, port);

			assert_in_range(q, 0, cases[i].workers - 1);
			on[q]++;
			for (unsigned w = 0; w < cases[i].workers; w++)
				assert_int_equal(steer_ports(&s, w) >> (port % 64) & 1, (int)w == q);
		}
		for (unsigned w = 0; w < cases[i].workers; w++)
			assert_true(on[w] > 0);
		assert_int_equal(queue_of(&s, 3478), -1);
	}
}

static void where_it_cannot_be(void **state)
{
	(void)state;
	struct steer one = steer_plan(3478, 49152, 65535, 1);
	assert_int_equal(steer_rules(&one), 0);
	assert_true(steer_ports(&one, 0) == UINT64_MAX);
	/* A worker that receives nothing from this device has no ports of its own. */
	struct steer two = steer_plan(3478, 49152, 65535, 2);
	assert_true(steer_ports(&two, 1) != UINT64_MAX && steer_ports(&two, 2) == UINT64_MAX);
	/* The smallest block around these ports holds the service port as well. */
	struct steer wide = steer_plan(3478, 1024, 65535, 4);
	assert_int_equal(steer_rules(&wide), 0);
	assert_true(steer_ports(&wide, 3) == UINT64_MAX);
	struct steer few = steer_plan(3478, 50000, 50001, 4);
	assert_int_equal(steer_rules(&few), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nic_with_everything), cmocka_unit_test(a_nic_with_nothing),
		cmocka_unit_test(a_nic_with_halves), cmocka_unit_test(software_computes_nothing),
		cmocka_unit_test(each_relayed_port_has_one_rule), cmocka_unit_test(where_it_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
