/* The streams of a run, as the two halves that can send and judge them share them: gen_traffic.c in this process, gen_kernel.c in the kernel. */
#ifndef DUPLEX_BENCH_GEN_INT_H
#define DUPLEX_BENCH_GEN_INT_H

#include "bench/gen.h"

enum { GEN_SUB = 32, GEN_BUCKETS = 40 * GEN_SUB, GEN_FRAME = 2048 };

struct stream {
	uint16_t len, at;  /* frame length; where the payload begins in it */
	uint64_t base_sum; /* ones-complement sum of all UDP checksum input but number and time */
	uint64_t sent;
	uint64_t top, seen; /* highest number received in this run, bit k of seen = top - k received */
	uint8_t frame[GEN_FRAME];
};

struct gen_kernel;

struct traffic {
	struct gen *g;
	struct gen_kernel *kernel; /* owned; NULL: this process does it all */
	struct stream *streams;
	unsigned count, next;
	uint64_t run;
	struct gen_result r;
	uint64_t histogram[GEN_BUCKETS]; /* ns, log-linear */
	uint64_t timed, max_ns; /* packets in the histogram; longest time */
};

/* Takes over `ifname`: what comes in there is judged in the kernel, ARP and the like goes on to the rest of the system. Exits with a sentence
 * on failure. Needs streams whose answers are known byte for byte, and a payload of whole 8-byte words. */
struct gen_kernel *kernel_open(const struct traffic *t, const char *ifname);
void kernel_close(struct gen_kernel *k);
/* Sends and waits for stragglers; fills t->r but for the rates and percentiles, t->histogram and t->max_ns. Returns the seconds it sent for. */
double kernel_run(struct gen_kernel *k, struct traffic *t, double pps, double seconds);

#endif
