#include "relay/table.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "relay/records.h"
#include "relay/table_inside.h"

static enum err fill(struct table *t, const struct table_size *size, struct rcu *rcu)
{
	struct table_inside *in = t->in;
	unsigned n = iface_locals(size->ifaces);

	in->rcu = rcu;
	in->ifaces = size->ifaces;
	in->max = size->max;
	in->grave_first = in->grave_last = SLOT_NONE;
	in->map = calloc(n, sizeof(*in->map));
	in->stand_base = n * t->ports;
	in->bytes = ((size_t)in->stand_base + STAND_INS) * sizeof(struct alloc);
	for (in->stands_free = 0; in->stands_free < STAND_INS; in->stands_free++)
		in->stand_free[in->stands_free] = (uint16_t)in->stands_free;
	/* Pages that no allocation has touched cost nothing. */
	t->slots = mmap(NULL, in->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->slots == MAP_FAILED)
		t->slots = NULL;
	/* Any packet may be for any slot: with small pages most would miss the TLB. Where there are no huge ones, nothing changes. */
	if (t->slots != NULL)
		(void)madvise(t->slots, in->bytes, MADV_HUGEPAGE);
	if (in->map == NULL || t->slots == NULL || users_init(&in->users, size->max) != ERR_OK ||
	    users_init(&in->addresses, size->max) != ERR_OK || numbers_init(&in->numbers, size->max) != ERR_OK)
		return ERR_NO_MEMORY;
	t->buckets = calloc(t->slot_count, sizeof(*t->buckets));
	t->user_buckets = calloc(size->max, sizeof(*t->user_buckets));
	if (t->buckets == NULL || t->user_buckets == NULL)
		return ERR_NO_MEMORY;
	if (flowmap_init(&t->flows, size->max + STAND_INS) != ERR_OK)
		return ERR_NO_MEMORY;
	for (unsigned i = 0; i < n; i++) {
		if (!addr_is_none(&iface_local(size->ifaces, i)->addr))
			portmap_init(&in->map[i], size->port_min, size->port_max);
	}
	spin_init(&in->lock);
	for (unsigned i = 0; i < STRIPES; i++)
		spin_init(&in->stripe[i]);
	return ERR_OK;
}

enum err table_new(const struct table_size *size, struct rcu *rcu, struct table **out)
{
	struct table *t = calloc(1, sizeof(*t));
	struct table_inside *in = calloc(1, sizeof(*in));

	if (t == NULL || in == NULL) {
		free(t);
		free(in);
		return ERR_NO_MEMORY;
	}
	t->in = in;
	t->port_min = size->port_min;
	t->ports = (uint32_t)size->port_max - size->port_min + 1;
	t->slot_count = iface_locals(size->ifaces) * t->ports;
	enum err e = fill(t, size, rcu);
	if (e != ERR_OK) {
		table_free(t);
		return e;
	}
	*out = t;
	return ERR_OK;
}

void table_set_journal(struct table *t, struct journal *j)
{
	t->in->journal = j;
}

void table_set_records(struct table *t, struct records *r)
{
	t->in->records = r;
}

static void free_blocks(struct table_inside *in, bool all)
{
	while (in->block_first != NULL && (all || rcu_passed(in->rcu, in->block_first->token))) {
		struct peers *b = in->block_first;

		in->block_first = b->next;
		free(b);
	}
	if (in->block_first == NULL)
		in->block_last = NULL;
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	struct table_inside *in = t->in;
	for (uint32_t i = 0; in->map != NULL && t->slots != NULL && i < iface_locals(in->ifaces) * t->ports; i++) {
		if (portmap_taken(&in->map[i / t->ports], (uint16_t)(t->port_min + i % t->ports)) && !t->slots[i].second)
			free(alloc_peers(&t->slots[i]));
	}
	free_blocks(in, true);
	flowmap_fini(&t->flows);
	if (t->slots != NULL)
		(void)munmap(t->slots, in->bytes);
	users_fini(&in->users);
	users_fini(&in->addresses);
	numbers_fini(&in->numbers);
	free(t->buckets);
	free(t->user_buckets);
	free(in->map);
	free(in);
	free(t);
}

struct alloc *table_find(const struct table *t, const struct table_query *q)
{
	uint32_t slot = flowmap_find(&t->flows, q->hash, &q->key, t->slots);

	return slot != FLOWMAP_NONE ? &t->slots[slot] : NULL;
}

struct alloc *table_find_one(const struct table *t, const struct flow_key *key)
{
	return table_find(t, &(struct table_query){ .key = *key, .hash = flowmap_hash(&t->flows, key) });
}

static uint32_t stripe_of(const struct table *t, const struct flow_key *key)
{
	/* Other bits than those that choose the bucket. */
	return (uint32_t)(flowmap_hash(&t->flows, key) >> 32) % STRIPES;
}

struct alloc *table_lock(struct table *t, const struct flow_key *key, const struct alloc *also, struct table_hold *hold)
{
	uint32_t own = stripe_of(t, key), other = own;

	for (;;) {
		/* In their order, so that no two can wait for each other. */
		*hold = (struct table_hold){ MIN(own, other), MAX(own, other) };
		spin_lock(&t->in->stripe[hold->one]);
		if (hold->two != hold->one)
			spin_lock(&t->in->stripe[hold->two]);
		struct alloc *a = table_find_one(t, key);
		const struct alloc *wanted = a != NULL ? a : also;
		uint32_t need = wanted != NULL ? atomic_load(&wanted->stripe) % STRIPES : own;
		if (need == own || need == other)
			return a;
		table_unlock(t, hold);
		other = need;
	}
}

void table_unlock(struct table *t, const struct table_hold *hold)
{
	if (hold->two != hold->one)
		spin_unlock(&t->in->stripe[hold->two]);
	spin_unlock(&t->in->stripe[hold->one]);
}

bool table_holds(const struct table_hold *hold, const struct alloc *a)
{
	uint32_t stripe = atomic_load(&a->stripe) % STRIPES;

	return stripe == hold->one || stripe == hold->two;
}

void table_reclaim(struct table *t)
{
	struct table_inside *in = t->in;

	free_blocks(in, false);
	while (in->grave_first != SLOT_NONE) {
		struct alloc *a = &t->slots[in->grave_first];

		if (!rcu_passed(in->rcu, a->grave_token))
			return;
		in->grave_first = a->grave_next;
		if (a->slot >= in->stand_base)
			in->stand_free[in->stands_free++] = (uint16_t)(a->slot - in->stand_base);
		else
			portmap_give(&in->map[a->local], swap16(a->relay_port));
	}
	in->grave_last = SLOT_NONE;
}

static void bury_block(struct table_inside *in, struct peers *b)
{
	if (b == NULL)
		return;
	b->next = NULL;
	b->token = rcu_token(in->rcu);
	if (in->block_last != NULL)
		in->block_last->next = b;
	else
		in->block_first = b;
	in->block_last = b;
}

void table_bury(struct table *t, struct alloc *a)
{
	struct table_inside *in = t->in;

	a->grave_token = rcu_token(in->rcu);
	a->grave_next = SLOT_NONE;
	if (in->grave_first == SLOT_NONE)
		in->grave_first = a->slot;
	else
		t->slots[in->grave_last].grave_next = a->slot;
	in->grave_last = a->slot;
}

static void user_moved(void *ctx, uint32_t from, uint32_t to)
{
	struct table *t = ctx;

	(void)from;
	for (uint32_t s = t->in->users.at[to].first; s != USERS_NONE; s = t->slots[s].next_of_user)
		t->slots[s].user = to;
}

static void join_user(struct table *t, struct alloc *a, uint32_t user)
{
	struct user *u = &t->in->users.at[user];

	a->user = user;
	a->prev_of_user = USERS_NONE;
	a->next_of_user = u->first;
	if (u->first != USERS_NONE) {
		t->slots[u->first].prev_of_user = a->slot;
		a->user_bucket = t->slots[u->first].user_bucket;
	} else {
		a->user_bucket = numbers_take(&t->in->numbers);
		bandwidth_reset(&t->user_buckets[a->user_bucket]);
	}
	u->first = a->slot;
	u->count++;
}

static void leave_user(struct table *t, struct alloc *a)
{
	struct user *u = &t->in->users.at[a->user];

	if (a->prev_of_user != USERS_NONE)
		t->slots[a->prev_of_user].next_of_user = a->next_of_user;
	else
		u->first = a->next_of_user;
	if (a->next_of_user != USERS_NONE)
		t->slots[a->next_of_user].prev_of_user = a->prev_of_user;
	u->count--;
	if (u->count == 0)
		numbers_give(&t->in->numbers, a->user_bucket);
	users_put(&t->in->users, a->user, user_moved, t);
}

/* What counts as one address: all of IPv4, a /64 of IPv6, which is what one customer has at least. */
static struct str address_of(const struct flow_key *key)
{
	return str_of(&key->client, addr_is_v4(&key->client) ? sizeof(key->client) : 8);
}

void table_join_address(struct table *t, const struct flow_key *key)
{
	struct users *u = &t->in->addresses;

	u->at[users_get(u, address_of(key))].count++;
}

static void address_moved(void *ctx, uint32_t from, uint32_t to)
{
	/* Nobody keeps the index. */
	(void)ctx;
	(void)from;
	(void)to;
}

void table_leave_address(struct table *t, const struct flow_key *key)
{
	struct users *u = &t->in->addresses;
	uint32_t i = users_find(u, address_of(key));

	assert(i != USERS_NONE && u->at[i].count > 0);
	u->at[i].count--;
	users_put(u, i, address_moved, NULL);
}

bool table_address_full(const struct table *t, const struct flow_key *key, uint32_t max)
{
	const struct users *u = &t->in->addresses;

	if (max == 0)
		return false;
	uint32_t i = users_find(u, address_of(key));
	return i != USERS_NONE && u->at[i].count >= max;
}

bool table_same_address(const struct flow_key *a, const struct flow_key *b)
{
	return str_eq(address_of(a), address_of(b));
}

static enum err take_reserved(struct table_inside *in, const struct table_request *r, unsigned *local, uint16_t *port)
{
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		struct reservation *v = &in->reservation[i];

		if (!v->used || (int32_t)(v->expires_s - r->now_s) <= 0 ||
		    !crypto_equal(v->token, r->token, sizeof(v->token)))
			continue;
		v->used = false;
		journal_drop_reservation(in->journal, &v->journal);
		*local = v->local;
		*port = v->port;
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}

static enum err reserve(struct table_inside *in, const struct table_request *r, uint16_t port, uint8_t token[8])
{
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		struct reservation *v = &in->reservation[i];

		if (v->used)
			continue;
		*v = (struct reservation){
			.used = true, .port = port, .local = (uint8_t)r->local, .expires_s = r->now_s + RESERVATION_S
		};
		crypto_random(v->token, sizeof(v->token));
		memcpy(token, v->token, sizeof(v->token));
		journal_put_reservation(in->journal, &v->journal, v->local, v->port, v->token, v->expires_s);
		return ERR_OK;
	}
	return ERR_FULL;
}

/* The address is the one asked for, or that of the reservation. */
static enum err take_port(struct table_inside *in, const struct table_request *r, unsigned *local, uint16_t *port, uint8_t token[8])
{
	struct portmap *map = &in->map[r->local];

	memset(token, 0, 8);
	*local = r->local;
	if (r->token != NULL)
		return take_reserved(in, r, local, port);
	enum err e = portmap_take_like(map, r->want, r->like, r->random, port);
	if (e != ERR_OK || r->want != PORT_EVEN_PAIR)
		return e;
	e = reserve(in, r, (uint16_t)(*port + 1), token);
	if (e != ERR_OK) {
		portmap_give(map, *port);
		portmap_give(map, (uint16_t)(*port + 1));
	}
	return e;
}

static void set_up(struct table *t, struct alloc *a, const struct table_request *r, unsigned local, uint16_t port)
{
	a->key = r->key;
	a->slot = (uint32_t)(a - t->slots);
	a->local = (uint8_t)local;
	a->relay = iface_local(t->in->ifaces, local)->addr;
	a->relay_port = swap16(port);
	a->client_hop = HOP_NONE;
	a->to_peer.packets = a->to_peer.bytes = 0;
	a->to_client.packets = a->to_client.bytes = 0;
	media_reset(&a->to_peer.audio);
	media_reset(&a->to_client.audio);
	media_reset(&a->video_to_peer);
	media_reset(&a->video_to_client);
	bandwidth_reset(&t->buckets[a->slot]);
	a->stripe = (uint16_t)stripe_of(t, &r->key);
	a->other = 0;
	a->second = false;
	a->link = 0;
	a->ticket = 0;
	memset(a->move_tid, 0, sizeof(a->move_tid));
	a->half_expires_s = 0;
	a->refused_family = 0;
	atomic_fetch_add(&a->generation, 1);
	memset(a->token, 0, sizeof(a->token));
	memcpy(a->username, r->username.p, r->username.len);
	a->username_len = (uint8_t)r->username.len;
}

/* The other half of a dual allocation. Without a port for it, there is none. */
static void add_half(struct table *t, struct alloc *a, const struct table_request *r)
{
	unsigned local = r->also - 1;
	uint16_t port;

	port = r->also_port;
	if ((port != 0 ? portmap_take_this(&t->in->map[local], port)
		       : portmap_take_like(&t->in->map[local], r->want, r->like, r->random, &port)) != ERR_OK)
		return;
	struct alloc *b = &t->slots[local * t->ports + (port - t->port_min)];
	set_up(t, b, r, local, port);
	b->second = true;
	b->other = a->slot + 1;
	a->other = b->slot + 1;
}

enum err table_put_in(struct table *t, const struct table_request *r, unsigned local, uint16_t port, const uint8_t token[8],
		      struct alloc **out)
{
	struct table_inside *in = t->in;
	struct alloc *a = &t->slots[local * t->ports + (port - t->port_min)];

	set_up(t, a, r, local, port);
	memcpy(a->token, token, sizeof(a->token));
	if (flowmap_add(&t->flows, flowmap_hash(&t->flows, &a->key), a->slot) != ERR_OK) {
		portmap_give(&in->map[local], port);
		return ERR_FULL;
	}
	if (r->also > 0)
		add_half(t, a, r);
	join_user(t, a, users_get(&in->users, r->user));
	struct alloc *half = table_other(t, a);
	if (half != NULL)
		half->user_bucket = a->user_bucket;
	table_join_address(t, &a->key);
	in->count++;
	*out = a;
	return ERR_OK;
}

static enum err add_locked(struct table *t, const struct table_request *r, struct alloc **out)
{
	struct table_inside *in = t->in;
	uint8_t token[8];
	unsigned local;
	uint16_t port;

	table_reclaim(t);
	if (in->count >= MIN(r->max, in->max))
		return ERR_TOO_LARGE;
	uint32_t user = users_find(&in->users, r->user);
	if (r->max_of_user > 0 && user != USERS_NONE && in->users.at[user].count >= r->max_of_user)
		return ERR_BUSY;
	if (table_address_full(t, &r->key, r->max_of_address))
		return ERR_CONFLICT;
	enum err e = take_port(in, r, &local, &port, token);
	if (e != ERR_OK)
		return e;
	return table_put_in(t, r, local, port, token, out);
}

enum err table_add(struct table *t, const struct table_request *r, struct alloc **out)
{
	assert(r->username.len <= TURN_USERNAME_MAX);
	spin_lock(&t->in->lock);
	enum err e = add_locked(t, r, out);
	spin_unlock(&t->in->lock);
	return e;
}

static void set_end(_Atomic uint32_t *at, uint32_t expires_s)
{
	atomic_store_explicit(at, expires_s != 0 ? expires_s : 1, memory_order_release);
}

/* The deadline of the whole. What is to outlive the process is written before data flows. */
static void set_whole(struct table *t, struct alloc *a, uint32_t expires_s)
{
	uint32_t ends = expires_s != 0 ? expires_s : 1;

	if (a->journal == 0)
		journal_put(t->in->journal, a, ends);
	else
		journal_touch(t->in->journal, a, ends);
	set_end(&a->expires_s, ends);
}

void table_start(struct table *t, struct alloc *a, uint32_t expires_s)
{
	struct alloc *b = table_other(t, a);

	if (b != NULL) {
		set_end(&b->expires_s, expires_s);
		if (a->expires_s == 0 || a->half_expires_s != 0)
			set_end(&a->half_expires_s, expires_s);
	}
	set_whole(t, a, expires_s);
}

/* The whole lasts as long as its longer half. */
static void set_longer(struct table *t, struct alloc *a, const struct alloc *b)
{
	bool own_longer = a->half_expires_s != 0 && (int32_t)(a->half_expires_s - b->expires_s) > 0;

	set_whole(t, a, own_longer ? a->half_expires_s : b->expires_s);
}

void table_start_half(struct table *t, struct alloc *a, bool v6, uint32_t expires_s)
{
	struct alloc *b = table_other(t, a);

	if (b == NULL) {
		table_start(t, a, expires_s);
		return;
	}
	set_end((a->local & 1) == v6 ? &a->half_expires_s : &b->expires_s, expires_s);
	set_longer(t, a, b);
}

void table_start_halves(struct table *t, struct alloc *a, uint32_t own_s, uint32_t other_s)
{
	struct alloc *b = table_other(t, a);

	set_end(&b->expires_s, other_s);
	atomic_store(&a->half_expires_s, own_s);
	set_longer(t, a, b);
}

void table_renewed(struct table *t, const struct alloc *a)
{
	journal_touch(t->in->journal, a, a->expires_s);
}

void table_set_peers(struct table *t, struct alloc *a, struct peers *b)
{
	struct alloc *o = table_other(t, a);

	if (o != NULL)
		atomic_store(&o->peers, b);
	struct peers *old = atomic_exchange(&a->peers, b);

	journal_put(t->in->journal, a, a->expires_s);
	spin_lock(&t->in->lock);
	bury_block(t->in, old);
	free_blocks(t->in, false);
	spin_unlock(&t->in->lock);
}

/* Under the table's lock. */
static void bury_half(struct table *t, struct alloc *b)
{
	atomic_store_explicit(&b->expires_s, 0, memory_order_release);
	atomic_store(&b->peers, NULL);
	table_bury(t, b);
}

enum err table_remove_half(struct table *t, struct alloc *a, bool v6, uint32_t now_s)
{
	if (!alloc_has(a, !v6)) {
		table_remove(t, a);
		return ERR_OK;
	}
	struct alloc *b = table_other(t, a);
	assert(b != NULL);
	struct peers *old = alloc_peers(a), *kept = old != NULL ? peers_keep(old, !v6, now_s) : NULL;
	if (old != NULL && kept == NULL)
		return ERR_NO_MEMORY;
	table_set_peers(t, a, kept);
	if ((a->local & 1) == v6) {
		/* The first half stays as the seat of the allocation, without peers of its family: its port is
		 * free when the other half has ended. */
		a->half_expires_s = 0;
		set_whole(t, a, b->expires_s);
		return ERR_OK;
	}
	set_whole(t, a, a->half_expires_s);
	spin_lock(&t->in->lock);
	bury_half(t, b);
	a->other = 0;
	spin_unlock(&t->in->lock);
	journal_put(t->in->journal, a, a->expires_s); /* as one with one address */
	return ERR_OK;
}

void table_remove(struct table *t, struct alloc *a)
{
	struct table_inside *in = t->in;
	struct alloc *b = table_other(t, a);

	atomic_store_explicit(&a->expires_s, 0, memory_order_release);
	journal_drop(in->journal, a);
	if (in->records != NULL)
		records_put(in->records, a, table_other(t, a));
	atomic_store_explicit(&a->half_expires_s, 0, memory_order_release);
	spin_lock(&in->lock);
	table_move_forget(t, a);
	flowmap_remove(&t->flows, flowmap_hash(&t->flows, &a->key), a->slot);
	if (b != NULL)
		bury_half(t, b);
	leave_user(t, a);
	table_leave_address(t, &a->key);
	explicit_bzero(&a->auth, sizeof(a->auth));
	bury_block(in, atomic_exchange(&a->peers, NULL));
	table_bury(t, a);
	in->count--;
	spin_unlock(&in->lock);
}

/* Removes the use `generation` of a slot, if it is still that, and (with `now_s`) if it has expired. The
 * deadline is read before the generation: a slot in its next use shows its new generation before it shows a
 * deadline, so that the lock held is the right one whenever both fit. */
static bool remove_checked(struct table *t, struct alloc *a, uint32_t generation, const uint32_t *now_s)
{
	struct spin *lock = &t->in->stripe[atomic_load(&a->stripe) % STRIPES];
	bool gone = false;

	spin_lock(lock);
	uint32_t ends = atomic_load(&a->expires_s);
	bool wanted = ends != 0 && !a->second && (now_s == NULL || (int32_t)(ends - *now_s) <= 0);
	if (wanted && atomic_load(&a->generation) == generation) {
		table_remove(t, a);
		gone = true;
	}
	spin_unlock(lock);
	return gone;
}

/* The same for a half that ends before the other. */
static void remove_half_checked(struct table *t, struct alloc *b, uint32_t generation, uint32_t now_s)
{
	struct spin *lock = &t->in->stripe[atomic_load(&b->stripe) % STRIPES];

	spin_lock(lock);
	uint32_t ends = atomic_load(b->second ? &b->expires_s : &b->half_expires_s);
	if (ends != 0 && (int32_t)(ends - now_s) <= 0 && atomic_load(&b->generation) == generation) {
		struct alloc *a = b->second ? table_other(t, b) : b;

		/* With both halves over it is the whole that goes, in the first one's turn. */
		if (alloc_alive(a, now_s))
			(void)table_remove_half(t, a, b->local & 1, now_s);
	}
	spin_unlock(lock);
}

uint32_t table_sweep_words(const struct table *t)
{
	return iface_locals(t->in->ifaces) * PORTMAP_WORDS;
}

static unsigned sweep_word(struct table *t, unsigned local, unsigned word, uint32_t now_s)
{
	uint64_t taken = __atomic_load_n(&t->in->map[local].taken[word], __ATOMIC_RELAXED);
	unsigned gone = 0;

	for (; taken != 0; taken &= taken - 1) {
		struct alloc *a = table_by_port(t, local, (uint16_t)(word * 64 + (unsigned)__builtin_ctzll(taken)));

		if (a == NULL || atomic_load_explicit(&a->expires_s, memory_order_relaxed) == 0)
			continue;
		if (a->second || atomic_load_explicit(&a->half_expires_s, memory_order_relaxed) != 0)
			remove_half_checked(t, a, atomic_load(&a->generation), now_s);
		if (alloc_alive(a, now_s))
			continue;
		gone += remove_checked(t, a, atomic_load(&a->generation), &now_s);
	}
	return gone;
}

static void expire_reservations(struct table *t, uint32_t now_s)
{
	spin_lock(&t->in->lock);
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		struct reservation *v = &t->in->reservation[i];

		if (v->used && (int32_t)(v->expires_s - now_s) <= 0) {
			v->used = false;
			journal_drop_reservation(t->in->journal, &v->journal);
			portmap_give(&t->in->map[v->local], v->port);
		}
	}
	table_reclaim(t);
	spin_unlock(&t->in->lock);
}

unsigned table_sweep(struct table *t, uint32_t *cursor, uint32_t words, uint32_t now_s)
{
	unsigned gone = 0;

	for (; words > 0; words--) {
		gone += sweep_word(t, *cursor / PORTMAP_WORDS, *cursor % PORTMAP_WORDS, now_s);
		if (++*cursor >= table_sweep_words(t)) {
			*cursor = 0;
			expire_reservations(t, now_s);
			table_move_sweep(t, now_s);
		}
	}
	return gone;
}

/* Which of a user's allocations. */
struct which {
	struct str call;  /* of this call; empty = any */
	uint64_t until_s; /* whose credential ends then or before; UINT64_MAX = any */
};

static bool is_one(const struct alloc *a, const struct which *w)
{
	struct turn_cred cred = { 0 };
	bool parsed = turn_cred_parse(alloc_username(a), 0, &cred) == ERR_OK;

	return (w->call.len == 0 || (parsed && str_eq(cred.call, w->call))) && cred.expires_s <= w->until_s;
}

/* Up to `max` of them, with the use of their slots. */
static unsigned collect(struct table *t, struct str user, const struct which *w, uint32_t *slots, uint32_t *generations, unsigned max)
{
	unsigned n = 0;

	spin_lock(&t->in->lock);
	uint32_t u = users_find(&t->in->users, user);
	for (uint32_t s = u != USERS_NONE ? t->in->users.at[u].first : USERS_NONE; s != USERS_NONE && n < max;
	     s = t->slots[s].next_of_user) {
		if (!is_one(&t->slots[s], w))
			continue;
		slots[n] = s;
		generations[n++] = t->slots[s].generation;
	}
	spin_unlock(&t->in->lock);
	return n;
}

static unsigned remove_some(struct table *t, struct str user, const struct which *w)
{
	uint32_t slots[64], generations[64];
	unsigned gone = 0, n, progress;

	do {
		n = collect(t, user, w, slots, generations, ARRAY_LEN(slots));
		progress = 0;
		for (unsigned i = 0; i < n; i++)
			progress += remove_checked(t, &t->slots[slots[i]], generations[i], NULL);
		gone += progress;
	} while (n == ARRAY_LEN(slots) && progress > 0);
	return gone;
}

unsigned table_of_call(struct table *t, struct str user, struct str call, uint32_t *slots, uint32_t *generations, unsigned max)
{
	return collect(t, user, &(struct which){ .call = call, .until_s = UINT64_MAX }, slots, generations, max);
}

unsigned table_remove_user(struct table *t, struct str user, struct str call)
{
	return remove_some(t, user, &(struct which){ .call = call, .until_s = UINT64_MAX });
}

unsigned table_revoke_user(struct table *t, struct str user, uint64_t until_s)
{
	return remove_some(t, user, &(struct which){ .until_s = until_s });
}

uint32_t table_count(const struct table *t)
{
	return atomic_load(&t->in->count);
}

uint32_t table_capacity(const struct table *t)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < iface_locals(t->in->ifaces); i++)
		n += addr_is_none(&iface_local(t->in->ifaces, i)->addr) ? 0 : t->ports;
	return n;
}
