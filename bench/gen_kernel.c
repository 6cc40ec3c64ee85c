/* The user half of the traffic that the kernel makes and judges (bpf/gen.bpf.c). A packet costs about a quarter of what it costs through any
 * socket, which makes the generator faster than what it measures. */
#include "bench/gen_int.h"

#include "bench/bpf/gen.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, STOP_SIGNAL = SIGUSR1 };

_Static_assert(GENK_BUCKETS == GEN_BUCKETS && GENK_FRAME_MAX >= RAWIO_HEADERS + 4 + GEN_PAYLOAD_MAX, "one layout");

struct gen_kernel {
	struct bpf_object *object; /* owned */
	int send, receive, ifindex;
	struct genk_run *run;      /* owned mappings of the maps */
	struct genk_stream *streams;
	struct genk_slot *slots;
	size_t sizes[3];
	double idle_per_s;         /* how often a second the program runs when it never sends */
	uint8_t longest[GENK_FRAME_MAX];
};

/* From gen_object.c. */
extern const uint8_t gen_object[], gen_object_end[];

static void die(const char *what)
{
	fprintf(stderr, "turnload: %s: %s\n", what, strerrordesc_np(errno));
	exit(2);
}

static void on_stop(int signo)
{
	(void)signo;
}

static void *map_memory(struct bpf_map *map, size_t *size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), value = (bpf_map__value_size(map) + 7u) / 8 * 8;
	void *p;

	*size = (value * bpf_map__max_entries(map) + page - 1) / page * page;
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (p == MAP_FAILED)
		die("mapping a BPF map");
	return p;
}

static struct bpf_map *map_named(struct gen_kernel *k, const char *name, unsigned entries)
{
	struct bpf_map *m = bpf_object__find_map_by_name(k->object, name);

	if (m == NULL || bpf_map__set_max_entries(m, entries) != 0)
		die(name);
	return m;
}

static int program(const struct gen_kernel *k, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(k->object, name);

	if (p == NULL)
		die(name);
	return bpf_program__fd(p);
}

static void load(struct gen_kernel *k, unsigned streams)
{
	struct bpf_map *maps[3];

	k->object = bpf_object__open_mem(gen_object, (size_t)(gen_object_end - gen_object), NULL);
	if (k->object == NULL)
		die("reading the BPF programs");
	maps[0] = map_named(k, "gen_run", 1);
	maps[1] = map_named(k, "gen_streams", streams);
	maps[2] = map_named(k, "gen_slots", streams);
	if (bpf_object__load(k->object) != 0)
		die("loading the BPF programs");
	k->run = map_memory(maps[0], &k->sizes[0]);
	k->streams = map_memory(maps[1], &k->sizes[1]);
	k->slots = map_memory(maps[2], &k->sizes[2]);
	k->send = program(k, "gen_send");
	k->receive = program(k, "gen_receive");
}

/* What arrives for stream `s`: where, from whom, in which form. The checksum is over a datagram as the server must have built it. */
static void set_slot(struct gen_kernel *k, const struct traffic *t, unsigned s)
{
	const struct gen *g = t->g;
	const struct gen_flow *f = &g->flows[s / 2];
	bool echo = g->mode == GEN_ECHO, at_client = echo == (s % 2 == 0);
	bool from_turn = at_client || echo;
	uint32_t src = from_turn ? g->server : f->relayed_ip;
	uint16_t sport = from_turn ? g->port : f->relayed_port, sum;
	uint16_t port = (uint16_t)((at_client ? GEN_CLIENT_PORT : GEN_PEER_PORT) + s / 2);
	struct genk_slot slot = { .stream = s, .framed = at_client && !echo };
	uint8_t data[4 + GEN_PAYLOAD_MAX], frame[GEN_FRAME];
	size_t n = slot.framed ? 4 : 0;

	if (slot.framed) {
		memcpy(data, (uint16_t[]){ htons(f->channel), htons((uint16_t)g->payload) }, 4);
		memcpy(&slot.head, data, 4);
	}
	memcpy(data + n, t->streams[s].frame + t->streams[s].at, g->payload);
	rawio_build(g->io, frame, src, sport, at_client ? g->client : g->peer, port, data, n + g->payload);
	memcpy(&sum, frame + RAWIO_HEADERS - 2, sizeof(sum));
	slot.sum = (uint16_t)~sum;
	slot.src = htonl(src);
	slot.sport = htons(sport);
	slot.udp_len = (uint16_t)(8 + n + g->payload);
	k->slots[at_client ? s / 2 * 2 : s / 2 * 2 + 1] = slot;
}

static void set_stream(struct gen_kernel *k, const struct traffic *t, unsigned s)
{
	const struct stream *from = &t->streams[s];
	struct genk_stream *to = &k->streams[s];

	to->len = from->len;
	to->at = from->at;
	to->sum = rawio_fold(from->base_sum);
	memcpy(to->frame, from->frame, from->len);
	memcpy(to->payload, from->frame + from->at, t->g->payload);
	if (from->len > k->run->longest) {
		k->run->longest = from->len;
		memcpy(k->longest, from->frame, from->len);
	}
}

/* One call of the program's test facility, ended by a signal once the plan's time must be over, although it took a while to begin. */
static void send_all(struct gen_kernel *k)
{
	double seconds = (double)k->run->duration_ns / 1e9 + 0.01;
	struct xdp_md md = { .data_end = k->run->longest };
	struct sigevent by = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = STOP_SIGNAL };
	/* Again and again: the first might come before the call has begun. */
	struct itimerspec when = { .it_interval.tv_nsec = 2000000 };
	timer_t timer;

	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = k->longest, .data_size_in = k->run->longest, .ctx_in = &md, .ctx_size_in = sizeof(md),
		    .repeat = INT32_MAX, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	when.it_value.tv_sec = (time_t)seconds;
	when.it_value.tv_nsec = (long)((seconds - (double)when.it_value.tv_sec) * 1e9);
	if (timer_create(CLOCK_MONOTONIC, &by, &timer) != 0 || timer_settime(timer, 0, &when, NULL) != 0)
		die("a timer");
	int e = bpf_prog_test_run_opts(k->send, &o);
	(void)timer_delete(timer);
	if (e != -EINTR) {
		errno = -e;
		die("sending from the kernel");
	}
}

static void plan(struct gen_kernel *k, double pps, double seconds)
{
	struct genk_run *r = k->run;

	memset(&r->start_ns, 0, sizeof(*r) - offsetof(struct genk_run, start_ns));
	r->number++;
	r->pps = (uint64_t)pps;
	r->slack = r->pps / 1000 + BATCH;
	r->duration_ns = (uint64_t)(seconds * 1e9);
}

/* How often the program can run when it has nothing to do; the best of a few, because something else may have the CPU meanwhile. */
static void calibrate(struct gen_kernel *k)
{
	static const double calm_s = 0.01;

	for (int try = 0; try < 6; try++) {
		plan(k, 0, calm_s);
		send_all(k);
		if ((double)k->run->idle / calm_s > k->idle_per_s)
			k->idle_per_s = (double)k->run->idle / calm_s;
	}
}

static void attach(struct gen_kernel *k)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = k->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, o, .prog_fd = k->receive, .handle = 1, .priority = 1);
	int e = bpf_tc_hook_create(&hook);

	errno = -e;
	if (e == 0 || e == -EEXIST)
		errno = -bpf_tc_attach(&hook, &o);
	if (errno != 0)
		die("attaching the program that receives");
}

struct gen_kernel *kernel_open(const struct traffic *t, const char *ifname)
{
	struct sigaction sa = { .sa_handler = on_stop };
	struct gen_kernel *k = calloc(1, sizeof(*k));

	if (k == NULL || sigaction(STOP_SIGNAL, &sa, NULL) != 0)
		die("memory");
	load(k, t->count);
	k->ifindex = (int)if_nametoindex(ifname);
	k->run->streams = t->count;
	k->run->words = (uint32_t)(t->g->payload / 8);
	k->run->out = (uint32_t)k->ifindex;
	k->run->client = htonl(t->g->client);
	k->run->peer = htonl(t->g->peer);
	memcpy(k->run->mac, t->streams[0].frame + 6, 6);
	k->run->client_port = GEN_CLIENT_PORT;
	k->run->peer_port = GEN_PEER_PORT;
	for (unsigned s = 0; s < t->count; s++) {
		set_stream(k, t, s);
		set_slot(k, t, s);
	}
	attach(k);
	calibrate(k);
	return k;
}

void kernel_close(struct gen_kernel *k)
{
	void *maps[] = { k->run, k->streams, k->slots };

	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = k->ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	(void)bpf_tc_hook_destroy(&hook);
	for (unsigned i = 0; i < 3; i++)
		(void)munmap(maps[i], k->sizes[i]);
	bpf_object__close(k->object);
	free(k);
}

static void wait_for_stragglers(const struct genk_run *r)
{
	static const uint64_t patience_ns = 30000000;
	const volatile __u64 *received = &r->received;
	uint64_t seen = *received, last = gen_now_ns();

	while (seen < r->sent && gen_now_ns() - last < patience_ns) {
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
		if (*received != seen)
			last = gen_now_ns();
		seen = *received;
	}
}

/* Streams in which a number came back that was never sent. */
static unsigned never_sent(const struct gen_kernel *k, unsigned streams)
{
	unsigned n = 0;

	for (unsigned s = 0; s < streams; s++)
		n += k->streams[s].seen != 0 && k->streams[s].top >= k->streams[s].sent;
	return n;
}

double kernel_run(struct gen_kernel *k, struct traffic *t, double pps, double seconds)
{
	const struct genk_run *r = k->run;

	for (unsigned s = 0; s < t->count; s++)
		k->streams[s].sent = k->streams[s].top = k->streams[s].seen = 0;
	plan(k, pps, seconds);
	send_all(k);
	wait_for_stragglers(r);
	t->r.sent = r->sent;
	t->r.received = r->received;
	t->r.corrupt = r->corrupt + r->bad_ip_sum + r->bad_udp_sum + never_sent(k, t->count);
	t->r.stray = r->stray;
	t->r.reordered = r->reordered;
	t->r.duplicate = r->duplicate;
	t->r.busy = 1 - (double)r->idle / (k->idle_per_s * seconds);
	if (t->r.busy < 0) /* the calibration was disturbed */
		t->r.busy = 0;
	memcpy(t->histogram, r->histogram, sizeof(t->histogram));
	t->timed = r->timed;
	t->max_ns = r->max_ns;
	return seconds;
}
