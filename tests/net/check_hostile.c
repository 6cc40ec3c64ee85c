/* Hostile input of every shape at the relay's port, the relayed port and its address; after each shape a live allocation must still carry
 * data both ways and the relay must still answer. Seeded: `turncheck --seed N` repeats a run. */
#include "tests/net/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHANNEL = 0x4321 };

struct arena {
	struct tc c;
	int peer, raw;
	struct sockaddr_in peer_sa;
	uint64_t rng;
	unsigned rounds;
	uint8_t b[65536];
};

static struct arena ar;

static uint32_t rnd(void)
{
	ar.rng ^= ar.rng << 13;
	ar.rng ^= ar.rng >> 7;
	ar.rng ^= ar.rng << 17;
	return (uint32_t)(ar.rng >> 16);
}

static void noise(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rnd();
}

/* A valid, signed Allocate, CreatePermission or ChannelBind, or a Send indication. */
static void valid(struct ts_msg *m)
{
	static const unsigned methods[] = { TS_ALLOCATE, TS_REFRESH, TS_PERMISSION, TS_CHANNEL, TS_BINDING, TS_SEND };
	unsigned method = methods[rnd() % 6];

	tc_request(m, method);
	if (method == TS_SEND)
		m->b[1] |= 0x10;
	if (method == TS_ALLOCATE)
		ts_put_u32(m, TS_TRANSPORT, 17u << 24);
	if (method == TS_CHANNEL)
		ts_put_u32(m, TS_CHANNEL_NUMBER, (uint32_t)CHANNEL << 16);
	if (method != TS_ALLOCATE && method != TS_BINDING)
		ts_put_xaddr(m, TS_XOR_PEER, (struct sockaddr *)&ar.peer_sa);
	if (method == TS_SEND)
		ts_put(m, TS_DATA_ATTR, "data", 4);
	else
		tc_sign(&ar.c, m);
}

static void drain(void)
{
	while (tc_recv(&ar.c, 5))
		;
	while (tc_peer_recv(ar.peer, ar.b, sizeof(ar.b), NULL, 5) >= 0)
		;
}

/* The allocation carries data both ways, and nothing else had got through. */
static const char *alive(const char *after)
{
	struct ts_msg m;

	drain();
	for (unsigned i = 0; i < 3; i++) {
		tc_send_channel(&ar.c, CHANNEL, "alive", 5);
		long n = tc_peer_recv(ar.peer, ar.b, sizeof(ar.b), NULL, 1000);
		EXPECT(n == 5 && memcmp(ar.b, "alive", 5) == 0, "after %s the live channel is silent towards the peer", after);
		tc_peer_send(ar.peer, ar.c.relayed, "alive", 5);
		EXPECT(tc_recv(&ar.c, 1000) && ar.c.in_len == 9, "after %s the live channel is silent towards the client", after);
	}
	tc_request(&m, TS_BINDING);
	EXPECT(tc_transact(&ar.c, &m), "after %s the relay does not answer", after);
	return NULL;
}

/* The hostile datagrams come from a socket of their own, so that by chance they can not be requests for the live allocation. */
static void from_stranger(const void *data, size_t len, struct sockaddr_in to)
{
	static int fd = -1;
	struct sockaddr_in self;

	if (fd < 0)
		fd = tc_peer_open(ar.c.env->local, &self);
	sendto(fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

static const char *random_bytes(void)
{
	for (unsigned i = 0; i < ar.rounds; i++) {
		size_t n = rnd() % 1473;
		noise(ar.b, n);
		if (i % 4 == 1 && n >= 20)
			memcpy(ar.b + 4, "\x21\x12\xa4\x42", 4), ar.b[0] &= 0x3f;
		if (i % 4 == 2 && n >= 1)
			ar.b[0] = (uint8_t)(0x40 | (ar.b[0] & 0x0f));
		from_stranger(ar.b, n, i % 8 == 7 ? ar.c.relayed : ar.c.env->server);
	}
	return alive("random bytes");
}

static const char *flipped_bits(void)
{
	struct ts_msg m;

	for (unsigned i = 0; i < ar.rounds; i++) {
		valid(&m);
		for (unsigned k = 0; k <= i % 4; k++)
			m.b[rnd() % m.len] ^= (uint8_t)(1u << rnd() % 8);
		/* From the live client itself: these reach the code behind the 5-tuple look-up. A changed Refresh can not end the
		 * allocation, for its integrity fails. */
		if (i % 2 == 0)
			tc_send_raw(&ar.c, m.b, m.len);
		else
			from_stranger(m.b, m.len, ar.c.env->server);
		if (i % 64 == 63)
			drain();
	}
	return alive("messages with flipped bits");
}

static const char *truncations(void)
{
	struct ts_msg m;

	for (unsigned i = 0; i < 12; i++) {
		valid(&m);
		for (size_t n = 0; n < m.len; n++) {
			struct ts_msg cut = m;
			if (n % 2 == 1 && n > 20) /* the length field agrees with the cut */
				cut.b[2] = (uint8_t)((n - 20) >> 8), cut.b[3] = (uint8_t)((n - 20) & 0xfc);
			from_stranger(cut.b, n, ar.c.env->server);
		}
	}
	return alive("truncated messages");
}

static const char *attribute_bombs(void)
{
	uint8_t txid[TS_TXID] = { 7 };
	struct ts_msg m;

	for (unsigned i = 0; i < 64; i++) {
		ts_start(&m, i % 16, TS_REQUEST, txid);
		while (!m.over)
			ts_put(&m, (uint16_t)(i < 32 ? rnd() : TS_XOR_PEER), "", 0);
		from_stranger(m.b, m.len, ar.c.env->server);
		ts_start(&m, TS_ALLOCATE, TS_REQUEST, txid);
		for (unsigned k = 0; k < 10; k++)
			ts_put(&m, i % 2 ? TS_USERNAME : TS_NONCE, ar.b, 100);
		ts_put_integrity(&m, ar.c.key);
		from_stranger(m.b, m.len, ar.c.env->server);
	}
	return alive("messages full of attributes");
}

static const char *huge(void)
{
	noise(ar.b, sizeof(ar.b));
	for (size_t n = 1473; n <= 65507; n += 4001)
		from_stranger(ar.b, n, ar.c.env->server);
	from_stranger(ar.b, 65507, ar.c.env->server);
	tc_send_channel(&ar.c, CHANNEL, ar.b, 1490); /* two fragments once it has its headers */
	return alive("datagrams of up to 65507 bytes, in fragments");
}

/* Writes an IPv4 packet of protocol `proto` with `ihl` words of header and sends it as it is; the kernel fills in only the checksum. */
static void raw_from(struct in_addr from, unsigned ihl, unsigned proto, uint16_t frag, uint16_t total, const uint8_t *body, size_t len)
{
	static uint8_t p[2048];
	struct sockaddr_in to = ar.c.env->server;
	size_t head = ihl * 4;

	memset(p, 0, sizeof(p));
	p[0] = (uint8_t)(0x40 | ihl);
	p[2] = (uint8_t)(total >> 8), p[3] = (uint8_t)total;
	p[4] = (uint8_t)rnd();
	p[6] = (uint8_t)(frag >> 8), p[7] = (uint8_t)frag;
	p[8] = 64, p[9] = (uint8_t)proto;
	memcpy(p + 12, &from, 4);
	memcpy(p + 16, &to.sin_addr, 4);
	for (size_t i = 20; i < head; i++)
		p[i] = (uint8_t)(i % 4 == 0 ? 1 : rnd());
	memcpy(p + head, body, len);
	sendto(ar.raw, p, head + len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

static void raw_ip(unsigned ihl, unsigned proto, uint16_t frag, uint16_t total, const uint8_t *body, size_t len)
{
	raw_from(ar.c.env->local, ihl, proto, frag, total, body, len);
}

static size_t udp_body(uint8_t *out, uint16_t claimed, const void *data, size_t len)
{
	uint16_t head[4] = { ar.c.self.sin_port, ar.c.env->server.sin_port, htons(claimed), htons((uint16_t)rnd()) };

	memcpy(out, head, sizeof(head));
	memcpy(out + 8, data, len);
	return len + 8;
}

static const char *bad_headers(void)
{
	static uint8_t body[1500];
	struct ts_msg m;

	ar.raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (ar.raw < 0)
		return "SKIP no raw sockets here";
	for (unsigned i = 0; i < ar.rounds; i++) {
		valid(&m);
		size_t n = udp_body(body, (uint16_t)(i % 3 == 0 ? rnd() : m.len + 8), m.b, m.len);
		raw_ip(5, 17, 0, (uint16_t)(20 + n), body, n);                           /* wrong UDP checksum or length */
		raw_ip(6 + rnd() % 10, 17, 0, (uint16_t)(60 + n), body, n);              /* IP options */
		raw_ip(5, 17, (uint16_t)(0x2000 | rnd() % 8192), (uint16_t)(20 + n), body, n); /* a fragment of nothing */
		raw_ip(5, 17, 0, (uint16_t)(20 + n), body, rnd() % 9);                   /* a cut UDP header */
		noise(body, 200);
		raw_ip(5, rnd() % 256, 0, 220, body, 200);                               /* any protocol */
		raw_ip(5, 1, 0, 220, body, rnd() % 200);                                 /* ICMP */
		raw_ip(5, 6, 0, 220, body, 20);                                          /* TCP */
	}
	close(ar.raw);
	return alive("wrong IP and UDP headers");
}

/* Requests and data that claim to come from the relay itself, from nowhere, from everybody: no answer, no loop. */
static const char *odd_sources(void)
{
	static const char *const sources[] = { "0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.1", "10.83.84.255", "240.1.2.3", NULL };
	static uint8_t body[1500];

	ar.raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (ar.raw < 0)
		return "SKIP no raw sockets here";
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct in_addr from = ar.c.env->server.sin_addr;
		struct ts_msg m;
		if (sources[i] != NULL)
			inet_pton(AF_INET, sources[i], &from);
		for (unsigned k = 0; k < 20; k++) {
			valid(&m);
			/* To the TURN port and to the relayed port, from its own ports among others; UDP checksum 0: none. */
			uint16_t head[4] = { k % 2 ? ar.c.env->server.sin_port : ar.c.relayed.sin_port,
					     k % 4 < 2 ? ar.c.env->server.sin_port : ar.c.relayed.sin_port,
					     htons((uint16_t)(m.len + 8)), 0 };
			memcpy(body, head, sizeof(head));
			memcpy(body + 8, m.b, m.len);
			raw_from(from, 5, 17, 0, (uint16_t)(28 + m.len), body, m.len + 8);
		}
	}
	close(ar.raw);
	return alive("packets from impossible sources");
}

static const char *other_protocols(void)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "OPTIONS sip:x SIP/2.0\r\n\r\n", "\x80\x60\x12\x34",
		"\x13\xff\xff", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "\r\n\r\n\0\r\nQUIT\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(ar.b, 0, 300);
		memcpy(ar.b, texts[i], strlen(texts[i]));
		for (size_t n = 1; n < 300; n += 13) {
			from_stranger(ar.b, n, ar.c.env->server);
			tc_send_raw(&ar.c, ar.b, n);
		}
	}
	return alive("HTTP, TLS, DTLS, SIP and RTP at the TURN port");
}

static const char *challenge_flood(void)
{
	struct ts_msg m;

	for (unsigned i = 0; i < 20 * ar.rounds; i++) {
		tc_request(&m, TS_ALLOCATE);
		ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
		from_stranger(m.b, m.len, ar.c.env->server);
	}
	/* The flood comes from the same address as the live client: its budget of challenges may be spent, its allocation not. */
	return alive("a flood of unauthenticated Allocates");
}

static const char *in_arena(const struct check_setup *s, const char *(*fn)(void))
{
	memset(&ar.c, 0, sizeof(ar.c));
	ar.rng = 88172645463325252ull + s->seed;
	ar.rounds = s->rounds;
	TRY(check_allocated(&ar.c, s, "hostile"));
	ar.peer = tc_peer_open(s->env.peer, &ar.peer_sa);
	int code = tc_bind(&ar.c, CHANNEL, ar.peer_sa);
	const char *why = code != 0 ? check_because("ChannelBind gave %d", code) : fn();
	check_done(&ar.c);
	close(ar.peer);
	return why;
}

#define HOSTILE(name) \
	static const char *check_##name(const struct check_setup *s) \
	{ \
		return in_arena(s, name); \
	}
HOSTILE(random_bytes)
HOSTILE(flipped_bits)
HOSTILE(truncations)
HOSTILE(attribute_bombs)
HOSTILE(huge)
HOSTILE(bad_headers)
HOSTILE(odd_sources)
HOSTILE(other_protocols)
HOSTILE(challenge_flood)

const struct check check_hostile[] = {
	{ "random bytes", check_random_bytes },
	{ "valid messages with flipped bits", check_flipped_bits },
	{ "valid messages cut at every length", check_truncations },
	{ "messages full of attributes", check_attribute_bombs },
	{ "huge datagrams in fragments", check_huge },
	{ "IP options, fragments, wrong lengths and checksums", check_bad_headers },
	{ "packets from the relay's own and from impossible addresses", check_odd_sources },
	{ "other protocols at the TURN port", check_other_protocols },
	{ "a flood of unauthenticated requests", check_challenge_flood },
	{ NULL, NULL },
};
