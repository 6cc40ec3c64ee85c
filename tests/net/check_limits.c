/* Limits that the server was configured with: allocations of a user (486), ports (508). RFC 8656 §7.2. */
#include "tests/net/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 600 };

/* Allocates until refused, at most `limit` + 8 times; then frees all, and tells the number got and the code of the refusal. */
static const char *until_refused(const struct check_setup *s, unsigned limit, const char *same_user, unsigned *got, int *code)
{
	struct tc *c = calloc(limit + 8, sizeof(*c));
	unsigned n = 0;

	if (c == NULL)
		return "out of memory";
	for (*code = 0; n < limit + 8; n++) {
		char user[32];
		snprintf(user, sizeof(user), "%s%u", same_user != NULL ? same_user : "many", same_user != NULL ? 0 : n);
		tc_open(&c[n], &s->env, user, NULL);
		*code = tc_allocate(&c[n]);
		if (*code != 0) {
			tc_close(&c[n]);
			break;
		}
	}
	*got = n;
	while (n > 0)
		check_done(&c[--n]);
	free(c);
	return NULL;
}

/* Twice: what was freed can be had again, all of it. */
static const char *exhaust(const struct check_setup *s, unsigned limit, const char *same_user, int expected)
{
	for (int round = 0; round < 2; round++) {
		unsigned got = 0;
		int code = 0;
		TRY(until_refused(s, limit, same_user, &got, &code));
		EXPECT(code == expected, "after %u allocations: %d", got, code);
		EXPECT(got == limit, "round %d: %u allocations of %u", round + 1, got, limit);
	}
	return NULL;
}

static const char *user_quota(const struct check_setup *s)
{
	if (s->user_quota == 0)
		return "SKIP no quota configured";
	return exhaust(s, s->user_quota, "glutton", 486);
}

static const char *ports(const struct check_setup *s)
{
	if (s->ports == 0 || s->ports > MOST)
		return "SKIP no small port range configured";
	return exhaust(s, s->ports, NULL, 508);
}

/* Channels until refused; those that were made go on working, and a refused one has changed nothing. */
static const char *channels(const struct check_setup *s)
{
	static struct tc c;
	struct sockaddr_in first;
	unsigned n = 0;
	char buf[16];
	int code = 0, fd;

	if (s->peers == 0)
		return "SKIP no small number of peers configured";
	TRY(check_allocated(&c, s, "social"));
	fd = tc_peer_open(s->env.peer, &first);
	code = tc_bind(&c, 0x4000, first);
	for (n = 1; code == 0 && n < s->peers + 4; n++)
		code = tc_bind(&c, (uint16_t)(0x4000 + n), check_addr(s->env.peer, 2000 + n));
	tc_send_channel(&c, 0x4000, "first", 5);
	long got = tc_peer_recv(fd, buf, sizeof(buf), NULL, 1000);
	check_done(&c);
	close(fd);
	EXPECT(code == 508 || code == 486, "after %u channels: %d", n - 1, code);
	EXPECT(n - 1 == s->peers, "%u channels of %u", n - 1, s->peers);
	EXPECT(got == 5, "the first channel is dead");
	return NULL;
}

/* Unauthenticated requests beyond the budget get silence, so that spoofed ones do not become a flood; a live allocation does not suffer. */
static const char *challenge_budget(const struct check_setup *s)
{
	static struct tc live, c;
	struct ts_msg m;
	unsigned answers = 0;

	if (s->challenges == 0)
		return "SKIP no small budget of challenges configured";
	TRY(check_allocated(&live, s, "living"));
	tc_open(&c, &s->env, "flood", NULL);
	for (unsigned i = 0; i < 20 * s->challenges; i++) {
		tc_request(&m, TS_ALLOCATE);
		tc_send_raw(&c, m.b, m.len);
	}
	while (tc_recv(&c, 100))
		answers++;
	int code = tc_refresh(&live, 600);
	tc_close(&c);
	check_done(&live);
	EXPECT(answers <= 2 * s->challenges, "%u of %u were answered", answers, 20 * s->challenges);
	EXPECT(code == 0, "Refresh of a live allocation gave %d", code);
	return NULL;
}

const struct check check_limits[] = {
	{ "486 when a user has all the allocations allowed; all can be had again", user_quota },
	{ "508 when no port is left; every port can be had again", ports },
	{ "508 when an allocation has all the channels allowed", channels },
	{ NULL, NULL },
};

const struct check check_challenges[] = {
	{ "challenges beyond the budget are not answered", challenge_budget },
	{ NULL, NULL },
};
