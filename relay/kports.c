#include "relay/kports.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX (4u << 20)   /* of /proc/net/udp with some 30,000 sockets */
#define READ_MAX (64u << 10)  /* files of /proc/sys refuse to be read in larger pieces */

#define FAIL(e, ...)                                        \
	do {                                                \
		(void)snprintf(why, why_size, __VA_ARGS__); \
		return (e);                                 \
	} while (0)

static bool has(const uint64_t *set, unsigned port)
{
	return (set[port / 64] >> (port % 64) & 1) != 0;
}

static void add(uint64_t *set, unsigned port)
{
	set[port / 64] |= UINT64_C(1) << (port % 64);
}

/* The next word of text that ends at blanks. */
static struct str word(struct str *rest)
{
	struct str t = *rest;
	size_t n = 0;

	while (t.len > 0 && (t.p[0] == ' ' || t.p[0] == '\t'))
		t = str_sub(t, 1, t.len);
	while (n < t.len && t.p[n] != ' ' && t.p[n] != '\t')
		n++;
	*rest = str_sub(t, n, t.len);
	return str_sub(t, 0, n);
}

enum err kports_parse_range(struct str text, struct kports *k)
{
	struct str rest = str_trim(text);
	uint64_t first, last;

	if (str_to_u64(word(&rest), 65535, &first) != ERR_OK || str_to_u64(word(&rest), 65535, &last) != ERR_OK || first > last)
		return ERR_INVALID;
	k->first = (uint16_t)first;
	k->last = (uint16_t)last;
	return ERR_OK;
}

enum err kports_parse_reserved(struct str text, struct kports *k)
{
	struct str rest = str_trim(text);

	while (rest.len > 0) {
		struct str item = str_cut(&rest, ',');
		struct str from = str_cut(&item, '-');
		uint64_t a, b;

		if (str_to_u64(from, 65535, &a) != ERR_OK)
			return ERR_INVALID;
		b = a;
		if (item.p != NULL && str_to_u64(item, 65535, &b) != ERR_OK)
			return ERR_INVALID;
		for (uint64_t p = a; p <= b; p++)
			add(k->reserved, (unsigned)p);
	}
	return ERR_OK;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "  12: 0100007F:0035 00000000:0000 07 …": the port behind the colon of the second word. */
static bool line_port(struct str line, unsigned *port)
{
	struct str rest = line;
	(void)word(&rest);
	struct str local = word(&rest);
	size_t colon = str_find(local, ':');
	struct str text = str_sub(local, colon + 1, local.len);
	unsigned v = 0;

	if (text.len != 4)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		if (hex(text.p[i]) < 0)
			return false;
		v = v << 4 | (unsigned)hex(text.p[i]);
	}
	*port = v;
	return true;
}

enum err kports_parse_sockets(struct str text, struct kports *k)
{
	struct str rest = text;
	unsigned port;

	(void)str_cut(&rest, '\n'); /* the heads of the columns */
	while (rest.p != NULL && rest.len > 0) {
		struct str line = str_cut(&rest, '\n');

		if (line.len == 0)
			continue;
		if (!line_port(line, &port))
			return ERR_INVALID;
		add(k->bound, port);
	}
	return ERR_OK;
}

static enum err read_file(const char *path, enum err (*parse)(struct str text, struct kports *k), struct kports *k)
{
	char *text = malloc(FILE_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	while (text != NULL && fd >= 0 && len < FILE_MAX && n > 0) {
		n = read(fd, text + len, MIN(FILE_MAX - len, READ_MAX));
		len += n > 0 ? (size_t)n : 0;
	}
	enum err e = text == NULL ? ERR_NO_MEMORY : fd < 0 || n < 0 ? ERR_IO : parse(str_of(text, len), k);
	if (fd >= 0)
		(void)close(fd);
	free(text);
	return e;
}

enum err kports_read(struct kports *k)
{
	memset(k, 0, sizeof(*k));
	enum err e = read_file("/proc/sys/net/ipv4/ip_local_port_range", kports_parse_range, k);
	if (e == ERR_OK)
		e = read_file("/proc/sys/net/ipv4/ip_local_reserved_ports", kports_parse_reserved, k);
	if (e == ERR_OK)
		e = read_file("/proc/net/udp", kports_parse_sockets, k);
	/* A kernel without IPv6 has no such file. */
	if (e == ERR_OK && access("/proc/net/udp6", R_OK) == 0)
		e = read_file("/proc/net/udp6", kports_parse_sockets, k);
	return e;
}

static bool ephemeral(const struct kports *k, unsigned port)
{
	return port >= k->first && port <= k->last && !has(k->reserved, port);
}

/* The longest run of free ports from `from` to `to`; its length. */
static unsigned longest_run(const struct kports *k, unsigned from, unsigned to, unsigned *start)
{
	unsigned best = 0, run = 0;

	for (unsigned p = from; p <= to; p++) {
		run = ephemeral(k, p) || has(k->bound, p) ? 0 : run + 1;
		if (run > best) {
			best = run;
			*start = p + 1 - run;
		}
	}
	return best;
}

static enum err complain(const struct kports *k, unsigned port, unsigned min, unsigned max, char *why, size_t why_size)
{
	unsigned start = 0, free_ones = longest_run(k, MIN(k->last + 1u, 65535u), 65535, &start);

	if (free_ones < KPORTS_MIN)
		free_ones = longest_run(k, 1024, 65535, &start);
	if (!ephemeral(k, port))
		FAIL(ERR_CONFLICT,
		     "UDP port %u, one of [relay] port-min %u to port-max %u, is in use on this machine, whose address the relay "
		     "shares: choose other ports, or end what uses it",
		     port, min, max);
	FAIL(ERR_CONFLICT,
	     "[relay] port-min %u to port-max %u overlaps the ports that the kernel gives to its own sockets (%u to %u, "
	     "net.ipv4.ip_local_port_range); on an address that the relay shares, answers to them would be lost: choose others, "
	     "such as %u to %u, or reserve these: sysctl net.ipv4.ip_local_reserved_ports=%u-%u",
	     min, max, k->first, k->last, start, start + (free_ones > 0 ? free_ones - 1 : 0), min, max);
}

enum err kports_choose(const struct kports *k, uint16_t turn_port, uint16_t *min, uint16_t *max, bool narrow, char *why,
		       size_t why_size)
{
	unsigned start = 0, run;

	if (has(k->bound, turn_port))
		FAIL(ERR_CONFLICT,
		     "UDP port %u ([relay] turn-port) is in use on this machine, whose address the relay shares: is another TURN "
		     "server running? End it, or choose another turn-port",
		     turn_port);
	if (ephemeral(k, turn_port))
		FAIL(ERR_CONFLICT,
		     "[relay] turn-port %u is one of the ports that the kernel gives to its own sockets (%u to %u): choose another, or "
		     "reserve it: sysctl net.ipv4.ip_local_reserved_ports=%u",
		     turn_port, k->first, k->last, turn_port);
	run = longest_run(k, *min, *max, &start);
	if (run == (unsigned)*max - *min + 1)
		return ERR_OK;
	if (!narrow || run < KPORTS_MIN) {
		for (unsigned p = *min; p <= *max; p++) {
			if (ephemeral(k, p) || has(k->bound, p))
				return complain(k, p, *min, *max, why, why_size);
		}
	}
	*min = (uint16_t)start;
	*max = (uint16_t)(start + run - 1);
	return ERR_OK;
}
