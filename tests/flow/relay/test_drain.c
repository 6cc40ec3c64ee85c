/* A relay that sends clients elsewhere, for good or because it is to end: new allocations are refused or redirected,
 * everything else goes on. */
#include <pthread.h>

#include "tests/flow/relay/rig.h"

static int set_up(void **state)
{
	*state = rig_new(1, 50000, 50099, rig_policy());
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct alternates servers(const char *text)
{
	struct alternates all;
	struct str bad;

	assert_ok(alternates_parse(text, &all, &bad));
	return all;
}

/* The relay's only worker is this thread. */
static enum err set_drain(struct rig *r, const struct drain *d)
{
	rcu_offline(r->relay->rcu, 0);
	enum err e = relay_set_drain(r->relay, d);
	rcu_online(r->relay->rcu, 0);
	return e;
}

static void set_policy(struct rig *r, struct policy *p)
{
	rcu_offline(r->relay->rcu, 0);
	relay_set_policy(r->relay, p);
	rcu_online(r->relay->rcu, 0);
}

/* 300 with this server, in clear, sealed; the client's credentials were asked for first. */
static void expect_redirected(struct rig *r, struct client *c, const char *to)
{
	struct alternates want = servers(to);
	struct stun_addr got;
	struct stun_msg m;

	assert_int_equal(client_request(r, c, STUN_ALLOCATE, put_udp, NULL, &m), 300);
	assert_ok(stun_address(&m, STUN_ALTERNATE_SERVER, &got));
	assert_memory_equal(&got, &want.at[0], sizeof(got));
	assert_false(stun_has(&m, STUN_ALTERNATE_DOMAIN)); /* not over UDP */
}

static void living_go_on(struct rig *r, struct client *c)
{
	assert_int_equal(client_refresh(r, c, 600), 0);
	assert_int_equal(client_permit(r, c, PEER_IP), 0);
	assert_int_equal(client_bind(r, c, 0x4000, PEER_IP, 9), 0);
	client_channel_data(r, c, 0x4000, "media", 5, 0);
	rig_expect(r, RELAY_IP, c->relayed, PEER_IP, 9, "media", 5);
	peer_datagram(r, 0, PEER_IP, 9, c->relayed, "back", 4);
	rig_expect_channel(r, c, 0x4000, "back", 4);
}

static void refusing(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "bob", "");
	struct drain d = { .mode = DRAIN_REFUSE };
	uint8_t out[512];
	struct stun_msg m;

	client_get_nonce(r, &a);
	struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
	put_udp(&w, NULL);
	size_t len = client_seal(&a, &w);
	assert_int_equal(client_exchange(r, &a, out, len, &m), 0);
	struct stun_addr relayed;
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	a.relayed = relayed.port;
	assert_false(relay_draining(r->relay));
	assert_false(relay_drained(r->relay, 1));

	assert_ok(set_drain(r, &d));
	assert_true(relay_draining(r->relay));
	assert_int_equal(client_allocate(r, &b), 486);
	/* The answer to an Allocate that was served may have been lost. */
	assert_int_equal(client_exchange(r, &a, out, len, &m), 0);
	living_go_on(r, &a);
	assert_false(relay_drained(r->relay, UINT64_MAX));
	assert_int_equal(client_refresh(r, &a, 0), 0);
	assert_true(relay_drained(r->relay, 1));
	assert_int_equal(client_allocate(r, &a), 486);

	d.mode = DRAIN_OFF;
	assert_ok(set_drain(r, &d));
	assert_false(relay_drained(r->relay, 1));
	assert_int_equal(client_allocate(r, &b), 0);
}

static void redirecting(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "bob", "");
	struct drain d = { .mode = DRAIN_REDIRECT, .deadline_ms = 9000 };
	struct stun_msg m;

	assert_err(set_drain(r, &d), ERR_INVALID);
	assert_false(relay_draining(r->relay));
	assert_int_equal(client_allocate(r, &a), 0);
	d.to = servers("[2001:db8::1] 192.0.2.7:3479");
	assert_ok(set_drain(r, &d));
	expect_redirected(r, &b, "192.0.2.7:3479");
	/* Strangers learn nothing: they are asked who they are. */
	b.key[0] ^= 1;
	assert_int_equal(client_request(r, &b, STUN_ALLOCATE, put_udp, NULL, &m), 401);
	assert_false(stun_has(&m, STUN_ALTERNATE_SERVER));
	b.key[0] ^= 1;
	/* What is wrong with a request is told first. */
	assert_int_equal(client_request(r, &b, STUN_ALLOCATE, NULL, NULL, &m), 400);
	living_go_on(r, &a);
	assert_false(relay_drained(r->relay, 8999));
	assert_true(relay_drained(r->relay, 9000));
	/* None of this family: there is nothing to send it to. */
	d.to = servers("[2001:db8::1]");
	assert_ok(set_drain(r, &d));
	assert_int_equal(client_allocate(r, &b), 486);
}

static void as_configured(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "bob", "");
	struct policy *p = rig_policy();

	assert_int_equal(client_allocate(r, &a), 0);
	rcu_offline(r->relay->rcu, 0);
	assert_ok(relay_drain_as_configured(r->relay, 5000));
	rcu_online(r->relay->rcu, 0);
	assert_int_equal(client_allocate(r, &b), 486);
	assert_false(relay_drained(r->relay, UINT64_MAX));
	p->drain_to = servers("192.0.2.8");
	p->drain_time_s = 10;
	set_policy(r, p);
	rcu_offline(r->relay->rcu, 0);
	assert_ok(relay_drain_as_configured(r->relay, 5000));
	rcu_online(r->relay->rcu, 0);
	expect_redirected(r, &b, "192.0.2.8");
	assert_false(relay_drained(r->relay, 14999));
	assert_true(relay_drained(r->relay, 15000));
}

static void for_good(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "bob", "");
	struct policy *p = rig_policy();

	assert_int_equal(client_allocate(r, &a), 0);
	p->alternates = servers("192.0.2.1:443");
	(void)str_copy(STR("turn.example.org"), p->alternate_domain, sizeof(p->alternate_domain));
	set_policy(r, p);
	expect_redirected(r, &b, "192.0.2.1:443");
	living_go_on(r, &a);
	assert_false(relay_drained(r->relay, UINT64_MAX));
	/* Draining comes first. */
	assert_ok(set_drain(r, &(struct drain){ .mode = DRAIN_REFUSE }));
	assert_int_equal(client_allocate(r, &b), 486);
	/* A client of a family that no server has is served here. */
	assert_ok(set_drain(r, &(struct drain){ .mode = DRAIN_OFF }));
	p = rig_policy();
	p->alternates = servers("[2001:db8::1]:443");
	set_policy(r, p);
	assert_int_equal(client_allocate(r, &b), 0);
}

/* The control socket, Redis and a signal may all ask at once, while the configuration is read again. */
static atomic_bool asked_enough;

static void *asker(void *arg)
{
	struct relay *r = arg;

	for (unsigned n = 0; n < 300; n++) {
		struct drain d = { .mode = n % 2 == 0 ? DRAIN_REFUSE : DRAIN_OFF, .deadline_ms = n };

		assert_ok(n % 3 == 0 ? relay_drain_as_configured(r, n) : relay_set_drain(r, &d));
		(void)relay_drained(r, n);
	}
	return NULL;
}

static void *reloader(void *arg)
{
	struct relay *r = arg;

	while (!atomic_load(&asked_enough)) {
		struct policy *p = rig_policy();

		p->drain_to = servers("192.0.2.1");
		p->drain_time_s = 5;
		relay_set_policy(r, p);
	}
	return NULL;
}

static void all_ask_at_once(void **state)
{
	struct rig *r = *state;
	pthread_t threads[4];

	rcu_offline(r->relay->rcu, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 3 ? asker : reloader, r->relay), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	atomic_store(&asked_enough, true);
	assert_int_equal(pthread_join(threads[3], NULL), 0);
	assert_ok(relay_set_drain(r->relay, &(struct drain){ .mode = DRAIN_OFF }));
	rcu_online(r->relay->rcu, 0);
	struct client c = client_new(CLIENT_IP, 1, "alice", "");
	assert_int_equal(client_allocate(r, &c), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { T(refusing), T(redirecting), T(as_configured), T(for_good), T(all_ask_at_once) };

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
