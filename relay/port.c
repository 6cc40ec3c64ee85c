#include "relay/port.h"

#include <errno.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "relay/filter.h"
#include "relay/host.h"
#include "relay/pool.h"
#include "relay/tap.h"
#include "relay/xdp.h"

#define XDP_RING 2048u /* descriptors of each ring of DPDK's AF_XDP driver */

#define FAIL(e, ...)                                           \
	do {                                                   \
		(void)snprintf(why, why_size, __VA_ARGS__);    \
		return (e);                                    \
	} while (0)

/* Receive queues a port will have at most: one a worker; and of an interface that the kernel uses too, all that it has. */
static unsigned queues_of(const struct relay_conf *c, const struct port_plan *p)
{
	unsigned usable = 1;

	if (p->xdp)
		(void)xdp_queues(p->kernel_if, &usable);
	return p->xdp ? usable : (unsigned)c->cores;
}

/* Buffers that the queues of a port can hold. The rings of AF_XDP have a fixed size. */
static unsigned descriptors(const struct relay_conf *c, const struct port_plan *p)
{
	return queues_of(c, p) * (p->xdp ? 2 * XDP_RING : (unsigned)(c->rx_ring + c->tx_ring));
}

/* DPDK's number of a configured device; false if there is none. */
static bool find_port(const struct port_plan *p, uint16_t *id)
{
	struct str rest = str_from(p->device);
	char name[RTE_ETH_NAME_MAX_LEN];

	return str_copy(str_cut(&rest, ','), name, sizeof(name)) == ERR_OK && rte_eth_dev_get_port_by_name(name, id) == 0;
}

/* The memory node of a device; -1 if it does not say, as those without hardware. */
static int node_of(uint16_t id)
{
	int node = rte_eth_dev_socket_id(id);

	return node < 0 ? SOCKET_ID_ANY : node;
}

/* Buffers lie where the first NIC does. */
static int pool_node(const struct relay_plan *plan)
{
	uint16_t id;

	for (unsigned i = 0; i < plan->ports; i++) {
		if (plan->port[i].is_pci && find_port(&plan->port[i], &id))
			return node_of(id);
	}
	return SOCKET_ID_ANY;
}

static enum err make_pool(const struct relay_conf *c, const struct relay_plan *plan, struct ports *out, char *why,
			  size_t why_size)
{
	/* Every descriptor of every queue, every worker's cache and a burst in its hands, and some that wait
	 * for neighbours. */
	unsigned need = (unsigned)c->cores * (POOL_CACHE * 3 / 2 + 256);
	for (unsigned i = 0; i < plan->ports; i++)
		need += descriptors(c, &plan->port[i]);
	unsigned count = MAX(need, (unsigned)c->buffers);
	unsigned room = (unsigned)MAX(c->mtu + ETH_LEN + 8, 2048u) + RTE_PKTMBUF_HEADROOM;

	struct pool_wish wish = { .count = count, .room = room, .node = pool_node(plan) };
	for (unsigned i = 0; i < plan->ports; i++) {
		wish.dma |= plan->port[i].is_pci;
		wish.xdp |= plan->port[i].xdp;
	}
	out->pool = pool_new(&wish);
	if (out->pool == NULL)
		FAIL(ERR_NO_MEMORY,
		     "there is no memory for %u packet buffers of %u bytes: raise [relay] memory or lower buffers, "
		     "cores or rings",
		     count, room);
	return ERR_OK;
}

/* Software drivers would compute checksums over the whole payload on our CPU; the path needs them seldom and
 * does it itself. */
static bool is_hardware(const struct rte_eth_dev_info *info)
{
	const struct rte_bus *bus = rte_bus_find_by_device(info->device);

	return bus != NULL && strcmp(rte_bus_name(bus), "vdev") != 0;
}

static enum err set_up_queues(const struct relay_conf *c, const struct port_plan *plan, struct rte_mempool *pool,
			      const struct port *port, const char *name, char *why, size_t why_size)
{
	/* AF_XDP's descriptors cost next to nothing (its buffers are there in any case), and short rings overflow whenever the worker is held
	 * up for a moment on a CPU that it shares with the kernel. */
	uint16_t rx = (uint16_t)MAX(c->rx_ring, plan->xdp ? XDP_RING : 0), tx = (uint16_t)MAX(c->tx_ring, plan->xdp ? XDP_RING : 0);
	int e = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);

	for (uint16_t q = 0; e == 0 && q < port->queues; q++) {
		e = rte_eth_rx_queue_setup(port->id, q, rx, (unsigned)port->node, NULL, pool);
		if (e == 0)
			e = rte_eth_tx_queue_setup(port->id, q, tx, (unsigned)port->node, NULL);
	}
	if (plan->xdp && xdp_attached(plan->kernel_if, why, why_size) == XDP_MODE_NONE && why[0] != '\0')
		return ERR_UNSUPPORTED;
	if (e != 0)
		FAIL(ERR_UNSUPPORTED, "the port %s refuses its queues: %s", name, rte_strerror(-e));
	if (plan->xdp && xdp_attached(plan->kernel_if, why, why_size) == XDP_MODE_NONE)
		FAIL(ERR_INTERNAL, "the relay's XDP program was not attached to %s", plan->kernel_if);
	return ERR_OK;
}

/* An interface that the kernel uses too keeps its MTU, and we send no more than that; others get ours. */
static enum err set_mtu(uint16_t id, const struct port_plan *plan, const char *name, struct iface *iface, char *why,
			size_t why_size)
{
	uint16_t has, mtu = iface->mtu;

	if (rte_eth_dev_get_mtu(id, &has) != 0 || has == mtu)
		return ERR_OK;
	if (plan->kernel_if[0] != '\0') {
		iface->mtu = MIN(has, mtu);
		return ERR_OK;
	}
	int e = rte_eth_dev_set_mtu(id, mtu);
	if (e != 0 && has < mtu)
		FAIL(ERR_UNSUPPORTED, "the port %s cannot send packets of [relay] mtu %u bytes, its limit is %u", name, mtu, has);
	return ERR_OK;
}

/* The address frames are sent from. A TAP's two ends would have the same one, so ours gets another; a device
 * without any (ring) gets 02:00 and the IP address. */
static enum err take_mac(uint16_t id, const struct port_plan *plan, uint8_t mac[ETH_ADDR_LEN])
{
	struct rte_ether_addr a;
	uint32_t ip = plan->ip[addr_is_none(&plan->ip[0].addr)].addr.w[3];

	if (rte_eth_macaddr_get(id, &a) != 0)
		return ERR_IO;
	memcpy(mac, a.addr_bytes, ETH_ADDR_LEN);
	if (rte_is_zero_ether_addr(&a)) {
		mac[0] = 2;
		memcpy(mac + 2, &ip, sizeof(ip));
	}
	if (plan->tap[0] != '\0') {
		mac[0] = (uint8_t)((mac[0] | 2) & ~1);
		mac[ETH_ADDR_LEN - 1] ^= 1;
	}
	return ERR_OK;
}

/* The device must hand us the groups in which neighbours ask for our IPv6 addresses (RFC 4291 §2.7.1, RFC 2464 §7). On
 * the host's own address they are the kernel's affair. */
static void join_groups(uint16_t id, const struct port_plan *plan, const struct net *n)
{
	if (addr_is_none(&n->ip6) || plan->shared)
		return;
	if (plan->kernel_if[0] == '\0') {
		if (rte_eth_allmulticast_enable(id) != 0)
			(void)rte_eth_promiscuous_enable(id);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *last = (const uint8_t *)(i == 0 ? &n->ip6 : &n->link) + 13;
		const uint8_t group[ETH_ADDR_LEN] = { 0x33, 0x33, 0xff, last[0], last[1], last[2] };

		if (host_join(plan->kernel_if, group) != ERR_OK)
			log_event(LOG_WARN, "group-refused", "interface=%s error=\"%s\"", plan->kernel_if, strerrordesc_np(errno));
	}
}

/* What the parser compares with. */
static void set_addresses(struct iface *f)
{
	f->net.ip = addr_is_none(&f->ip[0].addr) ? 0 : addr_v4_of(&f->ip[0].addr);
	f->net.ip6 = f->ip[1].addr;
	net_make_link(&f->net);
}

/* More workers than queues: what the surplus ones have from other ports and from streams goes out on the queues there are. */
static enum err share_queues(unsigned workers, const char *name, struct port *port)
{
	if (workers <= port->queues)
		return ERR_OK;
	log_event(LOG_WARN, "queues-fewer",
		  "port=%s queues=%u cores=%u effect=\"%u of the cores receive nothing from this port\" hint=\"give the interface more queues "
		  "(ethtool -L; af_packet: qpairs=%u) or lower [relay] cores\"",
		  name, port->queues, workers, workers - port->queues, workers);
	port->shared = aligned_alloc(_Alignof(struct send_queue), port->queues * sizeof(*port->shared));
	if (port->shared == NULL)
		return ERR_NO_MEMORY;
	for (unsigned q = 0; q < port->queues; q++)
		spin_init(&port->shared[q].lock);
	return ERR_OK;
}

static enum err configure(const struct relay_conf *c, const struct port_plan *plan, const char *name, struct port *port,
			  struct iface *iface, char *why, size_t why_size)
{
	struct rte_eth_dev_info info;
	uint16_t id = port->id;

	if (rte_eth_dev_info_get(id, &info) != 0)
		FAIL(ERR_IO, "the port %s does not say what it can do", name);
	/* Frames come to every queue of an interface that the kernel uses too. */
	uint16_t has = MIN(info.max_rx_queues, info.max_tx_queues), n = plan->xdp ? has : MIN((uint16_t)c->cores, has);
	if (n == 0)
		FAIL(ERR_UNSUPPORTED, "the port %s has no queues", name);
	const struct nic_wish wish = { .workers = MIN((unsigned)c->cores, n),
				       .hardware = is_hardware(&info),
				       .interrupts = strcmp(c->idle, "adaptive") == 0 };
	struct rte_eth_conf conf;
	port->nic = nic_choose(&info, &wish, &conf);
	int e = rte_eth_dev_configure(id, n, n, &conf);
	port->interrupts = e == 0 && conf.intr_conf.rxq != 0;
	if (e != 0 && conf.intr_conf.rxq != 0) {
		conf.intr_conf.rxq = 0;
		e = rte_eth_dev_configure(id, n, n, &conf);
	}
	if (e != 0)
		FAIL(ERR_UNSUPPORTED, "the port %s cannot be configured: %s", name, rte_strerror(-e));
	port->queues = n;
	port->node = node_of(id);
	iface->tx_sum = port->nic.tx_sum;
	return share_queues((unsigned)c->cores, name, port);
}

/* Without rules in the device relayed ports come where its hash puts them. */
static void steer_port(const struct relay_conf *c, struct port *port, const struct iface *f)
{
	unsigned workers = MIN((unsigned)c->cores, port->queues); /* that receive from it */
	struct steer s = steer_plan((uint16_t)c->turn_port, (uint16_t)c->port_min, (uint16_t)c->port_max, workers);
	char why[128] = "the service port is in the block of relayed ports, or they are too few";

	port->steer = (struct steer){ .workers = workers };
	if (workers < 2)
		return;
	if (steer_rules(&s) > 0 && port->nic.rss && flow_steer(port->id, f, &s, &port->flows, why, sizeof(why))) {
		port->steer = s;
		log_event(LOG_INFO, "port-steered", "port=%u rules=%u", port->id, port->flows.count);
	} else {
		log_event(LOG_INFO, "port-not-steered", "port=%u effect=\"the two directions of an allocation may be on two cores\" reason=%s",
			  port->id, port->nic.rss ? log_value(str_from(why)) : "\"all frames come to one core\"");
	}
}

/* A worker that reaches over to another node's memory for each packet is slow. */
static void warn_far(const struct relay_plan *plan, const struct port *port)
{
	unsigned lcore, i = 0;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (plan->pinned && port->node >= 0 && (int)rte_lcore_to_socket_id(lcore) != port->node)
			log_event(LOG_WARN, "cpu-far", "cpu=%u port=%u node=%d hint=\"choose [relay] cpus of the NIC's memory node\"",
				  plan->cpu[i], port->id, port->node);
		i++;
	}
}

static enum err open_port(const struct relay_conf *c, const struct port_plan *plan, struct rte_mempool *pool,
			  struct port *port, struct iface *iface, char *why, size_t why_size)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	if (!find_port(plan, &port->id) || rte_eth_dev_get_name_by_port(port->id, name) != 0)
		FAIL(ERR_NOT_FOUND,
		     "DPDK has no port for '%s': are the driver's name and its arguments right, and a NIC bound to "
		     "vfio-pci?",
		     plan->device);
	enum err e = configure(c, plan, name, port, iface, why, why_size);
	if (e == ERR_OK)
		e = set_up_queues(c, plan, pool, port, name, why, why_size);
	if (e == ERR_OK)
		e = set_mtu(port->id, plan, name, iface, why, why_size);
	if (e != ERR_OK)
		return e;
	int started = rte_eth_dev_start(port->id);
	if (started != 0)
		FAIL(ERR_IO, "the port %s does not start: %s", name, rte_strerror(-started));
	if (take_mac(port->id, plan, iface->net.mac) != ERR_OK)
		FAIL(ERR_IO, "the port %s does not say its MAC address", name);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		iface->ip[v6] = plan->ip[v6];
		if (addr_is_none(&plan->host[v6]) || host_configure(plan->tap, &plan->host[v6], plan->host_bits[v6], (unsigned)c->mtu) == ERR_OK)
			continue;
		FAIL(ERR_IO, "the interface %s cannot be given its address: %s", plan->tap, strerrordesc_np(errno));
	}
	set_addresses(iface);
	join_groups(port->id, plan, &iface->net);
	steer_port(c, port, iface);
	return ERR_OK;
}

static const char *xdp_text(const struct port_plan *p)
{
	static const char *const text[] = { "none", "native", "generic" };
	char why[1];

	return text[p->xdp ? xdp_attached(p->kernel_if, why, sizeof(why)) : XDP_MODE_NONE];
}

/* An address that the internet does not reach is right in a company's network, and a mistake behind a NAT. */
static void warn_private(const struct port_plan *p)
{
	static const struct filter none;
	char text[ADDR_TEXT_SIZE];

	for (unsigned v6 = 0; v6 < 2 && p->tap[0] == '\0'; v6++) {
		const struct local *l = &p->ip[v6];

		if (!addr_is_none(&l->addr) && !filter_permits(&none, &l->shown))
			log_event(LOG_WARN, "address-private",
				  "address=%s hint=\"clients from the internet cannot reach it: set external-address if a NAT gives it another\"",
				  addr_text(&l->shown, text));
	}
}

enum err ports_open(const struct relay_conf *conf, const struct relay_plan *plan, struct ports *out,
		    struct ifaces *ifaces, char *why, size_t why_size)
{
	char v4[ADDR_TEXT_SIZE], v6[ADDR_TEXT_SIZE];
	enum err e = make_pool(conf, plan, out, why, why_size);

	for (unsigned i = 0; e == ERR_OK && i < plan->ports; i++) {
		const struct port_plan *p = &plan->port[i];
		struct iface *f = &ifaces->at[i];

		*f = (struct iface){ .mtu = (uint16_t)conf->mtu, .vlan = p->vlan, .of_kernel = p->shared };
		ifaces->tagged |= p->vlan != 0;
		e = open_port(conf, p, out->pool, &out->at[i], f, why, why_size);
		if (e != ERR_OK)
			break;
		out->count = ifaces->count = i + 1;
		(void)str_copy(str_from(p->kernel_if), out->at[i].kernel_if, sizeof(out->at[i].kernel_if));
		out->at[i].link = true; /* so that only what is not so is told */
		if (p->tap[0] != '\0' && conf->journal[0] != '\0' && tap_keep(p->tap, true) == ERR_OK)
			out->at[i].kept = p->tap;
		log_event(LOG_INFO, "port-open",
			  "device=%s ipv4=%s ipv6=%s mac=%02x:%02x:%02x:%02x:%02x:%02x queues=%u mtu=%u node=%d xdp=%s rss=%s "
			  "rx_checksum=%s tx_checksum=%s",
			  log_value(str_from(p->device)), addr_is_none(&p->ip[0].addr) ? "-" : addr_text(&p->ip[0].addr, v4),
			  addr_is_none(&p->ip[1].addr) ? "-" : addr_text(&p->ip[1].addr, v6), f->net.mac[0], f->net.mac[1],
			  f->net.mac[2], f->net.mac[3], f->net.mac[4], f->net.mac[5], out->at[i].queues, f->mtu,
			  out->at[i].node, xdp_text(p),
			  out->at[i].nic.rss ? "yes" : "no", out->at[i].nic.rx_sum ? "device" : "software", f->tx_sum ? "device" : "software");
		warn_private(p);
		warn_far(plan, &out->at[i]);
	}
	return e;
}

bool ports_close(struct ports *p, bool leave)
{
	bool left = false;

	for (unsigned i = 0; i < p->count; i++) {
		if (leave && p->at[i].kept != NULL) {
			left = true;
			continue;
		}
		if (p->at[i].kept != NULL)
			(void)tap_keep(p->at[i].kept, false);
		flow_clear(p->at[i].id, &p->at[i].flows);
		(void)rte_eth_dev_stop(p->at[i].id);
		(void)rte_eth_dev_close(p->at[i].id);
		free(p->at[i].shared);
		p->at[i].shared = NULL;
	}
	p->count = 0;
	xdp_release();
	return left;
}

static bool has_link(const struct port *p)
{
	struct rte_eth_link link;

	if (p->kernel_if[0] != '\0')
		return host_has_link(p->kernel_if);
	return rte_eth_link_get_nowait(p->id, &link) != 0 || link.link_status == RTE_ETH_LINK_UP;
}

uint32_t ports_watch(struct ports *p, uint64_t now_us)
{
	uint32_t up = 0;

	xdp_alive(now_us);
	for (unsigned i = 0; i < p->count; i++) {
		bool link = has_link(&p->at[i]);

		if (link != p->at[i].link)
			log_event(link ? LOG_INFO : LOG_WARN, link ? "link-up" : "link-down", "port=%u", i);
		p->at[i].link = link;
		up |= (uint32_t)link << i;
	}
	return up;
}
