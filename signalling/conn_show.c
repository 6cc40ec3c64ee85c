#include "signalling/conn_show.h"

#include <inttypes.h>

#include "signalling/conn_int.h"
#include "signalling/edge_int.h"

static const char *transport(const struct conn *c)
{
	static const char *const names[] = { [LINK_UDP] = "UDP", [LINK_TCP] = "TCP", [LINK_TLS] = "TLS" };

	return c->line == NULL ? "WSS" : names[c->line->link->kind];
}

void conn_show_where(const struct conn *c, struct buf *out)
{
	buf_z(out, "\"address\":");
	buf_json(out, c != NULL ? c->address : STR_NONE);
	buf_printf(out, ",\"transport\":\"%s\"", c != NULL ? transport(c) : "");
}

static const char *phase(const struct conn *c)
{
	return c->phase == PHASE_UPGRADE ? "upgrade" : c->phase == PHASE_CLOSING ? "closing" : c->admitted ? "open" : "checking";
}

/* What it may still send at once. A bucket fills when it is looked at, so it is shown as it would be now. */
static int64_t left(const struct budget *b, uint64_t now_ms)
{
	struct budget now = *b;

	(void)budget_wait_ms(&now, now_ms);
	return now.left / 1000;
}

static void show(const struct conn *c, struct buf *out)
{
	uint64_t now = worker_now(c->w);

	buf_printf(out, "{\"slot\":%" PRIu32 ",\"generation\":%" PRIu32 ",\"user\":", c->flow.slot, c->flow.generation);
	buf_json(out, c->user);
	buf_char(out, ',');
	conn_show_where(c, out);
	buf_printf(out, ",\"state\":\"%s\",\"bytes_left\":%" PRId64 ",\"messages_left\":%" PRId64 ",\"held_back\":%s,\"queued\":%zu,\"session\":",
		   phase(c), left(&c->bytes, now), left(&c->messages, now), timer_armed(&c->resume) ? "true" : "false", c->tx.len - c->tx_done);
	buf_json(out, c->session);
	buf_char(out, '}');
}

void conns_show(const struct conns *cs, struct str user, size_t limit, struct buf *out)
{
	struct buf items = buf_growing(out->max);
	size_t total = 0;

	for (size_t i = 0; i < cs->size; i++) {
		const struct conn *c = cs->slots[i].conn;

		if (c == NULL || (user.len > 0 && !str_eq(c->user, user)))
			continue;
		if (total++ >= limit)
			continue;
		if (items.len > 0)
			buf_char(&items, ',');
		show(c, &items);
	}
	buf_printf(out, "{\"total\":%zu,\"items\":[", total);
	buf_str(out, buf_view(&items));
	buf_z(out, "]}\n");
	buf_fini(&items);
}
