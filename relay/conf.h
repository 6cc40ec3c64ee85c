/* The relay's options ([relay] and its part of [common]) as read, and what start-up makes of them. */
#ifndef DUPLEX_RELAY_CONF_H
#define DUPLEX_RELAY_CONF_H

#include "common/conf.h"
#include "relay/iface.h"

#define CORES_MAX 64u
#define PORT_NAME_SIZE 256u
#define PORT_MIN_PRESET 49152 /* RFC 8656 §7.2: the dynamic ports of RFC 6335 */
#define PORT_MAX_PRESET 65535

struct relay_conf {
	char *name, *domain, *run_dir, *redis, *log_level, *secret;
	char *ports, *address, *gateway, *tap_host_address, *external_address, *vlan;
	char *cpus, *idle, *journal, *peer_allow, *peer_deny, *peer_mode, *credential_expiry, *file_prefix;
	char *password_algorithms, *users, *alternate_server, *alternate_domain, *drain_to;
	uint64_t cores, memory_mb, rx_ring, tx_ring, buffers, mtu;
	uint64_t turn_port, port_min, port_max;
	uint64_t max_allocations, user_allocations, address_allocations, max_peers;
	uint64_t lifetime_s, lifetime_max_s, nonce_lifetime_s;
	uint64_t challenge_rate, challenge_burst;
	uint64_t drain_time_s;
	uint64_t allocation_kbits, user_kbits;
	uint64_t idle_after_us;
	bool share_host_address, telemetry;
	char *stream_listen, *stream_socket_group, *tls_cert, *tls_key;
	uint64_t stream_queue_ms, stream_queue_bytes, stream_memory_mb;
	uint64_t stream_connections, stream_address_connections, stream_handshake_s, stream_idle_s;
	bool huge_pages, old_channels, anonymity, mobility, keep_on_stop, mark_dscp;
};

extern const struct conf_option relay_options[];
extern const size_t relay_options_count;

/* One port as the configuration wants it. */
struct port_plan {
	char device[PORT_NAME_SIZE]; /* DPDK device string: "net_tap0,iface=dpx0", "0000:01:00.0" */
	char tap[16];                /* kernel name of a TAP; empty for any other driver */
	char kernel_if[16];          /* the kernel's interface that AF_XDP or AF_PACKET uses; empty for any other driver */
	bool xdp;                    /* AF_XDP, and the XDP program is ours */
	bool shared;                 /* the address is the host's; `ip` is complete after kernel_plan */
	bool is_pci;
	struct local ip[2];          /* IPv4, IPv6 */
	struct addr host[2];         /* of the kernel's end of a TAP; :: = none */
	uint8_t host_bits[2];        /* their prefix lengths, as written */
	uint16_t vlan;               /* 0 = none */
};

struct relay_plan {
	struct port_plan port[IFACE_MAX];
	unsigned ports;
	bool huge;               /* buffers in huge pages: asked for, or needed by a NIC */
	uint16_t cpu[CORES_MAX]; /* of each worker; valid if pinned */
	bool pinned, poll;       /* poll: never sleep */
};

/* Checks what the option table alone cannot. On failure `why` holds one sentence for a person. */
enum err relay_plan_make(const struct relay_conf *c, struct relay_plan *out, char *why, size_t why_size);

#endif
