/* A port whose address is the kernel's: the relay asks nobody on the wire and announces nothing; it waits for what the
 * kernel knows, and follows it. */
#include "tests/flow/relay/rig.h"

#include "relay/kernel.h"

#define NEAR_IP IPV4(198, 41, 0, 7)

static struct client alice;

static int set_up(void **state)
{
	struct ifaces ifaces = rig_ifaces_dual(1);

	ifaces.at[0].of_kernel = true;
	ifaces.at[0].ip[0].gateway = kernel_gateway(false);
	ifaces.at[0].ip[1].gateway = kernel_gateway(true);
	struct rig *r = rig_new_ifaces(1, &ifaces, 50000, 50099, rig_policy());
	alice = client_new(CLIENT_IP, 1234, "alice", "");
	assert_int_equal(client_allocate(r, &alice), 0);
	r->path[0].asks_kernel = false;
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

/* Data of the client for a peer there. */
static void to_peer(struct rig *r, uint32_t ip)
{
	client_send_indication(r, &alice, ip, 9000, "data", 4);
}

static void tick(struct rig *r, uint64_t ms)
{
	r->outs = 0;
	r->clock.mono_ms += ms;
	path_tick(&r->path[0], &r->clock);
	rig_take_extra(r, 0);
}

static uint32_t seconds(const struct rig *r)
{
	return (uint32_t)(r->clock.mono_ms / 1000) + 1;
}

static bool is_wanted(struct rig *r, struct addr who)
{
	bool found = false;
	unsigned iface;
	struct addr ip;

	for (unsigned i = 0; i < NEIGH_SIZE; i++) {
		if (!neigh_wanted(&r->relay->neigh, i, seconds(r), &iface, &ip))
			continue;
		assert_int_equal(iface, 0);
		found |= addr_eq(&ip, &who);
	}
	return found;
}

static void learn(struct rig *r, struct addr ip, uint8_t last_of_mac)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, last_of_mac };

	neigh_learn(&r->relay->neigh, 0, &ip, mac, false, NEIGH_REPLACE, seconds(r));
}

static void sent_to(const struct rig *r, uint8_t last_of_mac)
{
	assert_int_equal(r->outs, 1);
	assert_int_equal(r->out[0].bytes[5], last_of_mac);
}

static void nothing_is_announced(void **state)
{
	struct rig *r = *state;

	tick(r, 100);
	assert_int_equal(r->outs, 0);
	tick(r, 70000);
	assert_int_equal(r->outs, 0);
	assert_false(r->path[0].asks_kernel);
}

static void data_wait_for_the_kernel(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &alice, NEAR_IP), 0);
	assert_true(r->path[0].asks_kernel);
	assert_true(is_wanted(r, addr_v4(NEAR_IP)));
	to_peer(r, NEAR_IP);
	assert_int_equal(r->outs, 0);
	assert_int_equal(r->arp_asked, 0);

	learn(r, addr_v4(NEAR_IP), 7);
	assert_false(is_wanted(r, addr_v4(NEAR_IP)));
	tick(r, 10);
	sent_to(r, 7);

	/* The next needs nobody. */
	r->path[0].asks_kernel = false;
	to_peer(r, NEAR_IP);
	sent_to(r, 7);
	assert_false(r->path[0].asks_kernel);
}

static void beyond_the_subnet_is_the_gateway(void **state)
{
	struct rig *r = *state;
	struct addr gateway = kernel_gateway(false);

	assert_int_equal(client_permit(r, &alice, PEER_IP), 0);
	assert_true(is_wanted(r, gateway));
	learn(r, gateway, 8);
	to_peer(r, PEER_IP);
	sent_to(r, 8);
	/* The kernel has another route by now. */
	learn(r, gateway, 9);
	to_peer(r, PEER_IP);
	sent_to(r, 9);
}

static void a_neighbour_in_use_is_confirmed(void **state)
{
	struct rig *r = *state;

	assert_int_equal(client_permit(r, &alice, NEAR_IP), 0);
	learn(r, addr_v4(NEAR_IP), 7);
	tick(r, (NEIGH_STALE_S - 5) * 1000);
	to_peer(r, NEAR_IP);
	sent_to(r, 7);
	r->path[0].asks_kernel = false;
	tick(r, 6000);
	assert_true(r->path[0].asks_kernel);
	assert_true(is_wanted(r, addr_v4(NEAR_IP)));
	learn(r, addr_v4(NEAR_IP), 7);
	assert_false(is_wanted(r, addr_v4(NEAR_IP)));
	to_peer(r, NEAR_IP);
	sent_to(r, 7);
}

/* What nobody looked for is not taken from the kernel: its table may be large. */
static void strangers_are_not_learned(void **state)
{
	struct rig *r = *state;

	learn(r, addr_v4(NEAR_IP), 5);
	assert_int_equal(client_permit(r, &alice, NEAR_IP), 0);
	to_peer(r, NEAR_IP);
	assert_int_equal(r->outs, 0);
	assert_true(is_wanted(r, addr_v4(NEAR_IP)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_announced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(data_wait_for_the_kernel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(beyond_the_subnet_is_the_gateway, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_neighbour_in_use_is_confirmed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(strangers_are_not_learned, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
