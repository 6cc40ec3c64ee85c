/* Listing, ranking and ending allocations over the control socket. */
#include "relay/control_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/media_stats.h"
#include "relay/path.h"
#include "relay/table_walk.h"

#define LIMIT_DEFAULT 1000u
#define LIMIT_MOST 1000000u
#define TOP_DEFAULT 10u
#define TOP_MOST 1000u
#define TOP_SECONDS_MOST 60u

static void put_endpoint(struct buf *b, const char *name, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT_SIZE];
	bool v4 = addr_is_v4(a);

	(void)addr_text(a, text);
	buf_printf(b, ",\"%s\":\"%s%s%s:%u\"", name, v4 ? "" : "[", text, v4 ? "" : "]", swap16(port));
}

static uint64_t relaxed(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

/* One direction; `more` is that of the second half of a dual allocation, or NULL. */
static void put_flow(struct buf *b, const char *name, const struct flow_count *f, const struct flow_count *more)
{
	buf_printf(b, ",\"%s\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", name,
		   relaxed(&f->packets) + (more != NULL ? relaxed(&more->packets) : 0),
		   relaxed(&f->bytes) + (more != NULL ? relaxed(&more->bytes) : 0));
}

static void put_peers(struct buf *b, const struct alloc *a, uint32_t now_s)
{
	char text[ADDR_TEXT_SIZE];
	const struct peers *p = alloc_peers(a);
	bool first = true;

	buf_z(b, ",\"permissions\":[");
	for (unsigned i = 0; p != NULL && i < p->perms; i++) {
		const struct perm *perm = &peers_perms(p)[i];

		if (!peers_alive(&perm->expires_s, now_s))
			continue;
		buf_printf(b, "%s{\"peer\":\"%s\",\"expires_in\":%u}", first ? "" : ",", addr_text(&perm->ip, text),
			   perm->expires_s - now_s);
		first = false;
	}
	first = true;
	buf_z(b, "],\"channels\":[");
	for (unsigned i = 0; p != NULL && i < p->chans; i++) {
		const struct chan *chan = &peers_chans(p)[i];

		if (!peers_alive(&chan->expires_s, now_s))
			continue;
		buf_printf(b, "%s{\"number\":\"0x%04x\",\"expires_in\":%u", first ? "" : ",", swap16(chan->number),
			   chan->expires_s - now_s);
		put_endpoint(b, "peer", &chan->ip, chan->port);
		buf_char(b, '}');
		first = false;
	}
	buf_char(b, ']');
}

/* One allocation as an object without its closing brace. */
static void put_alloc(struct buf *b, const struct table *t, const struct alloc *a, uint32_t now_s)
{
	uint32_t other = atomic_load(&a->other);
	struct turn_cred cred = { .user = alloc_username(a) };

	(void)turn_cred_parse(alloc_username(a), 0, &cred);
	buf_z(b, "{\"user\":");
	buf_json(b, cred.user);
	buf_z(b, ",\"call\":");
	buf_json(b, cred.call);
	buf_printf(b, ",\"transport\":\"%s\"", a->key.proto == IPPROTO_UDP_V4 ? "udp" : "tcp");
	put_endpoint(b, "client", &a->key.client, a->key.client_port);
	put_endpoint(b, "relayed", &a->relay, a->relay_port);
	if (other != 0)
		put_endpoint(b, "also_relayed", &t->slots[other - 1].relay, t->slots[other - 1].relay_port);
	buf_printf(b, ",\"expires_in\":%u", atomic_load(&a->expires_s) - now_s);
	const struct alloc *half = other != 0 ? &t->slots[other - 1] : NULL;
	put_flow(b, "to_peer", &a->to_peer, half != NULL ? &half->to_peer : NULL);
	put_flow(b, "to_client", &a->to_client, half != NULL ? &half->to_client : NULL);
	struct media_summary m = media_summary(a, half);
	buf_z(b, ",\"media\":{");
	media_summary_json(b, &m);
	buf_char(b, '}');
	put_peers(b, a, now_s);
}

struct listing {
	struct buf *out;
	const struct table *table;
	const struct relayed_name *relayed; /* NULL = all */
	uint64_t limit;
	unsigned shown, all;
	uint32_t now_s;
};

static void list_one(void *ctx, const struct alloc *a)
{
	struct listing *l = ctx;

	/* The second half of a dual allocation is told with the first, but found by its own address, too. */
	if (l->relayed != NULL ? !relayed_name_fits(l->relayed, a) : atomic_load(&a->second))
		return;
	l->all++;
	if (l->shown >= l->limit)
		return;
	buf_z(l->out, l->shown > 0 ? ",\n" : "\n");
	put_alloc(l->out, l->table, a, l->now_s);
	buf_char(l->out, '}');
	l->shown++;
}

void control_allocations(struct httpd_call *c, void *user)
{
	struct relay *r = ((struct control *)user)->relay;
	struct str named = httpd_query(c, "relayed");
	struct relayed_name relayed;
	struct listing l = { .out = &c->body, .table = r->table, .limit = LIMIT_DEFAULT, .now_s = path_seconds(clock_mono_ms()) };

	if (!httpd_query_u64(c, "limit", LIMIT_MOST, &l.limit)) {
		control_refuse(c, 400, "limit must be a number up to a million");
		return;
	}
	if (named.len > 0) {
		if (!control_relayed(named, &relayed)) {
			control_refuse(c, 400, "relayed must be a port, or an address and a port like 192.0.2.1:50000");
			return;
		}
		l.relayed = &relayed;
	}
	c->type = HTTPD_JSON;
	buf_z(&c->body, "{\"items\":[");
	table_each(r->table, httpd_query(c, "user"), l.now_s, list_one, &l);
	buf_printf(&c->body, "\n],\"total\":%u}\n", l.all);
}

/* --- who sends most ------------------------------------------------------------------------------ */

struct sample {
	uint64_t bytes, packets;
	uint32_t slot, generation;
};

struct samples {
	struct sample *at; /* owned */
	size_t count, room;
};

static uint64_t sum_of(const struct alloc *a, bool bytes)
{
	return bytes ? a->to_peer.bytes + a->to_client.bytes : a->to_peer.packets + a->to_client.packets;
}

static void sample_one(void *ctx, const struct alloc *a)
{
	struct samples *s = ctx;

	if (s->count == s->room || atomic_load(&a->second))
		return;
	s->at[s->count++] = (struct sample){ .bytes = sum_of(a, true), .packets = sum_of(a, false), .slot = a->slot,
					     .generation = atomic_load(&a->generation) };
}

/* Turns the first count into what has come since. An allocation that is gone counts as silent. */
static void since(const struct relay *r, struct samples *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct sample *one = &s->at[i];
		const struct alloc *a = &r->table->slots[one->slot];
		uint64_t bytes = sum_of(a, true), packets = sum_of(a, false);
		bool same = atomic_load(&a->generation) == one->generation;

		one->bytes = same && bytes > one->bytes ? bytes - one->bytes : 0;
		one->packets = same && packets > one->packets ? packets - one->packets : 0;
	}
}

static int by_bytes(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

struct ranking {
	struct buf *out;
	const struct table *table;
	const struct sample *of;
	uint64_t ms;
	uint32_t now_s;
	bool *first;
};

static void rank_one(void *ctx, const struct alloc *a)
{
	struct ranking *k = ctx;

	if (a->slot != k->of->slot || atomic_load(&a->generation) != k->of->generation)
		return;
	buf_z(k->out, *k->first ? "\n" : ",\n");
	*k->first = false;
	put_alloc(k->out, k->table, a, k->now_s);
	buf_printf(k->out, ",\"bits_per_second\":%" PRIu64 ",\"packets_per_second\":%" PRIu64 "}", k->of->bytes * 8 * MS_PER_S / k->ms,
		   k->of->packets * MS_PER_S / k->ms);
}

static bool wait_for(const struct control *control, uint64_t seconds)
{
	const struct timespec step = { .tv_nsec = 50000000 };

	for (uint64_t end = clock_mono_ms() + seconds * MS_PER_S; clock_mono_ms() < end;) {
		if (atomic_load(&control->stop))
			return false;
		(void)nanosleep(&step, NULL);
	}
	return true;
}

void control_top(struct httpd_call *c, void *user)
{
	struct control *control = user;
	struct table *t = control->relay->table;
	struct samples s = { .room = table_count(t) + 1024u };
	uint64_t count = TOP_DEFAULT, seconds = 1, began = clock_mono_ms();
	bool first = true;

	if (!httpd_query_u64(c, "count", TOP_MOST, &count) || !httpd_query_u64(c, "seconds", TOP_SECONDS_MOST, &seconds) || seconds == 0) {
		control_refuse(c, 400, "count is a number up to 1000, seconds one from 1 to 60");
		return;
	}
	s.at = calloc(s.room, sizeof(*s.at));
	if (s.at == NULL) {
		control_refuse(c, 500, err_text(ERR_NO_MEMORY));
		return;
	}
	table_each(t, STR_NONE, path_seconds(began), sample_one, &s);
	if (wait_for(control, seconds)) {
		struct ranking k = { .out = &c->body, .table = t, .first = &first, .ms = MAX(clock_mono_ms() - began, 1u),
				     .now_s = path_seconds(clock_mono_ms()) };

		since(control->relay, &s);
		qsort(s.at, s.count, sizeof(*s.at), by_bytes);
		c->type = HTTPD_JSON;
		buf_z(&c->body, "{\"items\":[");
		for (size_t i = 0; i < MIN(count, (uint64_t)s.count) && s.at[i].bytes > 0; i++) {
			k.of = &s.at[i];
			table_look(t, s.at[i].slot, k.now_s, rank_one, &k);
		}
		buf_z(&c->body, "\n]}\n");
	}
	free(s.at);
}

/* --- ending ---------------------------------------------------------------------------------------- */

struct found {
	const struct relayed_name *relayed;
	uint32_t slot, generation;
	unsigned count;
};

static void find_one(void *ctx, const struct alloc *a)
{
	struct found *f = ctx;

	if (!relayed_name_fits(f->relayed, a))
		return;
	f->slot = a->slot;
	f->generation = atomic_load(&a->generation);
	f->count++;
}

void control_end(struct httpd_call *c, void *user)
{
	struct table *t = ((struct control *)user)->relay->table;
	struct str who = httpd_query(c, "user"), named = httpd_query(c, "relayed");
	struct relayed_name relayed;
	struct found f = { .relayed = &relayed };
	unsigned gone;

	if (who.len > 0 && named.len == 0) {
		gone = table_remove_user(t, who, httpd_query(c, "call"));
	} else if (who.len == 0 && control_relayed(named, &relayed)) {
		table_each(t, STR_NONE, path_seconds(clock_mono_ms()), find_one, &f);
		if (f.count > 1) {
			control_refuse(c, 409, "several addresses have an allocation at this port: name the address, too");
			return;
		}
		gone = f.count == 1 && table_remove_slot(t, f.slot, f.generation) ? 1 : 0;
	} else {
		control_refuse(c, 400, "name either a user or a relayed address");
		return;
	}
	log_event(LOG_INFO, "allocations-ended", "user=%s relayed=%s allocations=%u by=control", log_value(who), log_value(named), gone);
	c->type = HTTPD_JSON;
	buf_printf(&c->body, "{\"ended\":%u}\n", gone);
}
