/* reflect: the least a relay could do. Sends every UDP packet back with its ends swapped; with it in the relay's place the load
 * generator's own ceiling is measured, so that a benchmark can say which of the two was the limit. Ends with SIGTERM.
 *
 *   reflect INTERFACE ADDRESS LINK-ADDRESS-OF-THE-GENERATOR [FAULT]
 *
 * A FAULT happens to every 97th packet, to see that the generator notices: drop, twice, change (a byte of the payload, with a right checksum), sum
 * (a wrong checksum). */
#include "bench/rawio.h"

#include <arpa/inet.h>
#include <netinet/ether.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

enum { EVERY = 97, BYTE = 60 };
static const char *fault = "";

static void back(void *user, const struct rawio_in *in)
{
	static unsigned n;
	uint8_t *frame = rawio_slot(user);
	size_t len = rawio_build(user, frame, in->dst, in->dport, in->src, in->sport, in->data, in->len);
	bool now = fault[0] != '\0' && ++n % EVERY == 0;

	if (now && strcmp(fault, "drop") == 0)
		return;
	if (now && strcmp(fault, "sum") == 0)
		frame[RAWIO_HEADERS - 1] ^= 1;
	if (now && strcmp(fault, "change") == 0 && in->len > BYTE) {
		uint8_t data[RAWIO_FRAME];

		memcpy(data, in->data, in->len);
		data[BYTE] ^= 1;
		(void)rawio_build(user, frame, in->dst, in->dport, in->src, in->sport, data, in->len);
	}
	rawio_commit(user, len);
	if (now && strcmp(fault, "twice") == 0)
		rawio_send(user, in->dst, in->dport, in->src, in->sport, in->data, in->len);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct in_addr ip;
	struct ether_addr *mac = NULL;

	if (argc < 4 || argc > 5 || inet_pton(AF_INET, argv[2], &ip) != 1 || (mac = ether_aton(argv[3])) == NULL) {
		fprintf(stderr, "reflect: INTERFACE ADDRESS MAC [drop|twice|change|sum]\n");
		return 2;
	}
	if (argc == 5)
		fault = argv[4];
	sigaction(SIGTERM, &sa, NULL);
	uint32_t local = ntohl(ip.s_addr);
	struct rawio *io = rawio_open(argv[1], &local, 1);
	rawio_set_gateway(io, mac->ether_addr_octet);
	while (stop == 0) {
		rawio_poll(io, RAWIO_BATCH, back, io);
		rawio_flush(io);
	}
	rawio_close(io);
	return 0;
}
