#include "relay/eal.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "relay/hugepages.h"
#include "relay/tap.h"
#include "relay/xdp.h"

#define ARGS_MAX 64u
#define ARG_SIZE (PORT_NAME_SIZE + 64u)

static char last_message[200]; /* of EAL: it says why it failed only there */

static ssize_t on_eal_text(void *cookie, const char *text, size_t len)
{
	struct str line = str_trim(str_of(text, len));

	(void)cookie;
	if (line.len == 0)
		return (ssize_t)len;
	(void)str_copy(str_sub(line, 0, sizeof(last_message) - 1), last_message, sizeof(last_message));
	log_event(LOG_DEBUG, "dpdk", "text=%s", log_value(line));
	return (ssize_t)len;
}

static void log_through_us(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = on_eal_text });

	if (f == NULL)
		return;
	(void)setvbuf(f, NULL, _IOLBF, 0);
	(void)rte_openlog_stream(f);
}

struct args {
	char text[ARGS_MAX][ARG_SIZE];
	char *v[ARGS_MAX + 1];
	int n;
};

static void add(struct args *a, const char *fmt, ...) PRINTF(2, 3);
static void add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	assert((unsigned)a->n < ARGS_MAX);
	va_start(ap, fmt);
	(void)vsnprintf(a->text[a->n], ARG_SIZE, fmt, ap);
	va_end(ap);
	a->v[a->n] = a->text[a->n];
	a->n++;
}

/* Lcore 0 is the control thread, 1 to N are the workers. Unpinned ones float over every CPU the process may use. */
static enum err add_lcores(struct args *a, const struct relay_conf *c, const struct relay_plan *plan)
{
	char text[CORES_MAX * 32], mine[256];
	struct buf b = buf_fixed(text, sizeof(text) - 1), all = buf_fixed(mine, sizeof(mine) - 1);
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return ERR_IO;
	for (int from = 0; from < CPU_SETSIZE; from++) {
		int to = from;

		if (!CPU_ISSET(from, &set))
			continue;
		while (to + 1 < CPU_SETSIZE && CPU_ISSET(to + 1, &set))
			to++;
		buf_printf(&all, "%s%d-%d", all.len > 0 ? "," : "", from, to);
		from = to;
	}
	if (all.overflow)
		return ERR_TOO_LARGE;
	mine[all.len] = '\0';
	buf_printf(&b, "0@(%s)", mine);
	for (unsigned i = 0; i < c->cores; i++) {
		if (plan->pinned)
			buf_printf(&b, ",%u@%u", i + 1, plan->cpu[i]);
		else
			buf_printf(&b, ",%u@(%s)", i + 1, mine);
	}
	if (b.overflow || b.len + 10 > ARG_SIZE)
		return ERR_TOO_LARGE;
	text[b.len] = '\0';
	add(a, "--lcores=%s", text);
	add(a, "--main-lcore=0");
	return ERR_OK;
}

/* An AF_XDP port gets our program and a socket for each receive queue of the interface, since frames come where the
 * NIC puts them. What the operator wrote himself stays. */
static void add_device(struct args *a, const struct port_plan *p)
{
	unsigned queues = 1;
	uint8_t mac[ETH_ADDR_LEN];

	if (p->tap[0] != '\0' && strstr(p->device, ",mac=") == NULL) {
		tap_mac(&p->ip[addr_is_none(&p->ip[0].addr)].addr, mac);
		add(a, "--vdev=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x", p->device, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	} else if (!p->xdp) {
		add(a, p->is_pci ? "--allow=%s" : "--vdev=%s", p->device);
	} else if (strstr(p->device, "queue_count=") != NULL || strstr(p->device, "start_queue=") != NULL) {
		add(a, "--vdev=%s,xdp_prog=%s", p->device, xdp_object_path());
	} else {
		(void)xdp_queues(p->kernel_if, &queues);
		add(a, "--vdev=%s,xdp_prog=%s,queue_count=%u", p->device, xdp_object_path(), queues);
	}
}

static enum err build(struct args *a, const struct relay_conf *c, const struct relay_plan *plan)
{
	bool pci = false;

	add(a, "duplex-relay");
	enum err e = add_lcores(a, c, plan);
	if (!c->telemetry)
		add(a, "--no-telemetry");
	add(a, "--file-prefix=%s", c->file_prefix);
	add(a, "--log-level=error");
	if (!plan->huge) {
		add(a, "--no-huge");
		add(a, "--no-shconf");
		add(a, "-m");
		add(a, "%u", (unsigned)c->memory_mb);
	} else {
		add(a, "--in-memory");
		add(a, "--socket-limit=%u", (unsigned)c->memory_mb);
	}
	for (unsigned i = 0; i < plan->ports; i++) {
		add_device(a, &plan->port[i]);
		pci |= plan->port[i].is_pci;
	}
	if (!pci)
		add(a, "--no-pci");
	a->v[a->n] = NULL;
	return e;
}

static enum err check_interface(const struct port_plan *p, char *why, size_t size)
{
	if (p->kernel_if[0] == '\0' || if_nametoindex(p->kernel_if) != 0)
		return ERR_OK;
	(void)snprintf(why, size, "[relay] ports: there is no interface '%s'", p->kernel_if);
	return ERR_NOT_FOUND;
}

/* The interface is ours from here on, and its program will start with these parameters. */
static enum err claim_interface(const struct relay_conf *c, const struct port_plan *p, char *why, size_t size)
{
	struct xdp_params x = { .v4 = addr_v4_of(&p->ip[0].addr),
				.vlan = p->vlan,
				.turn_port = (uint16_t)c->turn_port,
				.port_min = (uint16_t)c->port_min,
				.port_max = (uint16_t)c->port_max,
				.shared = p->shared };

	if (!p->xdp)
		return ERR_OK;
	memcpy(x.v6, &p->ip[1].addr, sizeof(x.v6));
	unsigned usable, queues = xdp_queues(p->kernel_if, &usable);
	if (queues > usable) {
		/* Frames on a queue without a socket would be lost. */
		(void)snprintf(why, size,
			       "the interface %s has %u receive queues, of which AF_XDP can serve %u: ethtool -L %s %s %u",
			       p->kernel_if, queues, usable, p->kernel_if, usable > 1 ? "combined" : "rx", usable);
		return ERR_TOO_LARGE;
	}
	if (xdp_object_path() == NULL) {
		(void)snprintf(why, size, "the XDP program cannot be put into a memory file: %s", strerrordesc_np(errno));
		return ERR_IO;
	}
	return xdp_claim(p->kernel_if, &x, why, size);
}

static enum err check_tap(const struct port_plan *p, char *why, size_t size)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		(void)snprintf(why, size,
			       "the TAP port needs /dev/net/tun, which cannot be opened (%s); load the tun module, or in a "
			       "container pass the device in",
			       strerrordesc_np(errno));
		return ERR_UNSUPPORTED;
	}
	(void)close(fd);
	if (geteuid() != 0) {
		(void)snprintf(why, size, "a TAP port can only be made by root");
		return ERR_FORBIDDEN;
	}
	if (if_nametoindex(p->tap) != 0 && !tap_is_orphan(p->tap)) {
		(void)snprintf(why, size, "the interface %s exists already: another relay may be running with it", p->tap);
		return ERR_EXISTS;
	}
	return ERR_OK;
}

static enum err check_machine(const struct relay_conf *c, const struct relay_plan *plan, char *why, size_t size)
{
	enum err e = ERR_OK;

	for (unsigned i = 0; e == ERR_OK && i < plan->ports; i++) {
		const struct port_plan *p = &plan->port[i];

		e = p->tap[0] != '\0' ? check_tap(p, why, size) : check_interface(p, why, size);
		if (e == ERR_OK)
			e = claim_interface(c, p, why, size);
	}
	return e;
}

static enum err check_memory(const struct relay_conf *c, const struct relay_plan *plan, char *why, size_t size)
{
	uint64_t needed = c->memory_mb, there = plan->huge ? hugepages_free_mb("") : needed;

	if (there >= needed)
		return ERR_OK;
	(void)snprintf(why, size,
		       "%s huge pages for [relay] memory = %llu MB, and only %llu MB are free: sysctl vm.nr_hugepages=%llu, or less memory%s",
		       c->huge_pages ? "[relay] huge-pages asks for" : "a NIC needs", (unsigned long long)needed,
		       (unsigned long long)there, (unsigned long long)(needed + 1) / 2, c->huge_pages ? ", or huge-pages = no" : "");
	return ERR_NO_MEMORY;
}

enum err eal_start(const struct relay_conf *conf, const struct relay_plan *plan, char *why, size_t why_size)
{
	static struct args args;
	sigset_t real_time;
	enum err e = check_memory(conf, plan, why, why_size);

	if (e == ERR_OK)
		e = check_machine(conf, plan, why, why_size);
	if (e != ERR_OK)
		return e;
	if (build(&args, conf, plan) != ERR_OK) {
		(void)snprintf(why, why_size, "too many cores or CPUs to name");
		return ERR_TOO_LARGE;
	}
	(void)sigemptyset(&real_time);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		(void)sigaddset(&real_time, s);
	(void)pthread_sigmask(SIG_BLOCK, &real_time, NULL);
	log_through_us();
	if (rte_eal_init(args.n, args.v) < 0) {
		(void)snprintf(why, why_size, "DPDK does not start: %s%s%s", rte_strerror(rte_errno),
			       last_message[0] != '\0' ? "; it says: " : "", last_message);
		return ERR_UNSUPPORTED;
	}
	return ERR_OK;
}

void eal_refuse_signals(void)
{
	sigset_t real_time;

	(void)sigemptyset(&real_time);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++) {
		struct sigaction old;

		(void)sigaddset(&real_time, s);
		if (sigaction(s, NULL, &old) == 0 && old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN)
			(void)signal(s, SIG_IGN);
	}
	(void)signal(SIGIO, SIG_IGN); /* what the kernel sends when a queue of real-time signals is full */
	/* A signal that is blocked is kept even when it is ignored. */
	(void)pthread_sigmask(SIG_UNBLOCK, &real_time, NULL);
}

void eal_stop(void)
{
	(void)rte_eal_cleanup();
}
