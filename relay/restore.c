#include "relay/restore.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "relay/relay.h"

#define LONGEST_S 86400u /* no deadline is further away */

COUNTER_NAMES(restore_drop_names, RESTORE_DROPS);

struct found {
	uint64_t seq;
	uint32_t cell;
};

struct restoring {
	struct relay *relay;
	const struct policy *policy;
	const struct journal_view *view;
	struct restore_counts *counts;
	uint32_t now_s;
	/* Of the allocation under way; both arrays owned, and as large as the largest so far. */
	struct perm *perm;
	struct chan *chan;
	unsigned room, perms, chans;
	struct journal_peer own_half, other_half; /* number 0 = none */
};

static int newest_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->seq < y->seq ? 1 : x->seq > y->seq ? -1 : 0;
}

/* Seconds until then, 0 if it is past; what is further away than `longest` is no deadline of ours. */
static uint32_t remaining(uint32_t expires_s, uint32_t now_s, uint32_t longest)
{
	uint32_t left = expires_s - now_s;

	return (int32_t)left > 0 ? MIN(left, longest) : 0;
}

/* The hop to `dst`, to be asked for; our own addresses need none. */
static uint32_t hop_to(const struct restoring *x, unsigned prefer_if, const struct addr *dst)
{
	unsigned out_if;
	struct addr next_hop;

	if (iface_local_of(&x->relay->ifaces, dst) >= 0 || !iface_route(&x->relay->ifaces, prefer_if, dst, &out_if, &next_hop))
		return HOP_NONE;
	return neigh_get(&x->relay->neigh, out_if, &next_hop, x->now_s);
}

static bool make_room(struct restoring *x, unsigned count)
{
	if (count == 0 || count <= x->room)
		return true;
	free(x->perm);
	free(x->chan);
	x->perm = calloc(count, sizeof(*x->perm));
	x->chan = calloc(count, sizeof(*x->chan));
	x->room = x->perm != NULL && x->chan != NULL ? count : 0;
	return x->room > 0;
}

static bool peer_allowed(const struct restoring *x, const struct journal_peer *p)
{
	return iface_local_of(&x->relay->ifaces, &p->ip) >= 0 || filter_permits(&x->policy->filter, &p->ip);
}

static void take_peer(struct restoring *x, unsigned prefer_if, const struct journal_peer *p)
{
	if (p->number == 0) {
		uint32_t left = remaining(p->expires_s, x->now_s, PERMISSION_LIFETIME_S);

		/* A dead permission may still be what a live channel points at. */
		x->perm[x->perms++] = (struct perm){ .ip = p->ip, .expires_s = left > 0 ? x->now_s + left : p->expires_s,
						     .hop = hop_to(x, prefer_if, &p->ip) };
		return;
	}
	uint32_t left = remaining(p->expires_s, x->now_s, CHANNEL_LIFETIME_S);
	int home = iface_local_of(&x->relay->ifaces, &p->ip);
	const struct alloc *slot = home >= 0 ? table_by_port(x->relay->table, (unsigned)home, swap16(p->port)) : NULL;
	/* Ports that are not relayed ones any more are nobody's. */
	if (left == 0 || (home >= 0 && slot == NULL))
		return;
	struct chan *c = &x->chan[x->chans++];
	*c = (struct chan){ .ip = p->ip, .port = p->port, .number = p->number, .expires_s = x->now_s + left, .home = (int8_t)home };
	if (slot != NULL)
		c->slot = table_index(x->relay->table, slot);
}

/* The entries of a record: halves, permissions, channels. */
static enum err read_entries(struct restoring *x, const struct journal_record *r, unsigned prefer_if)
{
	struct journal_cursor c = { 0 };
	struct journal_peer p;
	enum err e;

	x->perms = x->chans = 0;
	x->own_half = x->other_half = (struct journal_peer){ 0 };
	if (!make_room(x, r->entries))
		return ERR_NO_MEMORY;
	while ((e = journal_view_peer(x->view, r, &c, &p)) != ERR_NOT_FOUND) {
		if (e != ERR_OK)
			x->counts->drops[RESTORE_PEER_CORRUPT]++;
		else if (p.number == JOURNAL_OWN_HALF)
			x->own_half = p;
		else if (p.number == JOURNAL_OTHER_HALF)
			x->other_half = p;
		else if (!peer_allowed(x, &p))
			x->counts->drops[RESTORE_PEER_DENIED]++;
		else
			take_peer(x, prefer_if, &p);
	}
	x->counts->drops[RESTORE_PEER_CORRUPT] += r->entries - c.seen;
	return ERR_OK;
}

/* The block of what was read; *out NULL if there is nothing. */
static enum err make_peers(struct restoring *x, struct peers **out)
{
	*out = NULL;
	if (x->perms == 0)
		return ERR_OK; /* no channel without */
	*out = peers_of(x->perm, x->perms, x->chan, x->chans);
	if (*out == NULL)
		return ERR_NO_MEMORY;
	x->counts->permissions += (*out)->perms;
	x->counts->channels += (*out)->chans;
	return ERR_OK;
}

static void dropped(struct restoring *x, enum err e)
{
	enum restore_drop why = e == ERR_EXISTS ? RESTORE_SUPERSEDED : e == ERR_NOT_FOUND ? RESTORE_PORT : RESTORE_LIMIT;

	x->counts->drops[why]++;
}

/* A half's deadline: 0 if it had ended, else one that is past for the sweep to see, or to come. */
static uint32_t half_end(const struct restoring *x, const struct journal_peer *half)
{
	return half->expires_s != 0 ? x->now_s + remaining(half->expires_s, x->now_s, LONGEST_S) : 0;
}

static bool half_alive(const struct restoring *x, const struct journal_peer *half)
{
	return half->expires_s != 0 && remaining(half->expires_s, x->now_s, LONGEST_S) > 0;
}

/* Asks for the other half too, if there is one and it can still be had. False if nothing would be left without it. */
static bool ask_for_half(const struct restoring *x, struct table_request *q)
{
	int local = iface_local_of(&x->relay->ifaces, &x->other_half.ip);

	if (x->own_half.number == 0)
		return true;
	if (x->other_half.number == 0 || !half_alive(x, &x->other_half) || local < 0 || ((unsigned)local & 1) == (q->local & 1))
		return half_alive(x, &x->own_half);
	q->also = (unsigned)local + 1;
	q->also_port = swap16(x->other_half.port);
	return true;
}

/* The end of one that has one address now: its own half's, if it was dual. */
static uint32_t single_end(const struct restoring *x, uint32_t left_s)
{
	return x->own_half.number != 0 ? half_end(x, &x->own_half) : x->now_s + left_s;
}

/* What the table does not know of a restored allocation; then it starts. */
static void complete(struct restoring *x, const struct journal_record *r, struct alloc *a, struct peers *b, uint32_t left_s)
{
	struct alloc *other = a->other != 0 ? &x->relay->table->slots[a->other - 1] : NULL;

	a->lifetime_s = r->lifetime_s;
	memcpy(a->tid, r->tid, sizeof(a->tid));
	memcpy(a->token, r->token, sizeof(a->token));
	a->auth.len = r->key_len;
	memcpy(a->auth.bytes, r->key, sizeof(a->auth.bytes));
	a->refused_family = r->refused_family;
	a->refused_code = r->refused_code;
	a->ticket = r->ticket;
	a->client_hop = hop_to(x, a->key.local / 2, &r->client);
	atomic_store(&a->peers, b);
	if (other == NULL) {
		table_start(x->relay->table, a, single_end(x, left_s));
		return;
	}
	other->client_hop = a->client_hop;
	atomic_store(&other->peers, b);
	table_start_halves(x->relay->table, a, half_end(x, &x->own_half), half_end(x, &x->other_half));
}

/* The allocation of a record that has passed all checks but those of the table. */
static enum err add(struct restoring *x, const struct journal_record *r, unsigned service, unsigned relayed, uint32_t left_s)
{
	struct table_request q = {
		.local = relayed, .username = r->username, .user = r->username, .max = x->policy->max_allocations, .now_s = x->now_s,
		.key = { .client = r->client, .client_port = r->client_port, .relay_port = r->service_port,
			 .local = (uint8_t)service, .proto = r->proto },
	};
	struct turn_cred cred;
	struct alloc *a = NULL;
	struct peers *b;

	if (turn_cred_parse(r->username, 0, &cred) == ERR_OK && cred.user.len > 0)
		q.user = cred.user;
	struct restore_counts before = *x->counts;
	enum err e = read_entries(x, r, service / 2);
	if (e != ERR_OK)
		return e;
	e = ask_for_half(x, &q) ? table_restore(x->relay->table, &q, swap16(r->relayed_port), &a) : ERR_NOT_FOUND;
	if (e == ERR_OK && q.also > 0 && a->other == 0 && !half_alive(x, &x->own_half)) {
		table_remove(x->relay->table, a);
		e = ERR_NOT_FOUND;
	}
	if (e != ERR_OK) {
		*x->counts = before; /* peers of what is not there are not counted */
		dropped(x, e);
		return ERR_OK;
	}
	e = make_peers(x, &b);
	if (e != ERR_OK) {
		table_remove(x->relay->table, a);
		return e;
	}
	complete(x, r, a, b, left_s);
	x->counts->allocations++;
	return ERR_OK;
}

static enum err restore_one(struct restoring *x, const struct journal_record *r)
{
	int service = iface_local_of(&x->relay->ifaces, &r->service), relayed = iface_local_of(&x->relay->ifaces, &r->relayed);
	uint32_t left = remaining(r->expires_s, x->now_s, LONGEST_S);

	if (left == 0) {
		x->counts->drops[RESTORE_EXPIRED]++;
		return ERR_OK;
	}
	if (service < 0 || relayed < 0) {
		x->counts->drops[RESTORE_ADDRESS]++;
		return ERR_OK;
	}
	if (r->kind == JOURNAL_RESERVATION) {
		enum err e = table_restore_reservation(x->relay->table, (unsigned)relayed, swap16(r->relayed_port), r->token,
						       x->now_s + MIN(left, RESERVATION_S));

		if (e == ERR_OK)
			x->counts->reservations++;
		else
			dropped(x, e);
		return ERR_OK;
	}
	if (r->service_port != x->relay->turn_port) {
		x->counts->drops[RESTORE_PORT]++;
		return ERR_OK;
	}
	if ((r->key_len != MD5_LEN && r->key_len != SHA256_LEN) || r->proto != IPPROTO_UDP_V4) {
		x->counts->drops[RESTORE_CORRUPT]++;
		return ERR_OK;
	}
	return add(x, r, (unsigned)service, (unsigned)relayed, left);
}

/* The heads that are intact. */
static enum err find_heads(struct restoring *x, struct found **out, uint32_t *count)
{
	const struct journal_view *v = x->view;
	struct journal_record r;
	struct found *f = calloc(v->cells > 0 ? v->cells : 1, sizeof(*f));
	uint32_t n = 0;

	if (f == NULL)
		return ERR_NO_MEMORY;
	for (uint32_t cell = 0; cell < v->cells; cell++) {
		enum err e = journal_view_record(v, cell, &r);

		if (e == ERR_OK)
			f[n++] = (struct found){ .seq = r.seq, .cell = cell };
		else if (e == ERR_INVALID)
			x->counts->drops[RESTORE_CORRUPT]++;
	}
	if (v->live > n + x->counts->drops[RESTORE_CORRUPT])
		x->counts->drops[RESTORE_MISSING] = v->live - n - x->counts->drops[RESTORE_CORRUPT];
	*out = f;
	*count = n;
	return ERR_OK;
}

enum err restore_all(struct relay *r, const struct journal_view *v, uint32_t now_s, struct restore_counts *out)
{
	struct restore_counts counts = { 0 };
	struct restoring x = { .relay = r, .policy = atomic_load(&r->policy), .view = v, .counts = &counts, .now_s = now_s };
	struct journal_record record;
	struct found *found;
	uint32_t n;

	enum err e = find_heads(&x, &found, &n);
	if (e != ERR_OK)
		return e;
	/* Where a kill left an old state and its new one, the new one comes first and takes the place. */
	qsort(found, n, sizeof(*found), newest_first);
	for (uint32_t i = 0; e == ERR_OK && i < n; i++) {
		e = journal_view_record(v, found[i].cell, &record);
		if (e == ERR_OK)
			e = restore_one(&x, &record);
	}
	free(found);
	free(x.perm);
	free(x.chan);
	*out = counts;
	return e;
}

static const char *refusal(enum err state)
{
	if (state == ERR_UNSUPPORTED)
		return "another version wrote it";
	if (state == ERR_EXPIRED)
		return "it is of an earlier boot";
	if (state == ERR_CONFLICT)
		return "starts from it failed again and again";
	return "its header is damaged";
}

static void report(const struct restore_counts *c, enum err state)
{
	if (state != ERR_OK)
		log_event(LOG_WARN, "journal-refused", "reason=%s", log_value(str_from(refusal(state))));
	log_event(LOG_INFO, "journal-restored", "allocations=%u reservations=%u permissions=%u channels=%u", c->allocations,
		  c->reservations, c->permissions, c->channels);
	for (unsigned i = 0; i < RESTORE_DROP_COUNT; i++) {
		if (c->drops[i] > 0)
			log_event(i == RESTORE_EXPIRED ? LOG_INFO : LOG_WARN, "journal-dropped", "reason=%s count=%u",
				  restore_drop_names[i].name, c->drops[i]);
	}
}

enum err restore_start(struct relay *r, const char *path, uint32_t max, uint32_t now_s, char *why, size_t why_size)
{
	struct journal_conf conf = { .path = path, .ifaces = &r->ifaces, .max = max };
	struct journal_view old;
	enum err state, e;

	e = journal_open(&conf, &r->journal, &old, &state, why, why_size);
	if (e == ERR_FULL) {
		log_event(LOG_ERROR, "journal-off", "reason=%s", log_value(str_from(why)));
		return ERR_OK;
	}
	if (e != ERR_OK)
		return e;
	table_set_journal(r->table, r->journal);
	if (state == ERR_OK && old.cells > 0)
		e = restore_all(r, &old, now_s, &r->restored);
	if (e == ERR_OK)
		e = journal_commit(r->journal);
	if (e != ERR_OK) {
		table_set_journal(r->table, NULL);
		journal_close(r->journal, false);
		r->journal = NULL;
		(void)snprintf(why, why_size, "[relay] journal: %s cannot be restored: %s", path, err_text(e));
		return e;
	}
	report(&r->restored, state);
	return ERR_OK;
}
