/* xdpcheck OBJECT: the relay's XDP program in this kernel, frame by frame (BPF_PROG_TEST_RUN): what it takes for the relay and what
 * it leaves to the kernel. No socket is in its map, so what it takes is answered with DROP, and what it leaves with PASS. TAP on stdout. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "relay/xdp/params.h"

enum { TURN = 3478, MIN_PORT = 61000, MAX_PORT = 65000, VLAN = 7 };
enum { US = 2, HOST = 1, OTHER = 9 };              /* last byte of addresses: 10.83.84.x, fd00::x */
enum { UDP = 17, TCP = 6, ICMP4 = 1, ICMP6 = 58, FRAGMENT = 44 };
enum { ARP = 0x0806, V4 = 0x0800, V6 = 0x86dd };

struct frame {
	unsigned char b[256];
	unsigned len;
};

static int run_count, failed;
static int program, params_map;
static struct xdp_params params;

static unsigned char *more(struct frame *f, unsigned n)
{
	unsigned char *p = f->b + f->len;

	memset(p, 0, n);
	f->len += n;
	return p;
}

static void put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static struct frame eth(unsigned type, unsigned vlan)
{
	struct frame f = { .len = 0 };

	put16(more(&f, 14) + 12, vlan != 0 ? 0x8100 : type);
	if (vlan != 0) {
		unsigned char *tag = more(&f, 4);

		put16(tag, 0x2000 | vlan);
		put16(tag + 2, type);
	}
	return f;
}

/* `options` in 32-bit words. */
static void v4(struct frame *f, unsigned src, unsigned dst, unsigned proto, unsigned frag, unsigned options)
{
	unsigned char *p = more(f, 20 + 4 * options);

	p[0] = (unsigned char)(0x45 + options);
	put16(p + 6, frag);
	p[9] = (unsigned char)proto;
	memcpy(p + 12, (unsigned char[]){ 10, 83, 84, (unsigned char)src }, 4);
	memcpy(p + 16, (unsigned char[]){ 10, 83, 84, (unsigned char)dst }, 4);
}

static void v6(struct frame *f, unsigned src, unsigned dst, unsigned next)
{
	unsigned char *p = more(f, 40);

	p[0] = 0x60;
	p[6] = (unsigned char)next;
	p[8] = p[24] = 0xfd;
	p[23] = (unsigned char)src;
	p[39] = (unsigned char)dst;
}

static void udp(struct frame *f, unsigned sport, unsigned dport)
{
	unsigned char *p = more(f, 8);

	put16(p, sport);
	put16(p + 2, dport);
	put16(p + 4, 8);
}

static void icmp(struct frame *f, unsigned type)
{
	more(f, 8)[0] = (unsigned char)type;
}

static void set(bool shared, unsigned vlan, bool alive)
{
	unsigned zero = 0;

	params = (struct xdp_params){ .turn_port = TURN, .port_min = MIN_PORT, .port_max = MAX_PORT };
	memcpy(&params.v4, (unsigned char[]){ 10, 83, 84, US }, 4);
	params.v6[0] = 0xfd;
	params.v6[3] = (unsigned)US << 24;
	params.shared = shared;
	params.vlan = (unsigned short)vlan;
	params.alive_until_ns = alive ? ~0ull : 0;
	if (bpf_map_update_elem(params_map, &zero, &params, BPF_ANY) != 0)
		printf("Bail out! the parameters cannot be set\n");
}

static void expect(const char *name, const struct frame *f, bool taken)
{
	struct bpf_test_run_opts o = { .sz = sizeof(o), .data_in = f->b, .data_size_in = f->len, .repeat = 1 };
	int e = bpf_prog_test_run_opts(program, &o);
	unsigned want = taken ? 1 : 2; /* XDP_DROP, XDP_PASS */

	run_count++;
	if (e == 0 && o.retval == want) {
		printf("ok %d - %s\n", run_count, name);
		return;
	}
	failed++;
	printf("not ok %d - %s\n# it gave %d, verdict %u instead of %u\n", run_count, name, e, o.retval, want);
}

static void udp4(const char *name, unsigned dst, unsigned sport, unsigned dport, bool taken)
{
	struct frame f = eth(V4, 0);

	v4(&f, OTHER, dst, UDP, 0, 0);
	udp(&f, sport, dport);
	expect(name, &f, taken);
}

static void udp6(const char *name, unsigned dst, unsigned dport, bool taken)
{
	struct frame f = eth(V6, 0);

	v6(&f, OTHER, dst, UDP);
	udp(&f, 5000, dport);
	expect(name, &f, taken);
}

static void plain4(const char *name, unsigned dst, unsigned proto, bool taken)
{
	struct frame f = eth(V4, 0);

	v4(&f, OTHER, dst, proto, 0, 0);
	more(&f, 20);
	expect(name, &f, taken);
}

/* An ICMP error about a datagram that `who` sent from `sport`. */
static void error4(const char *name, unsigned type, unsigned who, unsigned proto, unsigned sport, bool taken)
{
	struct frame f = eth(V4, 0);

	v4(&f, OTHER, US, ICMP4, 0, 0);
	icmp(&f, type);
	v4(&f, who, OTHER, proto, 0, 0);
	udp(&f, sport, 5000);
	expect(name, &f, taken);
}

static void error6(const char *name, unsigned type, unsigned who, unsigned sport, bool taken)
{
	struct frame f = eth(V6, 0);

	v6(&f, OTHER, US, ICMP6);
	icmp(&f, type);
	v6(&f, who, OTHER, UDP);
	udp(&f, sport, 5000);
	expect(name, &f, taken);
}

static void arp_for(const char *name, unsigned target, bool taken)
{
	struct frame f = eth(ARP, 0);
	unsigned char *p = more(&f, 28);

	memcpy(p + 24, (unsigned char[]){ 10, 83, 84, (unsigned char)target }, 4);
	expect(name, &f, taken);
}

static void solicit(const char *name, unsigned target, bool taken)
{
	struct frame f = eth(V6, 0);

	v6(&f, OTHER, target, ICMP6);
	f.b[14 + 24] = 0xff;
	f.b[14 + 25] = 2;
	unsigned char *p = more(&f, 24);
	p[0] = 135;
	p[8] = 0xfd;
	p[23] = (unsigned char)target;
	expect(name, &f, taken);
}

static void fragment4(const char *name, unsigned id, unsigned frag, unsigned dport, bool taken)
{
	struct frame f = eth(V4, 0);

	v4(&f, OTHER, US, UDP, frag, 0);
	put16(f.b + 14 + 4, id);
	udp(&f, 5000, dport);
	expect(name, &f, taken);
}

static void fragment6(const char *name, unsigned id, unsigned offset, unsigned dport, bool taken)
{
	struct frame f = eth(V6, 0);

	v6(&f, OTHER, US, FRAGMENT);
	unsigned char *p = more(&f, 8);
	p[0] = UDP;
	put16(p + 2, offset | 1);
	put16(p + 6, id);
	udp(&f, 5000, dport);
	expect(name, &f, taken);
}

static void with_own_address(void)
{
	set(false, 0, true);
	udp4("own: UDP to the TURN port", US, 5000, TURN, true);
	udp4("own: UDP to a port where nothing is", US, 5000, 53, true);
	udp4("own: UDP to the kernel's address", HOST, 5000, TURN, false);
	plain4("own: TCP to the relay", US, TCP, true);
	plain4("own: TCP to the kernel", HOST, TCP, false);
	plain4("own: ping to the relay", US, ICMP4, true);
	plain4("own: ping to the kernel", HOST, ICMP4, false);
	fragment4("own: a later fragment", 1, 100, 0, true);
	arp_for("own: ARP for the relay", US, true);
	arp_for("own: ARP for the kernel", HOST, false);
	solicit("own: neighbour solicitation for the relay", US, true);
	solicit("own: neighbour solicitation for the kernel", HOST, false);
	udp6("own: IPv6 to the relay", US, 53, true);
	udp6("own: IPv6 to the kernel", HOST, TURN, false);
	fragment6("own: IPv6 fragment", 1, 800, 0, true);
}

static void with_shared_address(void)
{
	set(true, 0, true);
	udp4("shared: UDP to the TURN port", US, 5000, TURN, true);
	udp4("shared: UDP to the first relayed port", US, 5000, MIN_PORT, true);
	udp4("shared: UDP to the last relayed port", US, 5000, MAX_PORT, true);
	udp4("shared: UDP below the relayed ports", US, 5000, MIN_PORT - 1, false);
	udp4("shared: UDP above the relayed ports", US, 5000, MAX_PORT + 1, false);
	udp4("shared: an answer of a name server to a port of the kernel", US, 53, 40000, false);
	udp4("shared: UDP to another address", HOST, 5000, TURN, false);
	plain4("shared: TCP", US, TCP, false);
	plain4("shared: ping", US, ICMP4, false);
	arp_for("shared: ARP", US, false);
	solicit("shared: neighbour solicitation", US, false);
	udp6("shared: IPv6 to the TURN port", US, TURN, true);
	udp6("shared: IPv6 to a port of the kernel", US, 53, false);
	udp6("shared: IPv6 to another address", HOST, TURN, false);
	fragment4("shared: a later fragment whose first has not come", 7, 0x2000 | 100, MIN_PORT, false);
	fragment4("shared: the first fragment for a relayed port", 7, 0x2000, MIN_PORT, true);
	fragment4("shared: the next of that datagram", 7, 0x2000 | 100, 53, true);
	fragment4("shared: the last of that datagram", 7, 200, 53, true);
	fragment4("shared: the first fragment for a port of the kernel", 8, 0x2000, 53, false);
	fragment4("shared: the next of that datagram", 8, 0x2000 | 100, MIN_PORT, false);
	fragment6("shared: a later IPv6 fragment whose first has not come", 7, 800, MIN_PORT, false);
	fragment6("shared: the first IPv6 fragment for a relayed port", 7, 0, MIN_PORT, true);
	fragment6("shared: the next of that IPv6 datagram", 7, 800, 53, true);
	fragment6("shared: the first IPv6 fragment for a port of the kernel", 8, 0, 53, false);
	fragment6("shared: the next of that IPv6 datagram", 8, 800, MIN_PORT, false);
	struct frame f = eth(V4, 0);
	v4(&f, OTHER, US, UDP, 0, 3);
	udp(&f, 5000, TURN);
	expect("shared: behind IPv4 options", &f, true);
}

static void with_errors(void)
{
	set(true, 0, true);
	error4("error: port unreachable about a relayed datagram", 3, US, UDP, MIN_PORT, true);
	error4("error: time exceeded about one from the TURN port", 11, US, UDP, TURN, true);
	error4("error: about a datagram of the kernel", 3, US, UDP, 40000, false);
	error4("error: about somebody else's datagram", 3, HOST, UDP, MIN_PORT, false);
	error4("error: about TCP of the same port number", 3, US, TCP, MIN_PORT, false);
	error4("error: an echo request that looks like one", 8, US, UDP, MIN_PORT, false);
	error6("error: IPv6 packet too big about a relayed datagram", 2, US, MIN_PORT, true);
	error6("error: IPv6 about a datagram of the kernel", 1, US, 40000, false);
	error6("error: IPv6 about somebody else's datagram", 1, HOST, MIN_PORT, false);
	error6("error: an IPv6 echo request that looks like one", 128, US, MIN_PORT, false);
}

static void with_vlan(void)
{
	struct frame tagged = eth(V4, VLAN), other = eth(V4, VLAN + 1), plain = eth(V4, 0);
	struct frame *all[] = { &tagged, &other, &plain };

	for (int i = 0; i < 3; i++) {
		v4(all[i], OTHER, US, UDP, 0, 0);
		udp(all[i], 5000, TURN);
	}
	set(false, VLAN, true);
	expect("vlan: a frame of the VLAN", &tagged, true);
	expect("vlan: a frame of another VLAN", &other, false);
	expect("vlan: an untagged frame", &plain, false);
	set(false, 0, true);
	expect("vlan: a tagged frame without a VLAN configured", &tagged, false);
}

/* Every length of a frame that would be taken: short ones are the kernel's, and nothing is read outside (the verifier saw to that). */
static void with_short_frames(void)
{
	struct frame f = eth(V4, 0);
	int wrong = 0;

	set(true, 0, true);
	v4(&f, OTHER, US, ICMP4, 0, 0);
	icmp(&f, 3);
	v4(&f, US, OTHER, UDP, 0, 0);
	udp(&f, MIN_PORT, 5000);
	for (unsigned len = 14; len < f.len; len++) {
		struct bpf_test_run_opts o = { .sz = sizeof(o), .data_in = f.b, .data_size_in = len, .repeat = 1 };

		wrong += bpf_prog_test_run_opts(program, &o) != 0 || o.retval != 2;
	}
	run_count++;
	failed += wrong > 0;
	printf("%s %d - short: a frame that ends too early is left alone\n", wrong > 0 ? "not ok" : "ok", run_count);
	expect("short: the whole frame is taken", &f, true);
}

int main(int argc, char **argv)
{
	struct bpf_object *o = argc == 2 ? bpf_object__open_file(argv[1], NULL) : NULL;

	if (o == NULL || bpf_object__load(o) != 0) {
		fprintf(stderr, "xdpcheck: the object %s cannot be loaded\n", argc == 2 ? argv[1] : "(none given)");
		return 2;
	}
	program = bpf_program__fd(bpf_object__find_program_by_name(o, XDP_PROGRAM_NAME));
	params_map = bpf_object__find_map_fd_by_name(o, XDP_PARAMS_MAP);
	with_own_address();
	with_shared_address();
	with_errors();
	with_vlan();
	with_short_frames();
	set(true, 0, false);
	udp4("dead: the kernel has the ports of a relay that is gone for long", US, 5000, TURN, false);
	printf("1..%d\n", run_count);
	bpf_object__close(o);
	return failed > 0;
}
