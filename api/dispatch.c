#include "api/dispatch.h"

#include <stdlib.h>

#include "api/auth.h"
#include "api/input.h"
#include "api/reply.h"
#include "api/route.h"
#include "common/clock.h"

/* Each step either passes (true) or has written the reply. */

static void put_allow(struct req *r, unsigned allowed)
{
	char text[128];
	struct buf b = buf_fixed(text, sizeof(text));

	for (unsigned m = 0; m < HTTP_OTHER; m++) {
		if ((allowed >> m & 1u) != 0)
			buf_printf(&b, "%s%s", b.len > 0 ? ", " : "", http_method_name((enum http_method)m));
	}
	http_header(r->out, "Allow", "%.*s", STR_FMT(buf_view(&b)));
}

static bool find(struct req *r)
{
	unsigned allowed = 0;
	enum err e = route_find(route_table, route_count, r->http->method, r->http->path, &r->route, r->param, &allowed);

	if (e == ERR_OK && r->route->access == ACCESS_INTERNAL && r->http->original_uri.p == NULL)
		e = ERR_NOT_FOUND;
	if (e == ERR_OK)
		return true;
	if (e == ERR_NOT_FOUND) {
		(void)problem_send(r, PROBLEM_NOT_FOUND, NULL);
		return false;
	}
	put_allow(r, allowed);
	if (r->http->method == HTTP_OPTIONS)
		(void)reply_empty(r, 204);
	else
		(void)problem_send(r, PROBLEM_METHOD, NULL);
	return false;
}

static bool acceptable(struct req *r)
{
	if (r->http->content_length > MIN(r->route->body_max, (size_t)r->set->max_body))
		(void)problem_send(r, PROBLEM_TOO_LARGE, r->route->body_max == BODY_NONE ? "This takes no body" : NULL);
	else if (r->route->body_max > BODY_NONE && !http_is_json(r->http->content_type))
		(void)problem_send(r, PROBLEM_MEDIA_TYPE, NULL);
	else if (!http_accepts_json(r->http->accept))
		(void)problem_send(r, PROBLEM_NOT_ACCEPTABLE, NULL);
	else
		return true;
	return false;
}

static bool same_site(struct req *r)
{
	const char *why = http_unsafe(r->http->method) ? auth_cross_site(r->set, r->http) : NULL;

	if (why != NULL)
		(void)problem_send(r, PROBLEM_CROSS_SITE, why);
	return why == NULL;
}

static bool may(struct req *r)
{
	if (r->route->access == ACCESS_CERTIFICATE && r->http->cert_verify.p == NULL) {
		(void)problem_send(r, PROBLEM_WRONG_HOST, NULL);
		return false;
	}
	if (r->route->access != ACCESS_SESSION)
		return true;
	enum err e = auth_by_cookie(r, &r->who);
	if (e != ERR_OK)
		(void)problem_send(r, problem_from(e), NULL);
	else if (r->route->perm != PERM_COUNT && !perm_has(r->who.perms, r->route->perm))
		(void)problem_send(r, PROBLEM_FORBIDDEN, NULL);
	else
		return true;
	return false;
}

static bool parse(struct req *r)
{
	char why[160];

	if (r->route->body_max == BODY_NONE)
		return true;
	enum err e = input_parse(r->http->body, &r->body, why, sizeof(why));
	if (e == ERR_OK)
		return true;
	if (e == ERR_UNSUPPORTED)
		(void)problem_field(r, "", why);
	else
		(void)problem_send(r, PROBLEM_BAD_JSON, why);
	return false;
}

static void count(const struct req *r, uint64_t began_us)
{
	struct stats *s = r->app->stats;

	if (r->problem != PROBLEM_COUNT)
		(void)atomic_fetch_add_explicit(&s->problem[r->problem], 1, memory_order_relaxed);
	if (r->route == NULL)
		return;
	size_t row = (size_t)(r->route - route_table);
	(void)atomic_fetch_add_explicit(&s->route[row], 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&s->route_us[row], clock_mono_us() - began_us, memory_order_relaxed);
}

/* Passwords were in there. jansson has no wipe, but its strings are ours to overwrite before they are freed. */
static void wipe_json(json_t *value)
{
	json_t *child;
	const char *name;
	size_t i;

	if (json_is_string(value)) {
		explicit_bzero((void *)(uintptr_t)json_string_value(value), json_string_length(value));
	} else if (json_is_object(value)) {
		json_object_foreach(value, name, child)
			wipe_json(child);
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, child)
			wipe_json(child);
	}
}

void dispatch(struct app *app, struct rds *rds, const struct http_request *in, struct http_response *out)
{
	struct req r = { .app = app, .set = app->set, .rds = rds, .http = in, .out = out, .problem = PROBLEM_COUNT };
	uint64_t began_us = clock_mono_us();

	stats_add(app->stats, STAT_REQUESTS);
	r.now_ms = clock_wall_ms();
	http_header(out, "Cache-Control", "no-store");
	if (find(&r) && acceptable(&r) && same_site(&r) && may(&r) && parse(&r)) {
		enum err e = r.route->handler(&r);

		if (e != ERR_OK)
			(void)problem_send(&r, problem_from(e), NULL);
	}
	if (r.body != NULL)
		wipe_json(r.body);
	json_decref(r.body);
	count(&r, began_us);
}
