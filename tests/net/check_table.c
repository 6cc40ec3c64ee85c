/* One request in one state gives one answer: the table. A row brings a fresh client into `state`, sends `method` with `attrs`,
 * credentials as `auth` says and `after` behind MESSAGE-INTEGRITY, and accepts one of `expect`.
 * RFC 8489 §6.3, §9.2, §14; RFC 8656 §7, §9, §12. */
#include "tests/net/check.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum state { FRESH, ALLOCATED, PERMITTED, BOUND };

enum auth {
	NONE,             /* no credentials at all */
	GOOD,
	WRONG_KEY,        /* MESSAGE-INTEGRITY made with another password */
	CHANGED,          /* good, then one bit of the message flipped */
	STRANGER,         /* valid credentials, but of another user */
	EXPIRED,          /* the user name's time is over */
	ODD_USER,         /* a user name without an expiry */
	OLD_NONCE,        /* a nonce the server never gave */
	NO_NONCE, NO_REALM, NO_USER,
	OTHER_REALM,
	SHORT_MAC,        /* MESSAGE-INTEGRITY of 16 bytes */
	FINGERPRINTED,    /* good, and FINGERPRINT at the end */
	BAD_FINGERPRINT,
	BARE_FINGERPRINT, BARE_BAD_FINGERPRINT, /* no credentials */
	/* As a client of RFC 8489 that was offered SHA-256: */
	SHA256,
	SHA256_BOTH,      /* and MESSAGE-INTEGRITY before MESSAGE-INTEGRITY-SHA256 */
	SHA256_HASHED,    /* USERHASH for USERNAME */
	SHA256_WRONG_KEY,
	SHA256_CUT,       /* MESSAGE-INTEGRITY-SHA256 of 16 bytes: RFC 8656 does not allow it */
	SHA256_SHORT,     /* of 12 bytes: nothing does */
	SHA256_WEAKENED,  /* the list comes back as MD5 alone */
	SHA256_NO_LIST, SHA256_NO_ALGORITHM, SHA256_OTHER_ALGORITHM,
	SHA256_STRIPPED,  /* without the cookie of the nonce */
};

enum { OK = 200, SILENCE = -1 };

enum kind { END, BYTES, NUMBER, ADDRESS, PEER, RELAYED, SERVER };

struct spec {
	enum kind kind;
	uint16_t type;
	const char *text; /* BYTES, ADDRESS */
	size_t len;
	uint32_t number;  /* NUMBER; port of the others */
};

struct row {
	const char *name;
	enum state state;
	enum ts_method method;
	enum auth auth;
	struct spec attrs[5], after[2];
	int expect[3];
	uint16_t has[5];
};

#define RAW(t, bytes) { .kind = BYTES, .type = (t), .text = (bytes), .len = sizeof(bytes) - 1 }
#define U32(t, n) { .kind = NUMBER, .type = (t), .number = (n) }
#define AT(ip, port) { .kind = ADDRESS, .type = TS_XOR_PEER, .text = (ip), .number = (port) }
#define AT_PEER(port) { .kind = PEER, .type = TS_XOR_PEER, .number = (port) }
#define AT_SERVER { .kind = SERVER, .type = TS_XOR_PEER }
#define UDP U32(TS_TRANSPORT, 17u << 24)
#define CHAN(n) U32(TS_CHANNEL_NUMBER, (uint32_t)(n) << 16)
#define ODD_ATTR RAW(0x7ffe, "odd!")

/* Ranges that no client may reach through a relay, whatever the configuration: a row each for CreatePermission and ChannelBind. */
#define DENIED(X) \
	X("0.0.0.0") X("0.1.2.3") X("127.0.0.1") X("127.255.255.254") X("169.254.0.1") X("169.254.169.254") X("224.0.0.1") \
	X("239.255.255.255") X("240.0.0.1") X("255.255.255.255")
#define DENIED_V6(X) \
	X("::") X("::1") X("::ffff:127.0.0.1") X("::127.0.0.1") X("2002:7f00:1::") X("64:ff9b::7f00:1") X("fe80::1") X("ff02::1") \
	X("fd00::1")
/* Private and special ranges, which the configuration of the test does not allow (only its own subnet). */
#define PRIVATE(X) X("10.0.0.1") X("172.16.0.1") X("172.31.255.254") X("192.168.1.1") X("100.64.0.1") X("198.18.0.1") X("192.0.0.8")
#define PERMISSION_ROW(ip) \
	{ "CreatePermission for " ip, ALLOCATED, TS_PERMISSION, GOOD, { AT(ip, 9) }, { { 0 } }, { 403 }, { 0 } },
#define BIND_ROW(ip) { "ChannelBind to " ip, ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x4000), AT(ip, 9) }, { { 0 } }, { 403 }, { 0 } },
#define PERMISSION_ROW_V6(ip) \
	{ "CreatePermission for " ip, ALLOCATED, TS_PERMISSION, GOOD, { AT(ip, 9) }, { { 0 } }, { 443, 403 }, { 0 } },
#define BIND_ROW_V6(ip) \
	{ "ChannelBind to " ip, ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x4000), AT(ip, 9) }, { { 0 } }, { 443, 403 }, { 0 } },

static const struct row rows[] = {
	/* Binding */
	{ "Binding", FRESH, TS_BINDING, NONE, .expect = { OK }, .has = { TS_XOR_MAPPED } },
	{ "Binding with FINGERPRINT", FRESH, TS_BINDING, BARE_FINGERPRINT, .expect = { OK }, .has = { TS_XOR_MAPPED } },
	{ "Binding with a wrong FINGERPRINT", FRESH, TS_BINDING, BARE_BAD_FINGERPRINT, .expect = { SILENCE } },
	{ "Binding with an unknown attribute that may be ignored", FRESH, TS_BINDING, NONE, { RAW(0xc0de, "x") }, .expect = { OK } },
	{ "Binding with an unknown attribute that must be understood", FRESH, TS_BINDING, NONE, { ODD_ATTR }, .expect = { 420 },
	  .has = { TS_UNKNOWN } },
	{ "a method that does not exist", FRESH, 0x0ff, NONE, .expect = { SILENCE, 400 } },

	/* Credentials, RFC 8489 §9.2.4 */
	{ "Allocate without credentials", FRESH, TS_ALLOCATE, NONE, { UDP }, .expect = { 401 }, .has = { TS_REALM, TS_NONCE } },
	{ "Refresh without credentials", FRESH, TS_REFRESH, NONE, .expect = { 401, 437 } },
	{ "CreatePermission without credentials", ALLOCATED, TS_PERMISSION, NONE, { AT_PEER(9) }, .expect = { 401 },
	  .has = { TS_REALM, TS_NONCE } },
	{ "ChannelBind without credentials", ALLOCATED, TS_CHANNEL, NONE, { CHAN(0x4000), AT_PEER(9) }, .expect = { 401 },
	  .has = { TS_REALM, TS_NONCE } },
	{ "Allocate with a wrong password", FRESH, TS_ALLOCATE, WRONG_KEY, { UDP }, .expect = { 401 }, .has = { TS_REALM, TS_NONCE } },
	{ "Allocate changed under way", FRESH, TS_ALLOCATE, CHANGED, { UDP }, .expect = { 401 } },
	{ "Allocate with an expired user name", FRESH, TS_ALLOCATE, EXPIRED, { UDP }, .expect = { 401 } },
	{ "Allocate with a user name without expiry", FRESH, TS_ALLOCATE, ODD_USER, { UDP }, .expect = { 401 } },
	{ "Allocate with a foreign nonce", FRESH, TS_ALLOCATE, OLD_NONCE, { UDP }, .expect = { 438 }, .has = { TS_REALM, TS_NONCE } },
	{ "Refresh with a foreign nonce", ALLOCATED, TS_REFRESH, OLD_NONCE, .expect = { 438 }, .has = { TS_REALM, TS_NONCE } },
	{ "Allocate without NONCE", FRESH, TS_ALLOCATE, NO_NONCE, { UDP }, .expect = { 400 } },
	{ "Allocate without REALM", FRESH, TS_ALLOCATE, NO_REALM, { UDP }, .expect = { 400 } },
	{ "Allocate without USERNAME", FRESH, TS_ALLOCATE, NO_USER, { UDP }, .expect = { 400 } },
	{ "Allocate for another realm", FRESH, TS_ALLOCATE, OTHER_REALM, { UDP }, .expect = { 401, 400 } },
	{ "Allocate with a short MESSAGE-INTEGRITY", FRESH, TS_ALLOCATE, SHORT_MAC, { UDP }, .expect = { 400, 401, SILENCE } },
	{ "Allocate with FINGERPRINT", FRESH, TS_ALLOCATE, FINGERPRINTED, { UDP }, .expect = { OK } },
	{ "Allocate with a wrong FINGERPRINT", FRESH, TS_ALLOCATE, BAD_FINGERPRINT, { UDP }, .expect = { SILENCE } },

	/* What RFC 8489 added to them */
	{ "Allocate with SHA-256", FRESH, TS_ALLOCATE, SHA256, { UDP }, .expect = { OK }, .has = { TS_INTEGRITY256 } },
	{ "Allocate with both integrities", FRESH, TS_ALLOCATE, SHA256_BOTH, { UDP }, .expect = { OK }, .has = { TS_INTEGRITY256 } },
	{ "Refresh with SHA-256", ALLOCATED, TS_REFRESH, SHA256, .expect = { OK }, .has = { TS_LIFETIME, TS_INTEGRITY256 } },
	{ "Refresh with SHA-256 and no allocation", FRESH, TS_REFRESH, SHA256, .expect = { 437 }, .has = { TS_INTEGRITY256 } },
	{ "Refresh with USERHASH", ALLOCATED, TS_REFRESH, SHA256_HASHED, .expect = { OK }, .has = { TS_INTEGRITY256 } },
	{ "CreatePermission with USERHASH", ALLOCATED, TS_PERMISSION, SHA256_HASHED, { AT_PEER(9) }, .expect = { OK },
	  .has = { TS_INTEGRITY256 } },
	{ "ChannelBind with SHA-256", ALLOCATED, TS_CHANNEL, SHA256, { CHAN(0x4000), AT_PEER(9) }, .expect = { OK },
	  .has = { TS_INTEGRITY256 } },
	{ "Allocate with SHA-256 and an unknown attribute", FRESH, TS_ALLOCATE, SHA256, { UDP, ODD_ATTR }, .expect = { 420 },
	  .has = { TS_UNKNOWN, TS_INTEGRITY256 } },
	{ "Allocate with the USERHASH of nobody", FRESH, TS_ALLOCATE, SHA256_HASHED, { UDP }, .expect = { 401 },
	  .has = { TS_REALM, TS_NONCE, TS_ALGORITHMS } },
	{ "Allocate with a wrong SHA-256 password", FRESH, TS_ALLOCATE, SHA256_WRONG_KEY, { UDP }, .expect = { 401 },
	  .has = { TS_REALM, TS_NONCE, TS_ALGORITHMS } },
	{ "Allocate with MESSAGE-INTEGRITY-SHA256 cut to 16 bytes", FRESH, TS_ALLOCATE, SHA256_CUT, { UDP }, .expect = { 401 } },
	{ "Allocate with MESSAGE-INTEGRITY-SHA256 cut to 12 bytes", FRESH, TS_ALLOCATE, SHA256_SHORT, { UDP }, .expect = { 400 } },
	{ "Allocate with a weakened PASSWORD-ALGORITHMS", FRESH, TS_ALLOCATE, SHA256_WEAKENED, { UDP }, .expect = { 400 } },
	{ "Allocate without PASSWORD-ALGORITHMS", FRESH, TS_ALLOCATE, SHA256_NO_LIST, { UDP }, .expect = { 400 } },
	{ "Allocate without PASSWORD-ALGORITHM", FRESH, TS_ALLOCATE, SHA256_NO_ALGORITHM, { UDP }, .expect = { 400 } },
	{ "Allocate with a PASSWORD-ALGORITHM that was not offered", FRESH, TS_ALLOCATE, SHA256_OTHER_ALGORITHM, { UDP },
	  .expect = { 400 } },
	{ "Allocate with a nonce whose cookie was taken away", FRESH, TS_ALLOCATE, SHA256_STRIPPED, { UDP }, .expect = { 438 },
	  .has = { TS_REALM, TS_NONCE, TS_ALGORITHMS } },

	/* Allocate, RFC 8656 §7.2 */
	{ "Allocate", FRESH, TS_ALLOCATE, GOOD, { UDP }, .expect = { OK },
	  .has = { TS_XOR_RELAYED, TS_XOR_MAPPED, TS_LIFETIME, TS_INTEGRITY } },
	{ "Allocate without REQUESTED-TRANSPORT", FRESH, TS_ALLOCATE, GOOD, .expect = { 400 } },
	{ "Allocate of a TCP relay", FRESH, TS_ALLOCATE, GOOD, { U32(TS_TRANSPORT, 6u << 24) }, .expect = { 442 } },
	{ "Allocate of protocol 0", FRESH, TS_ALLOCATE, GOOD, { U32(TS_TRANSPORT, 0) }, .expect = { 442 } },
	{ "Allocate with a short REQUESTED-TRANSPORT", FRESH, TS_ALLOCATE, GOOD, { RAW(TS_TRANSPORT, "\x11") }, .expect = { 400 } },
	{ "Allocate with an unknown attribute", FRESH, TS_ALLOCATE, GOOD, { UDP, ODD_ATTR }, .expect = { 420 }, .has = { TS_UNKNOWN } },
	{ "Allocate with an optional unknown attribute", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(0xc0de, "abcde") }, .expect = { OK } },
	{ "Allocate of IPv4 by name", FRESH, TS_ALLOCATE, GOOD, { UDP, U32(TS_FAMILY, 1u << 24) }, .expect = { OK } },
	{ "Allocate of IPv6 from a relay without", FRESH, TS_ALLOCATE, GOOD, { UDP, U32(TS_FAMILY, 2u << 24) }, .expect = { 440 } },
	{ "Allocate of a family that does not exist", FRESH, TS_ALLOCATE, GOOD, { UDP, U32(TS_FAMILY, 9u << 24) }, .expect = { 440, 400 } },
	{ "Allocate with an invented RESERVATION-TOKEN", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(TS_RESERVATION, "12345678") },
	  .expect = { 508, 420 } },
	{ "Allocate with EVEN-PORT and RESERVATION-TOKEN", FRESH, TS_ALLOCATE, GOOD,
	  { UDP, RAW(TS_EVEN_PORT, "\x80"), RAW(TS_RESERVATION, "12345678") }, .expect = { 400, 420 } },
	{ "Allocate with a short LIFETIME", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(TS_LIFETIME, "\x01\x02") }, .expect = { 400 } },
	{ "a second Allocate on the same 5-tuple", ALLOCATED, TS_ALLOCATE, GOOD, { UDP }, .expect = { 437 } },
	{ "a second Allocate on the same 5-tuple by another user", ALLOCATED, TS_ALLOCATE, STRANGER, { UDP }, .expect = { 437 } },

	{ "Allocate with EVEN-PORT", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(TS_EVEN_PORT, "\0") }, .expect = { OK } },
	{ "Allocate with EVEN-PORT and a reserved pair", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(TS_EVEN_PORT, "\x80") }, .expect = { OK },
	  .has = { TS_RESERVATION } },
	{ "Allocate with DONT-FRAGMENT", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(TS_DONT_FRAGMENT, "") }, .expect = { OK, 420 } },
	{ "Allocate with the longest LIFETIME there is", FRESH, TS_ALLOCATE, GOOD, { UDP, U32(TS_LIFETIME, UINT32_MAX) }, .expect = { OK },
	  .has = { TS_LIFETIME } },
	{ "Allocate with LIFETIME 0", FRESH, TS_ALLOCATE, GOOD, { UDP, U32(TS_LIFETIME, 0) }, .expect = { OK }, .has = { TS_LIFETIME } },
	{ "Allocate with attributes of ICE", FRESH, TS_ALLOCATE, GOOD, { UDP, U32(0x0024, 1), RAW(0x0025, "") }, .expect = { 420 },
	  .has = { TS_UNKNOWN } },
	{ "what is wrong in several ways is first of all not understood", FRESH, TS_ALLOCATE, GOOD, { U32(TS_TRANSPORT, 6u << 24), ODD_ATTR },
	  .expect = { 420 }, .has = { TS_UNKNOWN } },
	{ "and before that not authenticated", FRESH, TS_ALLOCATE, WRONG_KEY, { U32(TS_TRANSPORT, 6u << 24), ODD_ATTR }, .expect = { 401 } },

	/* Methods of TCP relays (RFC 6062), which are not offered (REQUESTED-TRANSPORT gives 442), and of indications */
	{ "Connect", ALLOCATED, 0x00a, GOOD, { AT_PEER(9) }, .expect = { SILENCE, 400 } },
	{ "ConnectionBind", FRESH, 0x00b, GOOD, { U32(0x002a, 1) }, .expect = { SILENCE, 400 } },
	{ "Send as a request", ALLOCATED, TS_SEND, GOOD, { AT_PEER(9), RAW(TS_DATA_ATTR, "x") }, .expect = { SILENCE, 400 } },
	{ "Data as a request", ALLOCATED, TS_DATA, GOOD, { AT_PEER(9), RAW(TS_DATA_ATTR, "x") }, .expect = { SILENCE, 400 } },

	/* Mobility, RFC 8016; a server without it says 405 */
	{ "Allocate that asks for a MOBILITY-TICKET", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(TS_TICKET, "") }, .expect = { OK, 405 },
	  .has = { TS_TICKET } },
	{ "Allocate with a ticket", FRESH, TS_ALLOCATE, GOOD, { UDP, RAW(TS_TICKET, "aaaabbbbccccddddeeee") }, .expect = { 400, 405 } },
	{ "Refresh with a ticket that nobody gave", FRESH, TS_REFRESH, GOOD, { RAW(TS_TICKET, "aaaabbbbccccddddeeee") }, .expect = { 437, 405 } },
	{ "Refresh of an allocation with such a ticket", ALLOCATED, TS_REFRESH, GOOD, { RAW(TS_TICKET, "aaaabbbbccccddddeeee") },
	  .expect = { 437, 405, 400 } },
	{ "Refresh with an empty ticket", ALLOCATED, TS_REFRESH, GOOD, { RAW(TS_TICKET, "") }, .expect = { 400, 405 } },

	/* Refresh, §7.3 */
	{ "Refresh", ALLOCATED, TS_REFRESH, GOOD, .expect = { OK }, .has = { TS_LIFETIME, TS_INTEGRITY } },
	{ "Refresh without allocation", FRESH, TS_REFRESH, GOOD, .expect = { 437 } },
	{ "Refresh by another user", ALLOCATED, TS_REFRESH, STRANGER, .expect = { 441 } },
	{ "Refresh with a wrong password", ALLOCATED, TS_REFRESH, WRONG_KEY, .expect = { 401 } },
	{ "Refresh for the other family", ALLOCATED, TS_REFRESH, GOOD, { U32(TS_FAMILY, 2u << 24) }, .expect = { 443 } },
	{ "LIFETIME 0 behind MESSAGE-INTEGRITY is not read", ALLOCATED, TS_REFRESH, GOOD, .after = { U32(TS_LIFETIME, 0) },
	  .expect = { OK },
	  .has = { TS_LIFETIME } },
	{ "an unknown attribute behind MESSAGE-INTEGRITY is not read", ALLOCATED, TS_REFRESH, GOOD, .after = { ODD_ATTR },
	  .expect = { OK } },

	/* CreatePermission, §9.2 */
	{ "CreatePermission", ALLOCATED, TS_PERMISSION, GOOD, { AT_PEER(9) }, .expect = { OK }, .has = { TS_INTEGRITY } },
	{ "CreatePermission again", PERMITTED, TS_PERMISSION, GOOD, { AT_PEER(9) }, .expect = { OK } },
	{ "CreatePermission without allocation", FRESH, TS_PERMISSION, GOOD, { AT_PEER(9) }, .expect = { 437 } },
	{ "CreatePermission without a peer", ALLOCATED, TS_PERMISSION, GOOD, .expect = { 400 } },
	{ "CreatePermission by another user", ALLOCATED, TS_PERMISSION, STRANGER, { AT_PEER(9) }, .expect = { 441 } },
	{ "CreatePermission with a wrong password", ALLOCATED, TS_PERMISSION, WRONG_KEY, { AT_PEER(9) }, .expect = { 401 } },
	{ "CreatePermission for two peers", ALLOCATED, TS_PERMISSION, GOOD, { AT_PEER(9), AT_PEER(10) }, .expect = { OK } },
	{ "CreatePermission with one denied of two", ALLOCATED, TS_PERMISSION, GOOD, { AT_PEER(9), AT("127.0.0.1", 9) },
	  .expect = { 403 } },
	{ "CreatePermission with a short peer", ALLOCATED, TS_PERMISSION, GOOD, { RAW(TS_XOR_PEER, "\0\1\2\3") }, .expect = { 400 } },
	{ "CreatePermission with a peer of no family", ALLOCATED, TS_PERMISSION, GOOD, { RAW(TS_XOR_PEER, "\0\7\2\3\4\5\6\7") },
	  .expect = { 400, 443 } },
	{ "CreatePermission for a public IPv6 peer", ALLOCATED, TS_PERMISSION, GOOD, { AT("2001:db8::1", 9) }, .expect = { 443 } },
	{ "CreatePermission with an unknown attribute", ALLOCATED, TS_PERMISSION, GOOD, { AT_PEER(9), ODD_ATTR }, .expect = { 420 } },

	/* ChannelBind, §12.1 */
	{ "ChannelBind", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x4000), AT_PEER(9) }, .expect = { OK }, .has = { TS_INTEGRITY } },
	{ "ChannelBind, last number", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x4fff), AT_PEER(9) }, .expect = { OK } },
	{ "ChannelBind again", BOUND, TS_CHANNEL, GOOD, { CHAN(0x4001), AT_PEER(9) }, .expect = { OK } },
	{ "ChannelBind of a bound number to another peer", BOUND, TS_CHANNEL, GOOD, { CHAN(0x4001), AT_PEER(10) }, .expect = { 400 } },
	{ "ChannelBind of a bound peer to another number", BOUND, TS_CHANNEL, GOOD, { CHAN(0x4002), AT_PEER(9) }, .expect = { 400 } },
	{ "ChannelBind of number 0x3fff", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x3fff), AT_PEER(9) }, .expect = { 400 } },
	/* RFC 5766 allowed 0x4000 to 0x7fff, RFC 8656 ends at 0x4fff: a server may serve the old clients. */
	{ "ChannelBind of number 0x5000", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x5000), AT_PEER(9) }, .expect = { 400, OK } },
	{ "ChannelBind of number 0x8000", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x8000), AT_PEER(9) }, .expect = { 400 } },
	{ "ChannelBind of number 0xffff", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0xffff), AT_PEER(9) }, .expect = { 400 } },
	{ "ChannelBind without number", ALLOCATED, TS_CHANNEL, GOOD, { AT_PEER(9) }, .expect = { 400 } },
	{ "ChannelBind without peer", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x4000) }, .expect = { 400 } },
	{ "ChannelBind with a short number", ALLOCATED, TS_CHANNEL, GOOD, { RAW(TS_CHANNEL_NUMBER, "\x40\0"), AT_PEER(9) },
	  .expect = { 400 } },
	{ "ChannelBind without allocation", FRESH, TS_CHANNEL, GOOD, { CHAN(0x4000), AT_PEER(9) }, .expect = { 437 } },
	{ "ChannelBind by another user", ALLOCATED, TS_CHANNEL, STRANGER, { CHAN(0x4000), AT_PEER(9) }, .expect = { 441 } },
	{ "ChannelBind to a public IPv6 peer", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x4000), AT("2001:db8::1", 9) }, .expect = { 443 } },
	{ "ChannelBind to the server's own port", ALLOCATED, TS_CHANNEL, GOOD, { CHAN(0x4000), AT_SERVER }, .expect = { 403 } },
	DENIED(PERMISSION_ROW) DENIED(BIND_ROW) PRIVATE(PERMISSION_ROW) PRIVATE(BIND_ROW)
	DENIED_V6(PERMISSION_ROW_V6) DENIED_V6(BIND_ROW_V6)
};

const char *check_because(const char *fmt, ...)
{
	static char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

struct sockaddr_in check_addr(struct in_addr ip, unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = ip, .sin_port = htons((uint16_t)port) };
}

const char *check_allocated(struct tc *c, const struct check_setup *s, const char *user)
{
	tc_open(c, &s->env, user, NULL);
	int code = tc_allocate(c);
	if (code != 0) {
		tc_close(c);
		return check_because("Allocate gave %d", code);
	}
	return NULL;
}

void check_done(struct tc *c)
{
	if (c->relayed.sin_port != 0)
		tc_refresh(c, 0);
	tc_close(c);
}

const char *check_response(const struct tc *c, bool authenticated)
{
	int code = ts_error(c->in, c->in_len);
	bool success = ts_class(c->in) == TS_SUCCESS;
	size_t n = 0;

	EXPECT(ts_well_formed(c->in, c->in_len), "the response is not well-formed (attributes or padding)");
	EXPECT(ts_fingerprint_ok(c->in, c->in_len), "FINGERPRINT is wrong or not last");
	EXPECT(success || code >= 300, "an error response without ERROR-CODE");
	EXPECT(!success || code < 0, "a success response with ERROR-CODE");
	if (!success) {
		ts_find(c->in, c->in_len, TS_ERROR_CODE, &n);
		EXPECT(n < 4 + 128, "the reason phrase has %zu bytes", n);
	}
	if (code == 401 || code == 438)
		EXPECT(ts_has(c->in, c->in_len, TS_REALM) && ts_has(c->in, c->in_len, TS_NONCE), "%d without REALM and NONCE", code);
	if (authenticated && success)
		EXPECT(ts_has(c->in, c->in_len, TS_INTEGRITY), "a success response without MESSAGE-INTEGRITY");
	if (authenticated && ts_has(c->in, c->in_len, TS_INTEGRITY))
		EXPECT(ts_integrity_ok(c->in, c->in_len, c->key), "MESSAGE-INTEGRITY of the response is wrong");
	return NULL;
}

static void put_spec(const struct tc *c, struct ts_msg *m, const struct spec *a)
{
	struct sockaddr_in sa = c->env->server;
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)a->number) };

	switch (a->kind) {
	case BYTES:
		ts_put(m, a->type, a->text, a->len);
		break;
	case NUMBER:
		ts_put_u32(m, a->type, a->number);
		break;
	case ADDRESS:
		sa = check_addr(sa.sin_addr, a->number);
		if (inet_pton(AF_INET, a->text, &sa.sin_addr) == 1)
			ts_put_xaddr(m, a->type, (struct sockaddr *)&sa);
		else if (inet_pton(AF_INET6, a->text, &six.sin6_addr) == 1)
			ts_put_xaddr(m, a->type, (struct sockaddr *)&six);
		break;
	case PEER:
		sa = check_addr(c->env->peer, a->number);
		ts_put_xaddr(m, a->type, (struct sockaddr *)&sa);
		break;
	case RELAYED:
		ts_put_xaddr(m, a->type, (const struct sockaddr *)&c->relayed);
		break;
	case SERVER:
		sa.sin_addr = c->env->relay;
		ts_put_xaddr(m, a->type, (struct sockaddr *)&sa);
		break;
	case END:
		break;
	}
}

/* RFC 8489 §9.2.5, done right or wrong in the way that `auth` names. */
static void sign256(const struct tc *c, struct ts_msg *m, enum auth auth)
{
	static const uint8_t md5[4] = { 0, 1, 0, 0 }, sha256[4] = { 0, 2, 0, 0 };
	uint8_t key[32], userhash[32];
	const char *nonce = c->nonce;

	ts_credentials256(c->env->secret, c->realm, c->user, key, userhash);
	if (auth == SHA256_HASHED)
		ts_put(m, TS_USERHASH, userhash, sizeof(userhash));
	else
		ts_put(m, TS_USERNAME, c->user, strlen(c->user));
	if (auth == SHA256_STRIPPED && strlen(nonce) > 13)
		nonce += 13;
	ts_put(m, TS_REALM, c->realm, strlen(c->realm));
	ts_put(m, TS_NONCE, nonce, strlen(nonce));
	if (auth == SHA256_WEAKENED)
		ts_put(m, TS_ALGORITHMS, md5, sizeof(md5));
	else if (auth != SHA256_NO_LIST)
		ts_put(m, TS_ALGORITHMS, c->algorithms, c->algorithms_len);
	if (auth != SHA256_NO_ALGORITHM)
		ts_put(m, TS_ALGORITHM, auth == SHA256_WEAKENED || auth == SHA256_OTHER_ALGORITHM ? md5 : sha256, 4);
	if (auth == SHA256_BOTH)
		ts_put_integrity(m, c->key);
	key[3] ^= auth == SHA256_WRONG_KEY;
	ts_put_integrity256(m, key, auth == SHA256_CUT ? 16 : auth == SHA256_SHORT ? 12 : 32);
}

/* The credentials part of a message, right or wrong in the way that `auth` names. */
static void sign(const struct tc *c, struct ts_msg *m, enum auth auth)
{
	uint8_t key[16];
	size_t user_len = strlen(c->user);

	if (auth >= SHA256) {
		sign256(c, m, auth);
		return;
	}
	memcpy(key, c->key, sizeof(key));
	if (auth == WRONG_KEY)
		key[3] ^= 1;
	if (auth == NONE || auth == BARE_FINGERPRINT || auth == BARE_BAD_FINGERPRINT)
		return;
	if (auth != NO_USER)
		ts_put(m, TS_USERNAME, c->user, user_len);
	if (auth != NO_REALM)
		ts_put(m, TS_REALM, auth == OTHER_REALM ? "elsewhere" : c->realm, auth == OTHER_REALM ? 9 : strlen(c->realm));
	if (auth == OLD_NONCE)
		ts_put(m, TS_NONCE, "0123456789abcdef", 16);
	else if (auth != NO_NONCE)
		ts_put(m, TS_NONCE, c->nonce, strlen(c->nonce));
	if (auth == SHORT_MAC)
		ts_put(m, TS_INTEGRITY, "0123456789abcdef", 16);
	else
		ts_put_integrity(m, key);
	if (auth == CHANGED)
		m->b[20 + 4] ^= 1;
}

static const char *into_state(struct tc *c, const struct check_setup *s, const struct row *r)
{
	enum state state = r->state;
	struct sockaddr_in peer = check_addr(s->env.peer, 9);
	int code = 0;

	if (state >= ALLOCATED && (code = tc_allocate(c)) != 0)
		return check_because("Allocate gave %d", code);
	if (state >= PERMITTED && (code = tc_permit(c, peer)) != 0)
		return check_because("CreatePermission gave %d", code);
	if (state >= BOUND && (code = tc_bind(c, 0x4001, peer)) != 0)
		return check_because("ChannelBind gave %d", code);
	if (c->nonce[0] == '\0' && tc_challenge(c) != 401)
		return "Allocate without credentials was not challenged";
	if (r->auth >= SHA256 && c->algorithms_len == 0)
		return "SKIP no PASSWORD-ALGORITHMS offered";
	return NULL;
}

/* The identity that the row's request is made with; `c` keeps its own for the clean-up. */
static void identity(struct tc *as, const struct tc *c, const struct row *r, const struct check_setup *s)
{
	long now = (long)(clock_wall_ms() / MS_PER_S);

	*as = *c;
	if (r->auth == STRANGER)
		ts_credentials(s->env.secret, c->realm, now + 3600, "stranger", NULL, as->user, sizeof(as->user), as->key);
	if (r->auth == EXPIRED)
		ts_credentials(s->env.secret, c->realm, now - 60, "late", NULL, as->user, sizeof(as->user), as->key);
	if (r->auth == ODD_USER)
		snprintf(as->user, sizeof(as->user), "nobody");
}

static const char *judge(const struct tc *c, const struct row *r, bool answered)
{
	int code = !answered ? SILENCE : ts_class(c->in) == TS_SUCCESS ? OK : ts_error(c->in, c->in_len);
	bool fits = false;

	for (size_t i = 0; i < 3 && r->expect[i] != 0; i++)
		fits |= r->expect[i] == code;
	EXPECT(fits, "got %d, expected %d", code, r->expect[0]);
	if (!answered)
		return NULL;
	EXPECT(ts_method(c->in) == r->method, "the response is for method %u", ts_method(c->in));
	for (size_t i = 0; i < 5 && r->has[i] != 0; i++)
		EXPECT(code != r->expect[0] || ts_has(c->in, c->in_len, r->has[i]), "attribute 0x%04x is missing", r->has[i]);
	if (ts_has(c->in, c->in_len, TS_INTEGRITY256)) {
		uint8_t key[32], userhash[32];

		ts_credentials256(c->env->secret, c->realm, c->user, key, userhash);
		EXPECT(ts_integrity256_ok(c->in, c->in_len, key), "MESSAGE-INTEGRITY-SHA256 of the response is wrong");
		EXPECT(!ts_has(c->in, c->in_len, TS_INTEGRITY), "both integrity attributes in a response");
	}
	return check_response(c, r->auth == GOOD || r->auth == FINGERPRINTED);
}

static const char *run(struct tc *c, const struct check_setup *s, const struct row *r)
{
	static struct tc as;
	struct ts_msg m;

	TRY(into_state(c, s, r));
	identity(&as, c, r, s);
	tc_request(&m, r->method);
	for (size_t i = 0; i < 5; i++)
		put_spec(c, &m, &r->attrs[i]);
	sign(&as, &m, r->auth);
	for (size_t i = 0; i < 2; i++)
		put_spec(c, &m, &r->after[i]);
	if (r->auth == FINGERPRINTED || r->auth == BAD_FINGERPRINT || r->auth == BARE_FINGERPRINT || r->auth == BARE_BAD_FINGERPRINT)
		ts_put_fingerprint(&m);
	if (r->auth == BAD_FINGERPRINT || r->auth == BARE_BAD_FINGERPRINT)
		m.b[m.len - 1] ^= 1;
	bool answered = tc_transact(&as, &m);
	TRY(judge(&as, r, answered));
	/* A new allocation made here has to be ended by its maker, and one made before must have survived. */
	if (r->method == TS_ALLOCATE && answered && ts_class(as.in) == TS_SUCCESS)
		ts_xaddr(as.in, as.in_len, TS_XOR_RELAYED, &c->relayed);
	if (r->state >= ALLOCATED) {
		int code = tc_refresh(c, 600);
		EXPECT(code == 0, "afterwards the allocation answers %d", code);
	}
	return NULL;
}

bool check_row(const struct check_setup *s, size_t i, const char **name, const char **reason)
{
	static struct tc c;
	char user[32];

	if (i >= sizeof(rows) / sizeof(rows[0]))
		return false;
	snprintf(user, sizeof(user), "row%zu", i);
	*name = rows[i].name;
	tc_open(&c, &s->env, user, NULL);
	*reason = run(&c, s, &rows[i]);
	check_done(&c);
	return true;
}
