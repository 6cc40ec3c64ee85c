#include "relay/control_int.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/drain.h"
#include "relay/path.h"

#define DRAIN_SECONDS_MAX 604800u

void control_refuse(struct httpd_call *c, unsigned status, const char *text)
{
	c->status = status;
	c->type = HTTPD_JSON;
	buf_reset(&c->body);
	buf_z(&c->body, "{\"error\":");
	buf_json(&c->body, str_from(text));
	buf_z(&c->body, "}\n");
}

bool control_relayed(struct str text, struct relayed_name *out)
{
	struct str host = STR_NONE, port = text;
	struct cidr single;
	uint64_t n;
	size_t colon = text.len;

	while (colon > 0 && text.p[colon - 1] != ':')
		colon--;
	if (colon > 0) {
		host = str_sub(text, 0, colon - 1);
		port = str_sub(text, colon, text.len);
		if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
			host = str_sub(host, 1, host.len - 2);
		if (str_find(host, '/') < host.len || addr_parse_cidr(host, &single) != ERR_OK)
			return false;
	}
	if (str_to_u64(port, UINT16_MAX, &n) != ERR_OK || n == 0)
		return false;
	*out = (struct relayed_name){ .any = colon == 0, .port = (uint16_t)n };
	if (colon > 0)
		out->addr = single.net;
	return true;
}

bool relayed_name_fits(const struct relayed_name *n, const struct alloc *a)
{
	return swap16(a->relay_port) == n->port && (n->any || addr_eq(&a->relay, &n->addr));
}

static void put_addresses(struct buf *b, const struct ifaces *all)
{
	char text[ADDR_TEXT_SIZE];
	bool first = true;

	buf_char(b, '[');
	for (unsigned i = 0; i < iface_locals(all); i++) {
		if (addr_is_none(&iface_local(all, i)->addr))
			continue;
		buf_printf(b, "%s\"%s\"", first ? "" : ",", addr_text(&iface_local(all, i)->addr, text));
		first = false;
	}
	buf_char(b, ']');
}

static void status(struct httpd_call *c, void *user)
{
	const struct relay *r = ((struct control *)user)->relay;
	struct buf *b = &c->body;

	c->type = HTTPD_JSON;
	buf_printf(b, "{\"version\":\"%s\",\"state\":\"%s\",\"allocations\":%u,\"capacity\":%u,\"turn_port\":%u,\"addresses\":",
		   DUPLEX_VERSION, relay_draining(r) ? "draining" : "serving", table_count(r->table), table_capacity(r->table),
		   swap16(r->turn_port));
	put_addresses(b, &r->ifaces);
	buf_z(b, ",\"workers\":[");
	for (unsigned i = 0; i < r->workers; i++) {
		const struct stats *s = &r->stats[i];
		uint64_t drops = 0;

		for (unsigned d = 0; d < DROP_COUNT; d++)
			drops += stats_get(&s->drops[d]);
		buf_printf(b,
			   "%s{\"rx_packets\":%" PRIu64 ",\"tx_packets\":%" PRIu64 ",\"drops\":%" PRIu64 ",\"busy_ns\":%" PRIu64
			   ",\"idle_ns\":%" PRIu64 "}",
			   i > 0 ? "," : "", stats_get(&s->rx_packets), stats_get(&s->tx_packets), drops, stats_get(&s->busy_ns),
			   stats_get(&s->idle_ns));
	}
	buf_z(b, "]}\n");
}

static bool drain_mode(struct str name, enum drain_mode *out)
{
	static const char *const names[] = { [DRAIN_OFF] = "off", [DRAIN_REFUSE] = "refuse", [DRAIN_REDIRECT] = "redirect" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(name, str_from(names[i]))) {
			*out = (enum drain_mode)i;
			return true;
		}
	}
	return false;
}

static void drain(struct httpd_call *c, void *user)
{
	struct relay *r = ((struct control *)user)->relay;
	struct drain d = { .mode = DRAIN_OFF };
	struct str mode = httpd_query(c, "mode"), to = httpd_query(c, "to"), bad;
	uint64_t seconds = 0, now = clock_mono_ms();
	enum err e;

	if (!httpd_query_u64(c, "seconds", DRAIN_SECONDS_MAX, &seconds)) {
		control_refuse(c, 400, "seconds must be a number up to a week");
		return;
	}
	if (mode.len == 0) {
		e = relay_drain_as_configured(r, now);
	} else if (!drain_mode(mode, &d.mode)) {
		control_refuse(c, 400, "mode must be refuse, redirect or off");
		return;
	} else if (to.len > 0 && alternates_parse(to.p, &d.to, &bad) != ERR_OK) {
		control_refuse(c, 400, "to must be addresses like 192.0.2.1:3478, at most eight");
		return;
	} else {
		d.deadline_ms = seconds > 0 ? now + seconds * MS_PER_S : 0;
		e = relay_set_drain(r, &d);
	}
	if (e != ERR_OK) {
		control_refuse(c, e == ERR_INVALID ? 400 : 500, e == ERR_INVALID ? "redirect needs an address in to" : err_text(e));
		return;
	}
	log_event(LOG_INFO, relay_draining(r) ? "draining" : "serving", "allocations=%u by=control", table_count(r->table));
	status(c, user);
}

static const struct httpd_route routes[] = {
	{ "GET", "/status", status },
	{ "GET", "/allocations", control_allocations },
	{ "DELETE", "/allocations", control_end },
	{ "GET", "/top", control_top },
	{ "GET", "/capture", control_capture },
	{ "POST", "/drain", drain },
};

enum err control_start(const char *path, struct relay *relay, struct control **out)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NO_MEMORY;
	c->relay = relay;
	enum err e = httpd_start(path, routes, ARRAY_LEN(routes), c, true, &c->httpd);
	if (e != ERR_OK) {
		free(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void control_stop(struct control *c)
{
	if (c == NULL)
		return;
	atomic_store(&c->stop, true);
	httpd_stop(c->httpd);
	free(c);
}
