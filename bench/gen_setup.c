/* The generator's TURN client: allocations by the hundred, many transactions in flight on one thread. RFC 8656 §7, §9, §12. */
#include "bench/gen.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "tests/net/tstun.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES = 7, CHALLENGES = 3 };
static const uint64_t first_rto_ns = 500000000;

enum stage { CHALLENGE, ALLOCATE, PERMISSION, BIND, READY, RELEASE, GONE };

uint64_t gen_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct sockaddr_in peer_of(const struct gen *g, unsigned i)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(GEN_PEER_PORT + i)),
				  .sin_addr.s_addr = htonl(g->peer) };

	if (g->mode == GEN_HAIRPIN) {
		sa.sin_port = htons(g->flows[i ^ 1].relayed_port);
		sa.sin_addr.s_addr = htonl(g->flows[i ^ 1].relayed_ip);
	}
	return sa;
}

static void request(struct gen *g, unsigned i)
{
	static const unsigned method[] = { [CHALLENGE] = TS_ALLOCATE, [ALLOCATE] = TS_ALLOCATE, [PERMISSION] = TS_PERMISSION,
					   [BIND] = TS_CHANNEL, [RELEASE] = TS_REFRESH };
	struct gen_flow *f = &g->flows[i];
	struct sockaddr_in peer = peer_of(g, i);
	struct ts_msg m;

	ts_start(&m, method[f->stage], TS_REQUEST, f->txid);
	if (f->stage <= ALLOCATE)
		ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
	if (f->stage == RELEASE)
		ts_put_u32(&m, TS_LIFETIME, 0);
	if (f->stage == BIND)
		ts_put_u32(&m, TS_CHANNEL_NUMBER, (uint32_t)f->channel << 16);
	if (f->stage == PERMISSION || f->stage == BIND)
		ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&peer);
	if (f->stage != CHALLENGE) {
		ts_put(&m, TS_USERNAME, f->user, strlen(f->user));
		ts_put(&m, TS_REALM, g->realm, strlen(g->realm));
		ts_put(&m, TS_NONCE, f->nonce, strlen(f->nonce));
		ts_put_integrity(&m, f->key);
	}
	rawio_send(g->io, g->client, (uint16_t)(GEN_CLIENT_PORT + i), g->server, g->port, m.b, m.len);
	f->deadline_ns = gen_now_ns() + (first_rto_ns << f->tries);
	f->tries++;
}

static void enter(struct gen *g, unsigned i, enum stage stage)
{
	struct gen_flow *f = &g->flows[i];

	f->stage = stage;
	f->tries = 0;
	crypto_random(f->txid, sizeof(f->txid));
	if (stage != READY && stage != GONE)
		request(g, i);
}

static void take_text(const struct rawio_in *in, uint16_t type, char *out, size_t size)
{
	size_t n = 0;
	const uint8_t *v = ts_find(in->data, in->len, type, &n);

	if (v == NULL || n >= size) {
		fprintf(stderr, "turnload: the challenge has no usable attribute 0x%04x\n", type);
		exit(2);
	}
	memcpy(out, v, n);
	out[n] = '\0';
}

static void challenged(struct gen *g, unsigned i, const struct rawio_in *in)
{
	struct gen_flow *f = &g->flows[i];
	char name[32];

	if (++f->challenges > CHALLENGES) {
		fprintf(stderr, "turnload: the server refuses the credentials; is this its secret?\n");
		exit(2);
	}
	take_text(in, TS_NONCE, f->nonce, sizeof(f->nonce));
	take_text(in, TS_REALM, g->realm, sizeof(g->realm));
	snprintf(name, sizeof(name), "load%u", i);
	ts_credentials(g->secret, g->realm, (long)(clock_wall_ms() / MS_PER_S) + 3600, name, NULL, f->user, sizeof(f->user), f->key);
	enter(g, i, f->stage == CHALLENGE ? ALLOCATE : f->stage);
}

static void answer(void *user, const struct rawio_in *in)
{
	static const enum stage next[] = { [ALLOCATE] = PERMISSION, [PERMISSION] = BIND, [BIND] = READY, [RELEASE] = GONE };
	struct gen *g = user;
	unsigned i = in->dport - GEN_CLIENT_PORT;

	if (in->src != g->server || in->sport != g->port || i >= g->count || !ts_is_stun(in->data, in->len))
		return;
	struct gen_flow *f = &g->flows[i];
	if (f->stage == READY || f->stage == GONE || memcmp(in->data + 8, f->txid, sizeof(f->txid)) != 0)
		return;
	int code = ts_error(in->data, in->len);
	if (ts_class(in->data) == TS_ERROR && (code == 401 || code == 438)) {
		challenged(g, i, in);
		return;
	}
	if (ts_class(in->data) != TS_SUCCESS || !ts_integrity_ok(in->data, in->len, f->key)) {
		fprintf(stderr, "turnload: allocation %u, method %u: error %d\n", i, ts_method(in->data), code);
		exit(2);
	}
	struct sockaddr_in relayed;
	if (f->stage == ALLOCATE && ts_xaddr(in->data, in->len, TS_XOR_RELAYED, &relayed)) {
		f->relayed_ip = ntohl(relayed.sin_addr.s_addr);
		f->relayed_port = ntohs(relayed.sin_port);
	}
	/* Hairpin: the peer's address is known only when all have been allocated. */
	if (f->stage == ALLOCATE && g->mode == GEN_HAIRPIN)
		f->stage = READY;
	else if (f->stage == ALLOCATE && g->mode == GEN_ALLOCATE)
		f->stage = READY;
	else if (f->stage == PERMISSION && g->mode == GEN_INDICATION)
		f->stage = READY; /* what comes from a peer with a channel would come as ChannelData */
	else
		enter(g, i, next[f->stage]);
}

/* What is to be done about a flow that has not arrived: nothing yet, send again, or give up. True if it is given up. */
static bool overdue(struct gen *g, unsigned i, uint64_t now, enum stage goal, bool must)
{
	struct gen_flow *f = &g->flows[i];

	if (now <= f->deadline_ns)
		return false;
	if (f->tries < TRIES) {
		request(g, i);
		return false;
	}
	if (must) {
		fprintf(stderr, "turnload: the server does not answer (allocation %u, step %u)\n", i, f->stage);
		exit(2);
	}
	f->stage = goal;
	f->challenges = CHALLENGES + 1; /* marks it as not confirmed */
	return true;
}

/* Brings all flows from where they are to `goal` (READY or GONE), starting each by `first`. */
static void drive(struct gen *g, enum stage first, enum stage goal, unsigned window, bool must)
{
	unsigned started = 0, active = 0;

	while (started < g->count || active > 0) {
		uint64_t now = gen_now_ns();
		unsigned kept = 0;

		for (unsigned k = 0; k < active; k++) {
			unsigned i = g->active[k];

			if (g->flows[i].stage != goal && !overdue(g, i, now, goal, must))
				g->active[kept++] = i;
		}
		for (active = kept; started < g->count && active < window; started++) {
			enter(g, started, first);
			g->active[active++] = started;
		}
		rawio_flush(g->io);
		if (rawio_poll(g->io, 256, answer, g) == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
	}
}

double gen_setup(struct gen *g, unsigned window)
{
	uint64_t start = gen_now_ns();

	for (unsigned i = 0; i < g->count; i++)
		g->flows[i].channel = (uint16_t)(0x4000 + i % 0x1000);
	drive(g, CHALLENGE, READY, window, true);
	if (g->mode == GEN_HAIRPIN)
		drive(g, PERMISSION, READY, window, true);
	return (double)(gen_now_ns() - start) / 1e9;
}

unsigned gen_release(struct gen *g)
{
	unsigned confirmed = 0;

	for (unsigned i = 0; i < g->count; i++)
		g->flows[i].challenges = 0;
	drive(g, RELEASE, GONE, 64, false);
	for (unsigned i = 0; i < g->count; i++)
		confirmed += g->flows[i].challenges <= CHALLENGES;
	return confirmed;
}
