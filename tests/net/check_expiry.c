/* What ends by time: allocations and nonces (the server is configured with short ones), credentials, and, for the patient, permissions,
 * whose time the RFC fixes. RFC 8656 §5, §9, §12; RFC 8489 §9.2. */
#include "tests/net/check.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void wait_s(double s)
{
	struct timespec ts = { .tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9) };

	nanosleep(&ts, NULL);
}

struct pair {
	struct tc c;
	int peer, second;
	struct sockaddr_in peer_sa, second_sa;
	char buf[2048];
};

static struct pair pr;

static const char *pair_open(const struct check_setup *s, const char *user)
{
	TRY(check_allocated(&pr.c, s, user));
	pr.peer = tc_peer_open(s->env.peer, &pr.peer_sa);
	pr.second = tc_peer_open(s->env.other, &pr.second_sa);
	return NULL;
}

static void pair_close(void)
{
	check_done(&pr.c);
	close(pr.peer);
	close(pr.second);
}

static bool out_by_send(int fd, struct sockaddr_in to)
{
	tc_send_indication(&pr.c, to, "send", 4);
	return tc_peer_recv(fd, pr.buf, sizeof(pr.buf), NULL, TC_SILENCE_MS) == 4;
}

static bool out_by_channel(int fd, uint16_t channel)
{
	tc_send_channel(&pr.c, channel, "chan", 4);
	return tc_peer_recv(fd, pr.buf, sizeof(pr.buf), NULL, TC_SILENCE_MS) == 4;
}

static bool in_from(int fd)
{
	tc_peer_send(fd, pr.c.relayed, "back", 4);
	return tc_recv(&pr.c, TC_SILENCE_MS);
}

/* Without Refresh an allocation ends; with it, it goes on. */
static const char *allocation_ends(const struct check_setup *s)
{
	if (s->lifetime_s == 0)
		return "SKIP no short lifetime configured";
	TRY(pair_open(s, "mortal"));
	tc_bind(&pr.c, 0x4001, pr.peer_sa);
	bool first = out_by_channel(pr.peer, 0x4001);
	wait_s(0.6 * s->lifetime_s);
	int refreshed = tc_refresh(&pr.c, 600);
	wait_s(0.6 * s->lifetime_s);
	bool kept = out_by_channel(pr.peer, 0x4001);
	wait_s(0.6 * s->lifetime_s + 1.5);
	bool late = out_by_channel(pr.peer, 0x4001), late_in = in_from(pr.peer);
	int code = tc_refresh(&pr.c, 600);
	pr.c.relayed.sin_port = 0;
	pair_close();
	EXPECT(first && refreshed == 0 && kept, "refreshed in time it should carry data (%d, Refresh %d, %d)", first, refreshed, kept);
	EXPECT(!late && !late_in, "data passes after the end");
	EXPECT(code == 437, "Refresh after the end gave %d", code);
	return NULL;
}

/* The 5-tuple of an allocation that ended by itself is free for a new one. */
static const char *tuple_reused(const struct check_setup *s)
{
	if (s->lifetime_s == 0)
		return "SKIP no short lifetime configured";
	TRY(pair_open(s, "again"));
	wait_s(s->lifetime_s + 1.5);
	int code = tc_allocate(&pr.c);
	pair_close();
	EXPECT(code == 0, "a new Allocate gave %d", code);
	return NULL;
}

/* A nonce that was good becomes stale; the client is told so and goes on. */
static const char *nonce_ages(const struct check_setup *s)
{
	struct ts_msg m;
	char old[sizeof(pr.c.nonce)];

	if (s->nonce_lifetime_s == 0)
		return "SKIP no short nonce lifetime configured";
	tc_open(&pr.c, &s->env, "aged", NULL);
	tc_challenge(&pr.c);
	memcpy(old, pr.c.nonce, sizeof(old));
	wait_s(s->nonce_lifetime_s + 2);
	tc_request(&m, TS_ALLOCATE);
	ts_put_u32(&m, TS_TRANSPORT, 17u << 24);
	tc_sign(&pr.c, &m);
	int code = tc_transact(&pr.c, &m) ? ts_error(pr.c.in, pr.c.in_len) : -1;
	bool renewed = tc_allocate(&pr.c) == 0 && strcmp(old, pr.c.nonce) != 0;
	check_done(&pr.c);
	EXPECT(code == 438, "got %d", code);
	EXPECT(renewed, "a new nonce does not work");
	return NULL;
}

/* A long call outlives the credential it began with, unless the operator wants otherwise. A new allocation always needs a valid one. */
static const char *credential_ends(const struct check_setup *s)
{
	static struct tc late;
	long now = (long)(clock_wall_ms() / MS_PER_S);

	tc_open_until(&pr.c, &s->env, "brief", NULL, now + 4);
	int code = tc_allocate(&pr.c), before = tc_refresh(&pr.c, 600);
	wait_s(5);
	int after = tc_refresh(&pr.c, 600);
	tc_open_until(&late, &s->env, "brief", NULL, now + 4);
	int anew = tc_allocate(&late);
	tc_close(&late);
	check_done(&pr.c);
	EXPECT(code == 0 && before == 0, "while it was valid: Allocate %d, Refresh %d", code, before);
	EXPECT(after == (s->strict_expiry ? 401 : 0), "Refresh after its end gave %d", after);
	EXPECT(anew == 401, "a new Allocate after its end gave %d", anew);
	return NULL;
}

const struct check check_expiry[] = {
	{ "an allocation ends without Refresh and lives on with it", allocation_ends },
	{ "the 5-tuple of an ended allocation can be used again", tuple_reused },
	{ "an old nonce is refused with 438", nonce_ages },
	{ NULL, NULL },
};

const struct check check_credentials[] = {
	{ "a credential that ends during a call", credential_ends },
	{ NULL, NULL },
};

/* §9: a permission lasts 300 s, and ChannelBind installs one; §12: a channel lasts 600 s. A channel whose permission is over relays
 * nothing, and is not renewed by data. */
static const char *permission_300(const struct check_setup *s)
{
	TRY(pair_open(s, "patient"));
	bool ready = tc_permit(&pr.c, pr.peer_sa) == 0 && tc_bind(&pr.c, 0x4001, pr.second_sa) == 0;
	for (unsigned i = 0; i < 28; i++) { /* data does not renew a permission, Refresh not either */
		wait_s(10);
		ready &= out_by_send(pr.peer, pr.peer_sa) && out_by_channel(pr.second, 0x4001) && in_from(pr.peer);
	}
	tc_refresh(&pr.c, 600);
	wait_s(25);
	bool out = out_by_send(pr.peer, pr.peer_sa), in = in_from(pr.peer), channel = out_by_channel(pr.second, 0x4001);
	bool renewed = tc_permit(&pr.c, pr.second_sa) == 0 && out_by_channel(pr.second, 0x4001);
	pair_close();
	EXPECT(ready, "data did not pass while the permissions were valid");
	EXPECT(!out && !in, "a permission of 300 s works after 305 s (out %d, in %d)", out, in);
	EXPECT(!channel, "a channel relays although its permission is over");
	EXPECT(renewed, "a new permission does not bring the channel back");
	return NULL;
}

const struct check check_slow[] = {
	{ "permissions end after 300 s, and with them what a channel relays", permission_300 },
	{ NULL, NULL },
};
