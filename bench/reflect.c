/* reflect: the least a relay could do. Sends every UDP packet back with its ends swapped; with it in the relay's place the load
 * generator's own ceiling is measured, so that a benchmark can say which of the two was the limit. Ends with SIGTERM.
 *
 *   reflect INTERFACE ADDRESS LINK-ADDRESS-OF-THE-GENERATOR */
#include "bench/rawio.h"

#include <arpa/inet.h>
#include <netinet/ether.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static void back(void *user, const struct rawio_in *in)
{
	rawio_send(user, in->dst, in->dport, in->src, in->sport, in->data, in->len);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct in_addr ip;
	struct ether_addr *mac = NULL;

	if (argc != 4 || inet_pton(AF_INET, argv[2], &ip) != 1 || (mac = ether_aton(argv[3])) == NULL) {
		fprintf(stderr, "reflect: INTERFACE ADDRESS MAC\n");
		return 2;
	}
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
