/* What a worker counts. Each worker writes its own block; the metrics thread adds them up. */
#ifndef DUPLEX_RELAY_STATS_H
#define DUPLEX_RELAY_STATS_H

#include <stdatomic.h>

#include "common/buf.h"
#include "relay/drops.h"
#include "relay/media.h"
#include "relay/turn_code.h"

#define RELAYED(X)                                                                              \
	X(RELAYED_TO_PEER, "to_peer", "client to a peer elsewhere")                             \
	X(RELAYED_TO_CLIENT, "to_client", "peer elsewhere to a client")                         \
	X(RELAYED_HAIRPIN, "hairpin", "client to client, both on this relay")
COUNTER_ENUM(relayed, RELAYED, RELAYED_COUNT);

#define REFUSALS(X)                                                                             \
	X(REFUSED_USER, "user", "the user has as many as he may have")                          \
	X(REFUSED_ADDRESS, "address", "the client's address has")                               \
	X(REFUSED_TOTAL, "total", "the relay has")                                              \
	X(REFUSED_PORTS, "ports", "no port of that kind is free")                               \
	X(REFUSED_TOKEN, "token", "nothing is reserved under the RESERVATION-TOKEN")            \
	X(REFUSED_PLACE, "place", "clients are sent elsewhere, or the relay drains")
COUNTER_ENUM(refused, REFUSALS, REFUSED_COUNT);

struct stats {
	_Alignas(64) _Atomic uint64_t rx_packets;
	_Atomic uint64_t rx_bytes, tx_packets, tx_bytes;      /* frames, without FCS */
	_Atomic uint64_t relayed_packets[RELAYED_COUNT], relayed_bytes[RELAYED_COUNT]; /* bytes of payload */
	_Atomic uint64_t media_packets[MEDIA_KINDS];          /* datagrams relayed or dropped by a limit, by what they carry */
	_Atomic uint64_t drops[DROP_COUNT];
	_Atomic uint64_t requests[TURN_METHOD_COUNT][TURN_CODE_COUNT];
	_Atomic uint64_t refused[REFUSED_COUNT];              /* allocations, by reason */
	_Atomic uint64_t icmp_told;                           /* ICMP errors that became Data indications */
	_Atomic uint64_t reassembled, reasm_failed;           /* datagrams that came in fragments, and how it ended */
	_Atomic uint64_t fragmented;                          /* datagrams sent in fragments */
	_Atomic uint64_t expired;                             /* allocations that ended by their lifetime */
	_Atomic uint64_t own_packets;                         /* sent without a frame that asked for it: ARP requests */
	_Atomic uint64_t busy_ns, idle_ns, loop_max_ns;       /* loop_max: longest turn since the last scrape */
	_Atomic uint64_t turn_started_tsc;              /* 0 while the worker sleeps: for the watchdog */
};

/* One writer per counter. */
static inline void stats_add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t stats_get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

struct relay;
/* Prometheus text over all workers; `user` is the struct relay. */
void stats_write(struct buf *out, void *user);

#endif
