/* A relay that ends and the next one: what the journal carries over, exactly, and what a changed configuration leaves out. */
#include "tests/flow/relay/survival.h"

static void a_random_life_is_carried_over_exactly(void **state)
{
	struct life l;
	unsigned carried = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 12; seed++) {
		rolls = seed;
		live_begin(&l);
		struct rig *old = begin(5000 + seed * 777);
		for (unsigned i = 0; i < 200 + seed * 60; i++)
			live(old, &l);
		end(old);
		struct rig *now = begin(old->clock.mono_ms + 1000);
		carried += compare(old, now, false);
		assert_int_equal(now->relay->restored.drops[RESTORE_CORRUPT], 0);
		assert_int_equal(now->relay->restored.drops[RESTORE_MISSING], 0);
		assert_int_equal(now->relay->restored.drops[RESTORE_PEER_CORRUPT], 0);
		assert_int_equal(journal_overflows(now->relay->journal), 0);
		end(now);
		/* Each generation is the old one of the next: what was restored is restored again. */
		struct rig *third = begin(now->clock.mono_ms);
		compare(now, third, false);
		end(third);
		rig_free(old);
		rig_free(now);
		rig_free(third);
		(void)unlink(path);
	}
	assert_true(carried > 12 * CLIENTS / 2);
}

static void cells_come_back(void **state)
{
	struct life l;
	struct rig *r = begin(5000);

	(void)state;
	rolls = 99;
	live_begin(&l);
	for (unsigned i = 0; i < 3000; i++)
		live(r, &l);
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)client_refresh(r, &l.c[i], 0);
	assert_int_equal(table_count(r->relay->table), 0);
	assert_int_equal(journal_used(r->relay->journal), 0);
	end(r);
	struct rig *now = begin(r->clock.mono_ms);
	assert_int_equal(now->relay->restored.allocations, 0);
	end(now);
	rig_free(now);
	rig_free(r);
}

static void media_and_requests_go_on(void **state)
{
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	const uint8_t data[] = { 0x40, 0x01, 0x00, 0x03, 'a', 'b', 'c', 0 };
	struct rig *old = begin(5000), *now;

	(void)state;
	assert_int_equal(client_allocate(old, &c), 0);
	assert_int_equal(client_bind(old, &c, 0x4001, PEER_IP, 7000), 0);
	assert_int_equal(client_permit(old, &c, OTHER_IP), 0);
	end(old);
	now = begin(old->clock.mono_ms + 900);
	/* The first packets wait for the neighbour to answer, and are not lost. */
	client_datagram(now, &c, data, 7);
	rig_expect(now, RELAY_IP, c.relayed, PEER_IP, 7000, "abc", 3);
	peer_datagram(now, 0, PEER_IP, 7000, c.relayed, "xyz", 3);
	rig_expect_channel(now, &c, 0x4001, "xyz", 3);
	peer_datagram(now, 0, OTHER_IP, 9, c.relayed, "xyz", 3);
	rig_expect_data(now, &c, OTHER_IP, 9, "xyz", 3);
	/* Not widened: another host is refused, and the permission ends when it would have ended. */
	peer_datagram(now, 0, THIRD_IP, 9, c.relayed, "xyz", 3);
	assert_int_equal(now->outs, 0);
	rig_pass(now, (PERMISSION_LIFETIME_S - 2) * 1000);
	peer_datagram(now, 0, OTHER_IP, 9, c.relayed, "xyz", 3);
	assert_int_equal(now->outs, 1);
	rig_pass(now, 2000);
	peer_datagram(now, 0, OTHER_IP, 9, c.relayed, "xyz", 3);
	assert_int_equal(now->outs, 0);
	/* The nonce and the key of before are good; what is renewed is renewed in the journal too. */
	assert_int_equal(client_bind(now, &c, 0x4001, PEER_IP, 7000), 0);
	assert_int_equal(client_refresh(now, &c, 900), 0);
	end(now);
	struct rig *third = begin(now->clock.mono_ms + 1);
	assert_int_equal(compare(now, third, false), 1);
	peer_datagram(third, 0, PEER_IP, 7000, c.relayed, "xyz", 3);
	rig_expect_channel(third, &c, 0x4001, "xyz", 3);
	assert_int_equal(client_refresh(third, &c, 0), 0);
	end(third);
	rig_free(old);
	rig_free(now);
	rig_free(third);
}

/* Two clients whose channels lead to each other's relayed address, behind others in the table. */
static void channels_to_each_other_go_on(void **state)
{
	struct client first = client_new(CLIENT_IP, 1111, "carol", ""), a = client_new(CLIENT_IP, 1234, "alice", ""),
		      b = client_new(CLIENT_IP, 4321, "bob", "");
	struct rig *old = begin(5000), *now;

	(void)state;
	assert_int_equal(client_allocate(old, &first), 0);
	assert_int_equal(client_allocate(old, &a), 0);
	assert_int_equal(client_allocate(old, &b), 0);
	assert_int_equal(client_bind(old, &a, 0x4001, RELAY_IP, b.relayed), 0);
	assert_int_equal(client_bind(old, &b, 0x4002, RELAY_IP, a.relayed), 0);
	end(old);
	now = begin(old->clock.mono_ms + 900);
	client_channel_data(now, &a, 0x4001, "there", 5, 0);
	rig_expect_channel(now, &b, 0x4002, "there", 5);
	client_channel_data(now, &b, 0x4002, "back", 4, 0);
	rig_expect_channel(now, &a, 0x4001, "back", 4);
	end(now);
	rig_free(old);
	rig_free(now);
}

/* All next hops are asked for within a few ticks, before anybody sends: more than fit into one. */
static void neighbours_are_found_at_once(void **state)
{
	struct client c[60];
	struct rig *old = begin(5000);

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		c[i] = client_new(IPV4(198, 41, 0, 10 + i), 3000, "bob", "");
		assert_int_equal(client_allocate(old, &c[i]), 0);
		assert_int_equal(client_bind(old, &c[i], 0x4001, IPV4(198, 41, 0, 100 + i), 7000), 0);
	}
	end(old);
	struct rig *now = begin(old->clock.mono_ms);
	for (unsigned i = 0; i < 5; i++) {
		now->clock.mono_ms++;
		path_tick(&now->path[0], &now->clock);
		rig_take_extra(now, 0);
		now->outs = 0;
	}
	assert_int_equal(now->arp_asked, 2 * ARRAY_LEN(c));
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		peer_datagram(now, 0, IPV4(198, 41, 0, 100 + i), 7000, c[i].relayed, "xyz", 3);
		rig_expect_channel(now, &c[i], 0x4001, "xyz", 3);
	}
	assert_int_equal(now->arp_asked, 2 * ARRAY_LEN(c));
	end(now);
	rig_free(old);
	rig_free(now);
}

static void put_pair(struct wr *w, const void *arg)
{
	put_udp(w, NULL);
	if (arg == NULL)
		stun_put(w, STUN_EVEN_PORT, str_of("\x80", 1));
	else
		stun_put(w, STUN_RESERVATION_TOKEN, str_of(arg, 8));
}

static void a_reservation_outlives_the_relay(void **state)
{
	struct client c = client_new(CLIENT_IP, 1234, "alice", ""), d = client_new(CLIENT_IP, 1235, "alice", "");
	struct rig *old = begin(5000);
	struct stun_msg m;
	struct stun_addr relayed, second;
	char token[8];

	(void)state;
	assert_int_equal(client_request(old, &c, STUN_ALLOCATE, put_pair, NULL, &m), 0);
	memcpy(token, stun_bytes(&m, STUN_RESERVATION_TOKEN).p, 8);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	end(old);
	struct rig *now = begin(old->clock.mono_ms + 1000);
	assert_int_equal(now->relay->restored.reservations, 1);
	assert_int_equal(client_request(now, &d, STUN_ALLOCATE, put_pair, token, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &second));
	assert_int_equal(second.port, relayed.port + 1);
	end(now);
	/* Used up, and used up for good. */
	struct rig *third = begin(now->clock.mono_ms);
	assert_int_equal(third->relay->restored.reservations, 0);
	assert_int_equal(third->relay->restored.allocations, 2);
	end(third);
	rig_free(old);
	rig_free(now);
	rig_free(third);
}

/* --- another configuration --- */

static void a_changed_configuration_is_respected(void **state)
{
	struct client c[20];
	struct rig *old = begin(5000);
	struct policy *strict = rig_policy();
	char bad_text[] = "9.9.9.9/32";
	struct str bad;

	(void)state;
	fill(old, c, 20);
	end(old);
	strict->max_allocations = 12;
	assert_ok(filter_parse("", bad_text, false, &strict->filter, &bad));
	struct rig *now = rig_new(1, FIRST, FIRST + 31, strict);
	start(now, old->clock.mono_ms);
	const struct restore_counts *n = &now->relay->restored;
	assert_int_equal(n->allocations + n->drops[RESTORE_PORT] + n->drops[RESTORE_LIMIT], 20);
	assert_true(n->drops[RESTORE_PORT] > 0 && n->allocations <= 12);
	assert_int_equal(n->channels, 0);
	assert_int_equal(n->permissions, n->allocations);
	assert_int_equal(n->drops[RESTORE_PEER_DENIED], 2 * n->allocations);
	compare(old, now, true);
	end(now);
	rig_free(now);
	rig_free(old);
}

static void an_address_that_is_gone(void **state)
{
	struct client c = client_new(CLIENT_IP, 3000, "bob", "");
	struct rig *old = rig_new_ports(1, 2, FIRST, LAST, rig_policy());

	(void)state;
	start(old, 5000);
	c.server = SECOND_IP;
	assert_int_equal(client_allocate(old, &c), 0);
	end(old);
	struct rig *now = begin(old->clock.mono_ms);
	assert_int_equal(now->relay->restored.drops[RESTORE_ADDRESS], 1);
	assert_int_equal(table_count(now->relay->table), 0);
	end(now);
	rig_free(now);
	rig_free(old);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_random_life_is_carried_over_exactly), T(cells_come_back), T(media_and_requests_go_on), T(channels_to_each_other_go_on), T(neighbours_are_found_at_once),
		T(a_reservation_outlives_the_relay), T(a_changed_configuration_is_respected), T(an_address_that_is_gone),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
