/* flood: what attackers send, from addresses that are not theirs, at a steady rate. Answers are not read. It only ever sends on the interface
 * it is given; run it inside a namespace.
 *
 *   flood --if IF --server IP[:PORT] --kind KIND --pps N --seconds S
 *
 * Kinds: allocate (without credentials), binding, junk (two bytes), truncated (the head of an Allocate), stale (an Allocate with credentials
 * and a nonce that never was), channel (data for channels that nobody bound), mixed (all in turn). */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/rawio.h"
#include "tests/net/tstun.h"

enum kind { ALLOCATE, BINDING, JUNK, TRUNCATED, STALE, CHANNEL, MIXED };
static const char *const kinds[] = { "allocate", "binding", "junk", "truncated", "stale", "channel", "mixed" };

struct options {
	const char *ifname;
	uint32_t server; /* host order */
	uint16_t port;
	enum kind kind;
	double pps, seconds;
};

static uint64_t seed = 88172645463325252u;

/* xorshift: other addresses at every packet, the same in every run. */
static uint32_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

/* Of 198.18.0.0/15, which is for tests (RFC 2544): a /24 of its own for each packet, nearly. */
static uint32_t source(void)
{
	return 0xc6120000u | (next() & 0x1fffffu);
}

static size_t message(enum kind kind, uint8_t *to)
{
	struct ts_msg m;
	uint8_t id[TS_TXID], key[16] = { 1 };
	uint32_t r[3] = { next(), next(), next() };

	memcpy(id, r, sizeof(id));
	if (kind == JUNK || kind == CHANNEL) {
		const uint8_t channel[12] = { 0x40, (uint8_t)r[0], 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 };

		memcpy(to, kind == JUNK ? (const uint8_t *)r : channel, sizeof(channel));
		return kind == JUNK ? 2 : sizeof(channel);
	}
	ts_start(&m, kind == BINDING ? TS_BINDING : TS_ALLOCATE, TS_REQUEST, id);
	if (kind != BINDING)
		ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
	if (kind == STALE) {
		ts_put(&m, TS_USERNAME, "1999999999:mallory", 18);
		ts_put(&m, TS_REALM, "localhost", 9);
		ts_put(&m, TS_NONCE, id, sizeof(id));
		ts_put_integrity(&m, key);
	}
	size_t len = kind == TRUNCATED ? 1 + r[0] % (m.len - 1) : m.len;
	memcpy(to, m.b, len);
	return len;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Never more than a batch behind: what could not be sent in time is not made up for. */
static void run(struct rawio *io, const struct options *o)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	double began = now(), end = began + o->seconds, due = 0, t;
	uint8_t payload[TS_MAX];
	unsigned turn = 0;
	double last = began;

	while ((t = now()) < end) {
		due += (t - last) * o->pps;
		last = t;
		if (due > RAWIO_BATCH)
			due = RAWIO_BATCH;
		for (; due >= 1; due--) {
			enum kind kind = o->kind == MIXED ? (enum kind)(turn++ % MIXED) : o->kind;
			size_t len = message(kind, payload);

			rawio_send(io, source(), (uint16_t)(1024 + next() % 60000), o->server, o->port, payload, len);
		}
		rawio_flush(io);
		(void)nanosleep(&pause, NULL);
	}
	printf("{\"kind\": \"%s\", \"sent\": %llu, \"refused\": %llu, \"pps\": %.0f}\n", kinds[o->kind],
	       (unsigned long long)rawio_stats(io)->tx, (unsigned long long)rawio_stats(io)->tx_refused,
	       (double)rawio_stats(io)->tx / (now() - began));
}

static void usage(void)
{
	fprintf(stderr, "flood --if IF --server IP[:PORT] --kind allocate|binding|junk|truncated|stale|channel|mixed --pps N --seconds S\n");
	exit(2);
}

static void read_server(struct options *o, char *text)
{
	struct in_addr a;
	char *colon = strchr(text, ':');

	if (colon != NULL) {
		*colon = '\0';
		o->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	if (inet_pton(AF_INET, text, &a) != 1)
		usage();
	o->server = ntohl(a.s_addr);
}

int main(int argc, char **argv)
{
	static const struct option names[] = { { "if", 1, 0, 'i' },  { "server", 1, 0, 's' },  { "kind", 1, 0, 'k' },
					       { "pps", 1, 0, 'p' }, { "seconds", 1, 0, 't' }, { 0 } };
	struct options o = { .port = 3478, .kind = MIXED, .pps = 1000, .seconds = 1 };
	bool known = true;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'i':
			o.ifname = optarg;
			break;
		case 's':
			read_server(&o, optarg);
			break;
		case 'k':
			known = false;
			for (unsigned k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
				if (strcmp(optarg, kinds[k]) == 0) {
					o.kind = (enum kind)k;
					known = true;
				}
			}
			break;
		case 'p':
			o.pps = strtod(optarg, NULL);
			break;
		case 't':
			o.seconds = strtod(optarg, NULL);
			break;
		default:
			usage();
		}
	}
	if (o.ifname == NULL || o.server == 0 || !known || o.pps <= 0 || o.seconds <= 0)
		usage();
	/* An address of the test's own, to ask for the relay's. */
	const uint32_t own = (o.server & 0xffffff00u) | 23;
	struct rawio *io = rawio_open(o.ifname, &own, 1);
	if (!rawio_resolve(io, o.server)) {
		fprintf(stderr, "flood: the server does not answer ARP\n");
		return 2;
	}
	run(io, &o);
	rawio_close(io);
	return 0;
}
