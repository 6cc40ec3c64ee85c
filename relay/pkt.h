/* A frame as the packet path sees it: bytes and bounds, no DPDK types, so that the whole path runs in unit
 * tests and fuzzers. The worker fills it from what the device gave, the path answers with a verdict, the worker
 * sends, frees or keeps the buffer. */
#ifndef DUPLEX_RELAY_PKT_H
#define DUPLEX_RELAY_PKT_H

#include "relay/addr.h"
#include "relay/drops.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* For what nearly every packet goes through; for what hardly one does; and for what has a way of its own. Those take
 * small structs by value, so that what the inlined way holds stays in registers. */
#define HOT inline __attribute__((always_inline))
#define COLD __attribute__((noinline, cold))
#define APART __attribute__((noinline))

/* The compiler knows nothing of this value any more: what was a comparison stays a number, and what is computed from it is not made a branch. */
#define hide(x) __asm__("" : "+r"(x))

#define BURST 32u /* frames received, handled and sent at a time */

enum pkt_verdict {
	PKT_DROP, /* free the buffer; `reason` says why */
	PKT_SEND, /* send [data, data + len) on port out_if */
	PKT_HOLD, /* the path keeps the buffer until the neighbour is known */
	PKT_STREAM, /* hand [data, data + len), a message without headers, to connection `stream` */
};

/* What the device says about the checksums of a received frame; JOINED: nothing, it came in fragments. */
enum pkt_sum { PKT_SUM_UNKNOWN, PKT_SUM_GOOD, PKT_SUM_BAD, PKT_SUM_JOINED };

struct flow_key;

struct pkt {
	uint8_t *data;       /* first byte of the Ethernet header */
	uint8_t *start, *end; /* room of the buffer: start <= data, data + len <= end */
	void *buf;           /* the worker's handle */
	uint32_t len;
	uint8_t in_if, out_if;
	uint8_t rx_sum;      /* enum pkt_sum, on input */
	uint8_t verdict;     /* enum pkt_verdict, on output */
	uint8_t reason;      /* enum drop, with PKT_DROP */
	bool tx_sum;         /* the device shall fill in the UDP checksum; the pseudo-header's sum stands there */
	bool v6;             /* IPv6, not IPv4; valid from net_parse on */
	uint8_t media;       /* enum stream_kind, with PKT_STREAM */
	uint32_t stream;     /* handle of a client's TCP connection, with PKT_STREAM */
	/* On input: NULL for a frame. Else [data, data + len) is a message, without headers, of this client on a stream;
	 * payload is 0 and v6 is set: both are the less usual way. Borrowed as long as the buffer. */
	const struct flow_key *from;
	uint16_t payload;    /* where the payload of UDP begins, from `data` on; valid once it is known to be UDP */
};

/* The UDP payload of a frame that net_parse took: [pkt_payload, pkt_payload + pkt_payload_len). */
static inline uint8_t *pkt_payload(const struct pkt *p)
{
	return p->data + p->payload;
}

static inline uint32_t pkt_payload_len(const struct pkt *p)
{
	return p->len - p->payload;
}

static inline void pkt_drop(struct pkt *p, enum drop reason)
{
	p->verdict = PKT_DROP;
	p->reason = (uint8_t)reason;
}

#endif
