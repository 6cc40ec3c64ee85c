/* Frames in and out of one interface for the load generator: an AF_PACKET socket with a receive ring, batched sending past the queueing
 * discipline. The generator is a host of its own on the wire (it answers ARP for its addresses), so that thousands of clients cost no
 * sockets and every checksum that the relay wrote is seen and verified. One thread; nothing is allocated after rawio_open. */
#ifndef DUPLEX_BENCH_RAWIO_H
#define DUPLEX_BENCH_RAWIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAWIO_HEADERS 42u /* Ethernet, IPv4 without options, UDP */
#define RAWIO_FRAME 2048u  /* room of a frame that is sent */
#define RAWIO_BATCH 64u

struct rawio;

/* One received datagram whose checksums were right. Addresses and ports in host order; `data` is valid during the callback. */
struct rawio_in {
	uint32_t src, dst;
	uint16_t sport, dport;
	const uint8_t *data;
	size_t len;
};
typedef void (*rawio_fn)(void *user, const struct rawio_in *in);

struct rawio_stats {
	uint64_t tx, tx_refused; /* frames the kernel took; frames it did not (no buffer: the interface is full) */
	uint64_t rx, rx_bad_ip_sum, rx_bad_udp_sum, rx_no_udp_sum, rx_malformed, rx_other; /* other: not UDP, or for somebody else */
	uint64_t ring_drops;     /* frames lost between interface and us: the generator was too slow */
};

/* `local[]` are the addresses (host order) that we answer ARP for. Exits with a sentence on failure. */
struct rawio *rawio_open(const char *ifname, const uint32_t *local, size_t locals);
void rawio_close(struct rawio *io);
/* Link address of `ip` by ARP, into the header of all later frames; false after ten seconds of silence. */
bool rawio_resolve(struct rawio *io, uint32_t ip);
void rawio_set_gateway(struct rawio *io, const uint8_t mac[6]);

/* Writes headers and checksums around `len` payload bytes into `frame` (room for RAWIO_HEADERS + len). Returns the frame's length. */
size_t rawio_build(const struct rawio *io, uint8_t *frame, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, const uint8_t *data,
		   size_t len);
/* Room for the next frame of the batch; rawio_commit queues it, a full batch is sent at once. */
uint8_t *rawio_slot(struct rawio *io);
void rawio_commit(struct rawio *io, size_t len);
void rawio_flush(struct rawio *io);
void rawio_send(struct rawio *io, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, const uint8_t *data, size_t len);

/* Hands at most `budget` frames that have arrived to `fn`; returns how many there were. */
unsigned rawio_poll(struct rawio *io, unsigned budget, rawio_fn fn, void *user);
const struct rawio_stats *rawio_stats(struct rawio *io);

/* Folded ones-complement sum of `len` bytes in memory order, started with `sum`; for incremental work on built frames. */
uint64_t rawio_sum(const uint8_t *p, size_t len, uint64_t sum);
uint16_t rawio_fold(uint64_t sum);

#endif
