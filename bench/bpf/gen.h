/* What the generator's kernel half (gen.bpf.c) and its user half (gen_kernel.c) share: maps that both have in their memory. The user half
 * writes everything but the counts before a run and reads the counts after it. */
#ifndef DUPLEX_BENCH_BPF_GEN_H
#define DUPLEX_BENCH_BPF_GEN_H

#include <linux/types.h>

#define GENK_HEADERS 42u
#define GENK_FRAME_MAX 1264u /* headers, a ChannelData header and 1200 bytes of payload, rounded up */
#define GENK_WORDS_MAX 150u  /* of payload, 8 bytes each */
#define GENK_HEAD 24u        /* of a payload: magic, stream, run and number, time */
#define GENK_BUCKETS 1280u   /* of the histogram: 32 for each power of two nanoseconds */
#define GENK_WINDOW 64u

/* What one core writes and another reads for each packet would cost both of them more than all the rest: who sends (the generator's core)
 * and who receives (the core of whoever sends to the generator) have lines of their own. */
#define GENK_LINE __attribute__((aligned(64)))

/* One stream of packets: the frame that is sent, and the numbers of those that came back. */
struct genk_stream {
	__u64 sent GENK_LINE;
	__u64 top GENK_LINE; /* highest number received in this run */
	__u64 seen;          /* bit k: top - k was received */
	__u32 len GENK_LINE; /* of the frame */
	__u32 at;            /* where the payload begins in it */
	__u32 sum;           /* ones-complement sum, in memory order, of all that the UDP checksum covers but number and time */
	__u8 frame[GENK_FRAME_MAX] GENK_LINE;
	__u8 payload[GENK_WORDS_MAX * 8] GENK_LINE; /* the frame's again, where the kernel's verifier can see that it is there */
};

/* What must arrive at one of the generator's ports. */
struct genk_slot {
	__u32 stream;
	__be32 src;
	__be16 sport;
	__u16 udp_len; /* host order */
	__u32 framed;  /* 1: a ChannelData header comes first */
	__be32 head;   /* that header */
	__u32 sum;     /* as of the stream, of the datagram as it must arrive */
};

struct genk_run {
	/* The plan, from user space. */
	__u64 duration_ns GENK_LINE;
	__u64 pps, slack; /* slack: packets that may be late at once; beyond, they are forgiven */
	__u64 number;     /* of the run */
	__u32 streams;
	__u32 words;      /* of payload, 8 bytes each */
	__u32 out;        /* interface that frames go out on */
	__u32 longest;    /* of the frames; what the kernel hands us */
	__be32 client, peer;
	__u32 client_port, peer_port; /* of the first flow */
	__u8 mac[6];      /* ours */
	/* Sending. */
	__u64 start_ns GENK_LINE; /* CLOCK_MONOTONIC; the first call of the program is the start */
	__u64 next, sent, forgiven;
	__u64 idle;       /* times when nothing was due */
	/* Receiving. */
	__u64 received GENK_LINE;
	__u64 corrupt, stray, reordered, duplicate, bad_ip_sum, bad_udp_sum, no_udp_sum, late;
	__u64 timed, max_ns; /* packets in the histogram; longest time */
	__u64 histogram[GENK_BUCKETS];
};

#endif
