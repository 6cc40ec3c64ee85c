/* Requests that come twice because an answer was lost: the second answer has the bytes of the first, and nothing happens
 * twice (RFC 8489 §6.3.1; RFC 8656 §7.2, §8, §10.2, §12.2). */
#include "tests/flow/relay/rig.h"

static int set_up(void **state)
{
	*state = rig_new(2, 50000, 50099, rig_policy());
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

struct twice {
	uint8_t request[512], answer[512];
	size_t request_len, answer_len;
};

static int send_first(struct rig *r, struct client *c, unsigned method, void (*put)(struct wr *w, const void *arg), const void *arg,
		      struct twice *t)
{
	struct stun_msg m;

	if (c->nonce_len == 0)
		client_get_nonce(r, c);
	struct wr w = client_begin(r, t->request, sizeof(t->request), method);
	if (put != NULL)
		put(&w, arg);
	t->request_len = client_seal(c, &w);
	int code = client_exchange(r, c, t->request, t->request_len, &m);
	t->answer_len = m.len;
	memcpy(t->answer, m.p, m.len);
	return code;
}

/* The same bytes again, over the other worker if there is one to choose. */
static int send_again(struct rig *r, struct client *c, struct twice *t, bool *same)
{
	struct stun_msg m;

	c->worker ^= 1;
	int code = client_exchange(r, c, t->request, t->request_len, &m);
	*same = m.len == t->answer_len && memcmp(m.p, t->answer, m.len) == 0;
	return code;
}

static void assert_same_again(struct rig *r, struct client *c, struct twice *t)
{
	bool same;

	assert_int_equal(send_again(r, c, t, &same), 0);
	assert_true(same);
}

static void each_request(void **state)
{
	static const struct rig_peer peer = { .ip = PEER_IP, .port = 9, .channel = 0x4001 }, other = { .ip = IPV4(9, 9, 9, 8), .port = 1 };
	static const uint32_t wish = 1234;
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct twice t;

	assert_int_equal(send_first(r, &c, STUN_ALLOCATE, put_udp, NULL, &t), 0);
	rig_pass(r, 500);
	assert_same_again(r, &c, &t);
	assert_int_equal(table_count(r->relay->table), 1);
	assert_int_equal(send_first(r, &c, STUN_CREATE_PERMISSION, put_peer, &other, &t), 0);
	rig_pass(r, 500);
	assert_same_again(r, &c, &t);
	assert_int_equal(send_first(r, &c, STUN_CHANNEL_BIND, put_peer, &peer, &t), 0);
	rig_pass(r, 500);
	assert_same_again(r, &c, &t);
	const struct peers *b = alloc_peers(table_by_port(r->relay->table, 0, 50000));
	for (uint16_t port = 50001; b == NULL && port <= 50099; port++)
		b = alloc_peers(table_by_port(r->relay->table, 0, port));
	assert_non_null(b);
	assert_int_equal(b->chans, 1);
	assert_int_equal(b->perms, 2);
	assert_int_equal(send_first(r, &c, STUN_REFRESH, put_lifetime, &wish, &t), 0);
	rig_pass(r, 500);
	assert_same_again(r, &c, &t);
}

/* The allocation is gone when the Refresh comes again, and so may be the client's interest: but it was told 0 before. */
static void the_last_refresh(void **state)
{
	static const uint32_t zero = 0;
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", ""), other = client_new(CLIENT_IP, 1235, "alice", "");
	struct twice t, allocate;
	bool same;

	assert_int_equal(send_first(r, &c, STUN_ALLOCATE, put_udp, NULL, &allocate), 0);
	assert_int_equal(send_first(r, &c, STUN_REFRESH, put_lifetime, &zero, &t), 0);
	assert_int_equal(table_count(r->relay->table), 0);
	assert_same_again(r, &c, &t);
	rig_pass(r, 3000);
	assert_same_again(r, &c, &t);
	/* Only this transaction, from this 5-tuple, and not for ever. */
	assert_int_equal(client_refresh(r, &c, 0), 437);
	assert_int_equal(client_exchange(r, &other, t.request, t.request_len, &(struct stun_msg){ 0 }), 438);
	assert_int_equal(client_refresh(r, &other, 0), 437);

	/* A new allocation on the 5-tuple is not ended by an old Refresh that was under way for long. */
	assert_int_equal(client_allocate(r, &c), 0);
	assert_same_again(r, &c, &t);
	assert_int_equal(table_count(r->relay->table), 1);
	assert_int_equal(client_refresh(r, &c, 600), 0);
	assert_int_equal(client_refresh(r, &c, 0), 0);
	rig_pass(r, 41000);
	assert_int_equal(send_again(r, &c, &t, &same), 437);
}

/* Whoever only listens to the network and repeats what he heard gains nothing by it. */
static void without_the_password_nothing(void **state)
{
	static const uint32_t zero = 0;
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct twice t;
	bool same;

	assert_int_equal(send_first(r, &c, STUN_ALLOCATE, put_udp, NULL, &t), 0);
	assert_int_equal(send_first(r, &c, STUN_REFRESH, put_lifetime, &zero, &t), 0);
	t.request[t.request_len - 1] ^= 1;
	assert_int_equal(send_again(r, &c, &t, &same), 401);
}

/* More ends than are remembered: the newest are. */
static void many_ends(void **state)
{
	struct rig *r = *state;
	struct ended *d = &r->relay->ended;
	struct flow_key key = { .client = addr_v4(CLIENT_IP), .proto = 17 };
	uint8_t tid[STUN_TID_LEN] = { 0 };
	unsigned kept = 0, total = 3 * ENDED_SETS * ENDED_WAYS;

	for (uint32_t i = 0; i < total; i++) {
		memcpy(tid, &i, sizeof(i));
		ended_note(d, &key, tid, 100);
		assert_true(ended_is(d, &key, tid, 100));
		assert_true(ended_is(d, &key, tid, 100 + ENDED_S - 1));
		assert_false(ended_is(d, &key, tid, 100 + ENDED_S));
		key.client_port = 1;
		assert_false(ended_is(d, &key, tid, 100));
		key.client_port = 0;
	}
	for (uint32_t i = 0; i < total; i++) {
		memcpy(tid, &i, sizeof(i));
		kept += ended_is(d, &key, tid, 100);
	}
	assert_true(kept <= ENDED_SETS * ENDED_WAYS && kept > ENDED_SETS * ENDED_WAYS / 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { T(each_request), T(the_last_refresh), T(without_the_password_nothing), T(many_ends) };

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
