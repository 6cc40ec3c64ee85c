/* Scenarios around requests: retransmission, lifetimes, stale 5-tuples, malformed input. RFC 8489 §6, RFC 8656 §5 to §12. */
#include "tests/net/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The answer to a plain Binding is small: a relay must not multiply spoofed traffic. IP and UDP headers count on both sides. */
static const char *binding_small(const struct check_setup *s)
{
	static struct tc c;
	struct ts_msg m;
	struct sockaddr_in mapped = { 0 };

	tc_open(&c, &s->env, "x", NULL);
	tc_request(&m, TS_BINDING);
	bool answered = tc_transact(&c, &m);
	tc_close(&c);
	EXPECT(answered, "no answer");
	EXPECT(ts_xaddr(c.in, c.in_len, TS_XOR_MAPPED, &mapped) && mapped.sin_port == c.self.sin_port &&
		       mapped.sin_addr.s_addr == c.self.sin_addr.s_addr, "XOR-MAPPED-ADDRESS is not the client's address");
	EXPECT((double)(c.in_len + 28) <= 1.6 * (double)(m.len + 28), "%zu bytes for %zu", c.in_len, m.len);
	return NULL;
}

/* A challenge costs the relay no more than three times what came in. */
static const char *challenge_small(const struct check_setup *s)
{
	static struct tc c;

	tc_open(&c, &s->env, "x", NULL);
	int code = tc_challenge(&c);
	tc_close(&c);
	EXPECT(code == 401, "got %d", code);
	EXPECT(c.in_len + 28 <= 3 * (28 + 28), "%zu bytes for 28", c.in_len);
	return NULL;
}

/* Sends bytes that deserve no answer and looks whether one comes. */
static const char *silent(struct tc *c, const void *data, size_t len, const char *what)
{
	tc_send_raw(c, data, len);
	if (tc_recv(c, TC_SILENCE_MS))
		return check_because("%s was answered with %zu bytes", what, c->in_len);
	return NULL;
}

static const char *malformed_silent(const struct check_setup *s)
{
	static struct tc c;
	struct ts_msg m, changed;
	const char *why = NULL;

	tc_open(&c, &s->env, "x", NULL);
	tc_request(&m, TS_BINDING);
	ts_put(&m, 0xc0de, "1234567", 7);
	changed = m;
	changed.b[4] ^= 1;
	why = silent(&c, changed.b, changed.len, "a wrong magic cookie");
	changed = m;
	changed.b[3] = (uint8_t)(changed.b[3] + 4);
	why = why ? why : silent(&c, changed.b, changed.len, "a length beyond the datagram");
	changed.b[3] = (uint8_t)(m.b[3] - 1);
	why = why ? why : silent(&c, changed.b, changed.len - 1, "a length that is no multiple of four");
	changed = m;
	changed.b[20 + 3] = 200;
	why = why ? why : silent(&c, changed.b, changed.len, "an attribute beyond the message");
	changed = m;
	changed.b[0] = 0x01, changed.b[1] = 0x01;
	why = why ? why : silent(&c, changed.b, changed.len, "a response");
	changed.b[0] = 0x00, changed.b[1] = 0x11;
	why = why ? why : silent(&c, changed.b, changed.len, "a Binding indication");
	why = why ? why : silent(&c, "", 0, "an empty datagram");
	why = why ? why : silent(&c, "\x80\x60 looks like RTP ........", 20, "RTP");
	tc_close(&c);
	return why;
}

static const char *prefixes_silent(const struct check_setup *s)
{
	static struct tc c;
	struct ts_msg m;

	tc_open(&c, &s->env, "x", NULL);
	tc_challenge(&c);
	tc_request(&m, TS_ALLOCATE);
	ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
	tc_sign(&c, &m);
	ts_put_fingerprint(&m);
	for (size_t n = 0; n < m.len; n++)
		tc_send_raw(&c, m.b, n);
	bool answered = tc_recv(&c, TC_SILENCE_MS);
	tc_close(&c);
	EXPECT(!answered, "a prefix of an Allocate was answered");
	return NULL;
}

/* §7.2: a retransmitted Allocate (the same transaction id) gets the same success again, not 437 and not another port. */
static const char *allocate_twice(const struct check_setup *s)
{
	static struct tc c;
	static uint8_t first[TS_MAX];
	struct ts_msg m;

	tc_open(&c, &s->env, "twice", NULL);
	tc_challenge(&c);
	tc_request(&m, TS_ALLOCATE);
	ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
	tc_sign(&c, &m);
	bool answered = tc_transact(&c, &m) && ts_xaddr(c.in, c.in_len, TS_XOR_RELAYED, &c.relayed);
	size_t len = c.in_len < sizeof(first) ? c.in_len : sizeof(first);
	memcpy(first, c.in, len);
	bool again = answered && tc_transact(&c, &m);
	bool same = again && c.in_len == len && memcmp(first, c.in, len) == 0;
	bool success = again && ts_class(c.in) == TS_SUCCESS;
	check_done(&c);
	EXPECT(answered, "Allocate was not answered with success");
	EXPECT(again && success, "the second was answered with %d", again ? ts_error(c.in, c.in_len) : -1);
	EXPECT(same, "the two answers differ");
	return NULL;
}

static const char *refresh_zero(const struct check_setup *s)
{
	static struct tc c;
	uint32_t lifetime = 1;

	TRY(check_allocated(&c, s, "zero"));
	int code = tc_refresh(&c, 0);
	bool told = ts_u32(c.in, c.in_len, TS_LIFETIME, &lifetime);
	int second = tc_refresh(&c, 600);
	int anew = tc_allocate(&c);
	check_done(&c);
	EXPECT(code == 0 && told && lifetime == 0, "Refresh with lifetime 0 gave %d, LIFETIME %u", code, lifetime);
	EXPECT(second == 437, "Refresh after it gave %d", second);
	EXPECT(anew == 0, "a new Allocate on the 5-tuple gave %d", anew);
	return NULL;
}

/* §7.2, §7.3: the default is 600 s, less is not granted at Allocate, and there is a ceiling. */
static const char *lifetimes(const struct check_setup *s)
{
	static const struct { uint32_t asked, least, most; } cases[] = {
		{ 1, 600, 3600 }, { 600, 600, 600 }, { 777, 777, 777 }, { 1000000, 600, 3600 }, { UINT32_MAX, 600, 3600 },
	};
	static struct tc c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ts_msg m;
		uint32_t got = 0, refreshed = 0;
		tc_open(&c, &s->env, "life", NULL);
		tc_challenge(&c);
		tc_request(&m, TS_ALLOCATE);
		ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
		ts_put_u32(&m, TS_LIFETIME, cases[i].asked);
		int code = tc_call(&c, &m);
		ts_u32(c.in, c.in_len, TS_LIFETIME, &got);
		ts_xaddr(c.in, c.in_len, TS_XOR_RELAYED, &c.relayed);
		int code2 = tc_refresh(&c, cases[i].asked);
		ts_u32(c.in, c.in_len, TS_LIFETIME, &refreshed);
		check_done(&c);
		EXPECT(code == 0 && code2 == 0, "Allocate gave %d, Refresh %d", code, code2);
		EXPECT(got >= cases[i].least && got <= cases[i].most, "Allocate: asked for %u, got %u", cases[i].asked, got);
		EXPECT(refreshed >= cases[i].least && refreshed <= cases[i].most, "Refresh: asked for %u, got %u", cases[i].asked,
		       refreshed);
	}
	return NULL;
}

/* A foreign nonce is refused with a fresh one, and the request succeeds with that. */
static const char *nonce_renewed(const struct check_setup *s)
{
	static struct tc c;

	TRY(check_allocated(&c, s, "nonce"));
	snprintf(c.nonce, sizeof(c.nonce), "stale");
	int code = tc_refresh(&c, 600);
	bool renewed = strcmp(c.nonce, "stale") != 0;
	check_done(&c);
	EXPECT(code == 0 && renewed, "Refresh gave %d", code);
	return NULL;
}

/* Two clients of one user are two allocations with different relayed ports. */
static const char *two_clients(const struct check_setup *s)
{
	static struct tc a, b;

	TRY(check_allocated(&a, s, "both"));
	const char *why = check_allocated(&b, s, "both");
	if (why == NULL && a.relayed.sin_port == b.relayed.sin_port)
		why = "both got the same relayed port";
	if (why == NULL)
		check_done(&b);
	check_done(&a);
	return why;
}

/* §9.2: one denied peer among several refuses the request as a whole. */
static const char *permission_all_or_none(const struct check_setup *s)
{
	static struct tc c;
	struct sockaddr_in peer, bad = check_addr((struct in_addr){ htonl(0x7f000001) }, 9);
	struct ts_msg m;
	char buf[64];
	int fd = tc_peer_open(s->env.peer, &peer);

	TRY(check_allocated(&c, s, "all"));
	tc_request(&m, TS_PERMISSION);
	ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&peer);
	ts_put_xaddr(&m, TS_XOR_PEER, (struct sockaddr *)&bad);
	int code = tc_call(&c, &m);
	tc_send_indication(&c, peer, "leak", 4);
	long n = tc_peer_recv(fd, buf, sizeof(buf), NULL, TC_SILENCE_MS);
	check_done(&c);
	close(fd);
	EXPECT(code == 403, "got %d", code);
	EXPECT(n < 0, "the allowed peer of a refused request was reached");
	return NULL;
}

/* A failed ChannelBind leaves the binding that was there as it was. */
static const char *conflict_keeps_binding(const struct check_setup *s)
{
	static struct tc c;
	struct sockaddr_in peer, other;
	char buf[64];
	int fd = tc_peer_open(s->env.peer, &peer), fd2 = tc_peer_open(s->env.peer, &other);

	TRY(check_allocated(&c, s, "conflict"));
	int one = tc_bind(&c, 0x4abc, peer), two = tc_bind(&c, 0x4abc, other), three = tc_bind(&c, 0x4abd, peer);
	tc_send_channel(&c, 0x4abc, "still", 5);
	long n = tc_peer_recv(fd, buf, sizeof(buf), NULL, 1000), stray = tc_peer_recv(fd2, buf, sizeof(buf), NULL, 10);
	check_done(&c);
	close(fd);
	close(fd2);
	EXPECT(one == 0 && two == 400 && three == 400, "got %d, %d, %d", one, two, three);
	EXPECT(n == 5 && stray < 0, "the first peer got %ld bytes, the other %ld", n, stray);
	return NULL;
}

const struct check check_flows[] = {
	{ "Binding: right address, at most 1.6 times the bytes", binding_small },
	{ "a challenge is at most 3 times the bytes", challenge_small },
	{ "malformed datagrams get no answer", malformed_silent },
	{ "no prefix of a valid Allocate gets an answer", prefixes_silent },
	{ "a retransmitted Allocate gets the identical answer", allocate_twice },
	{ "Refresh 0 frees at once; Refresh again 437; a new Allocate works", refresh_zero },
	{ "lifetimes: default, floor, ceiling", lifetimes },
	{ "a stale nonce is replaced by a good one", nonce_renewed },
	{ "two clients of one user have two relayed ports", two_clients },
	{ "CreatePermission with a denied peer installs nothing", permission_all_or_none },
	{ "a refused ChannelBind leaves the old binding working", conflict_keeps_binding },
	{ NULL, NULL },
};
