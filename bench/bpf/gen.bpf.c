/* The generator's packets, made and judged in the kernel. `gen_send` is run over and over by the kernel's test facility, on frames that go
 * out on the interface without a copy and without a socket buffer (BPF_F_TEST_XDP_LIVE_FRAMES); each run sends the packet that is due, or
 * none. `gen_receive` sits on the interface and judges what comes back: every byte, both checksums, number and time. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/bpf/gen.h"

#define UDP_SUM 40
#define MAGIC 0x44784c64u
#define NUMBER_MASK ((1ull << 40) - 1)
#define SUB 32
#define SAMPLE 7 /* of the numbers of a stream, those without these bits are timed: reading the clock costs whoever sends to us */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct genk_run);
} gen_run SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct genk_stream);
} gen_streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct genk_slot);
} gen_slots SEC(".maps");

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (__u16)sum;
}

static __always_inline __u64 halves(__u64 v)
{
	return (v >> 32) + (v & 0xffffffff);
}

/* The UDP checksum field of a datagram whose constant part adds up to `sum`. */
static __always_inline __u16 checksum(__u32 sum, __u64 number, __u64 time)
{
	__u16 c = ~fold(sum + halves(number) + halves(time));

	return c == 0 ? 0xffff : c;
}

/* Whether a packet is due at `now`. Work that is too late (this core was held up) is forgiven rather than sent in a burst that no server
 * could take. */
static __always_inline int is_due(struct genk_run *r, __u64 now)
{
	__s64 due;

	if (r->start_ns == 0)
		r->start_ns = now;
	if (now - r->start_ns >= r->duration_ns)
		return 0;
	due = (__s64)((now - r->start_ns) * r->pps / 1000000000 - r->forgiven - r->sent);
	if (due > (__s64)r->slack)
		r->forgiven += due - r->slack;
	if (due <= 0)
		r->idle++;
	return due > 0;
}

SEC("xdp") int gen_send(struct xdp_md *ctx)
{
	__u32 zero = 0, at, len;
	struct genk_run *r = bpf_map_lookup_elem(&gen_run, &zero);
	struct genk_stream *s;
	__u64 now = bpf_ktime_get_ns(), number;
	__u8 *data, *end;

	if (!r)
		return XDP_ABORTED;
	if (!is_due(r, now))
		return XDP_DROP;
	__u32 index = (__u32)r->next;
	s = bpf_map_lookup_elem(&gen_streams, &index);
	if (!s)
		return XDP_ABORTED;
	r->next = index + 1 >= r->streams ? 0 : index + 1;
	len = s->len;
	at = s->at;
	if (len < GENK_HEADERS || len > GENK_FRAME_MAX || at > GENK_FRAME_MAX)
		return XDP_ABORTED;
	if (len != r->longest && bpf_xdp_adjust_tail(ctx, (int)len - (int)r->longest) != 0)
		return XDP_ABORTED;
	if (bpf_xdp_store_bytes(ctx, 0, s->frame, len) != 0)
		return XDP_ABORTED;
	data = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	if (data + GENK_HEADERS > end || data + at + GENK_HEAD > end)
		return XDP_ABORTED;
	number = r->number << 40 | s->sent++;
	*(__u64 *)(data + at + 8) = number;
	*(__u64 *)(data + at + 16) = now;
	*(__u16 *)(data + UDP_SUM) = checksum(s->sum, number, now);
	r->sent++;
	return (int)bpf_redirect(r->out, 0);
}

/* As bucket_of() of gen_traffic.c. */
static __always_inline __u32 bucket_of(__u64 ns)
{
	__u64 rest = ns;
	__u32 top = 0, b;

	if (ns < SUB)
		return (__u32)ns;
	if (rest >> 32) {
		top += 32;
		rest >>= 32;
	}
	if (rest >> 16) {
		top += 16;
		rest >>= 16;
	}
	if (rest >> 8) {
		top += 8;
		rest >>= 8;
	}
	if (rest >> 4) {
		top += 4;
		rest >>= 4;
	}
	if (rest >> 2) {
		top += 2;
		rest >>= 2;
	}
	top += (__u32)(rest >> 1);
	b = (top - 4) * SUB + (__u32)(ns >> (top - 5)) % SUB;
	return b < GENK_BUCKETS ? b : GENK_BUCKETS - 1;
}

static __always_inline void count_number(struct genk_run *r, struct genk_stream *s, __u64 number)
{
	__u64 step;

	if (s->seen == 0 || number > s->top) {
		step = s->seen == 0 ? GENK_WINDOW : number - s->top;
		s->seen = (step >= GENK_WINDOW ? 0 : s->seen << step) | 1;
		s->top = number;
		return;
	}
	step = s->top - number;
	if (step >= GENK_WINDOW) {
		r->reordered++;
		return;
	}
	if (s->seen & 1ull << step)
		r->duplicate++;
	else
		r->reordered++;
	s->seen |= 1ull << step;
}

static __always_inline void count_delay(struct genk_run *r, __u64 ns)
{
	__u32 b = bucket_of(ns);

	if (b < GENK_BUCKETS)
		r->histogram[b]++;
	r->timed++;
	if (ns > r->max_ns)
		r->max_ns = ns;
}

/* The payload but its head, against what was sent. */
static __always_inline int is_same(const struct genk_run *r, const struct genk_stream *s, const __u8 *p, const __u8 *end)
{
	__u32 words = r->words;

	for (__u32 i = GENK_HEAD / 8; i < GENK_WORDS_MAX; i++) {
		if (i >= words)
			return 1;
		if (p + (i + 1) * 8 > end || *(const __u64 *)(p + i * 8) != *(const __u64 *)(s->payload + i * 8))
			return 0;
	}
	return 1;
}

/* A datagram for one of our ports, from the UDP header on. */
static __always_inline void judge(struct genk_run *r, const __u8 *udp, const __u8 *end, __be32 src, __u32 index)
{
	struct genk_slot *slot = bpf_map_lookup_elem(&gen_slots, &index);
	struct genk_stream *s;
	const __u8 *p = udp + 8;
	__u64 number, took;
	__u32 stream;
	__u16 sum;

	if (!slot || udp + 12 > end) {
		r->stray++;
		return;
	}
	stream = slot->stream;
	s = bpf_map_lookup_elem(&gen_streams, &stream);
	if (!s || slot->src != src || slot->sport != *(const __be16 *)udp || bpf_ntohs(*(const __be16 *)(udp + 4)) != slot->udp_len ||
	    (slot->framed && slot->head != *(const __be32 *)p)) {
		r->stray++;
		return;
	}
	if (slot->framed)
		p += 4;
	if (p + GENK_HEAD > end || *(const __u32 *)p != MAGIC || *(const __u32 *)(p + 4) != stream || !is_same(r, s, p, end)) {
		r->corrupt++;
		return;
	}
	number = *(const __u64 *)(p + 8);
	took = *(const __u64 *)(p + 16);
	sum = *(const __u16 *)(udp + 6);
	if (sum == 0) {
		r->no_udp_sum++;
	} else if (sum != checksum(slot->sum, number, took)) {
		r->bad_udp_sum++;
		return;
	}
	if (number >> 40 != r->number) {
		r->late++; /* of the run before */
		return;
	}
	count_number(r, s, number & NUMBER_MASK);
	r->received++;
	if ((number & SAMPLE) == 0)
		count_delay(r, bpf_ktime_get_ns() - took);
}

/* The question for one of our addresses becomes its answer (RFC 826); others are the user half's. */
static __always_inline int answer_arp(const struct genk_run *r, __u8 *data, const __u8 *end)
{
	__u8 *arp = data + ETH_HLEN;
	__be32 target;

	if (data + GENK_HEADERS > end || arp[7] != 1)
		return TC_ACT_OK;
	target = *(__be32 *)(arp + 24);
	if (target != r->client && target != r->peer)
		return TC_ACT_OK;
	__builtin_memcpy(data, data + 6, 6);
	__builtin_memcpy(data + 6, r->mac, 6);
	arp[7] = 2;
	__builtin_memcpy(arp + 18, arp + 8, 10);
	__builtin_memcpy(arp + 8, r->mac, 6);
	*(__be32 *)(arp + 14) = target;
	return (int)bpf_redirect(r->out, 0);
}

SEC("tc") int gen_receive(struct __sk_buff *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end, *ip = data + ETH_HLEN;
	__u32 zero = 0, port, index;
	struct genk_run *r = bpf_map_lookup_elem(&gen_run, &zero);
	__u64 sum = 0;
	__be32 dst;

	/* What a packet ring sent lies in its pages. */
	if (end - data < (long)ctx->len) {
		if (bpf_skb_pull_data(ctx, ctx->len) != 0)
			return TC_ACT_SHOT;
		data = (__u8 *)(long)ctx->data;
		end = (const __u8 *)(long)ctx->data_end;
		ip = data + ETH_HLEN;
	}
	if (r && data + ETH_HLEN <= end && data[12] == 8 && data[13] == 6)
		return answer_arp(r, data, end);
	if (!r || data + GENK_HEADERS > end || data[12] != 8 || data[13] != 0 || ip[0] != 0x45 || ip[9] != IPPROTO_UDP)
		return TC_ACT_OK;
	dst = *(const __be32 *)(ip + 16);
	port = (__u32)(ip[22] << 8 | ip[23]);
	if (dst == r->client && port >= r->client_port) {
		index = (port - r->client_port) * 2;
	} else if (dst == r->peer && port >= r->peer_port) {
		index = (port - r->peer_port) * 2 + 1;
	} else {
		r->stray++;
		return TC_ACT_SHOT;
	}
#pragma unroll
	for (int i = 0; i < 20; i += 4)
		sum += *(const __u32 *)(ip + i);
	if (fold(sum) != 0xffff || bpf_ntohs(*(const __be16 *)(ip + 2)) != bpf_ntohs(*(const __be16 *)(ip + 24)) + 20) {
		r->bad_ip_sum++;
		return TC_ACT_SHOT;
	}
	if (index >= r->streams) {
		r->stray++;
		return TC_ACT_SHOT;
	}
	judge(r, ip + 20, end, *(const __be32 *)(ip + 12), index);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "none";
