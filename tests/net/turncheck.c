/* turncheck: an independent TURN client that judges a server from outside. It shares no code with the relay. TAP on stdout.
 *
 *   turncheck OPTIONS [--group NAME]…   run the checks: table, flows, data by default; the others by name
 *   turncheck OPTIONS --hold N [--user U] [--call C] [--wait-gone MS]   make N allocations, print "held", and wait until the server has
 *       forgotten all of them (0, prints how long it took) or MS are over (1); without --wait-gone hold them until stdin ends */
#include "tests/net/check.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { GROUPS = 9, HOLD_MAX = 1024 };

struct options {
	struct check_setup setup;
	bool group[GROUPS];
	unsigned hold;
	int wait_gone_ms;
	const char *user, *call;
};

static const char *const group_names[GROUPS] = { "table", "flows", "data", "limits", "challenges", "hostile", "expiry", "credentials",
						 "slow" };
static unsigned run_count, failed;

static void die(const char *why)
{
	fprintf(stderr, "turncheck: %s\n", why);
	exit(2);
}

static void result(const char *group, const char *name, const char *reason)
{
	run_count++;
	if (reason != NULL && strncmp(reason, "SKIP ", 5) == 0) {
		printf("ok %u - %s: %s # %s\n", run_count, group, name, reason);
	} else {
		printf("%s %u - %s: %s\n", reason == NULL ? "ok" : "not ok", run_count, group, name);
		if (reason != NULL)
			printf("# %s\n", reason);
		failed += reason != NULL;
	}
	fflush(stdout);
}

static void run_groups(const struct options *o)
{
	static const struct check *const lists[GROUPS] = { NULL, check_flows, check_data, check_limits, check_challenges,
							   check_hostile, check_expiry, check_credentials, check_slow };
	const char *name, *reason;

	for (size_t i = 0; o->group[0] && check_row(&o->setup, i, &name, &reason); i++)
		result(group_names[0], name, reason);
	for (size_t g = 1; g < GROUPS; g++)
		for (const struct check *c = lists[g]; o->group[g] && c->fn != NULL; c++)
			result(group_names[g], c->name, c->fn(&o->setup));
	printf("1..%u\n", run_count);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Polls with Refresh: 437 means that the server has forgotten the allocation, 401 that it does not take the credential any more either. */
static unsigned still_there(struct tc *held, unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		if (held[i].relayed.sin_port != 0) {
			int code = tc_refresh(&held[i], 600);

			if (code == 437 || code == 401)
				held[i].relayed.sin_port = 0;
			n += held[i].relayed.sin_port != 0;
		}
	return n;
}

static int hold(const struct options *o)
{
	struct tc *held = calloc(o->hold, sizeof(*held));
	unsigned left = o->hold;
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	if (held == NULL)
		die("out of memory");
	for (unsigned i = 0; i < o->hold; i++) {
		tc_open(&held[i], &o->setup.env, o->user, o->call);
		int code = tc_allocate(&held[i]);
		if (code != 0) {
			printf("allocation %u gave %d\n", i + 1, code);
			return 2;
		}
	}
	printf("held %u\n", o->hold);
	fflush(stdout);
	double start = seconds();
	if (o->wait_gone_ms > 0) {
		while (left > 0 && (seconds() - start) * 1000 < o->wait_gone_ms) {
			left = still_there(held, o->hold);
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		}
		printf(left == 0 ? "gone after %.0f ms\n" : "still there after %.0f ms\n", (seconds() - start) * 1000);
	} else {
		poll(&in, 1, -1);
	}
	for (unsigned i = 0; i < o->hold; i++)
		check_done(&held[i]);
	free(held);
	return o->wait_gone_ms > 0 && left > 0;
}

static struct in_addr address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		die("an address must look like 10.0.0.1");
	return a;
}

static struct sockaddr_in server_of(char *text)
{
	char *colon = strchr(text, ':');

	if (colon != NULL)
		*colon++ = '\0';
	return check_addr(address(text), colon != NULL ? (unsigned)strtoul(colon, NULL, 10) : 3478);
}

static const char *secret_of(const char *path)
{
	static char line[512];
	FILE *f = fopen(path, "r");

	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		die("cannot read the secret file");
	fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

static void pick_group(struct options *o, const char *name)
{
	for (size_t i = 0; i < GROUPS; i++)
		if (strcmp(name, group_names[i]) == 0) {
			o->group[i] = true;
			return;
		}
	die("there is no such --group; --help lists them");
}

static void usage(void)
{
	puts("turncheck --server IP[:PORT] --realm REALM --secret-file FILE --local IP --peer IP --other IP\n"
	     "  --group NAME        table, flows, data (these three by default), limits, challenges, hostile, expiry, credentials, slow\n"
	     "                      (six minutes); may be given again. What the server was configured with, for some of them:\n"
	     "  --user-quota N, --ports N, --peers N    limits        --challenges N     challenges\n"
	     "  --lifetime S, --nonce-lifetime S        expiry        --strict-expiry    credentials\n"
	     "  --tcp --relay IP            over TCP, to a server whose relayed addresses are at IP (the group table only)\n"
	     "  --seed N, --rounds N         for `hostile` (1, 200)\n"
	     "  --hold N [--user U] [--call C] [--wait-gone MS]   hold allocations instead");
	exit(0);
}

enum { OPT_SERVER = 256, OPT_REALM, OPT_SECRET, OPT_LOCAL, OPT_PEER, OPT_OTHER, OPT_GROUP, OPT_QUOTA, OPT_PORTS, OPT_SEED, OPT_ROUNDS,
       OPT_PEERS, OPT_CHALLENGES, OPT_LIFETIME, OPT_NONCE, OPT_STRICT, OPT_HOLD, OPT_USER, OPT_CALL, OPT_GONE, OPT_TCP, OPT_RELAY, OPT_HELP };

static void option(struct options *o, int c, char *arg)
{
	struct tc_env *env = &o->setup.env;

	switch (c) {
	case OPT_SERVER: env->server = server_of(arg); break;
	case OPT_REALM: snprintf(env->realm, sizeof(env->realm), "%s", arg); break;
	case OPT_SECRET: env->secret = secret_of(arg); break;
	case OPT_LOCAL: env->local = address(arg); break;
	case OPT_PEER: env->peer = address(arg); break;
	case OPT_OTHER: env->other = address(arg); break;
	case OPT_GROUP: pick_group(o, arg); break;
	case OPT_QUOTA: o->setup.user_quota = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_PORTS: o->setup.ports = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_PEERS: o->setup.peers = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_CHALLENGES: o->setup.challenges = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_STRICT: o->setup.strict_expiry = true; break;
	case OPT_LIFETIME: o->setup.lifetime_s = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_NONCE: o->setup.nonce_lifetime_s = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_SEED: o->setup.seed = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_ROUNDS: o->setup.rounds = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_HOLD: o->hold = (unsigned)strtoul(arg, NULL, 10); break;
	case OPT_USER: o->user = arg; break;
	case OPT_CALL: o->call = arg; break;
	case OPT_GONE: o->wait_gone_ms = (int)strtol(arg, NULL, 10); break;
	case OPT_TCP: env->tcp = true; break;
	case OPT_RELAY: env->relay = address(arg); break;
	case OPT_HELP: usage(); break;
	default: die("unknown option; --help lists them");
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "server", 1, NULL, OPT_SERVER }, { "realm", 1, NULL, OPT_REALM }, { "secret-file", 1, NULL, OPT_SECRET },
		{ "local", 1, NULL, OPT_LOCAL }, { "peer", 1, NULL, OPT_PEER }, { "other", 1, NULL, OPT_OTHER },
		{ "group", 1, NULL, OPT_GROUP }, { "user-quota", 1, NULL, OPT_QUOTA }, { "ports", 1, NULL, OPT_PORTS },
		{ "seed", 1, NULL, OPT_SEED }, { "rounds", 1, NULL, OPT_ROUNDS }, { "hold", 1, NULL, OPT_HOLD },
		{ "user", 1, NULL, OPT_USER }, { "call", 1, NULL, OPT_CALL }, { "wait-gone", 1, NULL, OPT_GONE },
		{ "peers", 1, NULL, OPT_PEERS }, { "challenges", 1, NULL, OPT_CHALLENGES }, { "strict-expiry", 0, NULL, OPT_STRICT },
		{ "lifetime", 1, NULL, OPT_LIFETIME }, { "nonce-lifetime", 1, NULL, OPT_NONCE },
		{ "tcp", 0, NULL, OPT_TCP }, { "relay", 1, NULL, OPT_RELAY }, { "help", 0, NULL, OPT_HELP }, { NULL, 0, NULL, 0 },
	};
	struct options o = { .setup = { .seed = 1, .rounds = 200 }, .user = "holder" };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		option(&o, c, optarg);
	if (o.setup.env.server.sin_port == 0 || o.setup.env.secret == NULL || o.setup.env.realm[0] == '\0' ||
	    o.setup.env.local.s_addr == 0 || o.setup.env.peer.s_addr == 0 || o.setup.env.other.s_addr == 0)
		die("--server, --realm, --secret-file, --local, --peer and --other are needed; --help lists the options");
	if (o.setup.env.relay.s_addr == 0)
		o.setup.env.relay = o.setup.env.server.sin_addr;
	if (o.hold > HOLD_MAX)
		die("--hold is at most 1024");
	if (o.hold > 0)
		return hold(&o);
	if (memchr(o.group, true, sizeof(o.group)) == NULL)
		o.group[0] = o.group[1] = o.group[2] = true;
	run_groups(&o);
	return failed > 0;
}
