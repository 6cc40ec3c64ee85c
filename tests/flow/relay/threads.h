/* What the tests with real threads share: each thread is a worker with frames of its own; buffers come from malloc, so that nothing is shared
 * but the relay, and the sanitizer sees each of them. */
#ifndef DUPLEX_TESTS_FLOW_RELAY_THREADS_H
#define DUPLEX_TESTS_FLOW_RELAY_THREADS_H

#include <pthread.h>

#include "tests/flow/relay/rig.h"

struct side {
	struct rig *r;
	unsigned worker;
	uint8_t buf[BURST][RIG_FRAME];
};

static bool spare_buf(void *user, struct pkt *p)
{
	(void)user;
	p->buf = p->start = malloc(RIG_FRAME);
	p->end = p->start + RIG_FRAME;
	p->data = p->start + RIG_HEADROOM;
	return p->buf != NULL;
}

/* Throws away what a worker sends beside its bursts. */
static void no_extra(struct path *c)
{
	for (unsigned i = 0; i < c->extras; i++)
		free(c->extra[i].buf);
	c->extras = 0;
}

/* Before the threads start: the gateway is known, so nobody has to ask; and each of the two workers takes buffers by itself. */
static void threads_prepare(struct rig *r)
{
	uint8_t arp[ARP_LEN];
	struct iface gateway = { .net.ip = GATEWAY_IP };

	memcpy(gateway.net.mac, rig_host_mac, 6);
	neigh_request(arp, &gateway, RELAY_IP, NULL);
	rig_send(r, 0, arp, sizeof(arp));
	for (unsigned i = 0; i < 2; i++)
		r->path[i].new_buf = spare_buf;
}

#endif
