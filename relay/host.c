#include "relay/host.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/str.h"

/* A name that does not fit stays empty, and the kernel then says that there is no such device. */
static struct ifreq request(const char *name)
{
	struct ifreq r = { 0 };

	(void)str_copy(str_from(name), r.ifr_name, sizeof(r.ifr_name));
	return r;
}

static int set_address(int fd, const char *name, unsigned long what, uint32_t ip)
{
	struct ifreq r = request(name);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = ip };

	memcpy(&r.ifr_addr, &a, sizeof(a));
	return ioctl(fd, what, &r);
}

enum err host_configure(const char *name, uint32_t ip, uint8_t bits, unsigned mtu)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq flags = request(name), size = request(name);
	bool done;

	if (fd < 0)
		return ERR_IO;
	size.ifr_mtu = (int)mtu;
	done = ioctl(fd, SIOCSIFMTU, &size) == 0 && set_address(fd, name, SIOCSIFADDR, ip) == 0 &&
	       set_address(fd, name, SIOCSIFNETMASK, htonl(bits == 0 ? 0 : UINT32_MAX << (32 - bits))) == 0 &&
	       ioctl(fd, SIOCGIFFLAGS, &flags) == 0;
	flags.ifr_flags |= IFF_UP;
	done = done && ioctl(fd, SIOCSIFFLAGS, &flags) == 0;
	(void)close(fd);
	return done ? ERR_OK : ERR_IO;
}
