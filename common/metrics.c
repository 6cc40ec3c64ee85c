#include "common/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define METRICS_MAX (4u << 20)

struct metrics {
	struct MHD_Daemon *daemon; /* owned */
	metrics_fn fn;
	void *user;
};

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, struct str body)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(body.len, (char *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);

	if (r == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4");
	enum MHD_Result done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *url, const char *method, const char *version,
				  const char *upload, size_t *upload_size, void **state)
{
	struct metrics *m = user;

	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	if (strcmp(method, "GET") != 0)
		return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, STR("only GET\n"));
	if (strcmp(url, "/health") == 0)
		return reply(c, MHD_HTTP_OK, STR("ok\n"));
	if (strcmp(url, "/metrics") != 0)
		return reply(c, MHD_HTTP_NOT_FOUND, STR("there are /metrics and /health\n"));

	struct buf text = buf_growing(METRICS_MAX);
	m->fn(&text, m->user);
	enum MHD_Result done = reply(c, text.overflow ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_OK, buf_view(&text));
	buf_fini(&text);
	return done;
}

static int listen_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (str_copy(str_from(path), a.sun_path, sizeof(a.sun_path)) != ERR_OK)
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || chmod(path, 0660) != 0 || listen(fd, 16) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

enum err metrics_start(const char *path, metrics_fn fn, void *user, struct metrics **out)
{
	struct metrics *m = calloc(1, sizeof(*m));
	int fd = listen_unix(path);

	if (m == NULL || fd < 0)
		goto fail;
	m->fn = fn;
	m->user = user;
	m->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, m, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_LIMIT, 32u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
	if (m->daemon == NULL)
		goto fail;
	*out = m;
	return ERR_OK;
fail:
	if (fd >= 0)
		(void)close(fd);
	free(m);
	return ERR_IO;
}

void metrics_stop(struct metrics *m)
{
	if (m == NULL)
		return;
	MHD_stop_daemon(m->daemon);
	free(m);
}

void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_line(struct buf *out, const char *name, const char *label, const char *value, uint64_t n)
{
	buf_z(out, name);
	if (label != NULL)
		buf_printf(out, "{%s=\"%s\"}", label, value);
	buf_char(out, ' ');
	buf_u64(out, n);
	buf_char(out, '\n');
}
