/* RFC 8016: a client takes its allocation along to another 5-tuple. Data goes to the old one until the new one is used;
 * a ticket is good for its user and for one move; nothing can be had twice by moving. */
#include <unistd.h>

#include "tests/flow/relay/rig.h"

static struct policy *mobile_policy(void)
{
	struct policy *p = rig_policy();

	p->mobility = true;
	memset(p->ticket_key, 9, sizeof(p->ticket_key));
	return p;
}

static int set_up(void **state)
{
	*state = rig_new(2, 50000, 50099, mobile_policy());
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static void set_policy(struct rig *r, struct policy *p)
{
	for (unsigned i = 0; i < r->workers; i++)
		rcu_offline(r->relay->rcu, i);
	relay_set_policy(r->relay, p);
	for (unsigned i = 0; i < r->workers; i++)
		rcu_online(r->relay->rcu, i);
}

struct ticket {
	uint8_t bytes[64];
	size_t len;
	const uint32_t *lifetime; /* NULL = no LIFETIME */
};

static void put_wish(struct wr *w, const void *arg)
{
	const struct ticket *t = arg;

	put_udp(w, NULL);
	stun_put(w, STUN_MOBILITY_TICKET, str_of(t->bytes, t->len));
}

static void put_ticket(struct wr *w, const void *arg)
{
	const struct ticket *t = arg;

	if (t->lifetime != NULL)
		stun_put_u32(w, STUN_LIFETIME, *t->lifetime);
	stun_put(w, STUN_MOBILITY_TICKET, str_of(t->bytes, t->len));
}

static void take_ticket(struct ticket *t, const struct stun_msg *m)
{
	struct str v = stun_bytes(m, STUN_MOBILITY_TICKET);

	assert_in_range(v.len, 16, sizeof(t->bytes));
	memcpy(t->bytes, v.p, v.len);
	t->len = v.len;
}

static int allocate(struct rig *r, struct client *c, struct ticket *t)
{
	struct stun_addr relayed;
	struct stun_msg m;

	*t = (struct ticket){ .len = 0 };
	int code = client_request(r, c, STUN_ALLOCATE, put_wish, t, &m);
	if (code == 0) {
		take_ticket(t, &m);
		assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
		c->relayed = relayed.port;
	}
	return code;
}

/* Refresh with the ticket. On success *t becomes the new one, which is another. */
static int move(struct rig *r, struct client *to, struct ticket *t)
{
	struct ticket before = *t;
	struct stun_msg m;
	int code = client_request(r, to, STUN_REFRESH, put_ticket, t, &m);

	if (code == 0) {
		assert_int_equal(stun_u32(&m, STUN_LIFETIME), 600);
		take_ticket(t, &m);
		assert_memory_not_equal(t->bytes, before.bytes, t->len);
	} else {
		assert_false(stun_has(&m, STUN_MOBILITY_TICKET));
	}
	return code;
}

/* The same user elsewhere. */
static struct client at(const struct client *c, uint32_t ip, uint16_t port)
{
	struct client n = *c;

	n.ip = ip;
	n.port = port;
	n.nonce_len = 0;
	return n;
}

#define OTHER_IP IPV4(8, 8, 77, 7)

static void bind_peer(struct rig *r, struct client *c)
{
	assert_int_equal(client_bind(r, c, 0x4000, PEER_IP, 9), 0);
}

static void assert_sends(struct rig *r, const struct client *c)
{
	client_channel_data(r, c, 0x4000, "out", 3, 0);
	rig_expect(r, RELAY_IP, c->relayed, PEER_IP, 9, "out", 3);
}

static void assert_receives(struct rig *r, const struct client *c)
{
	for (unsigned worker = 0; worker < r->workers; worker++) {
		peer_datagram(r, worker, PEER_IP, 9, c->relayed, "in", 2);
		rig_expect_channel(r, c, 0x4000, "in", 2);
	}
}

/* This 5-tuple is nobody's. */
static void assert_nobody(struct rig *r, struct client *c)
{
	uint64_t before = rig_drops(r, DROP_NO_ALLOCATION);

	client_channel_data(r, c, 0x4000, "out", 3, 0);
	assert_int_equal(r->outs, 0);
	client_send_indication(r, c, PEER_IP, 9, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_NO_ALLOCATION), before + 2);
	assert_int_equal(client_refresh(r, c, 600), 437);
}

static void one_move(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b;
	struct ticket t, first;

	assert_int_equal(allocate(r, &a, &t), 0);
	first = t;
	bind_peer(r, &a);
	b = at(&a, OTHER_IP, 2000);
	b.worker = 1;
	assert_int_equal(move(r, &b, &t), 0);
	/* Until the new 5-tuple is used, the old one has everything. */
	assert_receives(r, &a);
	assert_sends(r, &a);
	assert_receives(r, &a);
	assert_int_equal(client_refresh(r, &a, 600), 0);
	rig_pass(r, 5000);
	assert_receives(r, &a);
	assert_int_equal(table_moves(r->relay->table), 0);

	assert_sends(r, &b);
	assert_int_equal(table_moves(r->relay->table), 1);
	assert_receives(r, &b);
	assert_nobody(r, &a);
	assert_sends(r, &b);
	assert_int_equal(client_refresh(r, &b, 600), 0);
	assert_int_equal(client_permit(r, &b, IPV4(9, 9, 9, 8)), 0);
	assert_int_equal(table_count(r->relay->table), 1);
	/* The first ticket is spent, the second is good. */
	struct client c = at(&a, IPV4(8, 8, 78, 8), 3000);
	assert_int_equal(move(r, &c, &first), 437);
	assert_int_equal(move(r, &c, &t), 0);
	assert_sends(r, &c);
	assert_receives(r, &c);
	assert_nobody(r, &b);
	/* And back again to where it began. */
	assert_int_equal(move(r, &a, &t), 0);
	assert_sends(r, &a);
	assert_receives(r, &a);
	assert_nobody(r, &c);
	assert_int_equal(client_refresh(r, &a, 0), 0);
	assert_int_equal(table_count(r->relay->table), 0);
	assert_nobody(r, &a);
}

/* Whatever the client does at the new place with its credentials, or any data, means that it has come. */
static void each_use_finishes(void **state)
{
	struct rig *r = *state;

	for (unsigned use = 0; use < 5; use++) {
		struct client a = client_new(CLIENT_IP, (uint16_t)(1000 + use), "alice", ""), b = at(&a, OTHER_IP, (uint16_t)(1000 + use));
		struct ticket t;

		assert_int_equal(allocate(r, &a, &t), 0);
		bind_peer(r, &a);
		b.relayed = a.relayed;
		assert_int_equal(move(r, &b, &t), 0);
		switch (use) {
		case 0: assert_sends(r, &b); break;
		case 1:
			client_send_indication(r, &b, PEER_IP, 9, "x", 1);
			rig_expect(r, RELAY_IP, b.relayed, PEER_IP, 9, "x", 1);
			break;
		case 2: assert_int_equal(client_permit(r, &b, PEER_IP), 0); break;
		case 3: bind_peer(r, &b); break;
		default: assert_int_equal(client_refresh(r, &b, 600), 0); break;
		}
		assert_int_equal(table_moves(r->relay->table), use + 1);
		assert_receives(r, &b);
		assert_nobody(r, &a);
	}
}

/* What proves nothing does not. */
static void strangers_do_not_finish(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b, wrong, other = client_new(OTHER_IP, 2000, "bob", "");
	struct stun_msg m;
	struct ticket t;

	assert_int_equal(allocate(r, &a, &t), 0);
	bind_peer(r, &a);
	b = at(&a, OTHER_IP, 2000);
	assert_int_equal(move(r, &b, &t), 0);
	wrong = b;
	wrong.key[0] ^= 1;
	assert_int_equal(client_request(r, &wrong, STUN_REFRESH, NULL, NULL, &m), 401);
	assert_int_equal(client_refresh(r, &other, 600), 441);
	assert_int_equal(client_refresh(r, &other, 0), 441);
	assert_int_equal(client_request(r, &b, STUN_ALLOCATE, put_udp, NULL, &m), 437);
	assert_int_equal(table_moves(r->relay->table), 0);
	assert_receives(r, &a);
}

static void tickets_are_not_made_up(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, OTHER_IP, 2000), other = client_new(OTHER_IP, 2001, "bob", "");
	struct client wrong = b;
	struct ticket t, bad;
	struct stun_msg m;

	assert_int_equal(allocate(r, &a, &t), 0);
	for (size_t i = 0; i < t.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bad = t;
			bad.bytes[i] ^= (uint8_t)(1u << bit);
			assert_int_equal(move(r, &b, &bad), 437);
		}
	}
	for (size_t len = 1; len < sizeof(bad.bytes); len++) {
		bad = t;
		bad.len = len;
		if (len != t.len)
			assert_int_equal(move(r, &b, &bad), 437);
	}
	bad.len = 0;
	assert_int_equal(move(r, &b, &bad), 400);
	/* Of another user, and without the password. */
	assert_int_equal(move(r, &other, &t), 441);
	wrong.key[0] ^= 1;
	client_get_nonce(r, &wrong);
	assert_int_equal(move(r, &wrong, &t), 401);
	/* From where the client is, and from where it has another allocation. */
	assert_int_equal(move(r, &a, &t), 400);
	assert_int_equal(client_allocate(r, &b), 0);
	assert_int_equal(move(r, &b, &t), 400);
	/* After the end of the allocation, and when another has its port. */
	assert_int_equal(client_refresh(r, &a, 0), 0);
	assert_int_equal(client_refresh(r, &b, 0), 0);
	assert_int_equal(move(r, &b, &t), 437);
	set_policy(r, mobile_policy());
	for (unsigned i = 0; i < 100; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(4000 + i), "alice", "");
		assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_udp, NULL, &m), 0);
	}
	assert_int_equal(move(r, &b, &t), 437);
	assert_int_equal(table_moves(r->relay->table), 0);
}

/* RFC 8016 §6: a ticket shows nothing of what it stands for. Those of one allocation differ all over, those of neighbouring ports too. */
static void tickets_tell_nothing(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = client_new(OTHER_IP, 2000, "bob", "");
	struct ticket first, second, other;
	unsigned same[2] = { 0 };

	assert_int_equal(allocate(r, &a, &first), 0);
	second = first;
	struct client moved = at(&a, OTHER_IP, 2001);
	assert_int_equal(move(r, &moved, &second), 0);
	assert_int_equal(allocate(r, &b, &other), 0);
	for (size_t i = 0; i < first.len; i++) {
		same[0] += first.bytes[i] == second.bytes[i];
		same[1] += first.bytes[i] == other.bytes[i];
	}
	/* Of 20 characters out of 64 more than five agree once in 200,000. */
	assert_true(same[0] <= 5 && same[1] <= 5);
}

static void only_who_asks(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, CLIENT_IP, 1001);
	struct ticket t = { .len = 4 };
	struct stun_msg m;

	assert_int_equal(client_request(r, &a, STUN_ALLOCATE, put_udp, NULL, &m), 0);
	assert_false(stun_has(&m, STUN_MOBILITY_TICKET));
	/* A ticket in an Allocate has no bytes. */
	assert_int_equal(client_request(r, &b, STUN_ALLOCATE, put_wish, &t, &m), 400);
}

static void forbidden_405(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, OTHER_IP, 1001), c = at(&a, OTHER_IP, 1002);
	struct ticket t, none;

	assert_int_equal(allocate(r, &a, &t), 0);
	set_policy(r, rig_policy());
	assert_int_equal(allocate(r, &b, &none), 405);
	assert_int_equal(move(r, &c, &t), 405);
	assert_int_equal(client_allocate(r, &b), 0);
	assert_int_equal(client_refresh(r, &a, 600), 0);
}

/* The answer to the Refresh was lost: the same again has the same answer, before and after the new 5-tuple is used. */
static void retransmissions(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, OTHER_IP, 2000);
	uint8_t request[512], answer[512];
	struct ticket t, first;
	struct stun_msg m;

	assert_int_equal(allocate(r, &a, &t), 0);
	first = t;
	bind_peer(r, &a);
	b.relayed = a.relayed;
	client_get_nonce(r, &b);
	struct wr w = client_begin(r, request, sizeof(request), STUN_REFRESH);
	put_ticket(&w, &t);
	size_t len = client_seal(&b, &w), answer_len;
	assert_int_equal(client_exchange(r, &b, request, len, &m), 0);
	answer_len = m.len;
	memcpy(answer, m.p, m.len);
	take_ticket(&t, &m);
	for (unsigned i = 0; i < 3; i++) {
		rig_pass(r, 500);
		b.worker ^= 1;
		assert_int_equal(client_exchange(r, &b, request, len, &m), 0);
		assert_int_equal(m.len, answer_len);
		assert_memory_equal(m.p, answer, answer_len);
		if (i == 0)
			assert_receives(r, &a); /* still not used */
		if (i == 0)
			assert_sends(r, &b);
	}
	assert_receives(r, &b);
	assert_int_equal(table_moves(r->relay->table), 1);
	/* Another Refresh with the spent ticket is none of these; it does not say that the allocation is gone, for it is not. */
	assert_int_equal(move(r, &b, &first), 400);
	assert_int_equal(move(r, &b, &t), 400);
}

/* All answers were lost, and the client begins anew with what it has, here or at a third place. */
static void lost_answers(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, OTHER_IP, 2000), c = at(&a, OTHER_IP, 3000);
	struct ticket first, t;

	assert_int_equal(allocate(r, &a, &first), 0);
	bind_peer(r, &a);
	b.relayed = c.relayed = a.relayed;
	t = first;
	assert_int_equal(move(r, &b, &t), 0);
	t = first;
	assert_int_equal(move(r, &b, &t), 0);
	assert_receives(r, &a);
	t = first;
	assert_int_equal(move(r, &c, &t), 0);
	assert_nobody(r, &b);
	assert_receives(r, &a);
	assert_sends(r, &c);
	assert_receives(r, &c);
	assert_nobody(r, &a);
	assert_int_equal(table_moves(r->relay->table), 1);
}

/* The client never came: the old 5-tuple keeps everything, the new one is nobody's. */
static void given_up(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, OTHER_IP, 2000);
	struct ticket first, t;

	assert_int_equal(allocate(r, &a, &first), 0);
	bind_peer(r, &a);
	b.relayed = a.relayed;
	t = first;
	assert_int_equal(move(r, &b, &t), 0);
	rig_pass(r, MOVE_S * 1000 - 2000);
	assert_receives(r, &a);
	rig_pass(r, 4000);
	assert_nobody(r, &b);
	assert_receives(r, &a);
	assert_int_equal(move(r, &b, &first), 0);
	assert_sends(r, &b);
	assert_receives(r, &b);
	assert_nobody(r, &a);
}

/* The allocation ends while its client is under way, in each way there is. */
static void ends_on_the_way(void **state)
{
	static const uint32_t zero = 0;
	struct rig *r = *state;

	for (unsigned way = 0; way < 5; way++) {
		struct client a = client_new(CLIENT_IP, (uint16_t)(1000 + way), "alice", ""), b = at(&a, OTHER_IP, (uint16_t)(2000 + way));
		struct stun_msg m;
		struct ticket t;

		assert_int_equal(allocate(r, &a, &t), 0);
		bind_peer(r, &a);
		if (way != 3)
			assert_int_equal(move(r, &b, &t), 0);
		switch (way) {
		case 0: assert_int_equal(client_refresh(r, &a, 0), 0); break;
		case 1: assert_int_equal(client_refresh(r, &b, 0), 0); break;
		case 2: assert_int_equal(table_remove_user(r->relay->table, STR("alice"), STR_NONE), 1); break;
		case 3:
			/* By the Refresh that would have moved it. */
			t.lifetime = &zero;
			assert_int_equal(client_request(r, &b, STUN_REFRESH, put_ticket, &t, &m), 0);
			assert_int_equal(stun_u32(&m, STUN_LIFETIME), 0);
			break;
		default: rig_pass(r, 602000); break;
		}
		assert_int_equal(table_count(r->relay->table), 0);
		a.nonce_len = b.nonce_len = 0;
		assert_nobody(r, &a);
		assert_nobody(r, &b);
		/* Both places are free for others. */
		assert_int_equal(client_allocate(r, &a), 0);
		assert_int_equal(client_allocate(r, &b), 0);
		assert_int_equal(client_refresh(r, &a, 0), 0);
		assert_int_equal(client_refresh(r, &b, 0), 0);
	}
}

static void quotas_are_not_passed_by(void **state)
{
	struct policy *p = mobile_policy();
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, OTHER_IP, 2000), more = at(&a, CLIENT_IP, 1001);
	struct client bob = client_new(OTHER_IP, 5, "bob", ""), carol = client_new(CLIENT_IP, 6, "carol", ""), dora = client_new(OTHER_IP, 7, "dora", "");
	struct client near;
	struct ticket t;

	p->user_allocations = 1;
	p->address_allocations = 1;
	set_policy(r, p);
	assert_int_equal(allocate(r, &a, &t), 0);
	bind_peer(r, &a);
	b.relayed = a.relayed;
	/* The new address has what it may have. */
	assert_int_equal(client_allocate(r, &bob), 0);
	assert_int_equal(move(r, &b, &t), 486);
	assert_receives(r, &a);
	assert_int_equal(client_refresh(r, &bob, 0), 0);
	/* While it moves it counts at both. */
	assert_int_equal(move(r, &b, &t), 0);
	assert_int_equal(client_allocate(r, &more), 486);
	assert_int_equal(client_allocate(r, &carol), 486);
	assert_int_equal(client_allocate(r, &dora), 486);
	assert_sends(r, &b);
	assert_int_equal(client_allocate(r, &dora), 486);
	assert_int_equal(client_allocate(r, &more), 486);
	assert_int_equal(client_allocate(r, &carol), 0);
	/* Behind the same address with another port: nothing more is taken. */
	near = at(&b, OTHER_IP, 2222);
	near.relayed = a.relayed;
	assert_int_equal(move(r, &near, &t), 0);
	assert_sends(r, &near);
	assert_receives(r, &near);
	assert_int_equal(client_allocate(r, &dora), 486);
	assert_int_equal(client_refresh(r, &near, 0), 0);
	assert_int_equal(client_allocate(r, &dora), 0);
	/* A move that is given up gives back what it took. */
	assert_int_equal(client_refresh(r, &dora, 0), 0);
	assert_int_equal(client_refresh(r, &carol, 0), 0);
	assert_int_equal(allocate(r, &a, &t), 0);
	assert_int_equal(move(r, &b, &t), 0);
	assert_int_equal(client_allocate(r, &dora), 486);
	rig_pass(r, MOVE_S * 1000 + 2000);
	assert_int_equal(client_allocate(r, &dora), 0);
}

/* No more clients move at a time than there is room for; the room is not lost. */
static void moves_are_bounded(void **state)
{
	struct rig *r = rig_new(1, 50000, 50999, mobile_policy());
	struct client *c = calloc(700, sizeof(*c)), b;
	struct ticket *t = calloc(700, sizeof(*t));
	unsigned moving[3] = { 0 };

	(void)state;
	assert_true(c != NULL && t != NULL);
	for (unsigned i = 0; i < 700; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "user%u", i);
		c[i] = client_new(CLIENT_IP, (uint16_t)(1000 + i), name, "");
		assert_int_equal(allocate(r, &c[i], &t[i]), 0);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 700; i++) {
			struct ticket once = t[i];

			b = at(&c[i], OTHER_IP, (uint16_t)(1000 + i));
			int code = move(r, &b, &once);
			assert_true(code == 0 || code == 508);
			moving[round] += code == 0;
		}
		rig_pass(r, MOVE_S * 1000 + 3000);
	}
	assert_int_equal(moving[0], 512);
	assert_int_equal(moving[1], 512);
	assert_int_equal(moving[2], 512);
	free(c);
	free(t);
	rig_free(r);
}

/* To a client of this relay that has moved, and from one. */
static void hairpin(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = client_new(CLIENT_IP, 1001, "bob", ""), c = at(&a, OTHER_IP, 2000);
	struct ticket t;

	assert_int_equal(allocate(r, &a, &t), 0);
	assert_int_equal(client_allocate(r, &b), 0);
	assert_int_equal(client_bind(r, &a, 0x4001, RELAY_IP, b.relayed), 0);
	assert_int_equal(client_bind(r, &b, 0x4002, RELAY_IP, a.relayed), 0);
	c.relayed = a.relayed;
	assert_int_equal(move(r, &c, &t), 0);
	client_channel_data(r, &b, 0x4002, "to old", 6, 0);
	rig_expect_channel(r, &a, 0x4001, "to old", 6);
	client_channel_data(r, &c, 0x4001, "from new", 8, 0);
	rig_expect_channel(r, &b, 0x4002, "from new", 8);
	client_channel_data(r, &b, 0x4002, "to new", 6, 0);
	rig_expect_channel(r, &c, 0x4001, "to new", 6);
}

/* Both relayed addresses of a dual allocation follow. */
static void put_dual(struct wr *w, const void *arg)
{
	put_wish(w, arg);
	stun_put_u32(w, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
}

static void dual_allocations(void **state)
{
	struct ifaces ifaces = rig_ifaces_dual(1);
	struct rig *r = rig_new_ifaces(1, &ifaces, 50000, 50019, mobile_policy());
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, OTHER_IP, 2000);
	struct ticket t = { .len = 0 };
	struct stun_addr relayed;
	struct stun_msg m;

	(void)state;
	assert_int_equal(client_request(r, &a, STUN_ALLOCATE, put_dual, &t, &m), 0);
	take_ticket(&t, &m);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	assert_int_equal(relayed.family, STUN_IPV4);
	a.relayed = b.relayed = relayed.port;
	bind_peer(r, &a);
	assert_int_equal(move(r, &b, &t), 0);
	assert_sends(r, &b);
	assert_receives(r, &b);
	struct alloc *first = table_by_port(r->relay->table, 0, a.relayed), *second = &r->relay->table->slots[first->other - 1];
	assert_true(first->other != 0 && second->second);
	assert_true(flow_key_eq(&first->key, &second->key));
	assert_int_equal(second->client_hop, first->client_hop);
	assert_int_equal(client_refresh(r, &b, 0), 0);
	rig_free(r);
}

/* From IPv4 to IPv6: the relayed address stays, the client's family does not. */
static void to_another_family(void **state)
{
	struct ifaces ifaces = rig_ifaces_dual(1);
	struct rig *r = rig_new_ifaces(1, &ifaces, 50000, 50019, mobile_policy());
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, 0, 2000);
	struct ticket t;

	(void)state;
	b.ip6 = rig_ip("2a00:8::8");
	b.server6 = rig_ip("2a00:1::2");
	assert_int_equal(allocate(r, &a, &t), 0);
	b.relayed = a.relayed;
	bind_peer(r, &a);
	assert_int_equal(move(r, &b, &t), 0);
	assert_receives(r, &a);
	assert_sends(r, &b);
	peer_datagram(r, 0, PEER_IP, 9, b.relayed, "in", 2);
	assert_int_equal(r->outs, 1);
	const uint8_t *ip = r->out[0].bytes + ETH_LEN;
	assert_int_equal(be16_get(r->out[0].bytes + 12), ETHERTYPE_V6);
	assert_memory_equal(ip + IP6_DST, &b.ip6, 16);
	assert_int_equal(be16_get(ip + IP6_LEN + UDP_AT_DPORT), 2000);
	assert_int_equal(client_refresh(r, &b, 600), 0);
	rig_free(r);
}

/* Not to a connection, whose end is the end of what it has. */
static void not_over_streams(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1000, "alice", ""), b = at(&a, CLIENT_IP, 2000);
	struct ticket t;

	client_on_stream(r, &b);
	assert_int_equal(allocate(r, &b, &t), 405);
	assert_int_equal(allocate(r, &a, &t), 0);
	bind_peer(r, &a);
	assert_int_equal(move(r, &b, &t), 405);
	assert_receives(r, &a);
	path_message_end(&r->path[0], &b.stream_key);
	assert_receives(r, &a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* Across a restart: who has moved is where he moved to, his ticket of now is good and the one he used is not. */
static void moves_outlive_the_relay(void **state)
{
	struct rig *old = rig_new(1, 50000, 50099, mobile_policy()), *now = rig_new(1, 50000, 50099, mobile_policy());
	struct client c = client_new(CLIENT_IP, 1000, "alice", "");
	char path[] = "/tmp/dpx-mobility-XXXXXX", why[512];
	struct ticket t, used;

	(void)state;
	assert_int_equal(close(mkstemp(path)), 0);
	assert_ok(restore_start(old->relay, path, RIG_ALLOCATIONS, path_seconds(old->clock.mono_ms), why, sizeof(why)));
	assert_int_equal(allocate(old, &c, &t), 0);
	bind_peer(old, &c);
	struct client d = at(&c, OTHER_IP, 2000), e = at(&c, OTHER_IP, 3000);
	used = t;
	assert_int_equal(move(old, &d, &t), 0);
	assert_sends(old, &d);
	struct journal *j = old->relay->journal;
	table_set_journal(old->relay->table, NULL);
	journal_close(j, false);

	assert_ok(restore_start(now->relay, path, RIG_ALLOCATIONS, path_seconds(now->clock.mono_ms), why, sizeof(why)));
	assert_receives(now, &d);
	assert_nobody(now, &c);
	assert_int_not_equal(move(now, &e, &used), 0);
	assert_int_equal(move(now, &e, &t), 0);
	assert_sends(now, &e);
	journal_close(now->relay->journal, true);
	table_set_journal(now->relay->table, NULL);
	rig_free(old);
	rig_free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_move), T(each_use_finishes), T(strangers_do_not_finish), T(tickets_are_not_made_up), T(tickets_tell_nothing), T(only_who_asks),
		T(forbidden_405), T(retransmissions), T(lost_answers), T(given_up), T(ends_on_the_way), T(quotas_are_not_passed_by), cmocka_unit_test(moves_are_bounded),
		T(hairpin), T(not_over_streams), cmocka_unit_test(dual_allocations), cmocka_unit_test(to_another_family), cmocka_unit_test(moves_outlive_the_relay),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
