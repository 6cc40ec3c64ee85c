/* Limits that the server was configured with: allocations of a user (486), ports (508). RFC 8656 §7.2. */
#include "tests/net/check.h"

#include <stdio.h>
#include <stdlib.h>

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

const struct check check_limits[] = {
	{ "486 when a user has all the allocations allowed; all can be had again", user_quota },
	{ "508 when no port is left; every port can be had again", ports },
	{ NULL, NULL },
};
