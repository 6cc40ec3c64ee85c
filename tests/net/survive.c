/* Clients whose relay is killed under them. Makes N allocations with a channel each, lets media flow both ways, and when told so looks at what
 * is left, without any new Allocate, permission or channel. One line of JSON on stdout at the end.
 *
 *   survive --server IP --realm R --secret-file F --local IP --peer IP --stranger IP --count N [--interval-ms MS]
 *
 * Prints "flowing" when all is under way; then the relay may be killed and started again. A line on stdin (or its end) makes it finish:
 *   alive_to_peer, alive_to_client   flows that still carry media at the end, each way
 *   gap_ms, gap_median_ms            longest time without a datagram in any one flow, and the median of the flows' longest
 *   moved       flows whose relayed address is another one than before
 *   refreshed   allocations that could be refreshed with the key and nonce of before, at the first try
 *   widened     datagrams of a stranger (an address without permission) that came through
 *   challenged  refreshes that were answered 401 or 438 instead */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/str.h"
#include "tests/net/tclient.h"

enum { COUNT_MAX = 16384, CHANNEL = 0x4000, WARM_MS = 1000, END_MS = 2500, FLOW_ALIVE_MS = 1500, SIZE = 160, BATCH = 200 };

#define STRANGER "a stranger's word"

struct flow {
	struct tc c;
	int peer;
	struct sockaddr_in peer_addr;
	uint64_t last[2], gap[2]; /* to peer, to client; ms */
	unsigned moved;
};

struct run {
	struct tc_env env;
	struct in_addr stranger;
	unsigned count, interval_ms;
	struct flow *flow;
	int epoll;
	unsigned next; /* flow whose turn it is to send */
};

static void die(const char *why)
{
	fprintf(stderr, "survive: %s\n", why);
	exit(2);
}

static void watch(const struct run *r, int fd, uint32_t mark)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = mark };

	if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll");
}

static void set_up(struct run *r)
{
	char user[32];

	for (unsigned i = 0; i < r->count; i++) {
		struct flow *f = &r->flow[i];

		snprintf(user, sizeof(user), "survivor%u", i / 32);
		tc_open(&f->c, &r->env, user, "");
		f->peer = tc_peer_open(r->env.peer, &f->peer_addr);
		if (tc_allocate(&f->c) != 0 || tc_bind(&f->c, CHANNEL, f->peer_addr) != 0)
			die("an allocation or a channel is refused");
		watch(r, f->c.fd, 2 * i + 1);
		watch(r, f->peer, 2 * i);
	}
}

static void arrived(struct flow *f, unsigned way, uint64_t now)
{
	if (f->last[way] != 0 && now - f->last[way] > f->gap[way])
		f->gap[way] = now - f->last[way];
	f->last[way] = now;
}

/* What has come; true if there was something on stdin. */
static bool receive(struct run *r, int wait_ms)
{
	struct epoll_event events[256];
	uint8_t in[2048];
	int n = epoll_wait(r->epoll, events, 256, wait_ms);
	uint64_t now = clock_mono_ms();
	bool told = false;

	for (int i = 0; i < n; i++) {
		uint32_t mark = events[i].data.u32;
		if (mark == UINT32_MAX) {
			told = true;
			continue;
		}
		struct flow *f = &r->flow[mark / 2];
		struct sockaddr_in from;
		long len = tc_peer_recv(mark % 2 != 0 ? f->c.fd : f->peer, in, sizeof(in), &from, 0);

		if (len < 0)
			continue;
		if (mark % 2 != 0)
			arrived(f, 1, now);
		else if (from.sin_port == f->c.relayed.sin_port && from.sin_addr.s_addr == f->c.relayed.sin_addr.s_addr)
			arrived(f, 0, now);
		else
			f->moved++;
	}
	return told;
}

/* Both ends of one flow say something. While there is no relay there may be no route either. */
static void speak(struct flow *f)
{
	uint8_t out[4 + SIZE] = { CHANNEL >> 8, CHANNEL & 0xff, 0, SIZE };

	(void)sendto(f->c.fd, out, sizeof(out), MSG_DONTWAIT, (const struct sockaddr *)&f->c.env->server, sizeof(f->c.env->server));
	(void)sendto(f->peer, out + 4, SIZE, MSG_DONTWAIT, (const struct sockaddr *)&f->c.relayed, sizeof(f->c.relayed));
}

/* Media until `until` (ms) or, if that is 0, a line on stdin. */
static void flow(struct run *r, uint64_t until)
{
	uint64_t began = clock_mono_us(), sent = 0;

	for (;;) {
		uint64_t now_us = clock_mono_us(), due = (now_us - began) * r->count / (r->interval_ms * 1000u);

		/* On a machine that has no time for us we say less, rather than hear nothing. */
		if (due - sent > BATCH)
			sent = due - BATCH;
		for (; sent < due; sent++)
			speak(&r->flow[r->next++ % r->count]);
		bool told = receive(r, 1);
		if (until == 0 ? told : now_us / 1000 >= until)
			return;
	}
}

/* Refresh with what was known before the relay ended, and no second try. */
static int refresh(struct tc *c)
{
	struct ts_msg m;

	tc_request(&m, TS_REFRESH);
	ts_put_u32(&m, TS_LIFETIME, 600);
	tc_sign(c, &m);
	if (!tc_transact(c, &m))
		return -1;
	return ts_class(c->in) == TS_SUCCESS ? 0 : ts_error(c->in, c->in_len);
}

/* Datagrams of the stranger among what a client has received. */
static unsigned strange(struct tc *c, int ms)
{
	unsigned n = 0;
	long len;

	while ((len = tc_peer_recv(c->fd, c->in, sizeof(c->in), NULL, ms)) >= 0)
		n += memmem(c->in, (size_t)len, STRANGER, sizeof(STRANGER) - 1) != NULL;
	return n;
}

/* Somebody without a permission writes to every relayed address; what comes through is counted. */
static unsigned intrude(struct run *r)
{
	struct sockaddr_in bound;
	int fd = tc_peer_open(r->stranger, &bound);
	unsigned widened = 0;

	for (unsigned i = 0; i < r->count; i++) {
		tc_peer_send(fd, r->flow[i].c.relayed, STRANGER, sizeof(STRANGER) - 1);
		widened += strange(&r->flow[i].c, i % 50 == 49 ? 5 : 0);
	}
	(void)usleep(100000);
	for (unsigned i = 0; i < r->count; i++)
		widened += strange(&r->flow[i].c, 0);
	close(fd);
	return widened;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct run *r)
{
	unsigned alive[2] = { 0 }, moved = 0, refreshed = 0, challenged = 0;
	uint64_t *gaps = calloc(r->count, sizeof(*gaps)), now = clock_mono_ms();

	if (gaps == NULL)
		die("out of memory");
	for (unsigned i = 0; i < r->count; i++) {
		struct flow *f = &r->flow[i];

		for (unsigned way = 0; way < 2; way++) {
			if (now - f->last[way] <= FLOW_ALIVE_MS)
				alive[way]++;
			else
				arrived(f, way, now);
			if (f->gap[way] > gaps[i])
				gaps[i] = f->gap[way];
		}
		moved += f->moved;
	}
	unsigned widened = intrude(r);
	for (unsigned i = 0; i < r->count; i++) {
		int code = refresh(&r->flow[i].c);

		refreshed += code == 0;
		challenged += code == 401 || code == 438;
	}
	qsort(gaps, r->count, sizeof(*gaps), by_size);
	printf("{\"allocations\":%u,\"alive_to_peer\":%u,\"alive_to_client\":%u,\"gap_ms\":%llu,\"gap_median_ms\":%llu,\"moved\":%u,"
	       "\"refreshed\":%u,\"challenged\":%u,\"widened\":%u}\n",
	       r->count, alive[0], alive[1], (unsigned long long)gaps[r->count - 1], (unsigned long long)gaps[r->count / 2], moved, refreshed,
	       challenged, widened);
	free(gaps);
}

static const char *read_secret(const char *file)
{
	static char secret[512];
	FILE *f = fopen(file, "r");

	if (f == NULL || fgets(secret, sizeof(secret), f) == NULL)
		die("the secret file cannot be read");
	(void)fclose(f);
	secret[strcspn(secret, "\n")] = '\0';
	return secret;
}

static struct in_addr ip_of(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		die("no IPv4 address");
	return a;
}

static unsigned number(const char *text)
{
	uint64_t n;

	if (str_to_u64(str_from(text), COUNT_MAX, &n) != ERR_OK || n == 0)
		die("no number");
	return (unsigned)n;
}

static void read_arguments(int argc, char **argv, struct run *r)
{
	enum { SERVER = 1, REALM, SECRET_FILE, LOCAL, PEER, STRANGE, COUNT, INTERVAL };
	static const struct option options[] = {
		{ "server", 1, NULL, SERVER }, { "realm", 1, NULL, REALM },       { "secret-file", 1, NULL, SECRET_FILE },
		{ "local", 1, NULL, LOCAL },   { "peer", 1, NULL, PEER },         { "stranger", 1, NULL, STRANGE },
		{ "count", 1, NULL, COUNT },   { "interval-ms", 1, NULL, INTERVAL }, { NULL, 0, NULL, 0 },
	};
	int o;

	r->env.server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(3478) };
	r->interval_ms = 20;
	r->count = 1;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case SERVER: r->env.server.sin_addr = ip_of(optarg); break;
		case REALM: snprintf(r->env.realm, sizeof(r->env.realm), "%s", optarg); break;
		case SECRET_FILE: r->env.secret = read_secret(optarg); break;
		case LOCAL: r->env.local = ip_of(optarg); break;
		case PEER: r->env.peer = ip_of(optarg); break;
		case STRANGE: r->stranger = ip_of(optarg); break;
		case COUNT: r->count = number(optarg); break;
		case INTERVAL: r->interval_ms = number(optarg); break;
		default: exit(2);
		}
	}
	if (r->env.secret == NULL)
		die("--secret-file is missing");
}

int main(int argc, char **argv)
{
	static struct run r;
	struct rlimit files = { 65536, 65536 };

	read_arguments(argc, argv, &r);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	r.flow = calloc(r.count, sizeof(*r.flow));
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r.flow == NULL || r.epoll < 0)
		die("out of memory");
	set_up(&r);
	flow(&r, clock_mono_ms() + WARM_MS);
	for (unsigned i = 0; i < r.count; i++)
		r.flow[i].gap[0] = r.flow[i].gap[1] = 0;
	printf("flowing\n");
	fflush(stdout);
	watch(&r, STDIN_FILENO, UINT32_MAX);
	flow(&r, 0);
	flow(&r, clock_mono_ms() + END_MS);
	report(&r);
	for (unsigned i = 0; i < r.count; i++)
		(void)tc_refresh(&r.flow[i].c, 0);
	return 0;
}
