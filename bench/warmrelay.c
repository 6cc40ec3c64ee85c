/* warmrelay: the relay's own ports, path and workers, started with allocations already there, one channel each, so that frames from a file
 * (mkflows) find their way at once. Everything else is as in duplex-relay, the metrics socket included. Ends with SIGTERM.
 *
 *   warmrelay CONFIG FLOWS channel|hairpin */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/flows.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "relay/eal.h"
#include "relay/port.h"
#include "relay/worker.h"

#define LIFETIME_S 3600u
#define USERNAME "1790000000:load:0123456789abcdef0123456789abcdef"

static void must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "warmrelay: %s: %s\n", err_text(e), what);
	exit(2);
}

static struct addr address(uint32_t ip)
{
	return addr_v4(__builtin_bswap32(ip));
}

/* Longer than any permission would last, so that a run need not renew it. */
static void lengthen(struct peers *b, uint32_t now_s)
{
	for (unsigned i = 0; i < b->chans; i++)
		peers_chans(b)[i].expires_s = now_s + LIFETIME_S;
	for (unsigned i = 0; i < b->perms; i++)
		peers_perms(b)[i].expires_s = now_s + LIFETIME_S;
	peers_settle(b);
}

/* Allocation i with its permission and channel, as a client's requests would have left it. In hairpin its peer is its neighbour's relayed
 * address. */
static void add(struct relay *r, unsigned i, bool hairpin, uint32_t now_s)
{
	unsigned devices = r->ifaces.count;
	struct flow_ends e = flows_ends(i, devices), other = flows_ends(flows_partner(i, devices), devices);
	struct table_request q = {
		.key = { .client = address(e.client_ip), .client_port = swap16(e.client_port), .relay_port = r->turn_port,
			 .local = (uint8_t)(2 * e.device), .proto = IPPROTO_UDP_V4 },
		.local = 2 * e.device, .want = PORT_ANY, .username = STR(USERNAME), .user = STR("load"), .max = UINT32_MAX,
		.random = i / devices, .now_s = now_s,
	};
	struct chan chan = {
		.ip = address(hairpin ? other.relay_ip : e.peer_ip), .port = swap16(hairpin ? other.relayed_port : e.peer_port),
		.number = swap16((uint16_t)FLOWS_CHANNEL), .home = hairpin ? (int8_t)(2 * other.device) : (int8_t)-1,
	};
	struct alloc *a = NULL;

	if (hairpin)
		chan.slot = table_index(r->table, table_by_port(r->table, 2 * other.device, other.relayed_port));
	must(table_add(r->table, &q, &a), "an allocation; is max-allocations large enough?");
	if (swap16(a->relay_port) != e.relayed_port)
		must(ERR_INVALID, "the relayed ports must begin at those of bench/flows.h");
	struct peers *b = peers_extend(NULL, &chan.ip, 1, &chan, now_s);
	must(b != NULL ? ERR_OK : ERR_NO_MEMORY, "a channel");
	lengthen(b, now_s);
	table_set_peers(r->table, a, b);
	table_start(r->table, a, now_s + LIFETIME_S);
}

static struct relay *make(const struct relay_conf *conf, const struct ifaces *ifaces)
{
	static char why[512];
	struct relay_size size = { .turn_port = (uint16_t)conf->turn_port, .port_min = (uint16_t)conf->port_min,
				   .port_max = (uint16_t)conf->port_max, .max_allocations = (uint32_t)conf->max_allocations,
				   .workers = (unsigned)conf->cores };
	struct policy *policy = NULL;
	struct relay *r = NULL;

	must(policy_new(conf, &policy, why, sizeof(why)), why);
	must(relay_new(&size, ifaces, policy, &r), "the relay's memory");
	return r;
}

int main(int argc, char **argv)
{
	static struct relay_conf conf;
	static struct relay_plan plan;
	static struct ports ports;
	static struct ifaces ifaces;
	static char why[512], path[256];
	struct metrics *metrics = NULL;
	struct workers *workers = NULL;
	sigset_t signals;
	int got;

	if (argc != 4)
		must(ERR_INVALID, "CONFIG FLOWS channel|hairpin");
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	log_init("warmrelay", LOG_WARN);
	must(conf_load(argv[1], relay_options, relay_options_count, &conf, why, sizeof(why)), why);
	must(relay_plan_make(&conf, &plan, why, sizeof(why)), why);
	must(eal_start(&conf, &plan, why, sizeof(why)), why);
	must(ports_open(&conf, &plan, &ports, &ifaces, why, sizeof(why)), why);
	struct relay *r = make(&conf, &ifaces);
	unsigned flows = (unsigned)strtoul(argv[2], NULL, 10);
	uint32_t now_s = (uint32_t)(clock_mono_ms() / MS_PER_S) + 1;
	for (unsigned i = 0; i < flows; i++)
		add(r, i, strcmp(argv[3], "hairpin") == 0, now_s);
	(void)snprintf(path, sizeof(path), "%s/metrics.relay.sock", conf.run_dir);
	must(workers_start(r, &ports, &plan, (uint32_t)conf.idle_after_us, &workers), "the worker threads");
	must(metrics_start(path, stats_write, r, &metrics), "the metrics socket");
	(void)sigwait(&signals, &got);
	metrics_stop(metrics);
	workers_stop(workers);
	relay_free(r);
	(void)ports_close(&ports, false);
	eal_stop();
	return 0;
}
