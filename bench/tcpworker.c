/* tcpworker: duplex-signalling with its WebSocket behind TCP instead of a unix socket, so that a comparison with a server that has TCP alone is one of the
 * same transport. It is the same program (signalling/main.c and the library); the linker puts the function below in the place of listener_open
 * (--wrap). TCPWORKER_PORT is the port on 127.0.0.1. Only for measurements: who reaches that port is whoever he says he is. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/str.h"
#include "signalling/listener.h"

enum err __real_listener_open(struct listener *l, struct loop *loop, const char *path, const char *group, void (*fn)(struct listener *l, int fd));
enum err __wrap_listener_open(struct listener *l, struct loop *loop, const char *path, const char *group, void (*fn)(struct listener *l, int fd));

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct listener *l = CONTAINER_OF(lf, struct listener, lf);

	(void)events;
	for (int i = 0; i < 64; i++) {
		int fd = accept4(lf->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		l->fn(l, fd);
	}
}

enum err __wrap_listener_open(struct listener *l, struct loop *loop, const char *path, const char *group, void (*fn)(struct listener *l, int fd))
{
	const char *text = getenv("TCPWORKER_PORT");
	uint64_t port;

	if (strstr(path, "/signal.") == NULL || text == NULL)
		return __real_listener_open(l, loop, path, group, fn);
	if (str_to_u64(str_from(text), 65535, &port) != ERR_OK)
		return ERR_INVALID;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	*l = (struct listener){ .loop = loop, .lf = { .fd = -1, .fn = on_ready }, .fn = fn };
	l->lf.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->lf.fd < 0)
		return ERR_IO;
	(void)setsockopt(l->lf.fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	/* Inherited by what is accepted. */
	(void)setsockopt(l->lf.fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (bind(l->lf.fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(l->lf.fd, 4096) != 0 || loop_add(loop, &l->lf, EPOLLIN) != ERR_OK)
		return ERR_IO;
	return ERR_OK;
}
