#include "signalling/listener.h"

#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"

#define BACKLOG 4096
#define ACCEPTS_A_TURN 64

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct listener *l = CONTAINER_OF(lf, struct listener, lf);

	uint64_t wait_ms = 0;
	unsigned room = l->room != NULL ? l->room(l, &wait_ms) : ACCEPTS_A_TURN;

	(void)events;
	if (room == 0) {
		/* They wait in the kernel's queue. */
		loop_want(l->loop, &l->lf, 0);
		timer_arm(loop_timers(l->loop), &l->again, wait_ms);
		return;
	}
	for (unsigned i = 0; i < room; i++) {
		int fd = accept4(lf->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				log_event(LOG_ERROR, "accept-failed", "socket=%s error=%s", l->path,
					  log_value(str_from(strerrordesc_np(errno))));
			return;
		}
		l->fn(l, fd);
	}
}

static void on_again(struct timer *t, UNUSED uint64_t now_ms)
{
	struct listener *l = CONTAINER_OF(t, struct listener, again);

	loop_want(l->loop, &l->lf, EPOLLIN);
}

static enum err failed(struct listener *l, const char *what)
{
	log_event(LOG_ERROR, "listen-failed", "socket=%s step=%s error=%s", l->path, what, log_value(str_from(strerrordesc_np(errno))));
	if (l->lf.fd >= 0)
		(void)close(l->lf.fd);
	l->lf.fd = -1;
	return ERR_IO;
}

static enum err give_to_group(const char *path, const char *group)
{
	if (group[0] == '\0')
		return ERR_OK;
	const struct group *g = getgrnam(group);
	return g != NULL && chown(path, (uid_t)-1, g->gr_gid) == 0 ? ERR_OK : ERR_FORBIDDEN;
}

enum err listener_open(struct listener *l, struct loop *loop, const char *path, const char *group, void (*fn)(struct listener *l, int fd))
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	*l = (struct listener){ .loop = loop, .lf = { .fd = -1, .fn = on_ready }, .fn = fn };
	timer_init(&l->again, on_again);
	if (str_copy(str_from(path), l->path, sizeof(l->path)) != ERR_OK ||
	    str_copy(str_from(path), a.sun_path, sizeof(a.sun_path)) != ERR_OK)
		return ERR_TOO_LARGE;
	l->lf.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->lf.fd < 0)
		return failed(l, "socket");
	(void)unlink(path);
	/* No moment with a wider mode than the last one. */
	mode_t before = umask(0177);
	int bound = bind(l->lf.fd, (struct sockaddr *)&a, sizeof(a));
	(void)umask(before);
	if (bound != 0)
		return failed(l, "bind");
	if (give_to_group(path, group) != ERR_OK)
		return failed(l, "group");
	if (chmod(path, 0660) != 0 || listen(l->lf.fd, BACKLOG) != 0 || loop_add(loop, &l->lf, EPOLLIN) != ERR_OK)
		return failed(l, "listen");
	return ERR_OK;
}

void listener_close(struct listener *l)
{
	if (l->loop == NULL || l->lf.fd < 0)
		return;
	timer_stop(loop_timers(l->loop), &l->again);
	loop_del(l->loop, &l->lf);
	(void)close(l->lf.fd);
	l->lf.fd = -1;
	(void)unlink(l->path);
}
