/* turnpair: two clients of one relay, each in a network namespace of its own and at an address of the relay that it can reach, exchange data
 * channel to channel over their relayed addresses, both ways, COUNT datagrams each: RTP, as the audio of a call is.
 *
 *   turnpair REALM SECRET-FILE COUNT NAMESPACE-A LOCAL-A SERVER-A NAMESPACE-B LOCAL-B SERVER-B [CALL-A CALL-B]
 *
 * A namespace is a name of `ip netns`. Status 0 if all arrived; what was seen is printed. With the Session-ID of each side its user name carries
 * that, and the allocations are kept until stdin ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/net/tclient.h"

enum { CHANNEL = 0x4123, SIZE = 160 };

struct end {
	struct tc_env env;
	struct tc c;
	char name;
};

static void fail(const char *what, char name)
{
	printf("%s: client %c\n", what, name);
	exit(1);
}

static void open_end(struct end *e, char name, char **arg, const char *call, const char *realm, const char *secret)
{
	char path[128], relayed[INET_ADDRSTRLEN];

	e->name = name;
	(void)snprintf(path, sizeof(path), "/run/netns/%s", arg[0]);
	int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		fail("no such namespace", name);
	(void)close(ns);
	e->env.server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(3478) };
	e->env.secret = secret;
	(void)snprintf(e->env.realm, sizeof(e->env.realm), "%s", realm);
	if (inet_pton(AF_INET, arg[1], &e->env.local) != 1 || inet_pton(AF_INET, arg[2], &e->env.server.sin_addr) != 1)
		fail("not an address", name);
	/* The socket stays in this namespace when the next client opens its own in another. */
	tc_open(&e->c, &e->env, name == 'A' ? "anna" : "ben", call);
	int code = tc_allocate(&e->c);
	if (code != 0) {
		printf("Allocate gave %d: ", code);
		fail("no allocation", name);
	}
	inet_ntop(AF_INET, &e->c.relayed.sin_addr, relayed, sizeof(relayed));
	printf("client %c at %s: relayed address %s:%u\n", name, arg[2], relayed, ntohs(e->c.relayed.sin_port));
}

static void pass(struct end *from, struct end *to, unsigned i)
{
	uint8_t data[SIZE], *in = to->c.in;

	memset(data, (int)i, sizeof(data));
	/* RTP: type 111, sequence number, time of 20 ms each, and the sender's SSRC. */
	const uint32_t rtp[3] = { htonl(0x806f0000 | (uint16_t)i), htonl(i * 960), htonl((uint32_t)from->name) };
	memcpy(data, rtp, sizeof(rtp));
	tc_send_channel(&from->c, CHANNEL, data, sizeof(data));
	if (!tc_recv(&to->c, 1000))
		fail("nothing arrived", to->name);
	if (to->c.in_len != 4 + SIZE || in[0] != CHANNEL >> 8 || in[1] != (CHANNEL & 0xff) || memcmp(in + 4, data, SIZE) != 0)
		fail("other bytes arrived", to->name);
}

int main(int argc, char **argv)
{
	static struct end a, b;
	char secret[512];
	bool calls = argc == 12;
	FILE *f = argc == 10 || calls ? fopen(argv[2], "re") : NULL;

	if (f == NULL || fgets(secret, sizeof(secret), f) == NULL) {
		fprintf(stderr, "turnpair REALM SECRET-FILE COUNT NAMESPACE-A LOCAL-A SERVER-A NAMESPACE-B LOCAL-B SERVER-B [CALL-A CALL-B]\n");
		return 2;
	}
	(void)fclose(f);
	secret[strcspn(secret, "\r\n")] = '\0';
	unsigned count = (unsigned)strtoul(argv[3], NULL, 10);
	open_end(&a, 'A', argv + 4, calls ? argv[10] : "", argv[1], secret);
	open_end(&b, 'B', argv + 7, calls ? argv[11] : "", argv[1], secret);
	if (tc_bind(&a.c, CHANNEL, b.c.relayed) != 0)
		fail("no channel", 'A');
	if (tc_bind(&b.c, CHANNEL, a.c.relayed) != 0)
		fail("no channel", 'B');
	for (unsigned i = 0; i < count; i++) {
		pass(&a, &b, i);
		pass(&b, &a, i + 1);
	}
	printf("%u datagrams each way\n", count);
	(void)fflush(stdout);
	while (calls && getchar() != EOF)
		;
	(void)tc_refresh(&a.c, 0);
	(void)tc_refresh(&b.c, 0);
	return 0;
}
