/* sumcheck: captures what arrives on an interface and verifies the lengths and checksums of every IPv4, IPv6, ICMP and UDP packet, until SIGTERM.
 * Only frames that came in count: on the kernel's end of a TAP or veth these are the ones that the relay wrote itself.
 *
 *   sumcheck INTERFACE [fragments]   prints `capturing`, and at the end one line; exits with 1 when a packet was wrong or no UDP came. Fragments
 *                                    are wrong unless they are asked for; of theirs only the IP header is looked at */
#include "tests/net/tstun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { ETH = 14, IP = 20, IP6 = 40, UDP = 8, HOP_BY_HOP = 0, ICMP6 = 58 };

struct tally {
	unsigned long arp, udp, udp6, icmp, icmp6, fragments, other, bad, no_sum, lost;
	char first_bad[240];
};

static volatile sig_atomic_t stop;
static int with_fragments;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static void bad(struct tally *t, const char *why, const uint8_t *ip, size_t len)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	if (ip[0] >> 4 == 6) {
		if (t->bad++ == 0)
			snprintf(t->first_bad, sizeof(t->first_bad), "%s (%zu bytes, next header %u, %s to %s)", why, len, ip[6],
				 inet_ntop(AF_INET6, ip + 8, src, sizeof(src)), inet_ntop(AF_INET6, ip + 24, dst, sizeof(dst)));
		return;
	}
	if (t->bad++ == 0)
		snprintf(t->first_bad, sizeof(t->first_bad), "%s (%zu bytes, protocol %u, %u.%u.%u.%u to %u.%u.%u.%u)", why, len, ip[9],
			 ip[12], ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19]);
}

static void udp_packet(struct tally *t, const uint8_t *ip, size_t total)
{
	const uint8_t *udp = ip + IP;
	size_t len = (size_t)udp[4] << 8 | udp[5];

	t->udp++;
	if (total < IP + UDP || len != total - IP) {
		bad(t, "the UDP length differs from the packet's", ip, total);
		return;
	}
	if (udp[6] == 0 && udp[7] == 0)
		t->no_sum++;
	else if (ts_fold(ts_sum(udp, len, ts_sum(ip + 12, 8, 17 + (uint32_t)len))) != 0xffff)
		bad(t, "wrong UDP checksum", ip, total);
}

static void ip_packet(struct tally *t, const uint8_t *ip, size_t len)
{
	size_t total = (size_t)ip[2] << 8 | ip[3];

	if (ip[0] != 0x45 || total > len || total < IP) {
		bad(t, "wrong IPv4 header or length", ip, len);
		return;
	}
	if (ts_fold(ts_sum(ip, IP, 0)) != 0xffff)
		bad(t, "wrong IPv4 header checksum", ip, total);
	int part = (ip[6] & 0x3f) != 0 || ip[7] != 0;
	if (ip[8] == 0 || (part && !with_fragments))
		bad(t, "TTL 0 or a fragment", ip, total);
	if (part) {
		t->fragments++;
		return;
	}
	if (ip[9] == 17) {
		udp_packet(t, ip, total);
	} else if (ip[9] == 1) {
		t->icmp++;
		if (ts_fold(ts_sum(ip + IP, total - IP, 0)) != 0xffff)
			bad(t, "wrong ICMP checksum", ip, total);
	} else {
		t->other++;
	}
}

/* The checksum of an upper layer over its pseudo-header (RFC 8200 §8.1). */
static int upper_ok(const uint8_t *ip, const uint8_t *at, size_t len, uint8_t next)
{
	return ts_fold(ts_sum(at, len, ts_sum(ip + 8, 32, next + (uint32_t)len))) == 0xffff;
}

static void ip6_packet(struct tally *t, const uint8_t *ip, size_t len)
{
	size_t length = (size_t)ip[4] << 8 | ip[5];
	const uint8_t *at = ip + IP6;
	uint8_t next = ip[6];

	if (ip[0] >> 4 != 6 || IP6 + length > len || ip[7] == 0) {
		bad(t, "wrong IPv6 header or length", ip, len);
		return;
	}
	if (next == HOP_BY_HOP && length >= 8 && 8u * (at[1] + 1u) <= length) {
		next = at[0];
		length -= 8u * (at[1] + 1u);
		at += 8u * (at[1] + 1u);
	}
	if (next == 44 && with_fragments) {
		t->fragments++;
	} else if (next == 17) {
		t->udp6++;
		if (length < UDP || ((size_t)at[4] << 8 | at[5]) != length || (at[6] | at[7]) == 0 || !upper_ok(ip, at, length, next))
			bad(t, "wrong UDP length or checksum", ip, len);
	} else if (next == ICMP6) {
		t->icmp6++;
		if (!upper_ok(ip, at, length, next))
			bad(t, "wrong ICMPv6 checksum", ip, len);
	} else {
		t->other++;
		if (next == 44)
			bad(t, "a fragment", ip, len);
	}
}

static void frame(struct tally *t, const uint8_t *f, size_t len)
{
	if (len >= ETH + 28 && f[12] == 0x08 && f[13] == 0x06)
		t->arp++;
	else if (len >= ETH + IP && f[12] == 0x08 && f[13] == 0x00)
		ip_packet(t, f + ETH, len - ETH);
	else if (len >= ETH + IP6 && f[12] == 0x86 && f[13] == 0xdd)
		ip6_packet(t, f + ETH, len - ETH);
	else
		t->other++;
}

static int open_capture(const char *ifname)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), buffer = 64 << 20;

	if (fd < 0 || ll.sll_ifindex == 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) != 0 ||
	    bind(fd, (struct sockaddr *)&ll, sizeof(ll)) != 0) {
		fprintf(stderr, "sumcheck: %s: %s\n", ifname, strerrordesc_np(errno));
		return -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	static uint8_t buf[65536];
	struct tally t = { 0 };
	struct sigaction sa = { .sa_handler = on_signal }; /* no SA_RESTART: recvfrom must return */
	struct tpacket_stats st = { 0 };
	socklen_t size = sizeof(st);
	int fd;

	with_fragments = argc == 3 && strcmp(argv[2], "fragments") == 0;
	if (argc != 2 + with_fragments || (fd = open_capture(argv[1])) < 0)
		return 2;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	puts("capturing");
	fflush(stdout);
	while (stop == 0) {
		struct sockaddr_ll from = { 0 };
		socklen_t fromlen = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &fromlen);
		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING)
			frame(&t, buf, (size_t)n);
	}
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &size) == 0)
		t.lost = st.tp_drops;
	printf("%lu UDP (%lu without checksum), %lu ICMP, %lu ARP, %lu UDP over IPv6, %lu ICMPv6, %lu fragments, %lu other; %lu wrong; %lu not captured%s%s\n",
	       t.udp, t.no_sum, t.icmp, t.arp, t.udp6, t.icmp6, t.fragments, t.other, t.bad, t.lost, t.bad > 0 ? "; first: " : "", t.first_bad);
	return t.bad > 0 || t.udp + t.udp6 == 0;
}
