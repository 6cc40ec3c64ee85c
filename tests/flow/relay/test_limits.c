/* What runs out: a user's, an address's and the relay's allocations, and ports of every kind. Each with its code and its
 * counter, and everything can be had again. */
#include "tests/flow/relay/rig.h"

#define FIRST 50000u
#define PORTS 64u

static struct rig *rig_with(struct policy *p)
{
	return rig_new(1, FIRST, FIRST + PORTS - 1, p);
}

static uint64_t refusals(const struct rig *r, enum refused why)
{
	return stats_get(&r->relay->stats[0].refused[why]);
}

static void set_policy(struct rig *r, struct policy *p)
{
	rcu_offline(r->relay->rcu, 0);
	relay_set_policy(r->relay, p);
	rcu_online(r->relay->rcu, 0);
}

static void of_an_address(void **state)
{
	struct policy *p = rig_policy();
	struct client c[3], other = client_new(IPV4(8, 8, 1, 2), 9, "dora", ""), more = client_new(CLIENT_IP, 9, "dora", "");
	static const char *const names[] = { "alice", "bob", "carol" };

	(void)state;
	p->address_allocations = 3;
	struct rig *r = rig_with(p);
	for (unsigned i = 0; i < 3; i++) {
		c[i] = client_new(CLIENT_IP, (uint16_t)(100 + i), names[i], "");
		assert_int_equal(client_allocate(r, &c[i]), 0);
	}
	assert_int_equal(client_allocate(r, &more), 486);
	assert_int_equal(refusals(r, REFUSED_ADDRESS), 1);
	assert_int_equal(client_allocate(r, &other), 0);
	/* However one of them ends, another can come. */
	assert_int_equal(client_refresh(r, &c[0], 0), 0);
	assert_int_equal(client_allocate(r, &more), 0);
	assert_int_equal(table_remove_user(r->relay->table, STR("bob"), STR_NONE), 1);
	assert_int_equal(client_allocate(r, &c[0]), 0);
	assert_int_equal(client_allocate(r, &c[1]), 486);
	rig_pass(r, 700000);
	assert_int_equal(table_count(r->relay->table), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(client_allocate(r, &c[i]), 0);
	assert_int_equal(client_allocate(r, &more), 486);
	/* What there is counts from before the limit was set. */
	set_policy(r, rig_policy());
	assert_int_equal(client_allocate(r, &more), 0);
	p = rig_policy();
	p->address_allocations = 5;
	set_policy(r, p);
	struct client fifth = client_new(CLIENT_IP, 10, "erin", ""), sixth = client_new(CLIENT_IP, 11, "erin", "");
	assert_int_equal(client_allocate(r, &fifth), 0);
	assert_int_equal(client_allocate(r, &sixth), 486);
	rig_free(r);
}

/* IPv6 counts by /64: what is below it is one customer's to choose. */
static void of_a_v6_prefix(void **state)
{
	struct rig *r = rig_with(rig_policy());
	struct alloc *got;

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		struct table_request q = { .key = { .client = { { 1, 2, i * 7, i } }, .client_port = 5, .proto = 17 }, .username = STR("x"),
					   .user = STR("x"), .max = 1000, .max_of_address = 4, .now_s = 10 };

		assert_int_equal(table_add(r->relay->table, &q, &got), i < 4 ? ERR_OK : ERR_CONFLICT);
		if (i < 4)
			table_start(r->relay->table, got, 1000);
	}
	struct table_request q = { .key = { .client = { { 1, 3, 0, 0 } }, .proto = 17 }, .username = STR("x"), .user = STR("x"),
				   .max = 1000, .max_of_address = 4, .now_s = 10 };
	assert_ok(table_add(r->relay->table, &q, &got));
	table_start(r->relay->table, got, 1000);
	assert_int_equal(table_remove_user(r->relay->table, STR("x"), STR_NONE), 5);
	q.key.client = (struct addr){ { 1, 2, 9, 9 } };
	q.max_of_address = 1;
	assert_ok(table_add(r->relay->table, &q, &got));
	table_start(r->relay->table, got, 1000);
	rig_free(r);
}

static void of_the_relay(void **state)
{
	struct policy *p = rig_policy();
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "bob", ""), c = client_new(CLIENT_IP, 3, "carol", "");

	(void)state;
	p->max_allocations = 2;
	struct rig *r = rig_with(p);
	assert_int_equal(client_allocate(r, &a), 0);
	assert_int_equal(client_allocate(r, &b), 0);
	assert_int_equal(client_allocate(r, &c), 508);
	assert_int_equal(refusals(r, REFUSED_TOTAL), 1);
	assert_int_equal(client_refresh(r, &a, 0), 0);
	assert_int_equal(client_allocate(r, &c), 0);
	rig_free(r);
}

static void put_even(struct wr *w, const void *arg)
{
	put_udp(w, NULL);
	stun_put(w, STUN_EVEN_PORT, str_of(arg, 1));
}

static void put_token(struct wr *w, const void *arg)
{
	put_udp(w, NULL);
	stun_put(w, STUN_RESERVATION_TOKEN, str_of(arg, 8));
}

struct crowd {
	struct client c[2 * PORTS];
	uint8_t token[2 * PORTS][8];
	unsigned count;
	bool seen[PORTS];
};

/* Allocates until refused with 508; every port must be a new one. */
static unsigned take_all(struct rig *r, struct crowd *all, void (*put)(struct wr *w, const void *arg), const void *arg, unsigned parity)
{
	unsigned before = all->count;

	for (;;) {
		struct client *c = &all->c[all->count];
		struct stun_addr relayed;
		struct stun_msg m;

		assert_true(all->count < ARRAY_LEN(all->c) - 1);
		*c = client_new(CLIENT_IP, (uint16_t)(1000 + all->count), "alice", "");
		int code = client_request(r, c, STUN_ALLOCATE, put, arg, &m);
		if (code != 0) {
			assert_int_equal(code, 508);
			return all->count - before;
		}
		assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
		assert_in_range(relayed.port, FIRST, FIRST + PORTS - 1);
		assert_true(parity > 1 || relayed.port % 2 == parity);
		assert_false(all->seen[relayed.port - FIRST]);
		all->seen[relayed.port - FIRST] = true;
		if (stun_has(&m, STUN_RESERVATION_TOKEN))
			memcpy(all->token[all->count], stun_bytes(&m, STUN_RESERVATION_TOKEN).p, 8);
		all->count++;
	}
}

static void give_all(struct rig *r, struct crowd *all)
{
	for (unsigned i = 0; i < all->count; i++)
		assert_int_equal(client_refresh(r, &all->c[i], 0), 0);
	assert_int_equal(table_count(r->relay->table), 0);
	memset(all, 0, sizeof(*all));
}

/* Round after round, in every kind that there is: never one port less. */
static void ports_of_every_kind(void **state)
{
	struct rig *r = rig_with(rig_policy());
	struct crowd *all = calloc(1, sizeof(*all));
	struct stun_msg m;

	(void)state;
	assert_non_null(all);
	for (unsigned round = 0; round < 4; round++) {
		uint64_t before = refusals(r, REFUSED_PORTS);

		assert_int_equal(take_all(r, all, put_udp, NULL, 2), PORTS);
		assert_int_equal(refusals(r, REFUSED_PORTS), before + 1);
		give_all(r, all);
		/* The even ones, then what is left: the odd ones. */
		assert_int_equal(take_all(r, all, put_even, "\0", 0), PORTS / 2);
		assert_int_equal(take_all(r, all, put_udp, NULL, 1), PORTS / 2);
		give_all(r, all);
		/* Pairs; nothing is left beside them, until they are asked for by token. */
		assert_int_equal(take_all(r, all, put_even, "\x80", 0), PORTS / 2);
		assert_int_equal(take_all(r, all, put_udp, NULL, 1), 0);
		for (unsigned i = 0; i < PORTS / 2; i++) {
			struct client c = client_new(CLIENT_IP, (uint16_t)(3000 + i), "alice", "");

			assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_token, all->token[i], &m), 0);
			assert_int_equal(client_refresh(r, &c, 0), 0);
		}
		assert_int_equal(take_all(r, all, put_udp, NULL, 1), PORTS / 2);
		give_all(r, all);
		/* Pairs whose second half nobody asks for. */
		assert_int_equal(take_all(r, all, put_even, "\x80", 0), PORTS / 2);
		rig_pass(r, 32000);
		struct client late = client_new(CLIENT_IP, 2999, "alice", "");
		before = refusals(r, REFUSED_TOKEN);
		assert_int_equal(client_request(r, &late, STUN_ALLOCATE, put_token, all->token[0], &m), 508);
		assert_int_equal(refusals(r, REFUSED_TOKEN), before + 1);
		assert_int_equal(take_all(r, all, put_udp, NULL, 1), PORTS / 2);
		/* And by their lifetime instead of by Refresh. */
		rig_pass(r, 602000);
		assert_int_equal(table_count(r->relay->table), 0);
		memset(all, 0, sizeof(*all));
	}
	free(all);
	rig_free(r);
}

static void refusals_are_metrics(void **state)
{
	struct policy *p = rig_policy();
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "alice", "");
	struct buf text = buf_growing(1 << 20);

	(void)state;
	p->user_allocations = 1;
	struct rig *r = rig_with(p);
	assert_int_equal(client_allocate(r, &a), 0);
	assert_int_equal(client_allocate(r, &b), 486);
	stats_write(&text, r->relay);
	buf_char(&text, '\0');
	assert_non_null(strstr(text.p, "duplex_relay_refused_total{reason=\"user\"} 1\n"));
	assert_non_null(strstr(text.p, "duplex_relay_refused_total{reason=\"address\"} 0\n"));
	buf_fini(&text);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_an_address), cmocka_unit_test(of_a_v6_prefix), cmocka_unit_test(of_the_relay),
		cmocka_unit_test(ports_of_every_kind), cmocka_unit_test(refusals_are_metrics),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
