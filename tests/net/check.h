/* The conformance checks that turncheck runs: a table of single requests (check_table.c) and scenarios of several steps (check_flows.c,
 * check_data.c, check_hostile.c). Every check starts with sockets of its own and leaves no allocation behind. */
#ifndef DUPLEX_TESTS_NET_CHECK_H
#define DUPLEX_TESTS_NET_CHECK_H

#include "tests/net/tclient.h"

/* What the server under test was configured with; 0 = unknown, the check is skipped. */
struct check_setup {
	struct tc_env env;
	unsigned user_quota;  /* allocations a user may have: then 486 */
	unsigned ports;       /* size of the relay's port range: then 508 */
	unsigned peers;       /* permissions, and channels, of one allocation: then 508 */
	unsigned challenges;  /* unauthenticated requests answered at once: then silence */
	unsigned lifetime_s, nonce_lifetime_s; /* short ones, for the checks of what ends */
	bool strict_expiry;   /* a credential must be valid with every request, not only when the allocation is made */
	unsigned seed, rounds;
};

/* NULL when the check holds, otherwise the reason, valid until the next call; SKIPPED(…) reasons begin with "SKIP ". */
typedef const char *check_fn(const struct check_setup *s);
struct check {
	const char *name;
	check_fn *fn;
};

extern const struct check check_flows[], check_data[], check_limits[], check_challenges[], check_hostile[], check_expiry[],
	check_credentials[], check_slow[];

/* printf into the buffer that reasons are returned in. */
const char *check_because(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Runs one row of the request table, or returns false when `i` is behind its end. */
bool check_row(const struct check_setup *s, size_t i, const char **name, const char **reason);

/* A client with an allocation; NULL or the reason why there is none. */
const char *check_allocated(struct tc *c, const struct check_setup *s, const char *user);
/* Ends the allocation and closes the socket. */
void check_done(struct tc *c);
/* What must hold for every response: shape, fingerprint, integrity where it belongs. NULL or the reason. */
const char *check_response(const struct tc *c, bool authenticated);
struct sockaddr_in check_addr(struct in_addr ip, unsigned port);

#define EXPECT(cond, ...) \
	do { \
		if (!(cond)) \
			return check_because(__VA_ARGS__); \
	} while (0)
/* For helpers that return a reason. */
#define TRY(expr) \
	do { \
		const char *reason_ = (expr); \
		if (reason_ != NULL) \
			return reason_; \
	} while (0)

#endif
