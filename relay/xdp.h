/* AF_XDP with a program of our own (xdp/relay.bpf.c): claiming an interface, what DPDK's driver is told, the
 * program's parameters, its removal. The driver loads and attaches the program; we decide how (see xdp.c). All
 * from the control thread. */
#ifndef DUPLEX_RELAY_XDP_H
#define DUPLEX_RELAY_XDP_H

#include "common/err.h"
#include "common/str.h"
#include "relay/xdp/params.h"

#define XDP_GRACE_S 30u /* how long a dead relay's ports stay silent before the kernel answers for them again */

enum xdp_mode { XDP_MODE_NONE, XDP_MODE_NATIVE, XDP_MODE_GENERIC };

/* Claims an interface, with the parameters its program will start with; alive_until_ns is kept by us. One
 * process a network namespace can have it. ERR_BUSY if another relay has it, ERR_CONFLICT if a foreign XDP
 * program is on it; one of ours that a killed relay left is replaced. `why` holds one sentence. */
enum err xdp_claim(const char *ifname, const struct xdp_params *params, char *why, size_t why_size);
/* The program's object file, as a path that this process can open; NULL with errno if it cannot be made. */
const char *xdp_object_path(void);
/* How the program is attached to a claimed interface; NONE if it is not, and then `why` (may be empty) says what
 * the kernel answered. */
enum xdp_mode xdp_attached(const char *ifname, char *why, size_t why_size);
/* Changes the parameters of an attached program. */
enum err xdp_set(const char *ifname, const struct xdp_params *params);
/* Tells all programs that the relay lives. At least every few seconds. */
void xdp_alive(uint64_t now_us);
/* Removes our programs and gives all interfaces back. After the devices are closed. */
void xdp_release(void);
/* Receive queues of an interface that frames can arrive on, 1 if it does not say; and how many of them DPDK's
 * driver can open, which knows only queues that receive and send. */
unsigned xdp_queues(const char *ifname, unsigned *usable);

#endif
