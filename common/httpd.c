#include "common/httpd.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX (64u << 20)
#define BLOCK 65536u
#define MORE_WAIT_NS 20000000L

struct httpd {
	struct MHD_Daemon *daemon; /* owned */
	const struct httpd_route *routes;
	size_t count;
	void *user;
};

/* What a long answer is made from; lives as long as its response. */
struct stream {
	httpd_more_fn more;
	void (*done)(void *source);
	void *source;
};

static ssize_t on_more(void *arg, UNUSED uint64_t at, char *to, size_t max)
{
	const struct timespec pause = { .tv_nsec = MORE_WAIT_NS };
	struct stream *s = arg;
	long n = s->more(s->source, to, max);

	if (n == 0)
		(void)nanosleep(&pause, NULL);
	return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void on_done(void *arg)
{
	struct stream *s = arg;

	if (s->done != NULL)
		s->done(s->source);
	free(s);
}

static struct MHD_Response *long_answer(const struct httpd_call *c)
{
	struct stream *s = malloc(sizeof(*s));
	struct MHD_Response *r = NULL;

	if (s != NULL) {
		*s = (struct stream){ c->more, c->done, c->source };
		r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_more, s, on_done);
	}
	if (r == NULL) {
		free(s);
		if (c->done != NULL)
			c->done(c->source);
	}
	return r;
}

static enum MHD_Result answer(struct MHD_Connection *conn, const struct httpd_call *c)
{
	struct MHD_Response *r = c->more != NULL ? long_answer(c)
						 : MHD_create_response_from_buffer(c->body.len, c->body.p, MHD_RESPMEM_MUST_COPY);

	if (r == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, c->type);
	/* A long answer may have nothing to say for as long as it likes. */
	if (c->more != NULL)
		(void)MHD_set_connection_option(conn, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	enum MHD_Result done = MHD_queue_response(conn, c->body.overflow ? MHD_HTTP_INTERNAL_SERVER_ERROR : c->status, r);
	MHD_destroy_response(r);
	return done;
}

static bool path_fits(const struct httpd_route *r, struct str url, struct str *rest)
{
	struct str path = str_from(r->path);
	bool open = path.len > 1 && path.p[path.len - 1] == '/';

	*rest = str_sub(url, path.len, url.len);
	return open ? str_starts(url, path) && rest->len > 0 : str_eq(url, path);
}

static void refuse(struct httpd_call *c, unsigned status, const char *text)
{
	c->status = status;
	c->type = HTTPD_TEXT;
	buf_z(&c->body, text);
}

static void dispatch(const struct httpd *h, const char *method, const char *url, struct httpd_call *c)
{
	bool known = false;

	for (size_t i = 0; i < h->count; i++) {
		if (!path_fits(&h->routes[i], str_from(url), &c->rest))
			continue;
		known = true;
		if (strcmp(method, h->routes[i].method) == 0) {
			h->routes[i].fn(c, h->user);
			return;
		}
	}
	if (known)
		refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "this path does not take that method\n");
	else
		refuse(c, MHD_HTTP_NOT_FOUND, "there is no such path\n");
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *conn, const char *url, const char *method, UNUSED const char *version,
				  UNUSED const char *upload, size_t *upload_size, void **state)
{
	static int seen; /* its address says that the headers have been seen */
	struct httpd_call c = { .status = MHD_HTTP_OK, .type = HTTPD_TEXT, .inside = conn };

	/* The first call is for the headers; a body is read and not wanted. */
	if (*state == NULL) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_size > 0) {
		*upload_size = 0;
		return MHD_YES;
	}
	c.body = buf_growing(BODY_MAX);
	dispatch(user, method, url, &c);
	enum MHD_Result done = answer(conn, &c);
	buf_fini(&c.body);
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

enum err httpd_start(const char *path, const struct httpd_route *routes, size_t count, void *user, bool threads, struct httpd **out)
{
	struct httpd *h = calloc(1, sizeof(*h));
	int fd = listen_unix(path);

	if (h == NULL || fd < 0)
		goto fail;
	*h = (struct httpd){ .routes = routes, .count = count, .user = user };
	h->daemon = MHD_start_daemon(threads ? MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL
					     : MHD_USE_EPOLL_INTERNAL_THREAD,
				     0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, 32u,
				     MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
	if (h->daemon == NULL)
		goto fail;
	*out = h;
	return ERR_OK;
fail:
	if (fd >= 0)
		(void)close(fd);
	free(h);
	return ERR_IO;
}

void httpd_stop(struct httpd *h)
{
	if (h == NULL)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}

struct str httpd_query(const struct httpd_call *c, const char *name)
{
	return str_from(MHD_lookup_connection_value(c->inside, MHD_GET_ARGUMENT_KIND, name));
}

bool httpd_query_u64(const struct httpd_call *c, const char *name, uint64_t max, uint64_t *out)
{
	struct str v = httpd_query(c, name);

	return v.len == 0 || str_to_u64(v, max, out) == ERR_OK;
}
