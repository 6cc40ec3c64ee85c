#include "bench/rawio.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ETH = 14, IP = 20, UDP = 8,
	SLOT = RAWIO_FRAME,      /* one frame of the receive ring and of the send batch */
	RING = 16384,            /* frames */
	MAX_LOCAL = 8,
	SOCKET_BUFFER = 8 << 20,
};

struct rawio {
	int fd;
	uint8_t *ring; /* owned mapping of RING * SLOT bytes */
	unsigned at;
	uint8_t mac[6], gateway[6];
	bool have_gateway;
	uint32_t wanted; /* address being resolved */
	uint32_t local[MAX_LOCAL];
	size_t locals;
	struct mmsghdr msgs[RAWIO_BATCH];
	struct iovec iov[RAWIO_BATCH];
	unsigned queued;
	struct rawio_stats stats;
	uint8_t tx[RAWIO_BATCH][SLOT];
};

static void die(const char *what)
{
	fprintf(stderr, "turnload: %s: %s\n", what, strerrordesc_np(errno));
	exit(2);
}

uint64_t rawio_sum(const uint8_t *p, size_t len, uint64_t sum)
{
	uint32_t w;
	uint16_t h = 0;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&w, p, 4);
		sum += w;
	}
	if (len >= 2) {
		memcpy(&h, p, 2);
		sum += h;
		p += 2;
		len -= 2;
	}
	if (len == 1) {
		h = 0;
		memcpy(&h, p, 1);
		sum += h;
	}
	return sum;
}

uint16_t rawio_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffffu);
	while (sum >> 16 != 0)
		sum = (sum >> 16) + (sum & 0xffffu);
	return (uint16_t)sum;
}

/* Pseudo header of UDP (RFC 768), in memory order. */
static uint64_t pseudo(const uint8_t *ip, uint16_t udp_len)
{
	return rawio_sum(ip + 12, 8, 0) + htons(17) + htons(udp_len);
}

static void set_ring(struct rawio *io)
{
	struct tpacket_req req = { .tp_block_size = SLOT * 64, .tp_frame_size = SLOT, .tp_block_nr = RING / 64, .tp_frame_nr = RING };
	int version = TPACKET_V2, one = 1, buffer = SOCKET_BUFFER;

	if (setsockopt(io->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
	    setsockopt(io->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) != 0 ||
	    setsockopt(io->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) != 0 ||
	    setsockopt(io->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) != 0 ||
	    setsockopt(io->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) != 0)
		die("packet socket options");
	io->ring = mmap(NULL, (size_t)RING * SLOT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, io->fd, 0);
	if (io->ring == MAP_FAILED)
		die("mapping the receive ring");
}

struct rawio *rawio_open(const char *ifname, const uint32_t *local, size_t locals)
{
	struct rawio *io = calloc(1, sizeof(*io));
	struct ifreq ifr = { 0 };

	if (io == NULL || locals > MAX_LOCAL)
		die("memory");
	memcpy(io->local, local, locals * sizeof(*local));
	io->locals = locals;
	io->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (io->fd < 0)
		die("packet socket (root is needed)");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(io->fd, SIOCGIFHWADDR, &ifr) != 0)
		die(ifname);
	memcpy(io->mac, ifr.ifr_hwaddr.sa_data, sizeof(io->mac));
	set_ring(io);
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(ifname) };
	if (bind(io->fd, (struct sockaddr *)&ll, sizeof(ll)) != 0)
		die(ifname);
	for (unsigned i = 0; i < RAWIO_BATCH; i++) {
		io->iov[i].iov_base = io->tx[i];
		io->msgs[i].msg_hdr.msg_iov = &io->iov[i];
		io->msgs[i].msg_hdr.msg_iovlen = 1;
	}
	return io;
}

void rawio_close(struct rawio *io)
{
	munmap(io->ring, (size_t)RING * SLOT);
	close(io->fd);
	free(io);
}

void rawio_set_gateway(struct rawio *io, const uint8_t mac[6])
{
	memcpy(io->gateway, mac, sizeof(io->gateway));
	io->have_gateway = true;
}

size_t rawio_build(const struct rawio *io, uint8_t *frame, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, const uint8_t *data,
		   size_t len)
{
	uint8_t *ip = frame + ETH, *udp = ip + IP;
	uint32_t addr[2] = { htonl(src), htonl(dst) };
	uint16_t port[4] = { htons(sport), htons(dport), htons((uint16_t)(UDP + len)), 0 };
	uint16_t total = htons((uint16_t)(IP + UDP + len)), sum;

	memcpy(frame, io->gateway, 6);
	memcpy(frame + 6, io->mac, 6);
	memcpy(frame + 12, (uint8_t[]){ 0x08, 0x00 }, 2);
	memcpy(ip, (uint8_t[IP]){ 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17 }, IP);
	memcpy(ip + 2, &total, 2);
	memcpy(ip + 12, addr, sizeof(addr));
	sum = (uint16_t)~rawio_fold(rawio_sum(ip, IP, 0));
	memcpy(ip + 10, &sum, 2);
	memcpy(udp, port, sizeof(port));
	memcpy(udp + UDP, data, len);
	sum = (uint16_t)~rawio_fold(rawio_sum(udp, UDP + len, pseudo(ip, (uint16_t)(UDP + len))));
	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + 6, &sum, 2);
	return ETH + IP + UDP + len;
}

uint8_t *rawio_slot(struct rawio *io)
{
	return io->tx[io->queued];
}

void rawio_commit(struct rawio *io, size_t len)
{
	io->iov[io->queued++].iov_len = len;
	if (io->queued == RAWIO_BATCH)
		rawio_flush(io);
}

/* What the kernel does not take at once is dropped and counted: the caller's pace must not depend on the interface. */
void rawio_flush(struct rawio *io)
{
	if (io->queued == 0)
		return;
	int n = sendmmsg(io->fd, io->msgs, io->queued, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
		die("sending");
	io->stats.tx += n > 0 ? (unsigned)n : 0;
	io->stats.tx_refused += io->queued - (n > 0 ? (unsigned)n : 0);
	io->queued = 0;
}

void rawio_send(struct rawio *io, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, const uint8_t *data, size_t len)
{
	rawio_commit(io, rawio_build(io, rawio_slot(io), src, sport, dst, dport, data, len));
}

static void arp_send(struct rawio *io, unsigned op, uint32_t from, const uint8_t *to_mac, uint32_t to)
{
	uint8_t *f = rawio_slot(io);
	uint32_t from_be = htonl(from), to_be = htonl(to);

	memcpy(f, op == 1 ? (const uint8_t *)"\xff\xff\xff\xff\xff\xff" : to_mac, 6);
	memcpy(f + 6, io->mac, 6);
	memcpy(f + 12, (uint8_t[]){ 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, (uint8_t)op }, 10);
	memcpy(f + 22, io->mac, 6);
	memcpy(f + 28, &from_be, 4);
	memcpy(f + 32, to_mac, 6);
	memcpy(f + 38, &to_be, 4);
	memset(f + 42, 0, 18);
	rawio_commit(io, 60);
	rawio_flush(io);
}

static bool is_local(const struct rawio *io, uint32_t ip)
{
	for (size_t i = 0; i < io->locals; i++)
		if (io->local[i] == ip)
			return true;
	return false;
}

static void arp_in(struct rawio *io, const uint8_t *f, size_t len)
{
	uint32_t sender, target;

	if (len < 42)
		return;
	memcpy(&sender, f + 28, 4);
	memcpy(&target, f + 38, 4);
	if (f[21] == 2 && ntohl(sender) == io->wanted) {
		rawio_set_gateway(io, f + 22);
		return;
	}
	if (f[21] == 1 && is_local(io, ntohl(target)))
		arp_send(io, 2, ntohl(target), f + 22, ntohl(sender));
}

bool rawio_resolve(struct rawio *io, uint32_t ip)
{
	io->wanted = ip;
	io->have_gateway = false;
	for (int try = 0; try < 100 && !io->have_gateway; try++) {
		arp_send(io, 1, io->local[0], (uint8_t[6]){ 0 }, ip);
		for (int wait = 0; wait < 100 && !io->have_gateway; wait++) {
			rawio_poll(io, 64, NULL, NULL);
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		}
	}
	return io->have_gateway;
}

static void frame_in(struct rawio *io, const uint8_t *f, size_t len, rawio_fn fn, void *user)
{
	const uint8_t *ip = f + ETH;

	if (len >= ETH && f[12] == 0x08 && f[13] == 0x06) {
		arp_in(io, f, len);
		return;
	}
	if (len < ETH + IP + UDP || f[12] != 0x08 || f[13] != 0 || ip[0] != 0x45 || ip[9] != 17) {
		io->stats.rx_other++;
		return;
	}
	size_t total = (size_t)ip[2] << 8 | ip[3];
	const uint8_t *udp = ip + IP;
	size_t udp_len = (size_t)udp[4] << 8 | udp[5];
	if (total > len - ETH || udp_len < UDP || udp_len != total - IP) {
		io->stats.rx_malformed++;
		return;
	}
	if (rawio_fold(rawio_sum(ip, IP, 0)) != 0xffff) {
		io->stats.rx_bad_ip_sum++;
		return;
	}
	if (udp[6] == 0 && udp[7] == 0)
		io->stats.rx_no_udp_sum++;
	else if (rawio_fold(rawio_sum(udp, udp_len, pseudo(ip, (uint16_t)udp_len))) != 0xffff) {
		io->stats.rx_bad_udp_sum++;
		return;
	}
	struct rawio_in in = { .sport = (uint16_t)(udp[0] << 8 | udp[1]), .dport = (uint16_t)(udp[2] << 8 | udp[3]),
			       .data = udp + UDP, .len = udp_len - UDP };
	memcpy(&in.src, ip + 12, 4);
	memcpy(&in.dst, ip + 16, 4);
	in.src = ntohl(in.src);
	in.dst = ntohl(in.dst);
	if (!is_local(io, in.dst)) {
		io->stats.rx_other++;
		return;
	}
	io->stats.rx++;
	if (fn != NULL)
		fn(user, &in);
}

unsigned rawio_poll(struct rawio *io, unsigned budget, rawio_fn fn, void *user)
{
	unsigned n = 0;

	for (; n < budget; n++) {
		uint8_t *slot = io->ring + (size_t)io->at * SLOT;
		struct tpacket2_hdr *h = (void *)slot;

		if ((__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0)
			break;
		frame_in(io, slot + h->tp_mac, h->tp_snaplen, fn, user);
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		io->at = (io->at + 1) % RING;
	}
	return n;
}

const struct rawio_stats *rawio_stats(struct rawio *io)
{
	struct tpacket_stats st;
	socklen_t size = sizeof(st);

	/* The kernel clears its counters when they are read. */
	if (getsockopt(io->fd, SOL_PACKET, PACKET_STATISTICS, &st, &size) == 0)
		io->stats.ring_drops += st.tp_drops;
	return &io->stats;
}
