/* The XDP program of an interface that the kernel uses as well: the relay's frames go to its AF_XDP socket, all
 * others on to the kernel as if this program were not there.
 *
 * An address of its own: everything sent to that address, and the questions for it (ARP, neighbour solicitation).
 * The host's address: only UDP to the TURN port and the relayed ports, and ICMP errors about what was sent from
 * them. ARP, neighbour discovery and ping stay with the kernel, which owns the address. Of a fragmented datagram
 * only the first part has ports: if they are the relay's, that part and those behind it come to the relay, told by
 * the identification that they share. Parts that overtake the first go to the kernel, and the datagram is lost.
 *
 * The license section names none: no helper that is used here asks for one. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "relay/xdp/params.h"

#define ARP_REQUEST_LEN 28
#define ARP_TARGET 24
#define VLAN_ID 0x0fff
#define V4_LEN 20
#define V4_OFFSET 0x1fff
#define V4_MORE 0x2000
#define V6_LEN 40
#define V6_FRAGMENT 44
#define V6_FRAGMENT_LEN 8
#define V6_OFFSET 0xfff8
#define V6_MORE 1
#define FRAGMENT_NS 30000000000ull /* as long as the kernel waits for the parts of a datagram */
#define FRAGMENTS_MAX 4096
#define ICMP_HEADER_LEN 8
#define ICMP_V6 58
#define ND_SOLICITATION 135

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_params);
} duplex_params SEC(".maps");

/* Datagrams of which the relay has the first part. The addresses that are not here are our own. */
struct datagram {
	__u32 source[4];
	__u32 id;
	__u32 family;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTS_MAX);
	__type(key, struct datagram);
	__type(value, __u64);
} duplex_parts SEC(".maps");

/* The part of a frame that is left to read. */
struct view {
	const __u8 *p, *end;
};

static __always_inline __u16 u16_at(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

static __always_inline __u32 raw32_at(const __u8 *p)
{
	return *(const __u32 *)p;
}

static __always_inline int has(const struct view *v, __u32 bytes)
{
	return v->p + bytes <= v->end;
}

static __always_inline int is_v6(const struct xdp_params *c, const __u8 *p)
{
	return ((raw32_at(p) ^ c->v6[0]) | (raw32_at(p + 4) ^ c->v6[1]) | (raw32_at(p + 8) ^ c->v6[2]) |
		(raw32_at(p + 12) ^ c->v6[3])) == 0 &&
	       (c->v6[0] | c->v6[1] | c->v6[2] | c->v6[3]) != 0;
}

static __always_inline int is_v4(const struct xdp_params *c, const __u8 *p)
{
	return c->v4 != 0 && raw32_at(p) == c->v4;
}

static __always_inline int is_ours(const struct xdp_params *c, __u16 port)
{
	return port == c->turn_port || (port >= c->port_min && port <= c->port_max);
}

/* UDP at v->p: the port at `which` (0 source, 2 destination) is the relay's. */
static __always_inline int udp_is_ours(const struct xdp_params *c, struct view v, __u32 which)
{
	return has(&v, 8) && is_ours(c, u16_at(v.p + which));
}

/* The start of an IPv4 packet of ours inside an ICMP error. */
static __always_inline int quotes_v4(const struct xdp_params *c, struct view v)
{
	if (!has(&v, V4_LEN) || v.p[0] != 0x45 || v.p[9] != IPPROTO_UDP || (u16_at(v.p + 6) & V4_OFFSET) != 0 ||
	    !is_v4(c, v.p + 12))
		return 0;
	v.p += V4_LEN;
	return udp_is_ours(c, v, 0);
}

static __always_inline int quotes_v6(const struct xdp_params *c, struct view v)
{
	if (!has(&v, V6_LEN) || v.p[0] >> 4 != 6 || v.p[6] != IPPROTO_UDP || !is_v6(c, v.p + 8))
		return 0;
	v.p += V6_LEN;
	return udp_is_ours(c, v, 0);
}

static __always_inline void remember(const struct datagram *d)
{
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&duplex_parts, d, &now, BPF_ANY);
}

static __always_inline int is_remembered(const struct datagram *d)
{
	const __u64 *then = bpf_map_lookup_elem(&duplex_parts, d);

	/* Identifications come round again. */
	return then && bpf_ktime_get_ns() - *then < FRAGMENT_NS;
}

static __always_inline int take_v4(const struct xdp_params *c, struct view v)
{
	struct datagram d = { .family = ETH_P_IP };
	__u8 proto;
	__u16 part;
	int ours;

	if (!has(&v, V4_LEN) || !is_v4(c, v.p + 16))
		return 0;
	if (!c->shared)
		return 1;
	if (v.p[0] >> 4 != 4)
		return 0;
	proto = v.p[9];
	part = u16_at(v.p + 6);
	d.source[0] = raw32_at(v.p + 12);
	d.id = u16_at(v.p + 4);
	if ((part & V4_OFFSET) != 0)
		return proto == IPPROTO_UDP && is_remembered(&d);
	v.p += (v.p[0] & 15) * 4;
	if (proto == IPPROTO_UDP) {
		ours = udp_is_ours(c, v, 2);
		if (ours && (part & V4_MORE) != 0)
			remember(&d);
		return ours;
	}
	/* Destination unreachable, time exceeded, parameter problem (RFC 792). */
	if (proto == IPPROTO_ICMP && has(&v, ICMP_HEADER_LEN) && (v.p[0] == 3 || v.p[0] == 11 || v.p[0] == 12)) {
		v.p += ICMP_HEADER_LEN;
		return quotes_v4(c, v);
	}
	return 0;
}

static __always_inline int take_v6(const struct xdp_params *c, struct view v)
{
	struct datagram d = { .family = ETH_P_IPV6 };
	__u16 part = 0;
	__u8 proto;
	int ours;

	if (!has(&v, V6_LEN))
		return 0;
	proto = v.p[6];
	if (!is_v6(c, v.p + 24)) {
		/* A solicitation goes to a group that others may share (RFC 4861 §7.2.2); its target decides. */
		if (c->shared || proto != ICMP_V6 || v.p[24] != 0xff || !has(&v, V6_LEN + 24))
			return 0;
		return v.p[V6_LEN] == ND_SOLICITATION && is_v6(c, v.p + V6_LEN + 8);
	}
	if (!c->shared)
		return 1;
	__builtin_memcpy(d.source, v.p + 8, sizeof(d.source));
	v.p += V6_LEN;
	if (proto == V6_FRAGMENT) {
		if (!has(&v, V6_FRAGMENT_LEN))
			return 0;
		proto = v.p[0];
		part = u16_at(v.p + 2);
		d.id = raw32_at(v.p + 4);
		if ((part & V6_OFFSET) != 0)
			return proto == IPPROTO_UDP && is_remembered(&d);
		v.p += V6_FRAGMENT_LEN;
	}
	if (proto == IPPROTO_UDP) {
		ours = udp_is_ours(c, v, 2);
		if (ours && (part & V6_MORE) != 0)
			remember(&d);
		return ours;
	}
	/* Types 1 to 4 are the errors that quote a packet (RFC 4443 §2.1). */
	if (proto == ICMP_V6 && has(&v, ICMP_HEADER_LEN) && v.p[0] >= 1 && v.p[0] <= 4) {
		v.p += ICMP_HEADER_LEN;
		return quotes_v6(c, v);
	}
	return 0;
}

static __always_inline int take(const struct xdp_params *c, struct view v)
{
	__u16 type;

	if (!has(&v, ETH_HLEN))
		return 0;
	type = u16_at(v.p + 12);
	v.p += ETH_HLEN;
	if ((type == ETH_P_8021Q) != (c->vlan != 0))
		return 0;
	if (type == ETH_P_8021Q) {
		if (!has(&v, 4) || (u16_at(v.p) & VLAN_ID) != c->vlan)
			return 0;
		type = u16_at(v.p + 2);
		v.p += 4;
	}
	if (type == ETH_P_IP)
		return take_v4(c, v);
	if (type == ETH_P_IPV6)
		return take_v6(c, v);
	return type == ETH_P_ARP && !c->shared && has(&v, ARP_REQUEST_LEN) && is_v4(c, v.p + ARP_TARGET);
}

SEC("xdp") int duplex_relay(struct xdp_md *ctx)
{
	struct view v = { (const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end };
	__u32 zero = 0;
	const struct xdp_params *c = bpf_map_lookup_elem(&duplex_params, &zero);
	long r;

	if (!c || !take(c, v))
		return XDP_PASS;
	r = bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_DROP);
	if (r != XDP_DROP)
		return (int)r;
	/* No socket. While the relay is only restarting, the kernel shall not tell clients and peers that the port
	 * is unreachable; if it does not come back, the kernel has the port again. */
	return bpf_ktime_get_ns() < c->alive_until_ns ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "none";
