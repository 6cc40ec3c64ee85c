#include "common/metrics.h"

#include <stdlib.h>

#include "common/httpd.h"

struct metrics {
	struct httpd *httpd; /* owned */
	metrics_fn fn;
	void *user;
};

static void health(struct httpd_call *c, UNUSED void *user)
{
	buf_z(&c->body, "ok\n");
}

static void write_all(struct httpd_call *c, void *user)
{
	struct metrics *m = user;

	m->fn(&c->body, m->user);
}

static const struct httpd_route routes[] = { { "GET", "/metrics", write_all }, { "GET", "/health", health } };

enum err metrics_start(const char *path, metrics_fn fn, void *user, struct metrics **out)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return ERR_NO_MEMORY;
	*m = (struct metrics){ .fn = fn, .user = user };
	enum err e = httpd_start(path, routes, ARRAY_LEN(routes), m, false, &m->httpd);
	if (e != ERR_OK) {
		free(m);
		return e;
	}
	*out = m;
	return ERR_OK;
}

void metrics_stop(struct metrics *m)
{
	if (m == NULL)
		return;
	httpd_stop(m->httpd);
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
