#include "relay/xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define CLAIMS_MAX 8u
#define FOREIGN_NAME_SIZE (BPF_OBJ_NAME_LEN + 1)

struct claim {
	char ifname[IF_NAMESIZE];
	int ifindex;
	int lock;               /* a socket whose name only one process can have */
	int map;                /* of the parameters; -1 until attached */
	enum xdp_mode mode;
	int error;              /* why attaching failed */
	struct xdp_params params;
};

static struct claim claims[CLAIMS_MAX];
static unsigned claim_count;

/* From xdp_object.c. */
extern const uint8_t xdp_object[], xdp_object_end[];

#define FAIL(e, ...)                                        \
	do {                                                \
		(void)snprintf(why, why_size, __VA_ARGS__); \
		return (e);                                 \
	} while (0)

PRINTF(2, 0) static int on_libbpf_text(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[200];

	(void)level;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	log_event(LOG_DEBUG, "libbpf", "text=%s", log_value(str_trim(str_from(text))));
	return 0;
}

static struct claim *claim_of(int ifindex)
{
	for (unsigned i = 0; i < claim_count; i++) {
		if (claims[i].ifindex == ifindex)
			return &claims[i];
	}
	return NULL;
}

const char *xdp_object_path(void)
{
	static char path[32];
	static int fd = -1;
	size_t size = (size_t)(xdp_object_end - xdp_object);

	if (fd >= 0)
		return path;
	fd = memfd_create("duplex-xdp", MFD_CLOEXEC);
	if (fd < 0 || write(fd, xdp_object, size) != (ssize_t)size) {
		if (fd >= 0)
			(void)close(fd);
		fd = -1;
		return NULL;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

/* Abstract names live in the network namespace, as the interface does, and end with the process. */
static int take_lock(int ifindex)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "duplex-xdp-%d", ifindex);

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* The name of a loaded program; empty if it cannot be told. */
static void name_of_program(uint32_t id, char name[FOREIGN_NAME_SIZE])
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	name[0] = '\0';
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		(void)snprintf(name, FOREIGN_NAME_SIZE, "%.*s", (int)sizeof(info.name), info.name);
	(void)close(fd);
}

/* Takes one mode's program off the interface if it is ours; false if a foreign one is there, whose name is given. */
static bool clear_mode(int ifindex, uint32_t mode, char foreign[FOREIGN_NAME_SIZE])
{
	uint32_t id = 0;

	if (bpf_xdp_query_id(ifindex, (int)mode, &id) != 0 || id == 0)
		return true;
	name_of_program(id, foreign);
	if (strcmp(foreign, XDP_PROGRAM_NAME) != 0)
		return false;
	return bpf_xdp_detach(ifindex, mode, NULL) == 0;
}

static bool clear_interface(int ifindex, char foreign[FOREIGN_NAME_SIZE])
{
	return clear_mode(ifindex, XDP_FLAGS_DRV_MODE, foreign) && clear_mode(ifindex, XDP_FLAGS_SKB_MODE, foreign);
}

enum err xdp_claim(const char *ifname, const struct xdp_params *params, char *why, size_t why_size)
{
	struct claim c = { .map = -1, .params = *params, .ifindex = (int)if_nametoindex(ifname) };
	char foreign[FOREIGN_NAME_SIZE] = "";

	(void)libbpf_set_print(on_libbpf_text);
	if (c.ifindex == 0 || str_copy(str_from(ifname), c.ifname, sizeof(c.ifname)) != ERR_OK || claim_count == CLAIMS_MAX)
		FAIL(ERR_NOT_FOUND, "[relay] ports: there is no interface '%s'", ifname);
	c.lock = take_lock(c.ifindex);
	if (c.lock < 0)
		FAIL(ERR_BUSY, "the interface %s is in use by another duplex-relay", ifname);
	if (!clear_interface(c.ifindex, foreign)) {
		(void)close(c.lock);
		FAIL(ERR_CONFLICT,
		     "the interface %s already has an XDP program ('%s') of something else, and can have only one: end that "
		     "program, or take it off with 'ip link set dev %s xdp off'",
		     ifname, foreign, ifname);
	}
	claims[claim_count++] = c;
	return ERR_OK;
}

static int map_of_program(int prog_fd, const char *name)
{
	uint32_t ids[8], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = ARRAY_LEN(ids), .map_ids = (uintptr_t)ids };

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len) != 0)
		return -1;
	for (uint32_t i = 0; i < info.nr_map_ids && i < ARRAY_LEN(ids); i++) {
		struct bpf_map_info map = { 0 };
		uint32_t map_len = sizeof(map);
		int fd = bpf_map_get_fd_by_id(ids[i]);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &map_len) == 0 && strcmp(map.name, name) == 0)
			return fd;
		if (fd >= 0)
			(void)close(fd);
	}
	return -1;
}

static bool write_params(struct claim *c, uint64_t now_us)
{
	uint32_t zero = 0;

	c->params.alive_until_ns = (now_us + XDP_GRACE_S * UINT64_C(1000000)) * 1000;
	return bpf_map_update_elem(c->map, &zero, &c->params, BPF_ANY) == 0;
}

typedef int attach_fn(int ifindex, int prog_fd, __u32 flags, const struct bpf_xdp_attach_opts *opts);

/* Stands before libbpf's function of that name, which DPDK's driver calls, because the driver leaves the mode to
 * the kernel. The kernel then insists on the driver's own XDP wherever there is one, and fails when the driver
 * refuses it: virtio-net whose host merges segments, a NIC with a large MTU. Generic XDP works there. It is also
 * the moment to write the parameters: before the first frame. For interfaces not claimed, nothing changes. (A static libbpf would call itself instead: then the
 * program is not known to be attached, and the port does not open.) */
__attribute__((visibility("default"))) int bpf_xdp_attach(int ifindex, int prog_fd, __u32 flags,
							   const struct bpf_xdp_attach_opts *opts)
{
	static attach_fn *real;
	struct claim *c = claim_of(ifindex);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "bpf_xdp_attach");
	if (real == NULL)
		return -ENOSYS;
	if (c == NULL || prog_fd < 0) /* not ours, or libbpf's own way to detach */
		return real(ifindex, prog_fd, flags, opts);
	c->map = map_of_program(prog_fd, XDP_PARAMS_MAP);
	if (c->map < 0 || !write_params(c, clock_mono_us())) {
		c->error = errno;
		return -EINVAL;
	}
	int e = real(ifindex, prog_fd, flags | XDP_FLAGS_DRV_MODE, opts);
	c->mode = XDP_MODE_NATIVE;
	if (e != 0) {
		e = real(ifindex, prog_fd, flags | XDP_FLAGS_SKB_MODE, opts);
		c->mode = XDP_MODE_GENERIC;
	}
	if (e != 0) {
		c->mode = XDP_MODE_NONE;
		c->error = -e;
	}
	return e;
}

enum xdp_mode xdp_attached(const char *ifname, char *why, size_t why_size)
{
	const struct claim *c = claim_of((int)if_nametoindex(ifname));

	if (why_size > 0)
		why[0] = '\0';
	if (c == NULL)
		return XDP_MODE_NONE;
	if (c->mode == XDP_MODE_NONE && c->error != 0)
		(void)snprintf(why, why_size, "the XDP program cannot be attached to %s: %s", ifname, strerrordesc_np(c->error));
	return c->mode;
}

enum err xdp_set(const char *ifname, const struct xdp_params *params)
{
	struct claim *c = claim_of((int)if_nametoindex(ifname));

	if (c == NULL || c->map < 0)
		return ERR_NOT_FOUND;
	c->params = *params;
	return write_params(c, clock_mono_us()) ? ERR_OK : ERR_IO;
}

void xdp_alive(uint64_t now_us)
{
	for (unsigned i = 0; i < claim_count; i++) {
		if (claims[i].map >= 0)
			(void)write_params(&claims[i], now_us);
	}
}

void xdp_release(void)
{
	char foreign[FOREIGN_NAME_SIZE];

	for (unsigned i = 0; i < claim_count; i++) {
		(void)clear_interface(claims[i].ifindex, foreign);
		if (claims[i].map >= 0)
			(void)close(claims[i].map);
		(void)close(claims[i].lock);
	}
	claim_count = 0;
}

unsigned xdp_queues(const char *ifname, unsigned *usable)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq r = { .ifr_data = (void *)&ch };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*usable = 1;
	if (fd < 0)
		return 1;
	int e = str_copy(str_from(ifname), r.ifr_name, sizeof(r.ifr_name)) == ERR_OK ? ioctl(fd, SIOCETHTOOL, &r) : -1;
	(void)close(fd);
	if (e != 0 || ch.combined_count + ch.rx_count == 0)
		return 1;
	if (ch.combined_count > 0)
		*usable = MIN(ch.combined_count, XDP_QUEUES_MAX);
	return ch.combined_count + ch.rx_count;
}
