#include "relay/capture.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "relay/net.h"

#define RING_SIZE (1u << 20) /* power of two */
#define RECORD_LEN 16u
#define PCAP_MAGIC 0xa1b2c3d4u /* microseconds, in the byte order of this machine */
#define PCAP_ETHERNET 1u
#define VLAN_LEN 4u
#define ETHERTYPE_VLAN 0x8100u

/* Bytes written and read, counted for ever; the difference is what lies in the ring. */
struct ring {
	_Alignas(64) _Atomic uint64_t written;
	_Atomic uint64_t missed;
	_Alignas(64) _Atomic uint64_t read;
	uint8_t *bytes; /* owned */
};

struct capture {
	struct capture_ends ends;
	uint32_t snap;
	unsigned workers, turn;
	struct ring ring[];
};

enum err capture_new(const struct capture_ends *ends, unsigned workers, uint32_t snap, struct capture **out)
{
	size_t size = sizeof(struct capture) + workers * sizeof(struct ring);
	struct capture *c = aligned_alloc(64, (size + 63) / 64 * 64);

	if (c == NULL)
		return ERR_NO_MEMORY;
	memset(c, 0, size);
	*c = (struct capture){ .ends = *ends, .snap = MIN(snap, RING_SIZE / 4), .workers = workers };
	for (unsigned i = 0; i < workers; i++) {
		c->ring[i].bytes = malloc(RING_SIZE);
		if (c->ring[i].bytes == NULL) {
			capture_free(c);
			return ERR_NO_MEMORY;
		}
	}
	*out = c;
	return ERR_OK;
}

void capture_free(struct capture *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->workers; i++)
		free(c->ring[i].bytes);
	free(c);
}

struct ends {
	struct addr src, dst;
	uint16_t sport, dport;
};

/* Addresses and ports of a frame that carries UDP, by its own headers alone: whatever the path thought of it. */
static bool read_ends(const struct pkt *p, struct ends *e)
{
	size_t at = ETH_LEN;

	if (p->len < ETH_LEN + VLAN_LEN)
		return false;
	uint16_t type = be16_get(p->data + 12);
	if (type == ETHERTYPE_VLAN) {
		type = be16_get(p->data + 16);
		at += VLAN_LEN;
	}
	const uint8_t *ip = p->data + at, *udp;
	if (type == ETHERTYPE_V4 && p->len >= at + IP_LEN + UDP_LEN && ip[IP_PROTO] == IPPROTO_UDP_V4) {
		e->src = addr_v4(ne32(ip + IP_SRC));
		e->dst = addr_v4(ne32(ip + IP_DST));
		udp = ip + 4 * (ip[0] & 15u);
	} else if (type == ETHERTYPE_V6 && p->len >= at + IP6_LEN + UDP_LEN && ip[6] == IPPROTO_UDP_V4) {
		memcpy(&e->src, ip + 8, sizeof(e->src));
		memcpy(&e->dst, ip + 24, sizeof(e->dst));
		udp = ip + IP6_LEN;
	} else {
		return false;
	}
	if (udp + 4 > p->data + p->len)
		return false;
	e->sport = be16_get(udp);
	e->dport = be16_get(udp + 2);
	return true;
}

static bool is_end(const struct addr *a, uint16_t port, const struct addr *wanted, uint16_t wanted_port)
{
	return port == wanted_port && addr_eq(a, wanted);
}

static bool wanted(const struct capture_ends *w, const struct pkt *p)
{
	struct ends e;

	return read_ends(p, &e) &&
	       (is_end(&e.src, e.sport, &w->client, w->client_port) || is_end(&e.dst, e.dport, &w->client, w->client_port) ||
		is_end(&e.src, e.sport, &w->relay, w->relay_port) || is_end(&e.dst, e.dport, &w->relay, w->relay_port));
}

static void put(struct ring *r, uint64_t at, const void *from, uint32_t len)
{
	uint32_t i = (uint32_t)at & (RING_SIZE - 1), first = MIN(len, RING_SIZE - i);

	memcpy(r->bytes + i, from, first);
	memcpy(r->bytes, (const uint8_t *)from + first, len - first);
}

static void get(const struct ring *r, uint64_t at, void *to, uint32_t len)
{
	uint32_t i = (uint32_t)at & (RING_SIZE - 1), first = MIN(len, RING_SIZE - i);

	memcpy(to, r->bytes + i, first);
	memcpy((uint8_t *)to + first, r->bytes, len - first);
}

/* One record: headers of our own, if any, and what lies behind them. */
static void write_record(const struct capture *c, struct ring *r, uint64_t wall_us, struct str headers, struct str rest)
{
	uint64_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
	uint32_t all = (uint32_t)(headers.len + rest.len), kept = MIN(all, c->snap), first = MIN(kept, (uint32_t)headers.len);

	if (at - atomic_load_explicit(&r->read, memory_order_acquire) + RECORD_LEN + kept > RING_SIZE) {
		atomic_fetch_add_explicit(&r->missed, 1, memory_order_relaxed);
		return;
	}
	const uint32_t record[RECORD_LEN / 4] = { (uint32_t)(wall_us / 1000000), (uint32_t)(wall_us % 1000000), kept, all };
	put(r, at, record, RECORD_LEN);
	put(r, at + RECORD_LEN, headers.p, first);
	put(r, at + RECORD_LEN + first, rest.p, kept - first);
	atomic_store_explicit(&r->written, at + RECORD_LEN + kept, memory_order_release);
}

void capture_frame(struct capture *c, unsigned id, const struct pkt *p, uint64_t wall_us)
{
	if (wanted(&c->ends, p))
		write_record(c, &c->ring[id], wall_us, STR(""), str_of(p->data, p->len));
}

/* Ethernet between two made-up stations, IP and UDP. The checksum of UDP is right in IPv6, which demands one, and absent in IPv4. */
static size_t message_headers(const struct capture_ends *e, bool to_client, const uint8_t *data, uint32_t len, uint8_t out[HEADERS6_LEN])
{
	const struct addr *src = to_client ? &e->relay : &e->client, *dst = to_client ? &e->client : &e->relay;
	uint16_t sport = to_client ? e->service_port : e->client_port, dport = to_client ? e->client_port : e->service_port;
	bool v4 = addr_is_v4(src) && addr_is_v4(dst);
	uint8_t *ip = out + ETH_LEN, *udp = ip + (v4 ? IP_LEN : IP6_LEN);

	memset(out, 0, HEADERS6_LEN);
	out[0] = out[6] = 2; /* locally administered */
	out[to_client ? 5 : 11] = 1;
	be16_put(out + 12, v4 ? ETHERTYPE_V4 : ETHERTYPE_V6);
	if (v4)
		ip_put(ip, 0, IP_LEN + UDP_LEN + len, 0, IP_TTL, IPPROTO_UDP_V4, addr_v4_of(src), addr_v4_of(dst));
	else
		ip6_put(ip, 0, 0, (uint16_t)(UDP_LEN + len), IPPROTO_UDP_V4, IP_TTL, src, dst);
	be16_put(udp, sport);
	be16_put(udp + 2, dport);
	be16_put(udp + UDP_AT_TOTAL, (uint16_t)(UDP_LEN + len));
	if (!v4) {
		uint16_t sum = (uint16_t)~sum_fold(udp6_sum_headers(ip) + swap16(IPPROTO_UDP_V4) + sum_bytes(data, len));

		ne16_set(udp + UDP_AT_SUM, sum != 0 ? sum : UINT16_MAX);
	}
	return ETH_LEN + (v4 ? IP_LEN : IP6_LEN) + UDP_LEN;
}

void capture_message(struct capture *c, unsigned id, uint32_t stream, bool to_client, const struct pkt *p, uint64_t wall_us)
{
	uint8_t headers[HEADERS6_LEN];

	if (!c->ends.on_stream || stream != c->ends.stream)
		return;
	size_t n = message_headers(&c->ends, to_client, p->data, p->len, headers);
	write_record(c, &c->ring[id], wall_us, str_of(headers, n), str_of(p->data, p->len));
}

void capture_header(const struct capture *c, uint8_t out[CAPTURE_HEADER_LEN])
{
	const uint32_t words[CAPTURE_HEADER_LEN / 4] = { PCAP_MAGIC, 4u << 16 | 2u, 0, 0, c->snap, PCAP_ETHERNET };

	memcpy(out, words, CAPTURE_HEADER_LEN);
}

/* The version is two 16-bit words, 2 and 4, of this machine's order. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "capture_header writes the version as one word");

static size_t read_ring(struct ring *r, uint8_t *to, size_t max, uint64_t *frames)
{
	uint64_t at = atomic_load_explicit(&r->read, memory_order_relaxed);
	uint64_t end = atomic_load_explicit(&r->written, memory_order_acquire);
	size_t done = 0;

	while (at < end) {
		uint32_t kept;

		get(r, at + 8, &kept, sizeof(kept));
		if (max - done < RECORD_LEN + kept)
			break;
		get(r, at, to + done, RECORD_LEN + kept);
		done += RECORD_LEN + kept;
		at += RECORD_LEN + kept;
		(*frames)++;
	}
	atomic_store_explicit(&r->read, at, memory_order_release);
	return done;
}

size_t capture_read(struct capture *c, void *to, size_t max, uint64_t *frames)
{
	size_t done = 0;

	for (unsigned i = 0; i < c->workers; i++)
		done += read_ring(&c->ring[(c->turn + i) % c->workers], (uint8_t *)to + done, max - done, frames);
	c->turn++;
	return done;
}

uint64_t capture_missed(const struct capture *c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < c->workers; i++)
		n += atomic_load_explicit(&c->ring[i].missed, memory_order_relaxed);
	return n;
}
