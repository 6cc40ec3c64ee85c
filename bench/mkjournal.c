/* Writes a journal of allocations that nobody has asked for, each with one permission and one channel, so that a relay
 * can be measured with prepared flows: it starts with all of them alive.
 *
 *   mkjournal --journal FILE --relay IP [--relay IP …] --count N [--port-min P --port-max P] [--client IP] [--peer IP] …
 *
 * Allocation i has client address CLIENT + i / 60000 and port 2000 + i % 60000, channel 0x4000, peer address PEER + i /
 * 60000 and port 2000 + i % 60000; its relayed ports fill the range of the first --relay address, then of the next;
 * it talks to the address that it is relayed by. --list prints one line each. Its permission is good for 300 s, its
 * channel for 600 s, itself for --lifetime. The user of i is bench-<i>, its key follows from secret and realm. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "relay/journal.h"
#include "relay/path.h"

#define PORTS_OF_HOST 60000u
#define FIRST_PORT 2000u
#define CHANNEL 0x4000u
#define EXPIRES_WALL_S 4000000000u /* of the credentials: 2096 */

struct want {
	const char *journal, *secret, *realm;
	struct ifaces relays;
	struct addr client, peer;
	uint64_t count, max, port_min, port_max, turn_port, lifetime_s;
	bool list;
};

static void fail(const char *what, const char *value)
{
	(void)fprintf(stderr, "mkjournal: %s %s\n", what, value);
	exit(2);
}

static struct addr host(const char *text)
{
	struct addr a;
	struct cidr net;

	if (addr_parse_interface(str_from(text), &a, &net) != ERR_OK)
		fail("no address:", text);
	return a;
}

static uint64_t number(const char *text, uint64_t max)
{
	uint64_t n;

	if (str_to_u64(str_from(text), max, &n) != ERR_OK)
		fail("no number, or too large:", text);
	return n;
}

static void add_relay(struct ifaces *all, const char *text)
{
	struct addr a = host(text);
	unsigned i = 0, v6 = addr_is_v4(&a) ? 0 : 1;

	while (i < IFACE_MAX && !addr_is_none(&all->at[i].ip[v6].addr))
		i++;
	if (i == IFACE_MAX)
		fail("too many relay addresses:", text);
	all->at[i].ip[v6].addr = a;
	all->count = MAX(all->count, i + 1);
}

/* The address `n` after `a`. */
static struct addr later(struct addr a, uint64_t n)
{
	a.w[3] = __builtin_bswap32(__builtin_bswap32(a.w[3]) + (uint32_t)n);
	return a;
}

static void read_arguments(int argc, char **argv, struct want *w)
{
	enum { JOURNAL = 1, RELAY, COUNT, MAX_ALLOCATIONS, PORT_MIN, PORT_MAX, TURN_PORT, CLIENT, PEER, LIFETIME, SECRET, REALM, LIST };
	static const struct option options[] = {
		{ "journal", 1, NULL, JOURNAL },   { "relay", 1, NULL, RELAY },         { "count", 1, NULL, COUNT },
		{ "max", 1, NULL, MAX_ALLOCATIONS }, { "port-min", 1, NULL, PORT_MIN }, { "port-max", 1, NULL, PORT_MAX },
		{ "turn-port", 1, NULL, TURN_PORT }, { "client", 1, NULL, CLIENT },     { "peer", 1, NULL, PEER },
		{ "lifetime", 1, NULL, LIFETIME }, { "secret", 1, NULL, SECRET },       { "realm", 1, NULL, REALM },
		{ "list", 0, NULL, LIST },         { NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case JOURNAL: w->journal = optarg; break;
		case RELAY: add_relay(&w->relays, optarg); break;
		case COUNT: w->count = number(optarg, 1u << 20); break;
		case MAX_ALLOCATIONS: w->max = number(optarg, 1u << 20); break;
		case PORT_MIN: w->port_min = number(optarg, 65535); break;
		case PORT_MAX: w->port_max = number(optarg, 65535); break;
		case TURN_PORT: w->turn_port = number(optarg, 65535); break;
		case CLIENT: w->client = host(optarg); break;
		case PEER: w->peer = host(optarg); break;
		case LIFETIME: w->lifetime_s = number(optarg, 86400); break;
		case SECRET: w->secret = optarg; break;
		case REALM: w->realm = optarg; break;
		case LIST: w->list = true; break;
		default: exit(2);
		}
	}
	if (w->journal == NULL || w->relays.count == 0 || w->count == 0 || w->port_min > w->port_max)
		fail("wanted are --journal FILE --relay IP --count N, and a port range", "");
}

/* Our address for allocation i and its relayed port: the ranges of the addresses one after another. */
static unsigned place(const struct want *w, uint64_t i, uint16_t *port)
{
	uint64_t ports = w->port_max - w->port_min + 1, nth = i / ports;

	for (unsigned local = 0; local < iface_locals(&w->relays); local++) {
		if (!addr_is_none(&iface_local(&w->relays, local)->addr) && nth-- == 0) {
			*port = (uint16_t)(w->port_min + i % ports);
			return local;
		}
	}
	fail("there are not so many ports:", "more --relay addresses or a larger range");
	return 0;
}

static void name_and_key(const struct want *w, uint64_t i, struct alloc *a)
{
	char user[32];
	struct buf b = buf_fixed(a->username, sizeof(a->username));

	(void)snprintf(user, sizeof(user), "bench-%u", (unsigned)i);
	turn_cred_username(&b, EXPIRES_WALL_S, str_from(user), STR_NONE);
	a->username_len = (uint8_t)b.len;
	if (turn_cred_key_as(STUN_PASSWORD_MD5, str_from(w->secret), alloc_username(a), str_from(w->realm), &a->auth) != ERR_OK)
		fail("no key for", user);
}

static void list(const struct want *w, uint64_t i, const struct alloc *a, const struct chan *c)
{
	char client[ADDR_TEXT_SIZE], peer[ADDR_TEXT_SIZE], relay[ADDR_TEXT_SIZE];

	if (w->list)
		(void)printf("%u client %s %u relayed %s %u channel 0x%04x peer %s %u\n", (unsigned)i, addr_text(&a->key.client, client),
			     swap16(a->key.client_port), addr_text(&a->relay, relay), swap16(a->relay_port), swap16(c->number),
			     addr_text(&c->ip, peer), swap16(c->port));
}

static void put(const struct want *w, struct journal *j, uint64_t i, uint32_t now_s)
{
	uint16_t port, client_port = (uint16_t)(FIRST_PORT + i % PORTS_OF_HOST);
	unsigned local = place(w, i, &port);
	struct alloc a = { .key = { .client = later(w->client, i / PORTS_OF_HOST), .client_port = swap16(client_port),
				    .relay_port = swap16((uint16_t)w->turn_port), .local = (uint8_t)local, .proto = IPPROTO_UDP_V4 },
			   .relay_port = swap16(port), .local = (uint8_t)local, .relay = iface_local(&w->relays, local)->addr,
			   .lifetime_s = (uint32_t)w->lifetime_s };
	struct perm perm = { .ip = later(w->peer, i / PORTS_OF_HOST), .expires_s = now_s + PERMISSION_LIFETIME_S };
	struct chan chan = { .ip = perm.ip, .port = swap16(client_port), .number = swap16(CHANNEL),
			     .expires_s = now_s + CHANNEL_LIFETIME_S };
	struct peers *b = peers_of(&perm, 1, &chan, 1);

	if (b == NULL)
		fail("out of memory", "");
	name_and_key(w, i, &a);
	a.peers = b;
	journal_put(j, &a, now_s + (uint32_t)w->lifetime_s);
	list(w, i, &a, &chan);
	free(b);
}

int main(int argc, char **argv)
{
	struct want w = { .secret = "bench", .realm = "localhost", .port_min = 49152, .port_max = 65535, .turn_port = 3478,
			  .lifetime_s = 3600, .client = addr_v4(__builtin_bswap32(0x0a534e01)), .peer = addr_v4(__builtin_bswap32(0x0a535001)) };
	struct journal_view old;
	struct journal *j;
	char why[512] = "";
	enum err state;

	read_arguments(argc, argv, &w);
	struct journal_conf conf = { .path = w.journal, .ifaces = &w.relays, .max = (uint32_t)MAX(w.max, w.count) };
	if (journal_open(&conf, &j, &old, &state, why, sizeof(why)) != ERR_OK)
		fail(why, "");
	uint32_t now_s = path_seconds(clock_mono_ms());
	for (uint64_t i = 0; i < w.count; i++)
		put(&w, j, i, now_s);
	bool full = journal_overflows(j) > 0;
	if (journal_commit(j) != ERR_OK)
		fail("cannot write", w.journal);
	journal_close(j, false);
	return full ? 1 : 0;
}
