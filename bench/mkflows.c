/* mkflows: writes the frames of the single-core benchmark as a pcap file, one file a device of the relay. Clients send ChannelData, peers
 * send UDP, in random order; one frame in each file is the gateway's ARP request, from which the relay learns where to send.
 *
 *   mkflows --out FILE [--flows N] [--devices N --device D] [--frames N] [--payload BYTES] [--hairpin] [--cut STAGE]
 *
 * --cut makes frames that the relay drops at a certain stage of its work, so that the cost of the stages can be told apart from outside:
 * mac (not ours), port (no such service), flow (no allocation), channel (none, or no permission), ttl (used up).
 * --tsc prints how often a second the CPU's time stamp counts, and nothing else. */
#include "bench/flows.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

enum { ETH = 14, IP = 20, UDP = 8, HEADERS = ETH + IP + UDP, ARP = ETH + 28, RTP = 12, JUMP = 20000, FRAME = 2048 };
enum cut { CUT_NONE, CUT_MAC, CUT_PORT, CUT_FLOW, CUT_CHANNEL, CUT_TTL };
static const char *const cuts[] = { "none", "mac", "port", "flow", "channel", "ttl" };
static const uint8_t gateway_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

struct options {
	const char *out;
	unsigned flows, devices, device, frames, payload;
	unsigned half; /* of the frames of one sender */
	enum cut cut;
	bool hairpin;
	uint8_t mac[6];
};

static uint64_t state = 0x9e3779b97f4a7c15u;

/* xorshift64*: the same file every time. */
static uint32_t random32(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32);
}

static void fail(const char *why)
{
	fprintf(stderr, "mkflows: %s\n", why);
	exit(2);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (; len > 1; p += 2, len -= 2)
		s += (uint32_t)p[0] << 8 | p[1];
	return len > 0 ? s + ((uint32_t)p[0] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	s = (s >> 16) + (s & 0xffff);
	return (uint16_t)~((s >> 16) + s);
}

struct udp {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t ttl;
	unsigned len;
};

static size_t udp_frame(uint8_t *f, const struct options *o, const struct udp *u)
{
	uint8_t *ip = f + ETH, *udp = ip + IP;

	memcpy(f, o->mac, 6);
	if (o->cut == CUT_MAC)
		f[5] ^= 0x80;
	memcpy(f + 6, gateway_mac, 6);
	put16(f + 12, 0x0800);
	memset(ip, 0, IP);
	ip[0] = 0x45;
	put16(ip + 2, IP + UDP + u->len);
	put16(ip + 6, 0x4000);
	ip[8] = u->ttl;
	ip[9] = 17;
	put32(ip + 12, u->src);
	put32(ip + 16, u->dst);
	put16(ip + 10, fold(sum(ip, IP, 0)));
	put16(udp, u->sport);
	put16(udp + 2, u->dport);
	put16(udp + 4, UDP + u->len);
	put16(udp + 6, 0);
	put16(udp + 6, fold(sum(udp, UDP + u->len, sum(ip + 12, 8, 17 + UDP + u->len))));
	return HEADERS + u->len;
}

/* Media as a client would send it: RTP (RFC 3550 §5.1) of an Opus stream, 20 ms a packet, its content random as SRTP's is. The file is replayed
 * without end; in its middle the sequence numbers jump so far that going on from the end with the first ones is another stream's beginning,
 * too, and not a thousand late packets. */
static void payload(uint8_t *p, unsigned len, uint32_t stream, unsigned number, unsigned half)
{
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t)random32();
	if (len < RTP)
		return;
	if (number >= half)
		number += JUMP;
	p[0] = 0x80;
	p[1] = 111;
	put16(p + 2, number & 0xffff);
	put32(p + 4, number * 960);
	put32(p + 8, flows_mix(stream));
}

static size_t client_frame(uint8_t *f, const struct options *o, const struct flow_ends *e, uint32_t stream, unsigned number)
{
	struct udp u = { .src = e->client_ip, .dst = e->relay_ip, .sport = e->client_port, .dport = FLOWS_TURN_PORT, .ttl = 60,
			 .len = 4 + o->payload };

	put16(f + HEADERS, FLOWS_CHANNEL + (o->cut == CUT_CHANNEL));
	put16(f + HEADERS + 2, o->payload);
	payload(f + HEADERS + 4, o->payload, stream, number, o->half);
	if (o->cut == CUT_FLOW)
		u.sport ^= 1;
	if (o->cut == CUT_PORT)
		u.dport = 3479;
	if (o->cut == CUT_TTL)
		u.ttl = 1;
	return udp_frame(f, o, &u);
}

static size_t peer_frame(uint8_t *f, const struct options *o, const struct flow_ends *e, uint32_t stream, unsigned number)
{
	struct udp u = { .src = e->peer_ip, .dst = e->relay_ip, .sport = e->peer_port, .dport = e->relayed_port, .ttl = 60,
			 .len = o->payload };

	payload(f + HEADERS, o->payload, stream, number, o->half);
	if (o->cut == CUT_PORT || o->cut == CUT_FLOW)
		u.dport = o->cut == CUT_PORT ? 3479 : 65535;
	if (o->cut == CUT_CHANNEL)
		u.src ^= 1; /* no permission */
	if (o->cut == CUT_TTL)
		u.ttl = 1;
	return udp_frame(f, o, &u);
}

static size_t arp_frame(uint8_t *f, const struct options *o)
{
	uint8_t *a = f + ETH;

	memset(f, 0, ARP);
	memset(f, 0xff, 6);
	memcpy(f + 6, gateway_mac, 6);
	put16(f + 12, 0x0806);
	put16(a, 1);
	put16(a + 2, 0x0800);
	a[4] = 6;
	a[5] = 4;
	put16(a + 6, 1);
	memcpy(a + 8, gateway_mac, 6);
	put32(a + 14, flows_gateway_ip(o->device));
	put32(a + 24, flows_relay_ip(o->device));
	return ARP;
}

static void write_frame(FILE *out, const uint8_t *f, size_t len)
{
	uint32_t head[4] = { 0, 0, (uint32_t)len, (uint32_t)len };

	if (fwrite(head, sizeof(head), 1, out) != 1 || fwrite(f, len, 1, out) != 1)
		fail("cannot write the file");
}

static void write_all(FILE *out, const struct options *o)
{
	static const uint32_t head[6] = { 0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1 };
	uint32_t *order = malloc(o->frames * sizeof(*order)), *sent = calloc(2 * o->flows, sizeof(*sent));
	uint8_t f[FRAME];
	unsigned here = o->flows / o->devices; /* flows of this device */

	if (order == NULL || sent == NULL || fwrite(head, sizeof(head), 1, out) != 1)
		fail("cannot write the file");
	/* Every flow and direction equally often, shuffled (Fisher and Yates). */
	for (unsigned k = 0; k < o->frames; k++)
		order[k] = k % (2 * here);
	for (unsigned k = o->frames - 1; k > 0; k--) {
		unsigned other = random32() % (k + 1);
		uint32_t t = order[k];

		order[k] = order[other];
		order[other] = t;
	}
	write_frame(out, f, arp_frame(f, o));
	for (unsigned k = 1; k < o->frames; k++) {
		struct flow_ends e = flows_ends(order[k] / 2 * o->devices + o->device, o->devices);
		uint32_t stream = o->hairpin ? order[k] & ~1u : order[k]; /* there is one client, whichever way its frame is called */
		unsigned number = sent[stream]++;

		write_frame(out, f, o->hairpin || order[k] % 2 == 0 ? client_frame(f, o, &e, stream, number) :
								      peer_frame(f, o, &e, stream, number));
	}
	free(sent);
	free(order);
}

static enum cut cut_of(const char *name)
{
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		if (strcmp(name, cuts[i]) == 0)
			return (enum cut)i;
	}
	fail("--cut is none, mac, port, flow, channel or ttl");
	return CUT_NONE;
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "out", 1, NULL, 'o' }, { "flows", 1, NULL, 'n' }, { "devices", 1, NULL, 'D' }, { "device", 1, NULL, 'd' },
		{ "frames", 1, NULL, 'f' }, { "payload", 1, NULL, 'p' }, { "hairpin", 0, NULL, 'h' }, { "cut", 1, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'o': o->out = optarg; break;
		case 'n': o->flows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'D': o->devices = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'd': o->device = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'f': o->frames = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'p': o->payload = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'h': o->hairpin = true; break;
		case 'c': o->cut = cut_of(optarg); break;
		default: fail("unknown option");
		}
	}
	if (o->out == NULL || o->devices == 0 || o->device >= o->devices || o->flows < 2 * o->devices || o->payload > 1400)
		fail("--out FILE; --flows at least two a device; --payload at most 1400");
	if (o->frames == 0)
		o->frames = 2 * o->flows / o->devices;
}

static int print_tsc(void)
{
	struct timespec a, b, pause = { .tv_nsec = 100000000 };

	clock_gettime(CLOCK_MONOTONIC_RAW, &a);
	uint64_t from = __rdtsc();
	nanosleep(&pause, NULL);
	uint64_t to = __rdtsc();
	clock_gettime(CLOCK_MONOTONIC_RAW, &b);
	double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	printf("%.0f\n", (double)(to - from) / s);
	return 0;
}

int main(int argc, char **argv)
{
	/* The address that the pcap driver gives itself, for device 0; the index is its last byte. */
	struct options o = { .flows = 100, .devices = 1, .payload = 110, .mac = { 0x02, 'p', 'c', 'a', 'p', 0 } };

	if (argc == 2 && strcmp(argv[1], "--tsc") == 0)
		return print_tsc();
	parse(argc, argv, &o);
	o.half = o.frames / (o.flows / o.devices) / (o.hairpin ? 2 : 4);
	o.mac[5] = (uint8_t)o.device;
	FILE *out = fopen(o.out, "wb");
	if (out == NULL)
		fail("cannot make the file");
	write_all(out, &o);
	if (fclose(out) != 0)
		fail("cannot write the file");
	return 0;
}
