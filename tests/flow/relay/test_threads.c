/* Two workers and a control thread at once, on real threads: data flows on one while allocations come, change
 * and go on the other and are revoked from the third. What must hold: nothing is read after it was freed (the
 * sanitizer looks), no datagram comes out for the wrong client, and at the end every port is back. */
#include "tests/flow/relay/threads.h"

#define ROUNDS 400u
#define CLIENTS 16u
#define FIRST 50000u

static atomic_bool done;
static _Atomic unsigned delivered;

/* The client's number is in its address, in its channel's data and in its peer's port. */
static uint32_t ip_of(unsigned i)
{
	return IPV4(8, 8, 1, i);
}

static void check_out(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN;

	if (p->verdict != PKT_SEND || ip[IP_PROTO] != IPPROTO_UDP_V4)
		return;
	assert_true(udp_sum_ok(ip));
	if (be16_get(ip + UDP_SPORT) != TURN_PORT) {
		assert_int_equal(be16_get(ip + UDP_DPORT), 9000 + ip[UDP_DATA]);
		atomic_fetch_add(&delivered, 1);
	}
}

static void forward_burst(struct side *s, unsigned seed)
{
	struct pkt p[BURST];
	struct rig *r = s->r;

	for (unsigned i = 0; i < BURST; i++) {
		unsigned who = (seed + i) % CLIENTS;
		uint8_t data[] = { 0x40, 0x01, 0x00, 0x01, (uint8_t)who };

		p[i] = (struct pkt){ .buf = s->buf[i],
				     .start = s->buf[i],
				     .end = s->buf[i] + RIG_FRAME,
				     .data = s->buf[i] + RIG_HEADROOM };
		if (i % 2 == 0)
			p[i].len = (uint32_t)rig_udp(p[i].data, ip_of(who), 1000, RELAY_IP, TURN_PORT, data, sizeof(data));
		else
			p[i].len = (uint32_t)rig_udp(p[i].data, PEER_IP, (uint16_t)(9000 + who), RELAY_IP,
						     (uint16_t)(FIRST + i), data, 3);
	}
	path_burst(&r->path[s->worker], p, BURST, &r->clock);
	for (unsigned i = 0; i < BURST; i++) {
		assert_int_not_equal(p[i].verdict, PKT_HOLD);
		check_out(&p[i]);
	}
	no_extra(&r->path[s->worker]);
	rcu_quiescent(r->relay->rcu, s->worker);
}

static void *forwarder(void *arg)
{
	struct side *s = arg;

	rcu_online(s->r->relay->rcu, s->worker);
	for (unsigned seed = 0; !atomic_load(&done); seed++)
		forward_burst(s, seed);
	rcu_offline(s->r->relay->rcu, s->worker);
	return NULL;
}

static void *revoker(void *arg)
{
	struct rig *r = arg;
	char name[16];

	for (unsigned n = 0; !atomic_load(&done); n++) {
		(void)snprintf(name, sizeof(name), "user%u", n % CLIENTS);
		(void)table_remove_user(r->relay->table, str_from(name), STR_NONE);
		if (n % 8 == 0) {
			struct policy *p = rig_policy();

			relay_set_policy(r->relay, p);
		}
		sched_yield();
	}
	return NULL;
}

/* One request of a client through worker 1; the answer's code, -1 if there is none. */
static int request(struct side *s, struct client *c, unsigned method, void (*put)(struct wr *w, const void *arg), const void *arg)
{
	uint8_t out[512], tid[STUN_TID_LEN];
	struct wr w = wr_of(out, sizeof(out));
	struct rig *r = s->r;
	struct stun_msg m;
	struct pkt p = { .buf = s->buf[0], .start = s->buf[0], .end = s->buf[0] + RIG_FRAME, .data = s->buf[0] + RIG_HEADROOM };

	crypto_random(tid, sizeof(tid));
	stun_begin(&w, STUN_REQUEST, method, tid);
	if (put != NULL)
		put(&w, arg);
	size_t len = client_seal(c, &w);
	p.len = (uint32_t)rig_udp(p.data, c->ip, c->port, RELAY_IP, TURN_PORT, out, len);
	path_burst(&r->path[s->worker], &p, 1, &r->clock);
	path_tick(&r->path[s->worker], &r->clock);
	no_extra(&r->path[s->worker]);
	rcu_quiescent(r->relay->rcu, s->worker);
	if (p.verdict != PKT_SEND)
		return -1;
	assert_ok(stun_parse(p.data + HEADERS_LEN, p.len - HEADERS_LEN, &m));
	if (stun_has(&m, STUN_NONCE))
		client_take_nonce(c, &m);
	return m.class == STUN_SUCCESS ? 0 : (int)stun_error_code(&m);
}

static void churn(struct side *s, struct client *c, unsigned who, unsigned round)
{
	struct rig_peer peer = { .ip = PEER_IP, .port = (uint16_t)(9000 + who), .channel = 0x4001 },
			other = { .ip = IPV4(9, 9, 9, round & 7), .port = 1 };
	uint32_t zero = 0;

	int code = request(s, c, STUN_ALLOCATE, put_udp, NULL);
	if (code == 401 || code == 438)
		code = request(s, c, STUN_ALLOCATE, put_udp, NULL);
	assert_true(code == 0 || code == 437 || code == 508);
	code = request(s, c, STUN_CHANNEL_BIND, put_peer, &peer);
	assert_true(code == 0 || code == 437);
	code = request(s, c, STUN_CREATE_PERMISSION, put_peer, &other);
	assert_true(code == 0 || code == 437);
	if (round % 3 == 0) {
		code = request(s, c, STUN_REFRESH, put_lifetime, &zero);
		assert_true(code == 0 || code == 437);
	}
}

static void all_at_once(void **state)
{
	struct rig *r = rig_new(2, FIRST, FIRST + BURST - 1, rig_policy());
	struct side *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two));
	struct client c[CLIENTS];
	pthread_t threads[2];

	(void)state;
	assert_true(one != NULL && two != NULL);
	threads_prepare(r);
	one->r = two->r = r;
	two->worker = 1;
	rcu_offline(r->relay->rcu, 0);
	assert_int_equal(pthread_create(&threads[0], NULL, forwarder, one), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, revoker, r), 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "user%u", i);
		c[i] = client_new(ip_of(i), 1000, name, "");
	}
	for (unsigned round = 0; round < ROUNDS || (atomic_load(&delivered) == 0 && round < 100 * ROUNDS); round++)
		churn(two, &c[round % CLIENTS], round % CLIENTS, round);
	atomic_store(&done, true);
	rcu_offline(r->relay->rcu, 1);
	assert_int_equal(pthread_join(threads[0], NULL), 0);
	assert_int_equal(pthread_join(threads[1], NULL), 0);
	assert_true(atomic_load(&delivered) > 0);

	/* Everything is taken out; every port can be had. */
	for (unsigned i = 0; i < CLIENTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "user%u", i);
		(void)table_remove_user(r->relay->table, str_from(name), STR_NONE);
	}
	assert_int_equal(table_count(r->relay->table), 0);
	for (unsigned i = 0; i < BURST; i++) {
		struct table_request q = { .key = { .client = addr_v4(i), .proto = 17 },
					   .username = STR("x"),
					   .user = STR("x"),
					   .max = 1000,
					   .now_s = 10 };
		struct alloc *got;

		assert_ok(table_add(r->relay->table, &q, &got));
		table_start(r->relay->table, got, 1000);
	}
	rig_free(r);
	free(one);
	free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_at_once) };

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
