#include "relay/stream_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 1024
/* Bytes not yet on the wire that the kernel takes from us: enough to keep a fast connection busy, little enough that what
 * is in front of a message does not make it late. */
#define NOTSENT_LOWAT 8192
#define DEAD_MS 30000u /* unacknowledged for so long: the client is gone */

static enum err parse_tcp(struct str place, struct stream_listen *l)
{
	size_t colon = place.len;
	char z[ADDR_TEXT_SIZE];
	uint64_t port;

	while (colon > 0 && place.p[colon - 1] != ':')
		colon--;
	if (colon == 0 || str_to_u64(str_sub(place, colon, place.len), UINT16_MAX, &port) != ERR_OK || port == 0)
		return ERR_INVALID;
	l->port = (uint16_t)port;
	struct str host = str_sub(place, 0, colon - 1);
	if (str_eq(host, STR("*")))
		return ERR_OK;
	bool v6 = host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']';
	struct in_addr v4;
	if (str_copy(v6 ? str_sub(host, 1, host.len - 2) : host, z, sizeof(z)) != ERR_OK)
		return ERR_INVALID;
	if (v6)
		return inet_pton(AF_INET6, z, &l->addr) == 1 ? ERR_OK : ERR_INVALID;
	if (inet_pton(AF_INET, z, &v4) != 1)
		return ERR_INVALID;
	l->addr = addr_v4(v4.s_addr);
	return ERR_OK;
}

static enum err parse_word(struct str word, struct stream_listen *l)
{
	struct str place = word, kind = str_cut(&place, ':');

	l->tls = str_starts(kind, STR("tls"));
	l->proxy = str_eq(kind, STR("tcp-proxy")) || str_eq(kind, STR("tls-proxy"));
	if ((!l->proxy && !str_eq(kind, STR("tcp")) && !str_eq(kind, STR("tls"))) || place.p == NULL)
		return ERR_INVALID;
	if (!str_starts(place, STR("unix:")))
		return parse_tcp(place, l);
	struct str path = str_sub(place, 5, place.len);
	return path.len > 0 && path.p[0] == '/' ? str_copy(path, l->path, sizeof(l->path)) : ERR_INVALID;
}

enum err stream_listen_parse(const char *words, struct stream_listen out[STREAM_LISTEN_MAX], unsigned *count, struct str *bad)
{
	unsigned n = 0;

	for (words += strspn(words, " \t"); *words != '\0'; words += strspn(words, " \t")) {
		struct str word = str_of(words, strcspn(words, " \t"));

		words += word.len;
		*bad = word;
		if (n == STREAM_LISTEN_MAX)
			return ERR_TOO_LARGE;
		out[n] = (struct stream_listen){ 0 };
		if (parse_word(word, &out[n]) != ERR_OK)
			return ERR_INVALID;
		n++;
	}
	*count = n;
	return ERR_OK;
}

#define FAIL(e, ...)                                           \
	do {                                                   \
		(void)snprintf(why, why_size, __VA_ARGS__);    \
		return (e);                                    \
	} while (0)

static enum err open_unix(const struct stream_listen *l, const char *group, int *out, char *why, size_t why_size)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct group *g = group[0] != '\0' ? getgrnam(group) : NULL; /* before any thread of ours looks up another */

	if (group[0] != '\0' && g == NULL)
		FAIL(ERR_NOT_FOUND, "[relay] stream-socket-group: there is no group '%s'", group);
	memcpy(at.sun_path, l->path, sizeof(at.sun_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		FAIL(ERR_IO, "a socket cannot be made: %s", strerrordesc_np(errno));
	(void)unlink(l->path);
	/* Between bind and chmod nobody but root can connect. */
	mode_t mask = umask(0077);
	int e = bind(fd, (struct sockaddr *)&at, sizeof(at));
	(void)umask(mask);
	if (e != 0 || (g != NULL && (chown(l->path, 0, g->gr_gid) != 0 || chmod(l->path, 0660) != 0)) || listen(fd, BACKLOG) != 0) {
		(void)snprintf(why, why_size, "[relay] stream-listen: the socket %s cannot be made: %s", l->path, strerrordesc_np(errno));
		(void)close(fd);
		return ERR_IO;
	}
	*out = fd;
	return ERR_OK;
}

static socklen_t socket_address(const struct stream_listen *l, bool v6, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (v6) {
		struct sockaddr_in6 *s = (struct sockaddr_in6 *)out;

		s->sin6_family = AF_INET6;
		s->sin6_port = htons(l->port);
		memcpy(&s->sin6_addr, &l->addr, sizeof(s->sin6_addr));
		return sizeof(*s);
	}
	struct sockaddr_in *s = (struct sockaddr_in *)out;
	s->sin_family = AF_INET;
	s->sin_port = htons(l->port);
	s->sin_addr.s_addr = addr_is_v4(&l->addr) ? addr_v4_of(&l->addr) : INADDR_ANY;
	return sizeof(*s);
}

static enum err open_tcp(const struct stream_listen *l, int *out, char *why, size_t why_size)
{
	static const struct addr any;
	const int yes = 1, no = 0;
	struct sockaddr_storage at;
	char text[ADDR_TEXT_SIZE];
	bool v6 = !addr_is_v4(&l->addr), all = addr_eq(&l->addr, &any);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 && all) { /* a machine without IPv6 */
		v6 = false;
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		FAIL(ERR_IO, "a socket cannot be made: %s", strerrordesc_np(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (v6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, all ? &no : &yes, sizeof(no));
	socklen_t len = socket_address(l, v6, &at);
	if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, BACKLOG) != 0) {
		(void)snprintf(why, why_size, "[relay] stream-listen: nothing can listen on %s port %u: %s", addr_text(&l->addr, text),
			       l->port, strerrordesc_np(errno));
		(void)close(fd);
		return ERR_IO;
	}
	*out = fd;
	return ERR_OK;
}

enum err stream_listen_open(const struct stream_listen *l, const char *group, int *out, char *why, size_t why_size)
{
	return l->path[0] != '\0' ? open_unix(l, group, out, why, why_size) : open_tcp(l, out, why, why_size);
}

void stream_listen_unlink(const struct stream_listen *l)
{
	if (l->path[0] != '\0')
		(void)unlink(l->path);
}

void stream_listen_tune(int fd)
{
	const int yes = 1, lowat = NOTSENT_LOWAT;
	const unsigned dead_ms = DEAD_MS;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
}

bool stream_listen_peer(const struct sockaddr_storage *from, struct addr *addr, uint16_t *port)
{
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *s = (const struct sockaddr_in6 *)from;

		memcpy(addr, &s->sin6_addr, sizeof(*addr));
		*port = ntohs(s->sin6_port);
		return true;
	}
	if (from->ss_family != AF_INET)
		return false;
	const struct sockaddr_in *s = (const struct sockaddr_in *)from;
	*addr = addr_v4(s->sin_addr.s_addr);
	*port = ntohs(s->sin_port);
	return true;
}
