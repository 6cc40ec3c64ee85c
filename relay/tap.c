#include "relay/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool ask(int fd, const char *name, void *what)
{
	struct ifreq r = { .ifr_data = what };

	return str_copy(str_from(name), r.ifr_name, sizeof(r.ifr_name)) == ERR_OK && ioctl(fd, SIOCETHTOOL, &r) == 0;
}

bool tap_is_orphan(const char *name)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_value link = { .cmd = ETHTOOL_GLINK };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	/* Its link is up exactly while somebody holds a queue of it. */
	bool orphan = ask(fd, name, &driver) && strcmp(driver.driver, "tun") == 0 && strcmp(driver.bus_info, "tap") == 0 &&
		      ask(fd, name, &link) && link.data == 0;
	(void)close(fd);
	return orphan;
}

/* True if `fd` is a queue of that device. */
static bool is_queue(int fd, const char *name)
{
	struct ifreq r = { 0 };
	char path[64], target[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof(target));
	return n > 0 && str_eq(str_of(target, (size_t)n), STR("/dev/net/tun")) && ioctl(fd, TUNGETIFF, &r) == 0 &&
	       strncmp(r.ifr_name, name, sizeof(r.ifr_name)) == 0;
}

enum err tap_keep(const char *name, bool keep)
{
	/* The driver does not tell its descriptors. */
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	enum err result = ERR_NOT_FOUND;
	uint64_t fd;

	while (d != NULL && result == ERR_NOT_FOUND && (e = readdir(d)) != NULL) {
		if (str_to_u64(str_from(e->d_name), INT32_MAX, &fd) == ERR_OK && is_queue((int)fd, name))
			result = ioctl((int)fd, TUNSETPERSIST, keep ? 1UL : 0UL) == 0 ? ERR_OK : ERR_IO;
	}
	if (d != NULL)
		(void)closedir(d);
	return result;
}

void tap_mac(const struct addr *relay, uint8_t mac[ETH_ADDR_LEN])
{
	mac[0] = 2; /* local, a single host */
	mac[1] = 0xd5;
	memcpy(mac + 2, &relay->w[3], sizeof(relay->w[3]));
}
