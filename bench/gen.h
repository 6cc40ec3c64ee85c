/* The load generator's shared picture: N allocations ("flows"), each with its client port, its peer port and, once set up, its relayed
 * address and channel. One thread, pinned by whoever starts it. Client and peer are both this program, so every packet is accounted for. */
#ifndef DUPLEX_BENCH_GEN_H
#define DUPLEX_BENCH_GEN_H

#include "bench/rawio.h"
#include "bench/watch.h"

#define GEN_CLIENT_PORT 20000u
#define GEN_PEER_PORT 40000u
#define GEN_FLOWS_MAX 16384u
#define GEN_PAYLOAD_MIN 24u
#define GEN_PAYLOAD_MAX 1200u

enum gen_mode {
	GEN_CHANNEL,    /* ChannelData to UDP and back */
	GEN_INDICATION, /* Send and Data indications */
	GEN_HAIRPIN,    /* flow 2k talks to flow 2k+1 through both allocations */
	GEN_ALLOCATE,   /* allocations alone: no permissions, no traffic */
	GEN_ECHO,       /* no TURN: whatever is sent comes back with the ends swapped; measures the generator itself */
};

struct gen_flow {
	uint8_t key[16];
	char user[64], nonce[256];
	uint8_t txid[12];
	unsigned stage, tries, challenges;
	uint64_t deadline_ns;
	uint32_t relayed_ip;
	uint16_t relayed_port, channel;
};

struct gen {
	struct rawio *io;
	unsigned *active; /* flows with a transaction under way */
	enum gen_mode mode;
	uint32_t server, client, peer; /* host order */
	uint16_t port;
	size_t payload;
	const char *secret;
	char realm[128];
	struct gen_flow *flows;
	unsigned count;
	struct watch watch; /* of the server */
};

uint64_t gen_now_ns(void);

/* Makes all allocations, permissions and channels, at most `window` in flight; retransmits as RFC 8489 §6.2.1. Returns the seconds it
 * took; exits with a sentence if the server refuses or stays silent. */
double gen_setup(struct gen *g, unsigned window);
/* Refresh with lifetime 0 for all; returns how many the server confirmed. */
unsigned gen_release(struct gen *g);

struct gen_result {
	double asked_pps, sent_pps, received_pps, loss; /* loss 0…1; packets per second of both directions together */
	uint64_t sent, received;
	double p50_us, p90_us, p99_us, max_us;
	uint64_t corrupt, stray, reordered, duplicate; /* wrong bytes; wrong address, channel or length; late; twice */
	double busy;        /* share of the time in which the generator had something to do; 0 if it cannot tell */
	double server_busy; /* the same of the server's core; 0 if nobody can */
	bool generator_limited; /* the generator could not send at the rate asked for */
};

struct traffic;
/* Builds the frames of all flows once. With an interface's name the kernel sends and judges there (gen_int.h: kernel_open). */
struct traffic *traffic_new(struct gen *g, const char *kernel_if);
void traffic_free(struct traffic *t);
/* Sends at `pps` for `seconds`, waits for stragglers, and judges everything that came back. */
struct gen_result traffic_run(struct traffic *t, double pps, double seconds);

#endif
