/* FastCGI by libfcgi: the only file that names FCGX_. One struct fcgi is one thread's end of the listening socket. */
#ifndef DUPLEX_API_FCGI_H
#define DUPLEX_API_FCGI_H

#include "api/http.h"

struct fcgi;

/* Once a process, before any thread. */
enum err fcgi_init(void);
/* Listens on the unix socket `path` (replacing a stale one). `group` may be empty. On failure `why` holds one
 * sentence. */
enum err fcgi_listen(const char *path, unsigned mode, const char *group, int *fd, char *why, size_t why_size);

/* `body_max`: bodies announced as larger are not read. */
enum err fcgi_new(int listen_fd, size_t body_max, struct fcgi **out);
void fcgi_free(struct fcgi *f);

/* Takes a connection that is waiting and reads its request; slices borrow from `f` until fcgi_reply. ERR_AGAIN:
 * another thread took it, or it was no request. */
enum err fcgi_accept(struct fcgi *f, struct http_request *out);
/* Sends the reply and ends the connection. `head_only`: for HEAD, without the body. */
void fcgi_reply(struct fcgi *f, const struct http_response *r, bool head_only);

#endif
