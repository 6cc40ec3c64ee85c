#include "relay/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "common/clock.h"
#include "common/rds.h"
#include "relay/filter.h"

#define ANSWER_MS 700
#define REDIS_MS 1000u
#define CLOCK_SKEW_MS 2000u
#define NUMBERS 2u

/* The first numbers of a small file below root. Returns how many there are, at most NUMBERS. */
static unsigned read_numbers(const struct doctor *d, const char *path, long long *out)
{
	char name[512], text[64] = "";
	unsigned n = 0;

	(void)snprintf(name, sizeof(name), "%s%s", d->root, path);
	FILE *f = fopen(name, "re");
	if (f == NULL)
		return 0;
	char *at = fgets(text, sizeof(text), f), *end;
	for (; at != NULL && n < NUMBERS; n++, at = end) {
		out[n] = strtoll(at, &end, 10);
		if (end == at)
			break;
	}
	(void)fclose(f);
	return n;
}

static enum doctor_verdict look_address(const struct doctor *d, struct buf *out)
{
	struct filter none = { 0 };
	char text[ADDR_TEXT_SIZE];
	enum doctor_verdict verdict = DOCTOR_FINE;

	for (unsigned i = 0; i < 2 * d->plan->ports; i++) {
		const struct local *l = &d->plan->port[i / 2].ip[i % 2];

		if (addr_eq(&l->addr, &(struct addr){ 0 }))
			continue;
		/* What no peer may be by default is not on the Internet. */
		bool public = filter_permits(&none, &l->addr), way = !addr_eq(&l->gateway, &(struct addr){ 0 });
		buf_printf(out, "%s%s is %s%s", out->len > 0 ? "; " : "", addr_text(&l->addr, text), public ? "public" : "private",
			   way ? "" : ", without a gateway: only its subnet is reached");
		if (!public)
			verdict = DOCTOR_THINK;
	}
	if (verdict == DOCTOR_THINK)
		buf_z(out, "; clients elsewhere reach a private address only by a route, or by a NAT that maps a public one to it");
	return verdict;
}

/* RFC 8489 §3: a Binding request, as any client would send it. */
static bool ask_binding(const struct addr *a, uint16_t port, int *error)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = a->w[3] };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_v4 = addr_is_v4(a);
	uint8_t text[64], tid[STUN_TID_LEN];
	struct wr w = wr_of(text, sizeof(text));

	memcpy(&v6.sin6_addr, a, sizeof(*a));
	crypto_random(tid, sizeof(tid));
	stun_begin(&w, STUN_REQUEST, STUN_BINDING, tid);
	size_t len = stun_end(&w);
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t n = -1;
	if (fd >= 0 && connect(fd, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof(v4) : sizeof(v6)) == 0 &&
	    send(fd, text, len, 0) == (ssize_t)len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		errno = ETIMEDOUT;
		if (poll(&p, 1, ANSWER_MS) == 1)
			n = recv(fd, text, sizeof(text), 0);
	}
	*error = errno;
	if (fd >= 0)
		(void)close(fd);
	return n >= (ssize_t)STUN_HEADER_LEN && memcmp(text + 8, tid, sizeof(tid)) == 0;
}

static enum doctor_verdict look_answer(const struct doctor *d, struct buf *out)
{
	char text[ADDR_TEXT_SIZE];
	enum doctor_verdict verdict = DOCTOR_FINE;

	for (unsigned i = 0; i < 2 * d->plan->ports; i++) {
		const struct addr *a = &d->plan->port[i / 2].ip[i % 2].addr;
		int error;

		if (addr_eq(a, &(struct addr){ 0 }))
			continue;
		bool answers = ask_binding(a, (uint16_t)d->conf->turn_port, &error);
		buf_printf(out, "%s%s ", out->len > 0 ? "; " : "", addr_text(a, text));
		if (answers)
			buf_z(out, "answers STUN from here");
		else
			buf_printf(out, "does not answer STUN from here (%s): the relay does not run, or this machine has no way to it",
				   strerrordesc_np(error));
		if (!answers)
			verdict = DOCTOR_THINK;
	}
	return verdict;
}

static enum doctor_verdict look_ports(const struct doctor *d, struct buf *out)
{
	long long own[NUMBERS];
	uint64_t min = d->conf->port_min, max = d->conf->port_max;

	if (read_numbers(d, "/proc/sys/net/ipv4/ip_local_port_range", own) != 2) {
		buf_z(out, "the kernel does not say which ports it gives to its own programs");
		return DOCTOR_THINK;
	}
	bool overlap = (long long)min <= own[1] && (long long)max >= own[0];
	buf_printf(out, "%llu to %llu for relayed addresses, %lld to %lld for the kernel's own programs: %s",
		   (unsigned long long)min, (unsigned long long)max, own[0], own[1],
		   overlap ? "they overlap, which matters where the relay uses an address of the host" : "apart");
	return overlap ? DOCTOR_THINK : DOCTOR_FINE;
}

static enum doctor_verdict look_memory(const struct doctor *d, struct buf *out)
{
	long long pages[NUMBERS] = { 0 };
	bool nic = false;

	for (unsigned i = 0; i < d->plan->ports; i++)
		nic |= d->plan->port[i].is_pci;
	(void)read_numbers(d, "/proc/sys/vm/nr_hugepages", pages);
	if (!d->conf->huge_pages && !nic) {
		buf_z(out, "not used");
		return DOCTOR_FINE;
	}
	uint64_t needed = (d->conf->memory_mb + 1) / 2;
	buf_printf(out, "%lld reserved, about %llu of 2 MB needed for [relay] memory = %llu", pages[0], (unsigned long long)needed,
		   (unsigned long long)d->conf->memory_mb);
	if (pages[0] == 0) {
		buf_printf(out, ": write the number to /proc/sys/vm/nr_hugepages");
		return DOCTOR_WRONG;
	}
	return pages[0] < (long long)needed ? DOCTOR_THINK : DOCTOR_FINE;
}

/* The memory node of a NIC or CPU; -1 = the machine has one only, or does not say. */
static long long node_of_nic(const struct doctor *d, const char *device)
{
	char path[512];
	long long node[NUMBERS] = { -1 };

	(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.*s/numa_node", (int)strcspn(device, ","), device);
	return read_numbers(d, path, node) > 0 ? node[0] : -1;
}

static long long node_of_cpu(const struct doctor *d, unsigned cpu)
{
	char path[512];

	for (unsigned node = 0; node < 64; node++) {
		(void)snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/cpu%u/node%u", d->root, cpu, node);
		if (access(path, F_OK) == 0)
			return node;
	}
	return -1;
}

static enum doctor_verdict look_nodes(const struct doctor *d, struct buf *out)
{
	unsigned apart = 0;

	for (unsigned i = 0; i < d->plan->ports; i++) {
		long long nic = d->plan->port[i].is_pci ? node_of_nic(d, d->plan->port[i].device) : -1;

		for (unsigned w = 0; nic >= 0 && d->plan->pinned && w < d->conf->cores; w++) {
			long long cpu = node_of_cpu(d, d->plan->cpu[w]);

			if (cpu < 0 || cpu == nic)
				continue;
			buf_printf(out, "%sCPU %u is on node %lld, %s on node %lld", out->len > 0 ? "; " : "", d->plan->cpu[w], cpu,
				   d->plan->port[i].device, nic);
			apart++;
		}
	}
	if (apart == 0)
		buf_z(out, d->plan->pinned ? "CPUs and devices are on the same memory node" : "CPUs are not pinned; no device asks for it");
	return apart > 0 ? DOCTOR_THINK : DOCTOR_FINE;
}

static enum doctor_verdict look_cpus(const struct doctor *d, struct buf *out)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned w = 0; d->plan->pinned && w < d->conf->cores; w++) {
		if (d->plan->cpu[w] >= (unsigned)online) {
			buf_printf(out, "[relay] cpus names CPU %u, this machine has %ld", d->plan->cpu[w], online);
			return DOCTOR_WRONG;
		}
	}
	buf_printf(out, "%llu workers on %ld CPUs", (unsigned long long)d->conf->cores, online);
	if (d->plan->poll && d->conf->cores >= (uint64_t)online) {
		buf_z(out, ": with idle = poll they leave nothing for other programs");
		return DOCTOR_THINK;
	}
	return DOCTOR_FINE;
}

/* Receive queues of an interface that the kernel uses too; 0 = it does not say. */
static unsigned queues_of(const struct doctor *d, const char *ifname)
{
	char path[512];
	unsigned n = 0;

	do
		(void)snprintf(path, sizeof(path), "%s/sys/class/net/%s/queues/rx-%u", d->root, ifname, n);
	while (access(path, F_OK) == 0 && ++n > 0);
	return n;
}

static enum doctor_verdict look_queues(const struct doctor *d, struct buf *out)
{
	unsigned few = 0;

	for (unsigned i = 0; i < d->plan->ports; i++) {
		const struct port_plan *p = &d->plan->port[i];
		unsigned queues = p->xdp ? queues_of(d, p->kernel_if) : 0;

		if (queues == 0 || queues >= d->conf->cores)
			continue;
		buf_printf(out, "%s%s has %u receive queues for %llu cores: %llu of them receive nothing from it (ethtool -L %s combined %llu, if it can)",
			   few++ > 0 ? "; " : "", p->kernel_if, queues, (unsigned long long)d->conf->cores,
			   (unsigned long long)(d->conf->cores - queues), p->kernel_if, (unsigned long long)d->conf->cores);
	}
	if (few == 0)
		buf_z(out, "no interface on AF_XDP has fewer receive queues than there are cores");
	return few > 0 ? DOCTOR_THINK : DOCTOR_FINE;
}

static enum doctor_verdict look_clock(UNUSED const struct doctor *d, struct buf *out)
{
	struct timex t = { 0 };

	if (adjtimex(&t) < 0 || (t.status & STA_UNSYNC) != 0) {
		buf_z(out, "not synchronised: credentials carry the time at which they end, so the clocks of API and relay must agree");
		return DOCTOR_THINK;
	}
	buf_printf(out, "synchronised, within %ld ms", t.maxerror / 1000);
	return DOCTOR_FINE;
}

static enum doctor_verdict look_redis(const struct doctor *d, struct buf *out)
{
	struct redisReply *reply;
	struct rds *r;

	if (d->conf->redis[0] == '\0') {
		buf_z(out, "none configured: allocations end by their lifetime only");
		return DOCTOR_THINK;
	}
	if (rds_new(d->conf->redis, REDIS_MS, &r) != ERR_OK)
		return DOCTOR_WRONG;
	enum err e = RDS(r, &reply, STR("TIME"));
	uint64_t there_ms = e == ERR_OK ? (uint64_t)rds_int(rds_at(reply, 0)) * MS_PER_S : 0, here_ms = clock_wall_ms();
	if (e == ERR_OK)
		rds_reply_free(reply);
	rds_free(r);
	if (e != ERR_OK) {
		buf_printf(out, "%s does not answer: calls are not freed before their allocations expire", d->conf->redis);
		return DOCTOR_WRONG;
	}
	uint64_t skew = there_ms > here_ms ? there_ms - here_ms : here_ms - there_ms;
	buf_printf(out, "%s answers", d->conf->redis);
	if (skew > CLOCK_SKEW_MS) {
		buf_printf(out, ", but its clock is %llu s away from this machine's", (unsigned long long)(skew / MS_PER_S));
		return DOCTOR_WRONG;
	}
	return DOCTOR_FINE;
}

static enum doctor_verdict look_devices(const struct doctor *d, struct buf *out)
{
	for (unsigned i = 0; i < d->plan->ports; i++) {
		const struct port_plan *p = &d->plan->port[i];
		char path[512];
		bool there = true;

		if (p->tap[0] != '\0')
			(void)snprintf(path, sizeof(path), "%s/dev/net/tun", d->root);
		else if (p->is_pci)
			(void)snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%.*s", d->root, (int)strcspn(p->device, ","), p->device);
		else if (p->kernel_if[0] != '\0')
			(void)snprintf(path, sizeof(path), "%s/sys/class/net/%s", d->root, p->kernel_if);
		else
			continue;
		there = access(path, F_OK) == 0;
		if (!there) {
			buf_printf(out, "%s needs %s, which is not there", p->device, path);
			return DOCTOR_WRONG;
		}
	}
	buf_printf(out, "what the %u configured ports need is there", d->plan->ports);
	return DOCTOR_FINE;
}

const struct doctor_check doctor_checks[] = {
	{ "devices", look_devices }, { "address", look_address }, { "answer", look_answer }, { "ports", look_ports },
	{ "huge-pages", look_memory }, { "cpus", look_cpus },     { "numa", look_nodes },    { "queues", look_queues },
	{ "clock", look_clock },     { "redis", look_redis },
};
const size_t doctor_checks_count = ARRAY_LEN(doctor_checks);

unsigned doctor_run(const struct doctor *d, FILE *to)
{
	static const char *const words[] = { [DOCTOR_FINE] = "ok", [DOCTOR_THINK] = "note", [DOCTOR_WRONG] = "WRONG" };
	unsigned wrong = 0;

	for (size_t i = 0; i < ARRAY_LEN(doctor_checks); i++) {
		struct buf out = buf_growing(4096);
		enum doctor_verdict v = doctor_checks[i].look(d, &out);

		(void)fprintf(to, "%-6s %-10s %.*s\n", words[v], doctor_checks[i].name, STR_FMT(buf_view(&out)));
		buf_fini(&out);
		wrong += v == DOCTOR_WRONG;
	}
	return wrong;
}
