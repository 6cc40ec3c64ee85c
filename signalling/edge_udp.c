/* Datagrams of phones. Nothing is kept for an address until a phone has logged in from there. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/stun.h"
#include "signalling/conn.h"
#include "signalling/edge_int.h"

#define DATAGRAMS_A_TURN 64u
#define BUFFER_BYTES (2 << 20)

static void on_ready(struct loop_fd *lf, uint32_t events);

/* --- the table of links --- */

static struct list *bucket_of(struct edge *e, const struct sockaddr_storage *remote)
{
	const uint8_t *p = (const uint8_t *)remote;
	uint64_t h = 0xcbf29ce484222325ull;

	/* Only addresses with a login are in it, so nobody fills a bucket by choice. */
	for (size_t i = 0; i < 8 || (remote->ss_family == AF_INET6 && i < 24); i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return &e->udp[(h ^ h >> 32) & (EDGE_UDP_BUCKETS - 1)];
}

struct link *udp_find(struct edge *e, const struct edge_socket *s, const struct sockaddr_storage *remote)
{
	struct list *head = bucket_of(e, remote), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct link *l = CONTAINER_OF(it, struct link, by_remote);

		if (l->socket == s && !l->dead && address_eq(&l->remote, remote))
			return l;
	}
	return NULL;
}

void udp_keep(struct link *l)
{
	list_append(bucket_of(l->edge, &l->remote), &l->by_remote);
	l->edge->w->count->links++;
}

void udp_free(struct link *l)
{
	gate_forget(l);
	loop_undefer(&l->ended);
	if (!list_empty(&l->by_remote)) {
		list_remove(&l->by_remote);
		l->edge->w->count->links--;
	}
	free(l);
}

/* --- sending --- */

static size_t control_put(const struct link *l, struct msghdr *m, char *mem)
{
	struct cmsghdr *c;

	memset(mem, 0, CMSG_SPACE(sizeof(struct in6_pktinfo)));
	m->msg_control = mem;
	m->msg_controllen = l->local.ss_family == AF_INET6 ? CMSG_SPACE(sizeof(struct in6_pktinfo)) : CMSG_SPACE(sizeof(struct in_pktinfo));
	c = CMSG_FIRSTHDR(m);
	if (l->local.ss_family == AF_INET6) {
		struct in6_pktinfo info = { .ipi6_addr = ((const struct sockaddr_in6 *)&l->local)->sin6_addr };

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in_pktinfo info = { .ipi_spec_dst = ((const struct sockaddr_in *)&l->local)->sin_addr };

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	return m->msg_controllen;
}

enum err udp_write(struct link *l, struct str bytes, uint16_t port)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct sockaddr_storage to = l->remote;
	struct iovec iov = { (void *)(uintptr_t)bytes.p, bytes.len };
	struct msghdr m = { .msg_name = &to, .msg_namelen = address_len(&to), .msg_iov = &iov, .msg_iovlen = 1 };

	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&to)->sin_port = htons(port);
	if (l->socket->lf.fd < 0)
		return ERR_CLOSED;
	/* From the address that the phone knows: a wildcard socket would take the route's. */
	if (l->socket->wildcard)
		(void)control_put(l, &m, control);
	if (sendmsg(l->socket->lf.fd, &m, MSG_DONTWAIT) < 0) {
		/* A full queue is a lost datagram: timers send it again. A port that was closed says nothing about the phone's next one. */
		if (errno == EMSGSIZE)
			return ERR_TOO_LARGE;
		if (errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED && errno != EINTR)
			return ERR_CLOSED;
	}
	l->edge->w->count->stat[STAT_BYTES_OUT] += bytes.len;
	return ERR_OK;
}

/* --- receiving --- */

/* RFC 5626 §3.5.2, §6: a Binding request is a keep-alive; the answer shows the phone its address, so that it notices a new one. */
static void take_stun(struct link *l, struct str bytes)
{
	struct stun_msg m;
	struct stun_addr a = { .port = address_port(&l->remote) };
	uint8_t reply[128];
	struct wr w = wr_of(reply, sizeof(reply));

	if (stun_parse(bytes.p, bytes.len, &m) != ERR_OK || m.class != STUN_REQUEST || m.method != STUN_BINDING || m.fingerprint == STUN_FP_BAD) {
		l->edge->w->count->reject[REJ_DATAGRAM]++;
		return;
	}
	if (l->remote.ss_family == AF_INET6) {
		a.family = STUN_IPV6;
		memcpy(a.ip, &((const struct sockaddr_in6 *)&l->remote)->sin6_addr, 16);
	} else {
		a.family = STUN_IPV4;
		memcpy(a.ip, &((const struct sockaddr_in *)&l->remote)->sin_addr, 4);
	}
	stun_begin(&w, STUN_SUCCESS, STUN_BINDING, stun_tid(&m));
	stun_put_address(&w, STUN_XOR_MAPPED_ADDRESS, &a);
	size_t len = stun_end(&w);
	l->edge->w->count->stat[STAT_STUN]++;
	if (len > 0)
		(void)!udp_write(l, str_of(reply, len), a.port);
}

static void take(struct edge_socket *s, const struct sockaddr_storage *remote, const struct sockaddr_storage *local, struct str bytes)
{
	struct edge *e = s->edge;
	struct worker *w = e->w;
	struct link *l = udp_find(e, s, remote), *made = NULL;

	w->count->stat[STAT_BYTES_IN] += bytes.len;
	if (address_port(remote) == 0 || !sources_take(e->sources, remote, 1, worker_now(w))) {
		w->count->reject[REJ_SOURCE]++;
		return;
	}
	/* RFC 5626 §4.4.1 has CRLF for streams only, but many phones send it on UDP as well. */
	if (str_trim(bytes).len == 0) {
		w->count->stat[STAT_KEEPALIVE]++;
		return;
	}
	if (l == NULL) {
		made = l = malloc(sizeof(*l));
		if (l == NULL)
			return;
		link_init(l, e, LINK_UDP, remote, local);
		l->socket = s;
	}
	bool kept = false;
	/* STUN starts with two zero bits, and no SIP does (RFC 5626 §6). */
	if ((uint8_t)bytes.p[0] < 2)
		take_stun(l, bytes);
	else
		kept = gate_receive(l, bytes);
	if (made != NULL && !kept)
		udp_free(made);
}

/* Where a datagram to a wildcard address really went. */
static void local_of(struct msghdr *m, struct sockaddr_storage *local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			((struct sockaddr_in *)local)->sin_addr = info.ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			((struct sockaddr_in6 *)local)->sin6_addr = info.ipi6_addr;
		}
	}
}

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct edge_socket *s = CONTAINER_OF(lf, struct edge_socket, lf);

	(void)events;
	for (unsigned i = 0; i < DATAGRAMS_A_TURN && lf->fd >= 0; i++) {
		_Alignas(struct cmsghdr) char control[256];
		struct sockaddr_storage remote, local = s->address;
		struct iovec iov = { s->edge->scratch, sizeof(s->edge->scratch) };
		struct msghdr m = { .msg_name = &remote, .msg_namelen = sizeof(remote), .msg_iov = &iov, .msg_iovlen = 1,
				    .msg_control = control, .msg_controllen = sizeof(control) };

		memset(&remote, 0, sizeof(remote));
		ssize_t n = recvmsg(lf->fd, &m, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0 || (m.msg_flags & MSG_TRUNC) != 0)
			continue;
		if (s->wildcard)
			local_of(&m, &local);
		take(s, &remote, &local, str_of(s->edge->scratch, (size_t)n));
	}
}

enum err udp_open(struct edge_socket *s)
{
	const struct sockaddr_storage *a = &s->address;
	int one = 1, bytes = BUFFER_BYTES;
	bool v6 = a->ss_family == AF_INET6;

	s->lf.fn = on_ready;
	s->lf.fd = socket(a->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->lf.fd < 0)
		return ERR_IO;
	(void)setsockopt(s->lf.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(s->lf.fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0 &&
	    (!v6 || setsockopt(s->lf.fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0) &&
	    (!s->wildcard || setsockopt(s->lf.fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &one, sizeof(one)) == 0) &&
	    bind(s->lf.fd, (const struct sockaddr *)a, address_len(a)) == 0 && loop_add(s->edge->w->loop, &s->lf, EPOLLIN) == ERR_OK)
		return ERR_OK;
	int why = errno;
	(void)close(s->lf.fd);
	s->lf.fd = -1;
	errno = why;
	return ERR_IO;
}
