#include "signalling/hep.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

COUNTER_NAMES(hep_counter_names, HEP_COUNTERS);

#define PACKET_MAX 65000u

enum chunk {
	CHUNK_FAMILY = 1, CHUNK_PROTOCOL, CHUNK_SOURCE4, CHUNK_TARGET4, CHUNK_SOURCE6, CHUNK_TARGET6, CHUNK_SOURCE_PORT, CHUNK_TARGET_PORT,
	CHUNK_SECONDS, CHUNK_MICROSECONDS, CHUNK_TYPE, CHUNK_NODE_ID, CHUNK_KEY = 14, CHUNK_PAYLOAD = 15, CHUNK_CORRELATION = 17, CHUNK_NODE_NAME = 19
};
#define TYPE_SIP 1u
#define FAMILY_IPV4 2u
#define FAMILY_IPV6 10u
#define SIP_PORT 5060u

struct hep {
	int fd; /* owned */
	const char *node;
	uint32_t node_id;
	char key[128];
	uint64_t counter[HEP_C_COUNT];
};

static void put16(struct buf *b, size_t n)
{
	buf_char(b, (char)(n >> 8));
	buf_char(b, (char)n);
}

static void chunk_put(struct buf *b, enum chunk type, struct str value)
{
	put16(b, 0); /* vendor: generic */
	put16(b, type);
	put16(b, value.len + 6);
	buf_str(b, value);
}

static void number_put(struct buf *b, enum chunk type, uint32_t n, size_t size)
{
	char bytes[4] = { (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n };

	chunk_put(b, type, str_of(bytes + 4 - size, size));
}

/* The client by its address; this side, whose sockets have none, by the loopback address of the same family. */
static void addresses_put(struct buf *b, const struct tap_message *m)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t client[16] = { 0 }, own[16] = { 0 };
	bool six = str_copy(m->address, text, sizeof(text)) == ERR_OK && inet_pton(AF_INET6, text, client) == 1;
	size_t size = six ? 16 : 4;

	if (!six && (m->address.len >= sizeof(text) || inet_pton(AF_INET, text, client) != 1))
		memset(client, 0, sizeof(client));
	own[six ? 15 : 0] = six ? 1 : 127;
	own[3] = six ? 0 : 1;
	struct str c = str_of(client, size), o = str_of(own, size);
	number_put(b, CHUNK_FAMILY, six ? FAMILY_IPV6 : FAMILY_IPV4, 1);
	number_put(b, CHUNK_PROTOCOL, m->udp ? IPPROTO_UDP : IPPROTO_TCP, 1);
	chunk_put(b, six ? CHUNK_SOURCE6 : CHUNK_SOURCE4, m->to_client ? o : c);
	chunk_put(b, six ? CHUNK_TARGET6 : CHUNK_TARGET4, m->to_client ? c : o);
	/* What nginx hands on has no port; its place tells a user's connections apart. */
	uint32_t port = m->port != 0 ? m->port : 1024 + m->slot % 64000;
	number_put(b, CHUNK_SOURCE_PORT, m->to_client ? SIP_PORT : port, 2);
	number_put(b, CHUNK_TARGET_PORT, m->to_client ? port : SIP_PORT, 2);
}

enum err hep_put(struct buf *out, const struct hep_packet *p)
{
	size_t start = out->len;

	buf_z(out, "HEP3");
	put16(out, 0);
	addresses_put(out, p->m);
	number_put(out, CHUNK_SECONDS, (uint32_t)(p->wall_us / 1000000), 4);
	number_put(out, CHUNK_MICROSECONDS, (uint32_t)(p->wall_us % 1000000), 4);
	number_put(out, CHUNK_TYPE, TYPE_SIP, 1);
	number_put(out, CHUNK_NODE_ID, p->node_id, 4);
	if (p->key.len > 0)
		chunk_put(out, CHUNK_KEY, p->key);
	chunk_put(out, CHUNK_NODE_NAME, p->node);
	if (p->call_id.len > 0)
		chunk_put(out, CHUNK_CORRELATION, p->call_id);
	chunk_put(out, CHUNK_PAYLOAD, p->m->text);
	if (out->overflow || out->len - start > UINT16_MAX)
		return ERR_TOO_LARGE;
	out->p[start + 4] = (char)((out->len - start) >> 8);
	out->p[start + 5] = (char)(out->len - start);
	return ERR_OK;
}

/* --- the socket --- */

union any_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static enum err address_of(struct str s, union any_address *out, socklen_t *len)
{
	char host[INET6_ADDRSTRLEN + 2];
	size_t colon = s.len;
	uint64_t port;

	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (s.p == NULL || colon < 2 || str_to_u64(str_sub(s, colon, s.len), 65535, &port) != ERR_OK || port == 0)
		return ERR_INVALID;
	struct str h = str_sub(s, 0, colon - 1);
	bool six = s.p[0] == '[' && s.p[colon - 2] == ']';
	if (str_copy(six ? str_sub(h, 1, h.len - 2) : h, host, sizeof(host)) != ERR_OK)
		return ERR_INVALID;
	*out = (union any_address){ 0 };
	*len = six ? sizeof(out->in6) : sizeof(out->in);
	out->any.sa_family = six ? AF_INET6 : AF_INET;
	if (six)
		out->in6.sin6_port = htons((uint16_t)port);
	else
		out->in.sin_port = htons((uint16_t)port);
	void *where = six ? (void *)&out->in6.sin6_addr : (void *)&out->in.sin_addr;
	return inet_pton(out->any.sa_family, host, where) == 1 ? ERR_OK : ERR_INVALID;
}

enum err hep_new(const char *address, const char *key, const char *node, uint32_t node_id, struct hep **out)
{
	union any_address a;
	socklen_t len;
	enum err e = address_of(str_from(address), &a, &len);
	struct hep *h = e == ERR_OK ? calloc(1, sizeof(*h)) : NULL;

	if (h == NULL)
		return e == ERR_OK ? ERR_NO_MEMORY : e;
	h->node = node;
	h->node_id = node_id;
	h->fd = socket(a.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (str_copy(str_trim(str_from(key)), h->key, sizeof(h->key)) != ERR_OK)
		e = ERR_TOO_LARGE;
	else if (h->fd < 0 || connect(h->fd, &a.any, len) != 0)
		e = ERR_IO;
	if (e != ERR_OK) {
		hep_free(h);
		return e;
	}
	*out = h;
	return ERR_OK;
}

void hep_free(struct hep *h)
{
	if (h == NULL)
		return;
	if (h->fd >= 0)
		(void)close(h->fd);
	free(h);
}

void hep_send(struct hep *h, const struct tap_message *m, uint64_t wall_us, struct str call_id)
{
	struct buf b = buf_growing(PACKET_MAX);
	struct hep_packet p = { .m = m, .wall_us = wall_us, .node_id = h->node_id, .node = str_from(h->node), .key = str_from(h->key),
				.call_id = call_id };
	enum hep_counter what = HEP_SENT;

	if (hep_put(&b, &p) != ERR_OK)
		what = HEP_DROP_LARGE;
	else if (send(h->fd, b.p, b.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		what = errno == EAGAIN || errno == ENOBUFS ? HEP_DROP_BUSY : errno == EMSGSIZE ? HEP_DROP_LARGE : HEP_DROP_REFUSED;
	h->counter[what]++;
	buf_fini(&b);
}

const uint64_t *hep_counters(const struct hep *h)
{
	return h->counter;
}
