/* Scenarios of data: what passes between client and peer, what must not, and in which form. RFC 8656 §10-§12. */
#include "tests/net/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHANNEL = 0x4123 };

/* One client with an allocation, a peer it may talk to, another port of that peer, and a peer on another address. */
struct scene {
	struct tc c;
	int peer, twin, other;
	struct sockaddr_in peer_sa, twin_sa, other_sa, from;
	uint8_t buf[4096];
};

static struct scene sc;

static const char *scene_open(const struct check_setup *s, bool permit, bool bind)
{
	memset(&sc, 0, sizeof(sc));
	TRY(check_allocated(&sc.c, s, "data"));
	sc.peer = tc_peer_open(s->env.peer, &sc.peer_sa);
	sc.twin = tc_peer_open(s->env.peer, &sc.twin_sa);
	sc.other = tc_peer_open(s->env.other, &sc.other_sa);
	int code = permit ? tc_permit(&sc.c, sc.peer_sa) : 0;
	EXPECT(code == 0, "CreatePermission gave %d", code);
	code = bind ? tc_bind(&sc.c, CHANNEL, sc.peer_sa) : 0;
	EXPECT(code == 0, "ChannelBind gave %d", code);
	return NULL;
}

static void scene_close(void)
{
	check_done(&sc.c);
	close(sc.peer);
	close(sc.twin);
	close(sc.other);
}

/* The peer `fd` receives exactly `want`, from the relayed address. */
static const char *peer_gets(int fd, const void *want, size_t len)
{
	long n = tc_peer_recv(fd, sc.buf, sizeof(sc.buf), &sc.from, 1000);

	EXPECT(n == (long)len, "the peer got %ld bytes instead of %zu", n, len);
	EXPECT(memcmp(sc.buf, want, len) == 0, "the peer got other bytes");
	EXPECT(sc.from.sin_port == sc.c.relayed.sin_port && sc.from.sin_addr.s_addr == sc.c.relayed.sin_addr.s_addr,
	       "the peer sees %s:%u instead of the relayed address", inet_ntoa(sc.from.sin_addr), ntohs(sc.from.sin_port));
	return NULL;
}

static const char *peer_gets_nothing(int fd, const char *what)
{
	long n = tc_peer_recv(fd, sc.buf, sizeof(sc.buf), NULL, TC_SILENCE_MS);

	EXPECT(n < 0, "%s reached the peer (%ld bytes)", what, n);
	return NULL;
}

static const char *client_gets_indication(struct sockaddr_in from, const void *want, size_t len)
{
	struct sockaddr_in peer;
	size_t n = 0;

	EXPECT(tc_recv(&sc.c, 1000), "the client got nothing");
	EXPECT(ts_well_formed(sc.c.in, sc.c.in_len) && ts_method(sc.c.in) == TS_DATA && ts_class(sc.c.in) == TS_INDICATION,
	       "the client got something else than a Data indication");
	EXPECT(ts_xaddr(sc.c.in, sc.c.in_len, TS_XOR_PEER, &peer) && peer.sin_port == from.sin_port &&
		       peer.sin_addr.s_addr == from.sin_addr.s_addr, "XOR-PEER-ADDRESS is not the peer's");
	const uint8_t *data = ts_find(sc.c.in, sc.c.in_len, TS_DATA_ATTR, &n);
	EXPECT(data != NULL && n == len && memcmp(data, want, len) == 0, "DATA is not what was sent (%zu of %zu bytes)", n, len);
	return NULL;
}

static const char *client_gets_channel(uint16_t channel, const void *want, size_t len)
{
	const uint8_t *p = sc.c.in;

	EXPECT(tc_recv(&sc.c, 1000), "the client got nothing");
	EXPECT(sc.c.in_len == 4 + len, "the client got %zu bytes instead of %zu", sc.c.in_len, 4 + len);
	EXPECT(p[0] == channel >> 8 && p[1] == (channel & 0xff) && p[2] == len >> 8 && p[3] == (len & 0xff), "the channel header is wrong");
	EXPECT(memcmp(p + 4, want, len) == 0, "the client got other bytes");
	return NULL;
}

static const char *client_gets_nothing(const char *what)
{
	EXPECT(!tc_recv(&sc.c, TC_SILENCE_MS), "%s reached the client (%zu bytes)", what, sc.c.in_len);
	return NULL;
}

static const char *no_permission(void)
{
	tc_send_indication(&sc.c, sc.peer_sa, "out", 3);
	TRY(peer_gets_nothing(sc.peer, "a Send indication without permission"));
	tc_peer_send(sc.peer, sc.c.relayed, "in", 2);
	return client_gets_nothing("a datagram from a peer without permission");
}

static const char *with_permission(void)
{
	tc_send_indication(&sc.c, sc.peer_sa, "hello", 5);
	TRY(peer_gets(sc.peer, "hello", 5));
	tc_send_indication(&sc.c, sc.twin_sa, "twin", 4);
	TRY(peer_gets(sc.twin, "twin", 4));
	tc_peer_send(sc.peer, sc.c.relayed, "answer", 6);
	TRY(client_gets_indication(sc.peer_sa, "answer", 6));
	tc_peer_send(sc.twin, sc.c.relayed, "t", 1);
	TRY(client_gets_indication(sc.twin_sa, "t", 1));
	tc_send_indication(&sc.c, sc.other_sa, "no", 2);
	TRY(peer_gets_nothing(sc.other, "a Send indication to another address"));
	tc_peer_send(sc.other, sc.c.relayed, "no", 2);
	return client_gets_nothing("a datagram from another address");
}

static const char *with_channel(void)
{
	tc_send_channel(&sc.c, CHANNEL, "media", 5);
	TRY(peer_gets(sc.peer, "media", 5));
	tc_peer_send(sc.peer, sc.c.relayed, "back", 4);
	TRY(client_gets_channel(CHANNEL, "back", 4));
	tc_peer_send(sc.twin, sc.c.relayed, "twin", 4);
	TRY(client_gets_indication(sc.twin_sa, "twin", 4));
	tc_send_indication(&sc.c, sc.peer_sa, "also", 4);
	TRY(peer_gets(sc.peer, "also", 4));
	tc_send_channel(&sc.c, CHANNEL + 1, "void", 4);
	TRY(peer_gets_nothing(sc.peer, "ChannelData on an unbound channel"));
	tc_peer_send(sc.other, sc.c.relayed, "no", 2);
	return client_gets_nothing("a datagram from another address");
}

/* §12.5: over UDP the padding is optional, and never relayed. */
static const char *channel_lengths(void)
{
	static const uint8_t text[] = "0123456789";
	uint8_t b[64] = { CHANNEL >> 8, CHANNEL & 0xff };

	for (unsigned n = 0; n <= 8; n++) {
		tc_send_channel(&sc.c, CHANNEL, text, n);
		TRY(peer_gets(sc.peer, text, n));
		b[2] = 0, b[3] = (uint8_t)n;
		memcpy(b + 4, text, n);
		memset(b + 4 + n, 0xee, 4);
		tc_send_raw(&sc.c, b, 4 + (n + 3) / 4 * 4);
		TRY(peer_gets(sc.peer, text, n));
		tc_peer_send(sc.peer, sc.c.relayed, text, n);
		TRY(client_gets_channel(CHANNEL, text, n));
	}
	return NULL;
}

static const char *channel_mismatch(void)
{
	uint8_t b[32] = { CHANNEL >> 8, CHANNEL & 0xff, 0, 9, 'x', 'y', 'z' };

	tc_send_raw(&sc.c, b, 4 + 8);
	TRY(peer_gets_nothing(sc.peer, "ChannelData longer than its datagram"));
	b[2] = 0xff, b[3] = 0xff;
	tc_send_raw(&sc.c, b, 4 + 8);
	TRY(peer_gets_nothing(sc.peer, "ChannelData of 65535 bytes in 12"));
	for (size_t n = 1; n < 4; n++)
		tc_send_raw(&sc.c, b, n);
	return peer_gets_nothing(sc.peer, "a cut ChannelData header");
}

static const char *send_malformed(void)
{
	struct ts_msg m;
	uint8_t txid[TS_TXID];

	tc_txid(txid);
	ts_start(&m, TS_SEND, TS_INDICATION, txid);
	ts_put(&m, TS_DATA_ATTR, "nowhere", 7);
	tc_send_raw(&sc.c, m.b, m.len);
	ts_start(&m, TS_SEND, TS_INDICATION, txid);
	ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&sc.peer_sa);
	tc_send_raw(&sc.c, m.b, m.len);
	ts_put(&m, TS_DATA_ATTR, "odd", 3);
	ts_put(&m, 0x7ffe, "?", 1);
	tc_send_raw(&sc.c, m.b, m.len);
	TRY(peer_gets_nothing(sc.peer, "a malformed Send indication"));
	return client_gets_nothing("an answer to an indication");
}

/* Every length up to what fits an Ethernet frame, both ways, by channel and by indication. */
static const char *all_lengths(void)
{
	static uint8_t data[1460];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t n = 0; n <= 1400; n = n < 40 ? n + 1 : n + 97) {
		tc_send_channel(&sc.c, CHANNEL, data, n);
		TRY(peer_gets(sc.peer, data, n));
		tc_send_indication(&sc.c, sc.twin_sa, data, n);
		TRY(peer_gets(sc.twin, data, n));
		tc_peer_send(sc.peer, sc.c.relayed, data, n);
		TRY(client_gets_channel(CHANNEL, data, n));
		tc_peer_send(sc.twin, sc.c.relayed, data, n);
		TRY(client_gets_indication(sc.twin_sa, data, n));
	}
	return NULL;
}

/* UDP over IPv4 may come without a checksum (RFC 768); the kernel of the peer drops what is sent on with a wrong one. */
static const char *zero_checksum(void)
{
	int one = 1;

	if (setsockopt(sc.c.fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)) != 0 ||
	    setsockopt(sc.peer, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)) != 0)
		return "SKIP no SO_NO_CHECK here";
	tc_send_channel(&sc.c, CHANNEL, "plain", 5);
	TRY(peer_gets(sc.peer, "plain", 5));
	tc_peer_send(sc.peer, sc.c.relayed, "plain", 5);
	return client_gets_channel(CHANNEL, "plain", 5);
}

/* The relay is no way to itself: not to its TURN port, not to the own relayed address for ever. */
static const char *no_way_to_itself(void)
{
	struct ts_msg m;
	unsigned n = 0;

	if (tc_permit(&sc.c, sc.c.env->server) == 0) {
		tc_request(&m, TS_BINDING);
		tc_send_indication(&sc.c, sc.c.env->server, m.b, m.len);
		TRY(client_gets_nothing("an answer of the relay's own port"));
		tc_send_indication(&sc.c, sc.c.relayed, "myself", 6);
		while (n < 10 && tc_recv(&sc.c, 100))
			n++;
		EXPECT(n <= 1, "one packet to the own relayed address came back %u times", n);
	}
	tc_send_indication(&sc.c, sc.peer_sa, "alive", 5);
	return peer_gets(sc.peer, "alive", 5);
}

static const char *in_scene(const struct check_setup *s, bool permit, bool bind, const char *(*fn)(void))
{
	const char *why = scene_open(s, permit, bind);

	if (why == NULL)
		why = fn();
	if (sc.c.fd > 0)
		scene_close();
	return why;
}

#define SCENE(name, permit, bind) \
	static const char *check_##name(const struct check_setup *s) \
	{ \
		return in_scene(s, permit, bind, name); \
	}
SCENE(no_permission, false, false)
SCENE(with_permission, true, false)
SCENE(with_channel, false, true)
SCENE(channel_lengths, false, true)
SCENE(channel_mismatch, false, true)
SCENE(send_malformed, true, false)
SCENE(all_lengths, false, true)
SCENE(zero_checksum, false, true)
SCENE(no_way_to_itself, true, false)

/* Both ends on this relay: A's channel to B's relayed address, B's to A's. */
static const char *hairpin_between(struct tc *a, struct tc *b)
{
	int one = tc_bind(a, 0x4001, b->relayed), early, two;

	EXPECT(one == 0, "binding a channel to a relayed address of the same server gave %d", one);
	tc_send_channel(a, 0x4001, "early", 5);
	early = tc_recv(b, TC_SILENCE_MS);
	EXPECT(!early, "B got data before it permitted A");
	two = tc_bind(b, 0x4002, a->relayed);
	EXPECT(two == 0, "B's channel gave %d", two);
	for (unsigned i = 0; i < 50; i++) {
		char text[1024];
		size_t n = (size_t)snprintf(text, sizeof(text), "%0*u", (int)(1 + i * 20), i);
		tc_send_channel(a, 0x4001, text, n);
		EXPECT(tc_recv(b, 1000), "B did not get packet %u", i);
		EXPECT(b->in_len == n + 4 && b->in[0] == 0x40 && b->in[1] == 0x02 && memcmp(b->in + 4, text, n) == 0,
		       "B got something else than A sent");
		tc_send_channel(b, 0x4002, text, n);
		EXPECT(tc_recv(a, 1000), "A did not get packet %u", i);
		EXPECT(a->in_len == n + 4 && a->in[1] == 0x01 && memcmp(a->in + 4, text, n) == 0, "A got something else than B sent");
	}
	return NULL;
}

static const char *hairpin(const struct check_setup *s)
{
	static struct tc a, b;

	TRY(check_allocated(&a, s, "hair"));
	const char *why = check_allocated(&b, s, "pin");
	if (why == NULL) {
		why = hairpin_between(&a, &b);
		check_done(&b);
	}
	check_done(&a);
	return why;
}

/* After Refresh 0 nothing flows any more, in either direction. */
static const char *freed_is_dead(const struct check_setup *s)
{
	const char *why = scene_open(s, false, true);

	if (why == NULL) {
		int code = tc_refresh(&sc.c, 0);
		tc_send_channel(&sc.c, CHANNEL, "ghost", 5);
		why = code != 0 ? "Refresh 0 failed" : peer_gets_nothing(sc.peer, "ChannelData after Refresh 0");
		tc_peer_send(sc.peer, sc.c.relayed, "ghost", 5);
		if (why == NULL)
			why = client_gets_nothing("a datagram to a freed port");
		sc.c.relayed.sin_port = 0;
	}
	if (sc.c.fd > 0)
		scene_close();
	return why;
}

const struct check check_data[] = {
	{ "without permission nothing passes", check_no_permission },
	{ "with permission: indications, any port of that address, no other address", check_with_permission },
	{ "with channel: ChannelData for the peer, indications for the rest", check_with_channel },
	{ "ChannelData of 0 to 8 bytes, padded or not", check_channel_lengths },
	{ "ChannelData with a wrong length is dropped", check_channel_mismatch },
	{ "malformed Send indications are dropped without an answer", check_send_malformed },
	{ "every length up to 1400 bytes arrives intact", check_all_lengths },
	{ "UDP without checksum is relayed", check_zero_checksum },
	{ "no way through the relay to itself", check_no_way_to_itself },
	{ "hairpin: channel to channel on one relay, permissions at both ends", hairpin },
	{ "nothing passes after Refresh 0", freed_is_dead },
	{ NULL, NULL },
};
