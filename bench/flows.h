/* Who talks to whom in the single-core benchmark: allocation i of n, spread over `ports` devices of the relay. One layout for the frames
 * (mkflows) and for the allocations that the relay starts with. Addresses are chosen from public ranges, because the relay drops frames
 * from any other; nothing of this ever leaves a file. */
#ifndef DUPLEX_BENCH_FLOWS_H
#define DUPLEX_BENCH_FLOWS_H

#include <stdint.h>

#define FLOWS_PORT_MIN 4992u /* first relayed port, a multiple of 64: ports are handed out in order */
#define FLOWS_TURN_PORT 3478u
#define FLOWS_CHANNEL 0x4000u

/* All in host order. */
struct flow_ends {
	uint32_t relay_ip, client_ip, peer_ip;
	uint16_t relayed_port, client_port, peer_port;
	unsigned device;
};

/* The relay's address on device d is 198.41.d.2/24, its gateway 198.41.d.1: everybody else is behind that. */
static inline uint32_t flows_relay_ip(unsigned device)
{
	return 0xc6290002u | device << 8;
}

static inline uint32_t flows_gateway_ip(unsigned device)
{
	return 0xc6290001u | device << 8;
}

/* Scatters the clients over networks and ports as on the Internet; a bijection of 32 bits, so no two are alike. */
static inline uint32_t flows_mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

static inline struct flow_ends flows_ends(unsigned i, unsigned devices)
{
	uint32_t m = flows_mix(i);

	return (struct flow_ends){
		.device = i % devices,
		.relay_ip = flows_relay_ip(i % devices),
		.relayed_port = (uint16_t)(FLOWS_PORT_MIN + i / devices),
		.client_ip = 0x14000000u | (m & 0xffffffu), /* 20/8 */
		.client_port = (uint16_t)(1024 + (m >> 24) * 251),
		.peer_ip = 0x40000000u | (flows_mix(i ^ 0x5a5a5a5au) & 0xffffffu), /* 64/8 */
		.peer_port = (uint16_t)(1024 + (m >> 20 & 0xfff) * 15),
	};
}

/* In hairpin runs, whom allocation i talks to: the next one on the same device. */
static inline unsigned flows_partner(unsigned i, unsigned devices)
{
	unsigned k = i / devices;

	return (k ^ 1) * devices + i % devices;
}

#endif
