#include "api/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

struct fcgi {
	FCGX_Request request;
	char *body; /* owned; body_max bytes */
	size_t body_max;
};

enum err fcgi_init(void)
{
	return FCGX_Init() == 0 ? ERR_OK : ERR_INTERNAL;
}

static enum err set_owner(const char *path, unsigned mode, const char *group, char *why, size_t why_size)
{
	struct group entry, *found = NULL;
	char mem[4096];

	if (group[0] != '\0') {
		if (getgrnam_r(group, &entry, mem, sizeof(mem), &found) != 0 || found == NULL) {
			(void)snprintf(why, why_size, "[api] socket-group: there is no group %s", group);
			return ERR_NOT_FOUND;
		}
		if (chown(path, (uid_t)-1, entry.gr_gid) != 0) {
			(void)snprintf(why, why_size, "the socket %s cannot be given to the group %s: %m", path, group);
			return ERR_FORBIDDEN;
		}
	}
	if (chmod(path, mode) != 0) {
		(void)snprintf(why, why_size, "the mode of the socket %s cannot be set: %m", path);
		return ERR_FORBIDDEN;
	}
	return ERR_OK;
}

enum err fcgi_listen(const char *path, unsigned mode, const char *group, int *fd, char *why, size_t why_size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (str_copy(str_from(path), a.sun_path, sizeof(a.sun_path)) != ERR_OK) {
		(void)snprintf(why, why_size, "the path of the socket %s is too long", path);
		return ERR_TOO_LARGE;
	}
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0) {
		(void)snprintf(why, why_size, "no socket: %m");
		return ERR_IO;
	}
	(void)unlink(path);
	/* Nobody may connect before owner and mode are right. */
	mode_t before = umask(0177);
	int bound = bind(s, (struct sockaddr *)&a, sizeof(a));
	(void)umask(before);
	if (bound != 0) {
		(void)snprintf(why, why_size, "the socket %s cannot be made: %m", path);
		(void)close(s);
		return ERR_IO;
	}
	enum err e = set_owner(path, mode, group, why, why_size);
	if (e == ERR_OK && listen(s, LISTEN_BACKLOG) != 0) {
		(void)snprintf(why, why_size, "cannot listen on %s: %m", path);
		e = ERR_IO;
	}
	if (e != ERR_OK) {
		(void)close(s);
		return e;
	}
	*fd = s;
	return ERR_OK;
}

enum err fcgi_new(int listen_fd, size_t body_max, struct fcgi **out)
{
	struct fcgi *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return ERR_NO_MEMORY;
	f->body = malloc(body_max);
	f->body_max = body_max;
	if (f->body == NULL || FCGX_InitRequest(&f->request, listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) != 0) {
		free(f->body);
		free(f);
		return ERR_NO_MEMORY;
	}
	*out = f;
	return ERR_OK;
}

void fcgi_free(struct fcgi *f)
{
	if (f == NULL)
		return;
	FCGX_Free(&f->request, 1);
	free(f->body);
	free(f);
}

/* Which parameter goes where. HTTP_… come from the client; all others only from nginx. */
static const struct {
	const char *name;
	size_t offset;
} params[] = {
	{ "SCRIPT_NAME", offsetof(struct http_request, path) },
	{ "QUERY_STRING", offsetof(struct http_request, query) },
	{ "CONTENT_TYPE", offsetof(struct http_request, content_type) },
	{ "REMOTE_ADDR", offsetof(struct http_request, address) },
	{ "REQUEST_ID", offsetof(struct http_request, request_id) },
	{ "ORIGINAL_URI", offsetof(struct http_request, original_uri) },
	{ "SSL_CLIENT_VERIFY", offsetof(struct http_request, cert_verify) },
	{ "SSL_CLIENT_SERIAL", offsetof(struct http_request, cert_serial) },
	{ "SSL_CLIENT_S_DN", offsetof(struct http_request, cert_subject) },
	{ "HTTP_ACCEPT", offsetof(struct http_request, accept) },
	{ "HTTP_COOKIE", offsetof(struct http_request, cookie) },
	{ "HTTP_ORIGIN", offsetof(struct http_request, origin) },
	{ "HTTP_SEC_FETCH_SITE", offsetof(struct http_request, fetch_site) },
	{ "HTTP_IF_MATCH", offsetof(struct http_request, if_match) },
	{ "HTTP_IF_NONE_MATCH", offsetof(struct http_request, if_none_match) },
	{ "HTTP_USER_AGENT", offsetof(struct http_request, agent) },
	{ "HTTP_X_DUPLEX_REQUEST", offsetof(struct http_request, guard) },
};

static void read_params(struct fcgi *f, struct http_request *in)
{
	for (size_t i = 0; i < ARRAY_LEN(params); i++)
		*(struct str *)(void *)((char *)in + params[i].offset) = str_from(FCGX_GetParam(params[i].name, f->request.envp));
	in->method = http_method_from(str_from(FCGX_GetParam("REQUEST_METHOD", f->request.envp)));
	struct str length = str_from(FCGX_GetParam("CONTENT_LENGTH", f->request.envp));
	if (length.len > 0 && str_to_u64(length, UINT64_MAX, &in->content_length) != ERR_OK)
		in->content_length = UINT64_MAX;
}

enum err fcgi_accept(struct fcgi *f, struct http_request *out)
{
	struct http_request in = { 0 };

	if (FCGX_Accept_r(&f->request) != 0)
		return ERR_AGAIN;
	read_params(f, &in);
	if (in.content_length > 0 && in.content_length <= f->body_max) {
		int got = FCGX_GetStr(f->body, (int)in.content_length, f->request.in);

		/* Cut short on the way: an invalid body, which the parser will say. */
		in.body = str_of(f->body, got > 0 ? (size_t)got : 0);
	}
	*out = in;
	return ERR_OK;
}

void fcgi_reply(struct fcgi *f, const struct http_response *r, bool head_only)
{
	FCGX_Stream *to = f->request.out;

	(void)FCGX_FPrintF(to, "Status: %u %s\r\n", r->status, http_reason(r->status));
	(void)FCGX_PutStr(r->headers.p, (int)r->headers.len, to);
	(void)FCGX_PutS("\r\n", to);
	if (!head_only && r->body.len > 0)
		(void)FCGX_PutStr(r->body.p, (int)r->body.len, to);
	explicit_bzero(f->body, f->body_max);
	/* One request a connection: a kept one would bind this thread to it. */
	FCGX_Finish_r(&f->request);
	FCGX_Free(&f->request, 1);
}
