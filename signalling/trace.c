#include "signalling/trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/user.h"
#include "signalling/sip_uri.h"

struct kept {
	struct list node;
	uint64_t wall_us;
	struct tap_message m; /* its slices lie in text */
	size_t size;
	char text[];
};

struct trace {
	char user[USER_NAME_SIZE];
	char call_id[256];
	uint64_t end_ms;
	struct list kept;
	size_t count, bytes;
	uint64_t dropped;
};

enum err trace_new(struct str user, struct str call_id, uint64_t now_ms, uint64_t seconds, struct trace **out)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ERR_NO_MEMORY;
	list_init(&t->kept);
	t->end_ms = now_ms + seconds * 1000;
	enum err e = str_copy(user, t->user, sizeof(t->user));
	if (e == ERR_OK)
		e = str_copy(call_id, t->call_id, sizeof(t->call_id));
	if (e != ERR_OK) {
		free(t);
		return e;
	}
	*out = t;
	return ERR_OK;
}

static void drop_oldest(struct trace *t)
{
	struct kept *k = CONTAINER_OF(t->kept.next, struct kept, node);

	list_remove(&k->node);
	t->count--;
	t->bytes -= k->size;
	free(k);
}

void trace_free(struct trace *t)
{
	if (t == NULL)
		return;
	while (!list_empty(&t->kept))
		drop_oldest(t);
	free(t);
}

bool trace_over(const struct trace *t, uint64_t now_ms)
{
	return now_ms >= t->end_ms;
}

static bool names(const struct sip_msg *m, enum sip_hdr h, struct str user)
{
	struct sip_addr a;
	struct sip_uri u;

	return sip_msg_addr(m, h, &a) == ERR_OK && sip_uri_parse(a.uri, &u) == ERR_OK && str_eq(u.user, user);
}

bool trace_wants(const struct trace *t, struct str user, const struct sip_msg *m)
{
	struct str wanted = str_from(t->user);

	if (t->call_id[0] != '\0')
		return m != NULL && str_eq(m->call_id, str_from(t->call_id));
	return str_eq(user, wanted) || (m != NULL && (names(m, SIP_H_FROM, wanted) || names(m, SIP_H_TO, wanted)));
}

void trace_add(struct trace *t, const struct tap_message *m, uint64_t wall_us)
{
	size_t size = m->user.len + m->address.len + m->text.len;
	struct kept *k = malloc(sizeof(*k) + size);

	if (k == NULL) {
		t->dropped++;
		return;
	}
	char *at = k->text;
	k->m = *m;
	k->m.user = str_keep(&at, m->user);
	k->m.address = str_keep(&at, m->address);
	k->m.text = str_keep(&at, m->text);
	k->wall_us = wall_us;
	k->size = size + sizeof(*k);
	list_append(&t->kept, &k->node);
	t->count++;
	t->bytes += k->size;
	while (t->count > 1 && (t->count > TRACE_MESSAGES_MAX || t->bytes > TRACE_BYTES_MAX)) {
		drop_oldest(t);
		t->dropped++;
	}
}

void trace_put(struct buf *out, const struct trace *t)
{
	const char *comma = "";

	buf_printf(out, "{\"dropped\":%" PRIu64 ",\"messages\":[", t->dropped);
	for (const struct list *it = t->kept.next; it != &t->kept; it = it->next) {
		const struct kept *k = CONTAINER_OF(it, const struct kept, node);

		buf_printf(out, "%s{\"at_us\":%" PRIu64 ",\"to_client\":%s,\"slot\":%" PRIu32 ",\"user\":", comma, k->wall_us,
			   k->m.to_client ? "true" : "false", k->m.slot);
		buf_json(out, k->m.user);
		buf_z(out, ",\"address\":");
		buf_json(out, k->m.address);
		buf_z(out, ",\"text\":");
		buf_json(out, k->m.text);
		buf_char(out, '}');
		comma = ",";
	}
	buf_z(out, "]}\n");
}
