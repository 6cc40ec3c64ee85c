/* Clients move to and fro (RFC 8016) on one worker while the other forwards for them from both places, and a third thread
 * revokes them. No datagram goes to an address of one place with the port of the other, none to another client, and at
 * the end every port and every stand-in is back. */
#include "relay/table_walk.h"
#include "relay/turn.h"
#include "tests/flow/relay/threads.h"

#define MOVES 15000u
#define CLIENTS 8u
#define FIRST 50000u
#define PORTS 32u

static atomic_bool done;
static _Atomic uint16_t relayed[CLIENTS];
static _Atomic uint64_t delivered[2], sent_out;

/* Two places of a client: no byte of the addresses and ports of one is in the other, but for the client's number. */
static uint32_t ip_of(unsigned who, unsigned place)
{
	return place == 0 ? IPV4(8, 8, 1, who) : IPV4(9, 5, 2, who);
}

static uint16_t port_of(unsigned place)
{
	return place == 0 ? 0x1111 : 0x2222;
}

static void check_out(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_LEN, *data = ip + UDP_DATA;

	if (p->verdict != PKT_SEND || be16_get(p->data + 12) != ETHERTYPE_V4 || ip[IP_PROTO] != IPPROTO_UDP_V4)
		return;
	assert_true(udp_sum_ok(ip));
	if (be16_get(ip + UDP_SPORT) != TURN_PORT) {
		assert_int_equal(be16_get(ip + UDP_DPORT), 9000 + data[0]);
		atomic_fetch_add(&sent_out, 1);
	} else if (be16_get(data) == 0x4001) {
		unsigned who = data[4], place = be16_get(ip + UDP_DPORT) == port_of(1);

		assert_int_equal(be16_get(ip + UDP_DPORT), port_of(place));
		assert_int_equal(ne32(ip + IP_DST), ip_of(who, place));
		atomic_fetch_add(&delivered[place], 1);
	}
}

static void forward_burst(struct side *s, unsigned seed)
{
	struct pkt p[BURST];
	struct rig *r = s->r;

	for (unsigned i = 0; i < BURST; i++) {
		unsigned who = (seed + i / 4) % CLIENTS;
		uint8_t data[] = { 0x40, 0x01, 0x00, 0x01, (uint8_t)who };

		p[i] = (struct pkt){
			.buf = s->buf[i], .start = s->buf[i], .end = s->buf[i] + RIG_FRAME, .data = s->buf[i] + RIG_HEADROOM
		};
		/* Seldom from a client, so that the moves take their time; often from the peer. */
		if (i % 4 == 0 && seed % 16 < 2)
			p[i].len = (uint32_t)rig_udp(p[i].data, ip_of(who, seed % 2), port_of(seed % 2), RELAY_IP, TURN_PORT, data, sizeof(data));
		else
			p[i].len = (uint32_t)rig_udp(p[i].data, PEER_IP, (uint16_t)(9000 + who), RELAY_IP, atomic_load(&relayed[who]), data + 4, 1);
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
	const struct timespec pause = { .tv_nsec = 2000000 };
	struct rig *r = arg;
	char name[16];

	for (unsigned n = 0; !atomic_load(&done); n++) {
		(void)snprintf(name, sizeof(name), "user%u", n % CLIENTS);
		(void)table_remove_user(r->relay->table, str_from(name), STR_NONE);
		table_move_sweep(r->relay->table, n % 4 == 0 ? r->path[1].now_s + MOVE_S + 1 : r->path[1].now_s);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

/* The last that was seen while its lock was held. */
struct seen {
	uint32_t slot, generation, count;
};

static void see(void *ctx, const struct alloc *a)
{
	struct seen *s = ctx;
	const struct peers *b = alloc_peers(a);

	/* A block that was freed under us would be caught by the sanitizer. */
	for (unsigned i = 0; b != NULL && i < b->perms; i++)
		s->count += peers_perms(b)[i].expires_s != 0;
	s->slot = a->slot;
	s->generation = atomic_load(&a->generation);
}

/* An administrator who lists all the time, and now and then ends one of those listed, while its client moves or its user is revoked. */
static void *looker(void *arg)
{
	const struct timespec pause = { .tv_nsec = 300000 };
	struct rig *r = arg;

	for (unsigned n = 0; !atomic_load(&done); n++) {
		struct seen s = { 0 };

		table_each(r->relay->table, STR_NONE, r->path[1].now_s, see, &s);
		if (n % 8 == 0 && s.generation != 0)
			(void)table_remove_slot(r->relay->table, s.slot, s.generation);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

struct mover {
	struct client c;
	unsigned place;
	uint8_t ticket[TURN_TICKET_LEN];
	bool has_ticket;
};

static void put_wish(struct wr *w, const void *arg)
{
	put_udp(w, NULL);
	stun_put(w, STUN_MOBILITY_TICKET, STR_NONE);
	(void)arg;
}

static void put_ticket(struct wr *w, const void *arg)
{
	stun_put(w, STUN_MOBILITY_TICKET, str_of(arg, TURN_TICKET_LEN));
}

/* One request through worker 1; the answer's code, 0 for success. */
static int request(struct side *s, struct mover *v, unsigned method, void (*put)(struct wr *w, const void *arg), const void *arg)
{
	uint8_t out[512], tid[STUN_TID_LEN];
	struct wr w = wr_of(out, sizeof(out));
	struct rig *r = s->r;
	struct stun_addr relay;
	struct stun_msg m;
	struct pkt p = { .buf = s->buf[0], .start = s->buf[0], .end = s->buf[0] + RIG_FRAME, .data = s->buf[0] + RIG_HEADROOM };

	crypto_random(tid, sizeof(tid));
	stun_begin(&w, STUN_REQUEST, method, tid);
	if (put != NULL)
		put(&w, arg);
	size_t len = client_seal(&v->c, &w);
	p.len = (uint32_t)rig_udp(p.data, v->c.ip, v->c.port, RELAY_IP, TURN_PORT, out, len);
	path_burst(&r->path[s->worker], &p, 1, &r->clock);
	path_tick(&r->path[s->worker], &r->clock);
	no_extra(&r->path[s->worker]);
	rcu_quiescent(r->relay->rcu, s->worker);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_ok(stun_parse(p.data + HEADERS_LEN, p.len - HEADERS_LEN, &m));
	if (stun_has(&m, STUN_NONCE))
		client_take_nonce(&v->c, &m);
	if (stun_has(&m, STUN_MOBILITY_TICKET)) {
		memcpy(v->ticket, stun_bytes(&m, STUN_MOBILITY_TICKET).p, TURN_TICKET_LEN);
		v->has_ticket = true;
	}
	if (stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relay) == ERR_OK)
		v->c.relayed = relay.port;
	return m.class == STUN_SUCCESS ? 0 : (int)stun_error_code(&m);
}

static int twice(struct side *s, struct mover *v, unsigned method, void (*put)(struct wr *w, const void *arg), const void *arg)
{
	int code = request(s, v, method, put, arg);

	return code == 401 || code == 438 ? request(s, v, method, put, arg) : code;
}

static void start_anew(struct side *s, struct mover *v, unsigned who)
{
	struct rig_peer peer = { .ip = PEER_IP, .port = (uint16_t)(9000 + who), .channel = 0x4001 };
	int code = twice(s, v, STUN_ALLOCATE, put_wish, NULL);

	assert_true(code == 0 || code == 437 || code == 508);
	code = twice(s, v, STUN_CHANNEL_BIND, put_peer, &peer);
	assert_true(code == 0 || code == 437);
	atomic_store(&relayed[who], v->c.relayed);
}

/* To the other place; then it is used from there, or only by whatever the other worker sends. */
static void move(struct side *s, struct mover *v, unsigned who, unsigned round)
{
	struct mover to = *v;

	to.place ^= 1;
	to.c.ip = ip_of(who, to.place);
	to.c.port = port_of(to.place);
	int code = v->has_ticket ? twice(s, &to, STUN_REFRESH, put_ticket, v->ticket) : 437;
	assert_true(code == 0 || code == 437 || code == 400 || code == 508);
	if (code == 0 && round % 3 != 0)
		code = twice(s, &to, STUN_REFRESH, NULL, NULL);
	if (code == 0)
		*v = to;
	else
		start_anew(s, v, who);
}

static void no_torn_address(void **state)
{
	struct policy *policy = rig_policy();
	struct side *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two));
	struct mover v[CLIENTS];
	pthread_t threads[3];

	(void)state;
	policy->mobility = true;
	struct rig *r = rig_new(2, FIRST, FIRST + PORTS - 1, policy);
	assert_true(one != NULL && two != NULL);
	threads_prepare(r);
	one->r = two->r = r;
	two->worker = 1;
	rcu_offline(r->relay->rcu, 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "user%u", i);
		v[i] = (struct mover){ .c = client_new(ip_of(i, 0), port_of(0), name, "") };
		start_anew(two, &v[i], i);
	}
	assert_int_equal(pthread_create(&threads[0], NULL, forwarder, one), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, revoker, r), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, looker, r), 0);
	for (unsigned round = 0; round < MOVES || (table_moves(r->relay->table) < MOVES / 20 && round < 50 * MOVES); round++)
		move(two, &v[round % CLIENTS], round % CLIENTS, round);
	atomic_store(&done, true);
	rcu_offline(r->relay->rcu, 1);
	assert_int_equal(pthread_join(threads[0], NULL), 0);
	assert_int_equal(pthread_join(threads[1], NULL), 0);
	assert_int_equal(pthread_join(threads[2], NULL), 0);
	assert_true(delivered[0] > 0 && delivered[1] > 0 && sent_out > 0);
	assert_true(table_moves(r->relay->table) >= MOVES / 20);

	/* Everything is taken out; every port can be had, and every one of them can move. */
	for (unsigned i = 0; i < CLIENTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "user%u", i);
		(void)table_remove_user(r->relay->table, str_from(name), STR_NONE);
	}
	assert_int_equal(table_count(r->relay->table), 0);
	for (unsigned i = 0; i < PORTS; i++) {
		struct table_request q = { .key = { .client = addr_v4(i), .proto = 17 }, .username = STR("x"), .user = STR("x"), .max = 1000, .now_s = 10 };
		struct flow_key to = { .client = addr_v4(1000 + i), .proto = 17 };
		struct alloc *got, *stand_in;

		assert_ok(table_add(r->relay->table, &q, &got));
		table_start(r->relay->table, got, 1000);
		assert_ok(table_move_begin(r->relay->table, got, &to, 0, 10, &stand_in));
		table_move_finish(r->relay->table, got);
		assert_ptr_equal(table_find_one(r->relay->table, &to), got);
		assert_null(table_find_one(r->relay->table, &q.key));
	}
	rig_free(r);
	free(one);
	free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_torn_address) };

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
