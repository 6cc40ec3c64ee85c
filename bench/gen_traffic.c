/* The generator's media: paced packets on all flows and both directions, every byte that comes back checked. One packet in flight is
 *
 *   0        4          8                    16                   24
 *   | magic  | stream   | run << 40 | number | send time, ns      | pattern of the stream … |
 *
 * inside ChannelData, an indication, or bare UDP. Stream = flow * 2 + direction. The frames are built once; a send copies the frame, writes
 * number and time, and brings the UDP checksum up to date. */
#include "bench/gen_int.h"

#include "tests/net/tstun.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOW = 64 };
static const uint32_t magic = 0x44784c64;
static const uint64_t number_mask = (1ull << 40) - 1;

static void fill_payload(uint8_t *p, size_t len, unsigned stream)
{
	uint32_t x = stream * 2654435761u + 12345;

	memcpy(p, &magic, 4);
	memcpy(p + 4, &stream, 4);
	memset(p + 8, 0, 16);
	for (size_t i = GEN_PAYLOAD_MIN; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (uint8_t)(x >> 24);
	}
}

/* What a client of flow `i` sends for `payload`: framing included. Returns its length; *at tells where the payload begins. */
static size_t client_packet(const struct gen *g, unsigned i, const uint8_t *payload, uint8_t *out, size_t *at)
{
	const struct gen_flow *f = &g->flows[i];

	if (g->mode == GEN_ECHO) {
		*at = 0;
	} else if (g->mode == GEN_INDICATION) {
		struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(GEN_PEER_PORT + i)),
					    .sin_addr.s_addr = htonl(g->peer) };
		struct ts_msg m;
		ts_start(&m, TS_SEND, TS_INDICATION, f->txid);
		ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&peer);
		ts_put(&m, TS_DATA_ATTR, payload, g->payload);
		memcpy(out, m.b, m.len);
		*at = 20 + 12 + 4;
		return m.len;
	} else {
		out[0] = (uint8_t)(f->channel >> 8);
		out[1] = (uint8_t)f->channel;
		out[2] = (uint8_t)(g->payload >> 8);
		out[3] = (uint8_t)g->payload;
		*at = 4;
	}
	memcpy(out + *at, payload, g->payload);
	return *at + g->payload;
}

static void build(struct traffic *t, unsigned s)
{
	const struct gen *g = t->g;
	struct stream *st = &t->streams[s];
	unsigned i = s / 2;
	uint8_t payload[GEN_PAYLOAD_MAX], packet[GEN_FRAME - RAWIO_HEADERS];
	uint16_t sum;
	size_t at = 0, len;

	fill_payload(payload, g->payload, s);
	if (g->mode == GEN_ECHO && s % 2 == 1) {
		len = rawio_build(g->io, st->frame, g->peer, (uint16_t)(GEN_PEER_PORT + i), g->server, g->port, payload, g->payload);
	} else if (s % 2 == 0 || g->mode == GEN_HAIRPIN) {
		/* Hairpin has clients at both ends: the second stream of a pair of flows is the other flow's own. */
		len = client_packet(g, i, payload, packet, &at);
		len = rawio_build(g->io, st->frame, g->client, (uint16_t)(GEN_CLIENT_PORT + i), g->server, g->port, packet, len);
	} else {
		const struct gen_flow *f = &g->flows[i];
		len = rawio_build(g->io, st->frame, g->peer, (uint16_t)(GEN_PEER_PORT + i), f->relayed_ip, f->relayed_port, payload,
				  g->payload);
	}
	st->len = (uint16_t)len;
	st->at = (uint16_t)(RAWIO_HEADERS + at);
	memcpy(&sum, st->frame + RAWIO_HEADERS - 2, 2);
	st->base_sum = (uint16_t)~sum;
}

struct traffic *traffic_new(struct gen *g, const char *kernel_if)
{
	struct traffic *t = calloc(1, sizeof(*t));

	if (t == NULL || (t->streams = calloc((size_t)g->count * 2, sizeof(*t->streams))) == NULL) {
		fprintf(stderr, "turnload: out of memory\n");
		exit(2);
	}
	t->g = g;
	t->count = g->count * 2;
	for (unsigned s = 0; s < t->count; s++)
		build(t, s);
	if (kernel_if != NULL)
		t->kernel = kernel_open(t, kernel_if);
	return t;
}

void traffic_free(struct traffic *t)
{
	if (t->kernel != NULL)
		kernel_close(t->kernel);
	free(t->streams);
	free(t);
}

static void send_one(struct traffic *t, uint64_t now)
{
	struct stream *st = &t->streams[t->next];
	uint64_t head[2] = { t->run << 40 | st->sent++, now };
	uint8_t *f = rawio_slot(t->g->io);
	uint16_t sum;

	memcpy(f, st->frame, st->len);
	memcpy(f + st->at + 8, head, sizeof(head));
	/* The payload begins at an even offset of the UDP datagram in every mode, so the words add as they lie. */
	sum = (uint16_t)~rawio_fold(rawio_sum((const uint8_t *)head, sizeof(head), st->base_sum));
	if (sum == 0)
		sum = 0xffff;
	memcpy(f + RAWIO_HEADERS - 2, &sum, 2);
	rawio_commit(t->g->io, st->len);
	t->r.sent++;
	t->next = t->next + 1 == t->count ? 0 : t->next + 1;
}

static unsigned bucket_of(uint64_t ns)
{
	if (ns < GEN_SUB)
		return (unsigned)ns;
	unsigned top = 63u - (unsigned)__builtin_clzll(ns);
	unsigned b = (top - 4) * GEN_SUB + (unsigned)(ns >> (top - 5)) % GEN_SUB;
	return b < GEN_BUCKETS ? b : GEN_BUCKETS - 1;
}

static double bucket_us(unsigned b)
{
	if (b < GEN_SUB)
		return b / 1000.0;
	return (double)((uint64_t)(GEN_SUB + b % GEN_SUB) << (b / GEN_SUB - 1)) / 1000.0;
}

static double percentile_us(const struct traffic *t, double share)
{
	uint64_t want = (uint64_t)((double)t->timed * share), n = 0;

	for (unsigned b = 0; b < GEN_BUCKETS; b++) {
		n += t->histogram[b];
		if (n > want)
			return bucket_us(b);
	}
	return 0;
}

static const uint8_t *unwrap_echo(const struct traffic *t, const struct rawio_in *in, unsigned *stream)
{
	const struct gen *g = t->g;
	bool at_peer = in->dst == g->peer;
	unsigned i = in->dport - (at_peer ? GEN_PEER_PORT : GEN_CLIENT_PORT);

	*stream = i * 2 + at_peer;
	if (i >= g->count || in->src != g->server || in->sport != g->port || in->len != g->payload)
		return NULL;
	return in->data;
}

/* Finds the payload in what arrived and which stream it must be of, by the addresses alone. NULL if it fits nowhere. */
static const uint8_t *unwrap(const struct traffic *t, const struct rawio_in *in, unsigned *stream)
{
	const struct gen *g = t->g;
	unsigned i = in->dport - GEN_PEER_PORT;
	size_t n = 0;

	if (g->mode == GEN_ECHO)
		return unwrap_echo(t, in, stream);
	if (in->dst == g->peer && i < g->count && g->mode != GEN_HAIRPIN) {
		*stream = i * 2;
		if (in->src != g->flows[i].relayed_ip || in->sport != g->flows[i].relayed_port || in->len != g->payload)
			return NULL;
		return in->data;
	}
	i = in->dport - GEN_CLIENT_PORT;
	if (in->dst != g->client || i >= g->count || in->src != g->server || in->sport != g->port)
		return NULL;
	*stream = i * 2 + 1;
	if (g->mode == GEN_HAIRPIN)
		*stream = UINT32_MAX; /* either stream of the flow: the payload tells */
	if (g->mode == GEN_INDICATION) {
		const uint8_t *p = ts_is_stun(in->data, in->len) ? ts_find(in->data, in->len, TS_DATA_ATTR, &n) : NULL;
		return n == g->payload ? p : NULL;
	}
	uint16_t channel = (uint16_t)(in->len < 4 ? 0 : in->data[0] << 8 | in->data[1]);
	if (channel != g->flows[i].channel || (size_t)(in->data[2] << 8 | in->data[3]) != g->payload || in->len < 4 + g->payload)
		return NULL;
	return in->data + 4;
}

static void count_number(struct traffic *t, struct stream *st, uint64_t number)
{
	if (st->seen == 0 || number > st->top) {
		uint64_t step = st->seen == 0 ? WINDOW : number - st->top;
		st->seen = (step >= WINDOW ? 0 : st->seen << step) | 1;
		st->top = number;
	} else if (st->top - number < WINDOW) {
		uint64_t bit = 1ull << (st->top - number);
		t->r.duplicate += (st->seen & bit) != 0;
		t->r.reordered += (st->seen & bit) == 0;
		st->seen |= bit;
	} else {
		t->r.reordered++;
	}
}

static void arrived(void *user, const struct rawio_in *in)
{
	struct traffic *t = user;
	unsigned stream = 0, claimed;
	uint64_t head[2], now = gen_now_ns();
	const uint8_t *p = unwrap(t, in, &stream);

	if (p == NULL) {
		t->r.stray++;
		return;
	}
	memcpy(&claimed, p + 4, sizeof(claimed));
	memcpy(head, p + 8, sizeof(head));
	if (stream == UINT32_MAX && claimed < t->count &&
	    claimed / 2 == ((in->dport - GEN_CLIENT_PORT) ^ 1))
		stream = claimed;
	if (stream != claimed || memcmp(p, &magic, 4) != 0) {
		t->r.corrupt++;
		return;
	}
	struct stream *st = &t->streams[stream];
	if (memcmp(p + GEN_PAYLOAD_MIN, st->frame + st->at + GEN_PAYLOAD_MIN, t->g->payload - GEN_PAYLOAD_MIN) != 0) {
		t->r.corrupt++;
		return;
	}
	if (head[0] >> 40 != t->run)
		return; /* a straggler of the run before */
	if ((head[0] & number_mask) >= st->sent) {
		t->r.corrupt++;
		return;
	}
	count_number(t, st, head[0] & number_mask);
	t->r.received++;
	t->timed++;
	t->histogram[bucket_of(now - head[1])]++;
	if (now - head[1] > t->max_ns)
		t->max_ns = now - head[1];
}

/* Sends what is due, receives what is there. Work that is more than a millisecond late (the generator itself was held up) is forgiven
 * rather than sent in a burst that no server could take. */
static void pump(struct traffic *t, double pps, uint64_t start, uint64_t end)
{
	double forgiven = 0, slack = pps / 1000 + RAWIO_BATCH;
	uint64_t now;

	while ((now = gen_now_ns()) < end) {
		double due = pps * (double)(now - start) / 1e9 - forgiven - (double)t->r.sent;
		if (due > slack) {
			forgiven += due - slack;
			due = slack;
		}
		unsigned n = due > RAWIO_BATCH / 2 ? RAWIO_BATCH / 2 : due < 1 ? 0 : (unsigned)due;
		for (unsigned k = 0; k < n; k++)
			send_one(t, now);
		rawio_flush(t->g->io);
		rawio_poll(t->g->io, 2 * RAWIO_BATCH, arrived, t);
	}
}

/* Sends and receives in this process. Returns the seconds it sent for. */
static double run_here(struct traffic *t, double pps, double seconds)
{
	static const uint64_t patience_ns = 60000000;
	uint64_t start = gen_now_ns();

	t->run++;
	for (unsigned s = 0; s < t->count; s++)
		t->streams[s].sent = t->streams[s].top = t->streams[s].seen = 0;
	pump(t, pps, start, start + (uint64_t)(seconds * 1e9));
	double took = (double)(gen_now_ns() - start) / 1e9;
	for (uint64_t last = gen_now_ns(); t->r.received < t->r.sent && gen_now_ns() - last < patience_ns;)
		if (rawio_poll(t->g->io, RAWIO_BATCH, arrived, t) > 0)
			last = gen_now_ns();
	return took;
}

struct gen_result traffic_run(struct traffic *t, double pps, double seconds)
{
	memset(&t->r, 0, sizeof(t->r));
	memset(t->histogram, 0, sizeof(t->histogram));
	t->timed = t->max_ns = 0;

	double before, after;
	bool watched = watch_busy_ns(&t->g->watch, &before);
	double took = t->kernel != NULL ? kernel_run(t->kernel, t, pps, seconds) : run_here(t, pps, seconds);

	/* The server is at rest before and after, so that all its work belongs to the time of sending. */
	if (watched && watch_busy_ns(&t->g->watch, &after))
		t->r.server_busy = (after - before) / 1e9 / took;
	t->r.asked_pps = pps;
	t->r.sent_pps = (double)t->r.sent / took;
	t->r.received_pps = (double)t->r.received / took;
	t->r.loss = t->r.sent > 0 ? 1 - (double)t->r.received / (double)t->r.sent : 1;
	t->r.generator_limited = t->r.sent_pps < 0.97 * pps;
	t->r.p50_us = percentile_us(t, 0.5);
	t->r.p90_us = percentile_us(t, 0.9);
	t->r.p99_us = percentile_us(t, 0.99);
	t->r.max_us = (double)t->max_ns / 1000;
	return t->r;
}
