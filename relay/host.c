#include "relay/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What SIOCSIFADDR takes on an IPv6 socket; the kernel's header for it does not go with <arpa/inet.h>. */
struct in6_request {
	struct in6_addr addr;
	uint32_t prefix;
	int index;
};

/* A name that does not fit stays empty, and the kernel then says that there is no such device. */
static struct ifreq request(const char *name)
{
	struct ifreq r = { 0 };

	(void)str_copy(str_from(name), r.ifr_name, sizeof(r.ifr_name));
	return r;
}

static bool set_v4(int fd, const char *name, unsigned long what, uint32_t ip)
{
	struct ifreq r = request(name);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = ip };

	memcpy(&r.ifr_addr, &a, sizeof(a));
	return ioctl(fd, what, &r) == 0;
}

static bool set_v6(int fd, const char *name, const struct addr *ip, uint8_t bits)
{
	struct ifreq index = request(name);
	struct in6_request r = { .prefix = bits };

	memcpy(&r.addr, ip, sizeof(r.addr));
	if (ioctl(fd, SIOCGIFINDEX, &index) != 0)
		return false;
	r.index = index.ifr_ifindex;
	return ioctl(fd, SIOCSIFADDR, &r) == 0 || errno == EEXIST;
}

enum err host_configure(const char *name, const struct addr *ip, uint8_t bits, unsigned mtu)
{
	bool v4 = addr_is_v4(ip);
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq flags = request(name), size = request(name);
	bool done;

	if (fd < 0)
		return ERR_IO;
	size.ifr_mtu = (int)mtu;
	done = ioctl(fd, SIOCSIFMTU, &size) == 0;
	if (v4)
		done = done && set_v4(fd, name, SIOCSIFADDR, addr_v4_of(ip)) &&
		       set_v4(fd, name, SIOCSIFNETMASK, htonl(bits == 0 ? 0 : UINT32_MAX << (32 - bits)));
	done = done && ioctl(fd, SIOCGIFFLAGS, &flags) == 0;
	flags.ifr_flags |= IFF_UP;
	done = done && ioctl(fd, SIOCSIFFLAGS, &flags) == 0;
	/* The kernel takes IPv6 addresses of interfaces that are up only, when they came up without any. */
	done = done && (v4 || set_v6(fd, name, ip, bits));
	(void)close(fd);
	return done ? ERR_OK : ERR_IO;
}

enum err host_join(const char *name, const uint8_t *group)
{
	static int fd = -1; /* kept open: with it the memberships end */
	struct packet_mreq m = { .mr_ifindex = (int)if_nametoindex(name), .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6 };

	memcpy(m.mr_address, group, 6);
	/* Of protocol 0 it gets no packets. */
	if (fd < 0)
		fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) == 0 ? ERR_OK : ERR_IO;
}

bool host_has_link(const char *name)
{
	struct ifreq r = request(name);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) != 0 && (r.ifr_flags & IFF_RUNNING) != 0;

	if (fd >= 0)
		(void)close(fd);
	return up;
}

unsigned host_addresses(struct addr *out, unsigned max)
{
	struct ifaddrs *all;
	unsigned n = 0;

	if (getifaddrs(&all) != 0)
		return 0;
	for (const struct ifaddrs *i = all; i != NULL && n < max; i = i->ifa_next) {
		const struct sockaddr *s = i->ifa_addr;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;

		if (s == NULL || (s->sa_family != AF_INET && s->sa_family != AF_INET6))
			continue;
		if (s->sa_family == AF_INET) {
			memcpy(&v4, s, sizeof(v4));
			out[n] = addr_v4(v4.sin_addr.s_addr);
		} else {
			memcpy(&v6, s, sizeof(v6));
			memcpy(&out[n], &v6.sin6_addr, sizeof(out[n]));
		}
		n++;
	}
	freeifaddrs(all);
	return n;
}
