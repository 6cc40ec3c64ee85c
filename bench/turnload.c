/* turnload: load generator and verifying client for TURN over UDP. It makes allocations, sends paced traffic through them in both
 * directions, checks every byte and checksum that comes back, and searches the highest rate at which at most --loss of the packets are
 * lost. It prints one JSON object. One thread: pin it to a core of its own. It only ever talks on the interface it is given; run it inside
 * a namespace.
 *
 * The search: raise the rate from --start until one fails, then bisect to --precision, then confirm the best by a longer run, 5 % lower
 * until one holds. A rate fails when three trials lose too much (a shared machine hiccups) or the generator can no longer send more; the
 * figure is what came back, never what was asked for. */
#include "bench/gen.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/ether.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLICES = 9 };

struct options {
	const char *ifname, *secret_file, *gateway;
	double start_pps, max_pps, fixed_pps, trial_s, confirm_s, loss, precision;
	unsigned window, limit_s;
	bool kernel;
};

struct totals {
	uint64_t corrupt, stray, reordered, duplicate;
	unsigned trials;
};

static void fail(const char *why)
{
	fprintf(stderr, "turnload: %s\n", why);
	exit(2);
}

static void add(struct totals *sum, const struct gen_result *r)
{
	sum->corrupt += r->corrupt;
	sum->stray += r->stray;
	sum->reordered += r->reordered;
	sum->duplicate += r->duplicate;
	sum->trials++;
	fprintf(stderr, "turnload: asked %.0f sent %.0f received %.0f pps, loss %.4f %%, p50 %.0f p99 %.0f us, busy: generator %.2f server %.2f%s\n",
		r->asked_pps, r->sent_pps, r->received_pps, r->loss * 100, r->p50_us, r->p99_us, r->busy, r->server_busy,
		r->generator_limited ? ", generator at its limit" : "");
}

/* One rate: passes at the first, second or third try. `r` gets the best of what was seen. A try in which the generator could not keep its pace
 * says little about the server, so it is repeated more often. */
static bool passes(struct traffic *t, const struct options *o, struct totals *sum, double pps, double seconds, struct gen_result *r)
{
	bool passed = false;
	unsigned lossy = 0, slow = 0;

	for (int try = 0; lossy < 3 && slow < 4; try++) {
		struct gen_result now = traffic_run(t, pps, seconds);
		bool ok = now.loss <= o->loss;
		add(sum, &now);
		if (try == 0 || (ok && (!passed || now.received_pps > r->received_pps)))
			*r = now;
		passed |= ok;
		if (ok && !now.generator_limited)
			break;
		lossy += !ok && !now.generator_limited;
		slow += now.generator_limited;
	}
	return passed;
}

static struct gen_result search(struct traffic *t, const struct options *o, struct totals *sum)
{
	struct gen_result best = { .loss = 1 }, now;
	double good = 0, bad = o->max_pps, pps = o->start_pps;
	unsigned flat = 0;

	/* `bad` is the lowest rate that lost too much, or at which the generator sent no more than at lower ones twice in a row. */
	while ((bad - good) / bad > o->precision && bad > 500) {
		bool ok = passes(t, o, sum, pps, o->trial_s, &now);
		flat = ok && now.generator_limited && now.received_pps < 1.05 * best.received_pps ? flat + 1 : 0;
		if (ok && now.received_pps > best.received_pps)
			best = now;
		if (ok && flat < 2)
			good = pps;
		else
			bad = pps;
		pps = bad < o->max_pps || good * 1.6 > bad ? (good + bad) / 2 : good * 1.6;
	}
	for (pps = best.received_pps; pps > 500; pps *= 0.95)
		if (passes(t, o, sum, pps, o->confirm_s, &now)) {
			now.generator_limited |= best.generator_limited;
			return now;
		}
	return (struct gen_result){ .loss = 1 };
}

static int by_p99(const void *a, const void *b)
{
	const struct gen_result *x = a, *y = b;

	return (x->p99_us > y->p99_us) - (x->p99_us < y->p99_us);
}

/* One rate, in slices: of a slice in which something else had the CPU for a moment the percentiles tell nothing about the server. The slice
 * whose p99 is the median of all is the figure, with what all of them sent and received. */
static struct gen_result fixed(struct traffic *t, const struct options *o, struct totals *sum)
{
	struct gen_result r[SLICES], all = { 0 };

	for (unsigned i = 0; i < SLICES; i++) {
		r[i] = traffic_run(t, o->fixed_pps, o->trial_s / SLICES);
		add(sum, &r[i]);
		all.sent += r[i].sent;
		all.received += r[i].received;
		all.sent_pps += r[i].sent_pps / SLICES;
		all.received_pps += r[i].received_pps / SLICES;
	}
	qsort(r, SLICES, sizeof(*r), by_p99);
	all.p50_us = r[SLICES / 2].p50_us;
	all.p90_us = r[SLICES / 2].p90_us;
	all.p99_us = r[SLICES / 2].p99_us;
	all.max_us = r[SLICES / 2].max_us;
	all.asked_pps = o->fixed_pps;
	all.loss = all.sent > 0 ? 1 - (double)all.received / (double)all.sent : 1;
	all.generator_limited = all.sent_pps < 0.97 * o->fixed_pps;
	return all;
}

/* What was learnt besides the traffic itself. */
struct around {
	double setup_s;
	unsigned released;
};

static void report(struct gen *g, const struct options *o, const struct gen_result *r, const struct totals *sum, const struct around *a)
{
	static const char *const modes[] = { "channel", "indication", "hairpin", "allocate", "echo" };
	const struct rawio_stats *st = rawio_stats(g->io);

	printf("{\"mode\": \"%s\", \"allocations\": %u, \"payload_bytes\": %zu, \"loss_limit\": %g,\n", modes[g->mode], g->count,
	       g->payload, o->loss);
	printf(" \"%s\": %.0f, \"asked_pps\": %.0f, \"sent_pps\": %.0f, \"loss\": %.6f, \"limited_by\": \"%s\",\n",
	       o->fixed_pps > 0 ? "received_pps" : "loss_free_pps", r->received_pps, r->asked_pps, r->sent_pps, r->loss,
	       r->generator_limited && (r->busy == 0 || r->busy > 0.9) ? "generator" : "server");
	printf(" \"generator_busy\": %.3f, \"server_busy\": %.3f,\n", r->busy, r->server_busy);
	printf(" \"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n", r->p50_us, r->p90_us, r->p99_us,
	       r->max_us);
	if (g->mode != GEN_ECHO)
		printf(" \"allocations_per_s\": %.0f, \"released\": %u,\n", a->setup_s > 0 ? g->count / a->setup_s : 0, a->released);
	printf(" \"trials\": %u, \"corrupt\": %lu, \"stray\": %lu, \"reordered\": %lu, \"duplicate\": %lu,\n", sum->trials, sum->corrupt,
	       sum->stray, sum->reordered, sum->duplicate);
	printf(" \"frames\": {\"sent\": %lu, \"refused\": %lu, \"received\": %lu, \"ring_drops\": %lu,\n", st->tx, st->tx_refused, st->rx,
	       st->ring_drops);
	printf("  \"bad_ip_sum\": %lu, \"bad_udp_sum\": %lu, \"no_udp_sum\": %lu, \"malformed\": %lu}}\n", st->rx_bad_ip_sum,
	       st->rx_bad_udp_sum, st->rx_no_udp_sum, st->rx_malformed);
}

static uint32_t address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		fail("an address must look like 10.0.0.1");
	return ntohl(a.s_addr);
}

static void server_option(struct gen *g, char *text)
{
	char *colon = strchr(text, ':');

	g->port = 3478;
	if (colon != NULL) {
		*colon = '\0';
		g->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	g->server = address(text);
}

static const char *secret_of(const char *path)
{
	static char line[512];
	FILE *f = fopen(path, "r");

	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		fail("cannot read the secret file");
	fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

static enum gen_mode mode_of(const char *s)
{
	if (strcmp(s, "channel") == 0)
		return GEN_CHANNEL;
	if (strcmp(s, "indication") == 0)
		return GEN_INDICATION;
	if (strcmp(s, "hairpin") == 0)
		return GEN_HAIRPIN;
	if (strcmp(s, "allocate") == 0)
		return GEN_ALLOCATE;
	if (strcmp(s, "echo") != 0)
		fail("--mode is channel, indication, hairpin, allocate or echo");
	return GEN_ECHO;
}

static void usage(void)
{
	puts("turnload --if IF --server IP[:PORT] --client IP --peer IP --secret-file FILE\n"
	     "  --mode channel|indication|hairpin|echo   what the packets are (channel)\n"
	     "         allocate                          only make and end allocations\n"
	     "  --allocations N   (16)      --payload BYTES   (120)     --window N   setups in flight (32)\n"
	     "  --pps N           run at this rate instead of searching, for --trial seconds in nine slices\n"
	     "  --start N         first rate of the search (8000)       --max N      last (4000000)\n"
	     "  --loss SHARE      (0.001)   --trial S   (1)   --confirm S   (2)   --precision SHARE   (0.03)\n"
	     "  --limit S         end with an error after so many seconds (240)\n"
	     "  --kernel          packets are made and judged in the kernel: for channel and echo, several times faster\n"
	     "  --server-pid PID, --server-metrics SOCKET   whose work is to be told; the relay's metrics tell it better than its process does\n"
	     "  --gateway MAC     link address of the server instead of ARP (echo: the server may be deaf to ARP)");
	exit(0);
}

enum { OPT_IF = 256, OPT_SERVER, OPT_CLIENT, OPT_PEER, OPT_SECRET, OPT_MODE, OPT_ALLOCATIONS, OPT_PAYLOAD, OPT_WINDOW, OPT_PPS,
       OPT_START, OPT_MAX, OPT_LOSS, OPT_PRECISION, OPT_TRIAL, OPT_CONFIRM, OPT_LIMIT, OPT_GATEWAY, OPT_KERNEL, OPT_PID, OPT_METRICS, OPT_HELP };

static void option(struct gen *g, struct options *o, int c, char *arg)
{
	switch (c) {
	case OPT_IF: o->ifname = arg; break;
	case OPT_SERVER: server_option(g, arg); break;
	case OPT_CLIENT: g->client = address(arg); break;
	case OPT_PEER: g->peer = address(arg); break;
	case OPT_SECRET: o->secret_file = arg; break;
	case OPT_MODE: g->mode = mode_of(arg); break;
	case OPT_ALLOCATIONS: g->count = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_PAYLOAD: g->payload = strtoul(arg, NULL, 10); break;
	case OPT_WINDOW: o->window = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_PPS: o->fixed_pps = strtod(arg, NULL); break;
	case OPT_START: o->start_pps = strtod(arg, NULL); break;
	case OPT_MAX: o->max_pps = strtod(arg, NULL); break;
	case OPT_LOSS: o->loss = strtod(arg, NULL); break;
	case OPT_PRECISION: o->precision = strtod(arg, NULL); break;
	case OPT_TRIAL: o->trial_s = strtod(arg, NULL); break;
	case OPT_CONFIRM: o->confirm_s = strtod(arg, NULL); break;
	case OPT_LIMIT: o->limit_s = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_GATEWAY: o->gateway = arg; break;
	case OPT_KERNEL: o->kernel = true; break;
	case OPT_PID: g->watch.pid = (int)strtol(arg, NULL, 10); break;
	case OPT_METRICS: g->watch.metrics = arg; break;
	case OPT_HELP: usage(); break;
	default: fail("unknown option; --help lists them");
	}
}

static void parse(int argc, char **argv, struct gen *g, struct options *o)
{
	static const struct option longs[] = {
		{ "if", 1, NULL, OPT_IF }, { "server", 1, NULL, OPT_SERVER }, { "client", 1, NULL, OPT_CLIENT },
		{ "peer", 1, NULL, OPT_PEER }, { "secret-file", 1, NULL, OPT_SECRET }, { "mode", 1, NULL, OPT_MODE },
		{ "allocations", 1, NULL, OPT_ALLOCATIONS }, { "payload", 1, NULL, OPT_PAYLOAD }, { "window", 1, NULL, OPT_WINDOW },
		{ "pps", 1, NULL, OPT_PPS }, { "start", 1, NULL, OPT_START }, { "max", 1, NULL, OPT_MAX }, { "loss", 1, NULL, OPT_LOSS },
		{ "precision", 1, NULL, OPT_PRECISION },
		{ "trial", 1, NULL, OPT_TRIAL }, { "confirm", 1, NULL, OPT_CONFIRM }, { "limit", 1, NULL, OPT_LIMIT },
		{ "gateway", 1, NULL, OPT_GATEWAY }, { "kernel", 0, NULL, OPT_KERNEL }, { "server-pid", 1, NULL, OPT_PID },
		{ "server-metrics", 1, NULL, OPT_METRICS }, { "help", 0, NULL, OPT_HELP }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		option(g, o, c, optarg);
	if (o->ifname == NULL || g->server == 0 || g->client == 0)
		fail("--if, --server and --client are needed; --help lists the options");
	if (g->mode != GEN_ECHO && o->secret_file == NULL)
		fail("--secret-file is needed to use a TURN server");
	if (g->mode != GEN_HAIRPIN && g->mode != GEN_ALLOCATE && g->peer == 0)
		fail("--peer is needed, but for hairpin and allocate");
	if (o->kernel && ((g->mode != GEN_CHANNEL && g->mode != GEN_ECHO) || g->payload % 8 != 0))
		fail("--kernel can do channel and echo, with a payload of a multiple of 8 bytes");
	if (g->payload < GEN_PAYLOAD_MIN || g->payload > GEN_PAYLOAD_MAX)
		fail("--payload is 24 to 1200");
	if (g->count == 0 || g->count > GEN_FLOWS_MAX || (g->mode == GEN_HAIRPIN && g->count % 2 != 0))
		fail("--allocations is 1 to 16384, and even for hairpin");
}

static void reach(struct gen *g, const struct options *o)
{
	struct ether_addr *mac;

	if (o->gateway != NULL) {
		if ((mac = ether_aton(o->gateway)) == NULL)
			fail("--gateway is a link address such as 02:00:00:00:00:01");
		rawio_set_gateway(g->io, mac->ether_addr_octet);
	} else if (!rawio_resolve(g->io, g->server)) {
		fail("the server does not answer ARP");
	}
}

static int allocated(struct gen *g, double took)
{
	unsigned released = gen_release(g);

	printf("{\"mode\": \"allocate\", \"allocations\": %u, \"allocations_per_s\": %.0f, \"released\": %u}\n", g->count,
	       took > 0 ? g->count / took : 0, released);
	rawio_close(g->io);
	free(g->flows);
	free(g->active);
	return released == g->count ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct gen g = { .payload = 120, .count = 16, .port = 3478 };
	struct options o = { .start_pps = 8000, .max_pps = 4e6, .trial_s = 1, .confirm_s = 2, .loss = 0.001, .precision = 0.03,
			     .window = 32, .limit_s = 240 };
	struct totals sum = { 0 };
	struct gen_result r;
	struct around a = { 0 };

	parse(argc, argv, &g, &o);
	if (o.secret_file != NULL)
		g.secret = secret_of(o.secret_file);
	alarm(o.limit_s);
	g.flows = calloc(g.count, sizeof(*g.flows));
	g.active = calloc(g.count, sizeof(*g.active));
	if (g.flows == NULL || g.active == NULL)
		fail("out of memory");
	uint32_t local[] = { g.client, g.peer };
	g.io = rawio_open(o.ifname, local, g.peer != 0 ? 2 : 1);
	reach(&g, &o);
	if (g.mode != GEN_ECHO)
		a.setup_s = gen_setup(&g, o.window);
	if (g.mode == GEN_ALLOCATE)
		return allocated(&g, a.setup_s);

	struct traffic *t = traffic_new(&g, o.kernel ? o.ifname : NULL);
	if (o.kernel)
		rawio_close(g.io); /* a socket that listens would cost whoever sends to us */
	traffic_run(t, o.start_pps, 0.3); /* warm-up: caches, neighbour tables, first touch of memory */
	if (o.fixed_pps > 0) {
		r = fixed(t, &o, &sum);
	} else {
		r = search(t, &o, &sum);
	}
	traffic_free(t);
	if (o.kernel) {
		g.io = rawio_open(o.ifname, local, 2);
		reach(&g, &o);
	}
	if (g.mode != GEN_ECHO)
		a.released = gen_release(&g);
	report(&g, &o, &r, &sum, &a);
	rawio_close(g.io);
	free(g.flows);
	free(g.active);
	return r.received_pps > 0 && sum.corrupt == 0 ? 0 : 1; /* a lost packet is a figure, a changed one is a fault */
}
