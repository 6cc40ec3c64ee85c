#include "relay/kernel.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/kports.h"
#include "relay/rtnl.h"

#define BUF_SIZE 65536u
#define TURN_MS 1000       /* how often stale neighbours are looked at without being woken */
#define ANSWER_MS 1000     /* the kernel answers at once; this ends a wait that would not */
#define ADDRS_MAX 32u

#define FAIL(e, ...)                                        \
	do {                                                \
		(void)snprintf(why, why_size, __VA_ARGS__); \
		return (e);                                 \
	} while (0)

struct kernel_port {
	unsigned iface;
	uint32_t ifindex;
	bool shared;            /* neighbours come from the kernel alone */
	struct addr own[2];
	struct addr gateway[2]; /* :: = none */
	uint32_t metric[2];     /* while routes are read */
};

struct kernel {
	struct relay *relay;    /* borrowed */
	struct kernel_port at[IFACE_MAX];
	unsigned count;
	int events, questions;  /* rtnetlink: what the kernel tells of itself, and what we ask */
	int wake;
	uint32_t seq;
	pthread_t thread;
	atomic_bool stop;
	uint8_t buf[BUF_SIZE];
};

typedef void msg_fn(void *user, const struct rtnl_msg *m);

struct addr kernel_gateway(bool v6)
{
	/* Neither can be that of a neighbour: 0.0.0.1 (RFC 1122 §3.2.1.3), fe80:: (RFC 4291 §2.6.1). */
	return v6 ? (struct addr){ { __builtin_bswap32(0xfe800000), 0, 0, 0 } } : addr_v4(__builtin_bswap32(1));
}

/* Asks for all of a kind, and hands each to `on`. */
static enum err ask_all(int fd, uint32_t seq, uint16_t type, uint8_t family, uint8_t buf[BUF_SIZE], msg_fn *on, void *user)
{
	uint8_t question[RTNL_QUESTION_MAX];
	size_t len = rtnl_ask_all(question, type, family, seq);

	if (send(fd, question, len, 0) != (ssize_t)len)
		return ERR_IO;
	for (;;) {
		ssize_t n = recv(fd, buf, BUF_SIZE, 0);
		struct rtnl_msg m;

		if (n <= 0)
			return ERR_IO;
		for (struct str rest = str_of(buf, (size_t)n); rtnl_next(&rest, &m);) {
			if (m.seq != seq)
				continue;
			if (m.type == NLMSG_DONE)
				return ERR_OK;
			if (m.type == NLMSG_ERROR)
				return ERR_IO;
			on(user, &m);
		}
	}
}

static int open_netlink(uint32_t groups)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = groups };
	struct timeval wait = { .tv_sec = ANSWER_MS / 1000 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* The plan */

struct addr_list {
	struct rtnl_addr at[ADDRS_MAX];
	unsigned count;
};

static void on_addr(void *user, const struct rtnl_msg *m)
{
	struct addr_list *l = user;

	if (l->count < ADDRS_MAX && rtnl_read_addr(m, &l->at[l->count]) == ERR_OK)
		l->count++;
}

static enum err list_addresses(struct addr_list *l)
{
	uint8_t *buf = malloc(BUF_SIZE);
	int fd = open_netlink(0);
	enum err e = buf != NULL && fd >= 0 ? ask_all(fd, 1, RTM_GETADDR, AF_UNSPEC, buf, on_addr, l) : ERR_IO;

	if (fd >= 0)
		(void)close(fd);
	free(buf);
	return e;
}

static struct local local_of(const struct rtnl_addr *a)
{
	bool v6 = !addr_is_v4(&a->addr);
	struct local l = { .addr = a->addr, .gateway = kernel_gateway(v6), .shown = a->addr };

	l.subnet.bits = (uint8_t)(v6 ? a->bits : a->bits + 96);
	for (unsigned i = 0; i < 4; i++) {
		unsigned here = l.subnet.bits <= 32 * i ? 0 : MIN(l.subnet.bits - 32 * i, 32u);

		l.subnet.net.w[i] = a->addr.w[i] & (here == 0 ? 0 : __builtin_bswap32(UINT32_MAX << (32 - here)));
	}
	return l;
}

/* The address of that family: the one the operator named, or the first that lasts. */
static bool pick(const struct addr_list *l, uint32_t ifindex, unsigned v6, struct local *ip)
{
	bool named = !addr_is_none(&ip->addr);

	for (unsigned i = 0; i < l->count; i++) {
		const struct rtnl_addr *a = &l->at[i];

		if (a->ifindex != ifindex || addr_is_v4(&a->addr) == (v6 != 0) ||
		    (named ? !addr_eq(&a->addr, &ip->addr) : !a->lasting))
			continue;
		struct addr shown = ip->shown;
		*ip = local_of(a);
		if (!addr_is_none(&shown))
			ip->shown = shown;
		return true;
	}
	return false;
}

static enum err plan_shared(struct port_plan *p, const struct addr_list *l, char *why, size_t why_size)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t ifindex = if_nametoindex(p->kernel_if);
	unsigned found = 0;
	bool any_named = !addr_is_none(&p->ip[0].addr) || !addr_is_none(&p->ip[1].addr);

	for (unsigned v6 = 0; v6 < 2; v6++) {
		bool named = !addr_is_none(&p->ip[v6].addr);

		if (!named && any_named)
			continue; /* the operator wants the other family only */
		if (pick(l, ifindex, v6, &p->ip[v6]))
			found++;
		else if (!named && !addr_is_none(&p->ip[v6].shown))
			FAIL(ERR_NOT_FOUND, "[relay] external-address: the interface %s has no address of this family behind it", p->kernel_if);
		else if (named)
			FAIL(ERR_NOT_FOUND,
			     "the interface %s does not have the address %s, which the relay shall share: correct [relay] address, "
			     "or say 'host' to take what the interface has",
			     p->kernel_if, addr_text(&p->ip[v6].addr, text));
	}
	if (found == 0)
		FAIL(ERR_NOT_FOUND, "the interface %s has no address that the relay could share", p->kernel_if);
	return ERR_OK;
}

/* An address cannot be the relay's own and the kernel's at once: both would answer. */
static enum err plan_own(const struct port_plan *p, const struct addr_list *l, char *why, size_t why_size)
{
	char text[ADDR_TEXT_SIZE];

	for (unsigned i = 0; i < l->count; i++) {
		const struct addr *a = &l->at[i].addr;

		if (addr_eq(a, &p->ip[!addr_is_v4(a)].addr))
			FAIL(ERR_CONFLICT,
			     "[relay] address %s is one of this machine's own: give the relay another, or, on AF_XDP, let it share "
			     "with share-host-address = yes",
			     addr_text(a, text));
	}
	return ERR_OK;
}

static enum err plan_udp_ports(struct relay_conf *c, char *why, size_t why_size)
{
	struct kports *k = malloc(sizeof(*k));
	uint16_t min = (uint16_t)c->port_min, max = (uint16_t)c->port_max;
	bool preset = c->port_min == PORT_MIN_PRESET && c->port_max == PORT_MAX_PRESET;
	enum err e = k != NULL ? kports_read(k) : ERR_NO_MEMORY;

	if (e != ERR_OK)
		(void)snprintf(why, why_size, "the kernel's ports cannot be read from /proc: %s", err_text(e));
	else
		e = kports_choose(k, (uint16_t)c->turn_port, &min, &max, preset, why, why_size);
	free(k);
	if (e != ERR_OK)
		return e;
	if (min != c->port_min || max != c->port_max)
		log_event(LOG_INFO, "ports-narrowed", "port_min=%u port_max=%u reason=\"the host's address is shared\"", min, max);
	c->port_min = min;
	c->port_max = max;
	return ERR_OK;
}

enum err kernel_plan(struct relay_conf *c, struct relay_plan *plan, char *why, size_t why_size)
{
	struct addr_list *l = calloc(1, sizeof(*l));
	enum err e = l != NULL ? list_addresses(l) : ERR_NO_MEMORY;
	bool shared = false;

	if (e != ERR_OK)
		(void)snprintf(why, why_size, "the addresses of this machine cannot be read: %s", err_text(e));
	for (unsigned i = 0; e == ERR_OK && i < plan->ports; i++) {
		struct port_plan *p = &plan->port[i];

		shared |= p->shared;
		if (p->kernel_if[0] != '\0' && if_nametoindex(p->kernel_if) == 0) {
			(void)snprintf(why, why_size, "[relay] ports: there is no interface '%s'", p->kernel_if);
			e = ERR_NOT_FOUND;
		} else {
			e = p->shared ? plan_shared(p, l, why, why_size) : plan_own(p, l, why, why_size);
		}
	}
	free(l);
	return e == ERR_OK && shared ? plan_udp_ports(c, why, why_size) : e;
}

/* The thread */

static uint32_t now_s(void)
{
	return (uint32_t)(clock_mono_ms() / MS_PER_S) + 1; /* as the workers count */
}

static struct kernel_port *port_of(struct kernel *k, uint32_t ifindex)
{
	for (unsigned i = 0; i < k->count; i++) {
		if (k->at[i].ifindex == ifindex)
			return &k->at[i];
	}
	return NULL;
}

static void on_neigh(void *user, const struct rtnl_msg *m)
{
	struct kernel *k = user;
	struct rtnl_neigh n;

	if (rtnl_read_neigh(m, &n) != ERR_OK || !n.usable)
		return;
	struct kernel_port *p = port_of(k, n.ifindex);
	if (p == NULL)
		return;
	unsigned v6 = !addr_is_v4(&n.ip);
	struct addr gateway = kernel_gateway(v6 != 0);
	neigh_learn(&k->relay->neigh, p->iface, &n.ip, n.mac, false, NEIGH_REPLACE, now_s());
	if (p->shared && addr_eq(&n.ip, &p->gateway[v6]))
		neigh_learn(&k->relay->neigh, p->iface, &gateway, n.mac, false, NEIGH_REPLACE, now_s());
}

static void on_route(void *user, const struct rtnl_msg *m)
{
	struct kernel *k = user;

	for (unsigned i = 0; i < k->count; i++) {
		struct kernel_port *p = &k->at[i];
		struct rtnl_route r;

		if (rtnl_read_route(m, p->ifindex, &r) != ERR_OK)
			return;
		unsigned v6 = !addr_is_v4(&r.to.net);
		bool preset = r.to.bits == (v6 ? 0 : 96);
		if (!preset || !r.main || r.ifindex != p->ifindex || addr_is_none(&r.gateway) || r.metric >= p->metric[v6])
			continue;
		p->gateway[v6] = r.gateway;
		p->metric[v6] = r.metric;
	}
}

/* Makes the kernel look for a neighbour, or confirm it. */
static bool use(struct kernel *k, const struct kernel_port *p, const struct addr *ip)
{
	uint8_t question[RTNL_QUESTION_MAX];
	size_t len = rtnl_ask_use(question, p->ifindex, ip, ++k->seq);

	return send(k->questions, question, len, 0) == (ssize_t)len;
}

/* The default routes anew. A new gateway is looked for at once: the workers' entry for "the gateway" takes its MAC when
 * the kernel knows it, and has the old one's until then. */
static void read_routes(struct kernel *k)
{
	char text[ADDR_TEXT_SIZE];
	struct addr before[IFACE_MAX][2];

	for (unsigned i = 0; i < k->count; i++) {
		memcpy(before[i], k->at[i].gateway, sizeof(before[i]));
		memset(k->at[i].gateway, 0, sizeof(k->at[i].gateway));
		k->at[i].metric[0] = k->at[i].metric[1] = UINT32_MAX;
	}
	if (ask_all(k->questions, ++k->seq, RTM_GETROUTE, AF_INET, k->buf, on_route, k) != ERR_OK ||
	    ask_all(k->questions, ++k->seq, RTM_GETROUTE, AF_INET6, k->buf, on_route, k) != ERR_OK)
		log_event(LOG_WARN, "routes-unread", "effect=\"the gateway may be out of date\"");
	for (unsigned i = 0; i < k->count; i++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			const struct addr *now = &k->at[i].gateway[v6];

			if (!k->at[i].shared || addr_eq(&before[i][v6], now))
				continue;
			log_event(LOG_INFO, "gateway", "port=%u address=%s", k->at[i].iface,
				  addr_is_none(now) ? "none" : addr_text(now, text));
			if (!addr_is_none(now))
				(void)use(k, &k->at[i], now);
		}
	}
}

static void read_neighbours(struct kernel *k)
{
	if (ask_all(k->questions, ++k->seq, RTM_GETNEIGH, AF_INET, k->buf, on_neigh, k) != ERR_OK ||
	    ask_all(k->questions, ++k->seq, RTM_GETNEIGH, AF_INET6, k->buf, on_neigh, k) != ERR_OK)
		log_event(LOG_WARN, "neighbours-unread", "effect=\"asked again in a second\"");
}

static struct kernel_port *shared_port(struct kernel *k, unsigned iface)
{
	for (unsigned i = 0; i < k->count; i++) {
		if (k->at[i].iface == iface && k->at[i].shared)
			return &k->at[i];
	}
	return NULL;
}

/* Makes the kernel look for what the workers look for, and takes what it knows already. */
static void ask_for_wanted(struct kernel *k)
{
	unsigned asked = 0, iface;
	struct addr ip;

	for (unsigned i = 0; i < NEIGH_SIZE; i++) {
		if (!neigh_wanted(&k->relay->neigh, i, now_s(), &iface, &ip))
			continue;
		struct kernel_port *p = shared_port(k, iface);
		struct addr gateway = kernel_gateway(!addr_is_v4(&ip));
		if (p != NULL && addr_eq(&ip, &gateway))
			ip = p->gateway[!addr_is_v4(&ip)];
		if (p == NULL || addr_is_none(&ip))
			continue;
		asked += use(k, p, &ip);
	}
	if (asked > 0)
		read_neighbours(k);
}

static void on_lost_address(struct kernel *k, const struct rtnl_msg *m)
{
	char text[ADDR_TEXT_SIZE];
	struct rtnl_addr a;

	if (rtnl_read_addr(m, &a) != ERR_OK)
		return;
	const struct kernel_port *p = port_of(k, a.ifindex);
	if (p != NULL && p->shared && addr_eq(&a.addr, &p->own[!addr_is_v4(&a.addr)]))
		log_event(LOG_ERROR, "address-lost", "address=%s effect=\"the relay cannot be reached there until it is back\"",
			  addr_text(&a.addr, text));
}

static void on_events(struct kernel *k)
{
	ssize_t n = recv(k->events, k->buf, BUF_SIZE, MSG_DONTWAIT);
	bool routes = false, all = n < 0 && errno == ENOBUFS; /* more changes than fitted: read everything */
	struct rtnl_msg m;

	for (struct str rest = n > 0 ? str_of(k->buf, (size_t)n) : STR_NONE; rtnl_next(&rest, &m);) {
		if (m.type == RTM_NEWNEIGH)
			on_neigh(k, &m);
		else if (m.type == RTM_DELADDR)
			on_lost_address(k, &m);
		routes |= m.type == RTM_NEWROUTE || m.type == RTM_DELROUTE;
	}
	if (routes || all)
		read_routes(k);
	if (routes || all)
		read_neighbours(k);
}

static void *run(void *arg)
{
	struct kernel *k = arg;
	struct pollfd p[2] = { { .fd = k->events, .events = POLLIN }, { .fd = k->wake, .events = POLLIN } };
	uint64_t count;

	read_routes(k);
	while (!atomic_load(&k->stop)) {
		if (poll(p, 2, TURN_MS) < 0)
			continue;
		if ((p[0].revents & POLLIN) != 0 || (p[0].revents & POLLERR) != 0)
			on_events(k);
		if ((p[1].revents & POLLIN) != 0)
			(void)!read(k->wake, &count, sizeof(count));
		ask_for_wanted(k);
	}
	return NULL;
}

enum err kernel_start(struct relay *relay, const struct relay_plan *plan, struct kernel **out)
{
	struct kernel *k = calloc(1, sizeof(*k));

	*out = NULL;
	if (k == NULL)
		return ERR_NO_MEMORY;
	k->relay = relay;
	for (unsigned i = 0; i < plan->ports; i++) {
		const struct port_plan *p = &plan->port[i];

		if (p->xdp)
			k->at[k->count++] = (struct kernel_port){ .iface = i,
								  .ifindex = if_nametoindex(p->kernel_if),
								  .shared = p->shared,
								  .own = { p->ip[0].addr, p->ip[1].addr } };
	}
	if (k->count == 0) {
		free(k);
		return ERR_OK;
	}
	k->events = open_netlink(RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
	k->questions = open_netlink(0);
	k->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->events < 0 || k->questions < 0 || k->wake < 0 || pthread_create(&k->thread, NULL, run, k) != 0) {
		(void)close(k->events);
		(void)close(k->questions);
		(void)close(k->wake);
		free(k);
		return ERR_IO;
	}
	(void)pthread_setname_np(k->thread, "neighbours");
	relay->kernel_fd = k->wake;
	*out = k;
	return ERR_OK;
}

void kernel_stop(struct kernel *k)
{
	if (k == NULL)
		return;
	atomic_store(&k->stop, true);
	k->relay->kernel_fd = -1;
	kernel_wake(k->wake);
	(void)pthread_join(k->thread, NULL);
	(void)close(k->events);
	(void)close(k->questions);
	(void)close(k->wake);
	free(k);
}

void kernel_wake(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0)
		(void)!write(fd, &one, sizeof(one));
}
